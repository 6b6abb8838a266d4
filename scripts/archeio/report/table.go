package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"archeio/infra/dashboard"
	"archeio/scripts/archeio/cli"
)

// writeText writes the values that CloudWatch has, by widget.
func writeText(out io.Writer, stage string, last time.Duration, widgets []Widget) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Stage %s, last %s. Latencies and ages are maxima over all periods.\n", stage, cli.Duration(last))
	for _, x := range widgets {
		fmt.Fprintf(w, "\n%s\n", x.Title)
		found := false
		for _, v := range x.Values {
			if v.Value != nil {
				found = true
				fmt.Fprintf(w, "  %s\t%s\n", v.Label, number(*v.Value, x.Unit))
			}
		}
		if !found {
			fmt.Fprintln(w, "  no data")
		}
	}
	return w.Flush()
}

func number(v float64, unit string) string {
	switch unit {
	case dashboard.Bytes:
		return fmt.Sprintf("%.2f GB", v/1e9)
	case dashboard.Percent:
		return fmt.Sprintf("%.1f %%", v)
	case dashboard.Dollars:
		return fmt.Sprintf("%.2f dollars", v)
	case dashboard.Milliseconds:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f", v)
}
