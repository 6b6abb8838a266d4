package pull

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
)

// Row is one pull of one client through one front.
type Row struct {
	EntryPoint, Client string
	Pull               *Pull
	// Verdict is "ok", or what is wrong.
	Verdict string
}

// Report prints the pulls. Who names the server of a URL.
type Report struct {
	Out        io.Writer
	ServerName func(url string) string
	Rows       []Row
}

// Hops prints every request of the pulls through the fronts that are named,
// and of those where something is wrong.
func (r *Report) Hops(fronts ...string) {
	t := tabwriter.NewWriter(r.Out, 0, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		if !slices.Contains(fronts, row.EntryPoint) && row.Verdict == "ok" {
			continue
		}
		fmt.Fprintf(t, "\n%s through the %s\n", row.Client, row.EntryPoint)
		fmt.Fprintln(t, "  HOST ASKED\tPATH\tSTATUS\tREDIRECTED TO\tREASON")
		for _, h := range row.Pull.Hops {
			fmt.Fprintf(t, "  %s\t%s\t%d\t%s\t%s\n", r.ServerName(h.URL), short(pathOf(h.URL)), h.Status, or(r.ServerName(h.To), "-"), or(h.Reason, "-"))
		}
	}
	t.Flush()
}

// Blobs prints where each blob came from and why.
func (r *Report) Blobs(image *Image) {
	fmt.Fprintln(r.Out, "\nWhere each blob came from, and why")
	t := tabwriter.NewWriter(r.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FRONT\tCLIENT\tBLOB\tFROM\tREASON\tVERDICT")
	ran := 0
	for _, row := range r.Rows {
		for i, blob := range image.Blobs {
			front, client, verdict := row.EntryPoint, row.Client, row.Verdict
			if i > 0 {
				front, client, verdict = "", "", ""
			}
			note := ""
			if blob == image.Missing {
				note = " (in no mirror)"
			}
			from := r.ServerName(row.Pull.Sources[blob.String()])
			fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%s\t%s\n", front, client, blob.Hex[:12], note, or(from, "-"), or(row.Pull.Reasons[blob.String()], "-"), verdict)
		}
		if row.Pull.Output != "" {
			ran++
		}
	}
	t.Flush()
	fmt.Fprintf(r.Out, "\n%d pulls; the pulled image ran %d times and said %q\n", len(r.Rows), ran, Hello)
}

// Bad counts the pulls that failed or took the wrong way.
func (r *Report) Bad() int {
	bad := 0
	for _, row := range r.Rows {
		if row.Verdict != "ok" {
			bad++
		}
	}
	return bad
}

// Verdict makes one of what a pull came to.
func Verdict(p *Pull, err error, want Want, image *Image, who func(string) string) string {
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return "FAILED: " + line
	}
	if wrong := p.Mismatch(want, image, who); wrong != "" {
		return "WRONG: " + wrong
	}
	return "ok"
}

// short cuts digests to what tells them apart.
func short(path string) string {
	before, hex, ok := strings.Cut(path, "sha256:")
	if !ok || len(hex) < 12 {
		return path
	}
	return before + "sha256:" + hex[:12]
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Path
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
