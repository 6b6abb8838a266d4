package pull

import (
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"archeio/scripts/lab/terminal"
)

// Row is one pull of one client through one entry point.
type Row struct {
	EntryPoint, Client string
	Pull               *Pull
	// Function are the requests that the function sent for the pull.
	Function []Hop
	// Verdict is "ok", or what is wrong; see [Verdict].
	Verdict string
}

// Report prints pulls.
type Report struct {
	Out io.Writer
	// ServerName returns the name of the server of a URL.
	ServerName func(url string) string
	// Color is whether failures are printed in red.
	Color bool
	Rows  []Row
}

// Summary prints a table of where the manifest and the blobs of each pull came
// from, why, and how long it took, and then what went wrong.
func (r *Report) Summary(image *Image) {
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLIENT\tENTRY POINT\tMANIFEST FROM\tBLOBS FROM\tREASON\tTIME")
	ran := 0
	for _, row := range r.Rows {
		if row.Pull.Output != "" {
			ran++
		}
		first := []string{row.Client, row.EntryPoint, or(r.ServerName(row.Pull.Manifest), "-")}
		last := row.Pull.Duration.Round(time.Millisecond).String()
		sources := r.sources(row.Pull, image)
		if len(sources) == 0 {
			sources = []source{{name: "-", reason: "-"}}
		}
		for _, s := range sources {
			fmt.Fprintf(t, "%s\t%s\t%s\n", strings.Join(first, "\t"), s, last)
			first, last = []string{"", "", ""}, ""
		}
	}
	t.Flush()
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(r.Out, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintln(r.Out)
	for _, row := range r.Rows {
		if row.Verdict != ok {
			fmt.Fprintln(r.Out, terminal.Paint(r.Color, terminal.Red, row.Client+" through the "+row.EntryPoint+": "+row.Verdict))
		}
	}
	fmt.Fprintf(r.Out, "%d pulls, %d failed; the pulled image ran %d times\n", len(r.Rows), r.Failed(), ran)
}

// source is a server that blobs came from for a reason.
type source struct {
	name, reason string
	blobs        int
}

func (s source) String() string {
	if s.blobs == 0 {
		return s.name + "\t" + s.reason
	}
	return fmt.Sprintf("%s (%d)\t%s", s.name, s.blobs, or(s.reason, "-"))
}

// sources returns where the blobs of a pull came from, in the order of the image.
func (r *Report) sources(p *Pull, image *Image) []source {
	var all []source
	for _, blob := range image.Blobs {
		digest := blob.String()
		name, reason := r.ServerName(p.Sources[digest]), p.Reasons[digest]
		if name == "" {
			continue
		}
		i := slices.IndexFunc(all, func(s source) bool { return s.name == name && s.reason == reason })
		if i < 0 {
			i = len(all)
			all = append(all, source{name: name, reason: reason})
		}
		all[i].blobs++
	}
	return all
}

// Hops prints each request of the pulls through the entry points named, and of
// the pulls that failed. Requests of the function stand before the response that they
// were sent for.
func (r *Report) Hops(entryPoints ...string) {
	t := tabwriter.NewWriter(r.Out, 0, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		if !slices.Contains(entryPoints, row.EntryPoint) && row.Verdict == ok {
			continue
		}
		fmt.Fprintf(t, "\n%s through the %s\n", row.Client, row.EntryPoint)
		if len(row.Function) == 0 {
			fmt.Fprintln(t, "  HOST\tPATH\tSTATUS\tREDIRECTED TO\tREASON")
			for _, h := range row.Pull.Hops {
				fmt.Fprintf(t, "  %s\n", r.hop(h))
			}
			continue
		}
		fmt.Fprintln(t, "  FROM\tHOST\tPATH\tSTATUS\tREDIRECTED TO\tREASON")
		function := row.Function
		for _, h := range row.Pull.Hops {
			for len(function) > 0 && function[0].At.Before(h.At) {
				fmt.Fprintf(t, "  function\t%s\n", r.hop(function[0]))
				function = function[1:]
			}
			fmt.Fprintf(t, "  client\t%s\n", r.hop(h))
		}
	}
	t.Flush()
}

// hop returns the cells of a hop.
func (r *Report) hop(h Hop) string {
	return fmt.Sprintf("%s\t%s\t%d\t%s\t%s", r.ServerName(h.URL), short(pathOf(h.URL)), h.Status, or(r.ServerName(h.Location), "-"), or(h.Reason, "-"))
}

// Failed returns the number of pulls whose verdict is not "ok".
func (r *Report) Failed() int {
	failed := 0
	for _, row := range r.Rows {
		if row.Verdict != ok {
			failed++
		}
	}
	return failed
}

const ok = "ok"

// Verdict returns the verdict on a pull that ended with err: "ok", or in one line
// "FAILED: " with the error or "WRONG: " with what differs from want.
func Verdict(p *Pull, err error, want Want, image *Image, serverName func(string) string) string {
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return "FAILED: " + line
	}
	if mismatch := p.Mismatch(want, image, serverName); mismatch != "" {
		return "WRONG: " + mismatch
	}
	return ok
}

var longHex = regexp.MustCompile(`([0-9a-f]{12})[0-9a-f]{52}`)

// short returns a path with its digests cut to twelve digits.
func short(path string) string { return longHex.ReplaceAllString(path, "$1") }

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
