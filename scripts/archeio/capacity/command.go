// Package capacity is the command archeio capacity: it models what a registry
// needs and costs in a month. It gives requests, invocations, checks, bytes by
// path, dollars by service, and the load at which each AWS quota is reached. It
// works offline; the prices are in prices.go.
package capacity

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/report"
)

// Command returns the command.
func Command() *cobra.Command {
	o := options{load: small}
	c := &cobra.Command{
		Use:   "capacity [flags]",
		Short: "model what a registry needs and costs in a month",
		Long: "Models what a registry needs and costs in a month: for a small company and for\n" +
			"10 PB a month, next to each other. Each flag of the load applies to both; the\n" +
			"defaults are those of small. -stage takes mirrors, redirectors, load balancers,\n" +
			"alarms and firewalls from a stage, -measured the traffic from what archeio report\n" +
			"has printed of it. A GB is 10^9 bytes. -prices prints the price list.",
		Example: cli.Example(
			"archeio capacity -preset large -index-hit 0.5",
			"archeio capacity -preset small -stage sandbox",
			"archeio report -stage sandbox -json | archeio capacity -preset small -stage sandbox -measured -",
			"archeio capacity -o cost.svg"),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.preset, "preset", "both", "`LOAD` load to start from: small, large or both")
	f.BoolVar(&o.freeTier, "free-tier", false, "subtract the units that AWS gives every account each month")
	f.BoolVar(&o.onlyPrices, "prices", false, "print the price list only")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` file to write a picture of the saving to, as SVG; of large if -preset is both")
	f.StringVar(&o.measured, "measured", "", "`FILE` output of archeio report -json to take the load of the stage from, - for standard input")
	for _, in := range o.load.inputs() {
		f.Float64Var(in.value, in.name, *in.value, in.usage)
	}
	o.stage = cli.StageFlags(c)
	return c
}

type options struct {
	preset, output, measured     string
	stage                        *cli.Stage
	freeTier, onlyPrices, asJSON bool
	load                         Load // the values of the flags
}

// presets are the loads to start from, by name.
var presets = []struct {
	name string
	load Load
}{{"small", small}, {"large", large}}

func (o *options) run(c *cobra.Command) error {
	flags, out := c.Flags(), c.OutOrStdout()
	if o.output != "" && (o.asJSON || o.onlyPrices) {
		return cli.Usagef("-output cannot be combined with -json or -prices")
	}
	if o.onlyPrices {
		var unused string
		flags.Visit(func(f *pflag.Flag) {
			if f.Name != "prices" && f.Name != "json" {
				unused = f.Name
			}
		})
		if unused != "" {
			return cli.Usagef("-%s has no effect with -prices", unused)
		}
	}
	if err := o.stage.Optional(c); err != nil {
		return err
	}
	if o.measured != "" && o.stage.Name == "" {
		return cli.Usagef("-measured has no effect without -stage")
	}
	results, err := o.results(flags, c.InOrStdin())
	switch {
	case err != nil:
		return err
	case o.output != "":
		return o.writePicture(out, results[len(results)-1])
	case o.onlyPrices && o.asJSON:
		return cli.JSON(out, priceList{PricesDate, Prices})
	case o.onlyPrices:
		return writePrices(out)
	case o.asJSON:
		return writeJSON(out, results)
	}
	return writeText(out, results, o.freeTier)
}

// results evaluates the presets that were chosen, with the flags that were set.
func (o *options) results(flags *pflag.FlagSet, stdin io.Reader) ([]Result, error) {
	var deployed *stage.Stage
	var measured *report.Document
	if o.stage.Name != "" {
		var err error
		if deployed, err = o.stage.Read(); err != nil {
			return nil, err
		}
	}
	if o.measured != "" {
		var err error
		if measured, err = readMeasured(o.measured, stdin); err != nil {
			return nil, err
		}
		if measured.Stage != deployed.Name {
			return nil, fmt.Errorf("reading the measured load: it is of the stage %q: want that of %q", cli.Printable(measured.Stage), deployed.Name)
		}
	}
	var results []Result
	for _, p := range presets {
		l := p.load
		if deployed != nil {
			l.deployAs(deployed)
		}
		var read []string
		if measured != nil {
			read = l.measure(measured)
		}
		set := o.load.inputs()
		for i, in := range l.inputs() {
			if flags.Changed(in.name) {
				*in.value = *set[i].value
				read = slices.DeleteFunc(read, func(name string) bool { return name == in.name })
				if in.value == &l.Mirrors { // which regions they are in is not known then
					l.Places, l.Downloads = nil, nil
				}
			}
		}
		if err := l.validate(); err != nil {
			return nil, cli.Usage(err)
		}
		if o.preset == p.name || o.preset == "both" {
			r := Evaluate(p.name, l, o.freeTier)
			if measured != nil {
				r.Measured, r.MeasuredFrom, r.MeasuredTo = read, &measured.From, &measured.To
			}
			results = append(results, r)
		}
	}
	if results == nil {
		return nil, cli.Usagef("-preset %q: want small, large or both", o.preset)
	}
	return results, nil
}

func (o *options) writePicture(out io.Writer, r Result) error {
	picture := draw(r)
	if err := os.WriteFile(o.output, picture, 0o644); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	_, err := fmt.Fprintf(out, "wrote %s (%d bytes)\n", o.output, len(picture))
	return err
}
