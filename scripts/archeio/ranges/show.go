package ranges

import (
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
)

func showCommand() *cobra.Command {
	var ip string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [flags] [TABLE]",
		Short: "show the clouds, regions and dates of a table, or where an address is",
		Long: "Shows what a table holds, or with -ip the cloud and region of an address.\n" +
			tables,
		Example: cli.Example(
			"archeio ranges show",
			"archeio ranges show -ip 35.180.1.1"),
		Args: atMostOne,
	}
	c.Flags().StringVar(&ip, "ip", "", "`ADDR` IP address to look up")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		var addr netip.Addr
		if c.Flags().Changed("ip") {
			var err error
			if addr, err = netip.ParseAddr(ip); err != nil {
				return cli.Usagef("-ip %q: invalid IP address", ip)
			}
		}
		name := embedded
		if len(args) > 0 {
			name = args[0]
		}
		table, err := read(c.Context(), name)
		if err != nil {
			return err
		}
		if addr.IsValid() {
			return locate(table, addr).write(c.OutOrStdout(), asJSON)
		}
		s := compile.Summarize(table)
		if asJSON {
			return cli.JSON(c.OutOrStdout(), s)
		}
		_, err = io.WriteString(c.OutOrStdout(), s.Text(time.Now()))
		return err
	}
	return c
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return cli.NoArgs(c, args[1:])
}

// location is where an address is. It has the names of its JSON.
type location struct {
	Address netip.Addr   `json:"address"`
	Cloud   ranges.Cloud `json:"cloud"`
	Region  string       `json:"region"`
	// Range is the run of addresses of the region around the address, as
	// "first - last".
	Range string `json:"range"`
	// Date is that of the table.
	Date time.Time `json:"date,omitzero"`
}

func locate(table ranges.Table, addr netip.Addr) location {
	place, ok := table.Lookup(addr)
	l := location{Address: addr, Cloud: place.Cloud, Region: place.Region, Date: table.Date()}
	if !ok {
		return l
	}
	plain := addr.Unmap().WithZone("")
	for x := range table.All() {
		if x.First.Compare(plain) <= 0 && plain.Compare(x.Last) <= 0 {
			l.Range = fmt.Sprintf("%s - %s", x.First, x.Last)
			break
		}
	}
	return l
}

func (l location) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return cli.JSON(w, l)
	}
	if l.Cloud == "" {
		l.Cloud, l.Region, l.Range = "none", "none", "none"
	}
	date := "unknown"
	if !l.Date.IsZero() {
		date = l.Date.Format(time.DateOnly)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "address\t%s\ncloud\t%s\nregion\t%s\nrange\t%s\nrange data\t%s\n", l.Address, l.Cloud, l.Region, l.Range, date)
	return t.Flush()
}
