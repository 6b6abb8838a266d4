package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"archeio/scripts/stack"
)

// summary is one pull of one client through one front.
type summary struct {
	client  stack.Client
	front   string
	pull    *stack.Pull
	verdict string
}

// printHops prints every request of the pulls through the distribution; those
// through the load balancer go the same ways, unless something is wrong.
func printHops(s *stack.Stack, rows []summary) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "Hosts")
	for _, host := range s.Hosts() {
		fmt.Fprintf(t, "  %s\t%s\n", s.Who(host), host)
	}
	for _, row := range rows {
		if row.front != "distribution" && row.verdict == "ok" {
			continue
		}
		fmt.Fprintf(t, "\n%s (%s) through the %s\n", row.client.Name, row.client.Addr, row.front)
		fmt.Fprintln(t, "  HOST ASKED\tPATH\tSTATUS\tREDIRECTED TO\tREASON")
		for _, h := range row.pull.Hops {
			fmt.Fprintf(t, "  %s\t%s\t%d\t%s\t%s\n", s.Who(h.Host), short(h.Path), h.Status, or(s.Who(h.To), "-"), or(h.Reason, "-"))
		}
	}
	t.Flush()
}

// printSummary prints where each blob came from and why.
func printSummary(s *stack.Stack, rows []summary, image *stack.Image) {
	fmt.Println("\nWhere each blob came from, and why")
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FRONT\tCLIENT\tBLOB\tFROM\tREASON\tVERDICT")
	for _, row := range rows {
		for i, blob := range image.Blobs {
			front, client, verdict := row.front, row.client.Name, row.verdict
			if i > 0 {
				front, client, verdict = "", "", ""
			}
			note := ""
			if blob == image.Missing {
				note = " (in no mirror)"
			}
			from := "-"
			if u, err := url.Parse(row.pull.From[blob.String()]); err == nil && u.Host != "" {
				from = s.Who(u.Host)
			}
			fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%s\t%s\n", front, client, blob.Hex[:12], note, from, or(row.pull.Why[blob.String()], "-"), verdict)
		}
	}
	t.Flush()
	ran := 0
	for _, row := range rows {
		if row.pull.Ran != "" {
			ran++
		}
	}
	fmt.Printf("\n%d pulls; the pulled image ran %d times and said %q\n", len(rows), ran, stack.Hello)
}

// short cuts digests to what tells them apart.
func short(path string) string {
	before, hex, ok := strings.Cut(path, "sha256:")
	if !ok || len(hex) < 12 {
		return path
	}
	return before + "sha256:" + hex[:12]
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
