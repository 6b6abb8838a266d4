package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// table prints what has a value.
func table(out io.Writer, stage string, last time.Duration, answers []answer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Stage %s, the last %s; times and ages are those of the worst period.\n", stage, last)
	for _, a := range answers {
		fmt.Fprintf(w, "\n%s\n", a.Question)
		any := false
		for _, v := range a.Values {
			if v.Value != nil {
				any = true
				fmt.Fprintf(w, "  %s\t%s\n", v.Label, number(*v.Value, a.Unit))
			}
		}
		if !any {
			fmt.Fprintln(w, "  nothing is known")
		}
	}
	return w.Flush()
}

func number(v float64, unit string) string {
	switch unit {
	case "bytes":
		return fmt.Sprintf("%.2f GB", v/1e9)
	case "percent of blobs":
		return fmt.Sprintf("%.1f %%", v)
	case "dollars":
		return fmt.Sprintf("%.2f dollars", v)
	case "milliseconds":
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f", v)
}
