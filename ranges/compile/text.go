package compile

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// maxRows is how many regions, conflicts and mirrors Text lists. JSON lists all.
const maxRows = 15

// Text returns the report for a reader, who should need no more than a minute.
func (r Report) Text() string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLOUD\tDOCUMENT\tPREFIXES\tIPv4 ADDRESSES\tIPv6 /64s")
	for _, c := range r.Clouds {
		b, a := c.Before, c.After
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Cloud, step(b.Version, a.Version),
			step(count(float64(b.Prefixes)), count(float64(a.Prefixes))), step(count(b.IPv4), count(a.IPv4)), step(count(b.IPv6), count(a.IPv6)))
	}
	t.Flush()
	list(&out, "conflicts", r.Conflicts)
	list(&out, "failed checks", r.Problems)
	if len(r.Changes) == 0 {
		fmt.Fprintf(&out, "\nno address moves\n")
		return out.String()
	}

	fmt.Fprintln(&out)
	fmt.Fprintln(t, "CLOUD\tREGION\tAPPEAR\tVANISH\tMOVE IN\tMOVE OUT")
	for _, c := range r.Clouds {
		if c.Appear != (Size{}) || c.Vanish != (Size{}) || c.Move != (Size{}) {
			fmt.Fprintf(t, "%s\tall regions\t%s\t%s\t\t%s\n", c.Cloud, c.Appear.short(), c.Vanish.short(), c.Move.short())
		}
	}
	for _, c := range r.Regions[:min(len(r.Regions), maxRows)] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Cloud, c.Region, c.Appear.short(), c.Vanish.short(), c.MoveIn.short(), c.MoveOut.short())
	}
	t.Flush()
	more(&out, len(r.Regions), maxRows, "regions")

	n := 0
	for _, c := range r.Changes {
		n += len(c.Prefixes)
	}
	fmt.Fprintf(&out, "\nlargest changes, of %s\n", plural(n, "prefix", "prefixes"))
	for _, l := range r.Largest {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", l.Prefix, verb(l.From, l.To), l.Size)
	}
	t.Flush()

	var lines []string
	for _, u := range r.Unlocated {
		lines = append(lines, u.Place+": "+u.Effect)
	}
	list(&out, "regions without known coordinates", lines)
	if r.Stage != nil {
		r.Stage.write(&out)
	}
	return out.String()
}

func (s StageChange) write(w io.Writer) {
	if len(s.Mirrors) == 0 {
		fmt.Fprintf(w, "\nno address gets another mirror in stage %q\n", s.Name)
		return
	}
	var lines []string
	for _, m := range s.Mirrors {
		lines = append(lines, fmt.Sprintf("%s: %s -> %s: %s", m.Place, m.Before, m.After, m.Size))
	}
	list(w, fmt.Sprintf("addresses that get another mirror in stage %q", s.Name), lines)
}

// list writes a paragraph, of nothing if there are no lines.
func list[T any](w io.Writer, title string, lines []T) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, line := range lines[:min(len(lines), maxRows)] {
		fmt.Fprintf(w, "  %v\n", line)
	}
	more(w, len(lines), maxRows, "")
}

// more writes how many rows were left out.
func more(w io.Writer, n, shown int, what string) {
	if n > shown {
		fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("and %d more %s", n-shown, what)))
	}
}

func verb(from, to string) string {
	switch {
	case from == "":
		return "added to " + to
	case to == "":
		return "removed from " + from
	}
	return "moves from " + from + " to " + to
}

// step returns a value that may have changed.
func step(before, after string) string {
	switch {
	case before == after:
		return after
	case before == "" || after == "":
		return cmp.Or(before, "none") + " -> " + cmp.Or(after, "none")
	}
	return before + " -> " + after
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
