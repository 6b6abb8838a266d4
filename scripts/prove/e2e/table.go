package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// table prints rows under a head, in columns. A row whose last column does not
// begin with ok or skipped is coloured where colour is true.
func table(out io.Writer, colour bool, head []string, rows [][]string) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
	lines := strings.SplitAfter(text.String(), "\n")
	for i, line := range lines {
		bad := i > 0 && i <= len(rows) && failed(rows[i-1][len(rows[i-1])-1])
		if bad && colour {
			line = "\x1b[31m" + strings.TrimSuffix(line, "\n") + "\x1b[0m\n"
		}
		io.WriteString(out, line)
	}
}

func failed(verdict string) bool {
	return verdict != good && !strings.HasPrefix(verdict, "skipped")
}

// amounts writes how often each thing was, the most frequent first.
func amounts(m map[string]int) string {
	if len(m) == 0 {
		return "-"
	}
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return m[b] - m[a] })
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", m[name], name))
	}
	return strings.Join(parts, ", ")
}

func (r row) cells() []string {
	ran := "-"
	if r.Ran {
		ran = "yes"
	}
	return []string{r.Client, r.Front, r.Place, r.What, amounts(r.Hops), amounts(r.Blobs), ran, fmt.Sprintf("%.1fs", r.Took), r.Verdict}
}

var rowHead = []string{"CLIENT", "FRONT", "PLACE", "WHAT", "HOPS", "BLOBS FROM", "RAN", "TOOK", "VERDICT"}
