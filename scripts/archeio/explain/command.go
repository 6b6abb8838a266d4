// Package explain is the command archeio explain: where the redirector would send
// a client, and why. It is configured as the function is and runs the same code.
package explain

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "explain [flags] -ip ADDR PATH",
		Short: "show where a client is sent, and why",
		Long: "Shows where the redirector sends a client at ADDR that asks for PATH, and why,\n" +
			"without a network. It is configured by the function's environment variables.",
		Example: cli.Example(
			"archeio explain -ip 35.180.1.1 /v2/pause/manifests/3.9",
			`echo "35.180.1.1 /v2/pause/manifests/3.9" | archeio explain -json -stdin`),
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			o.named = c.Flags().Changed("ip")
			return o.run(c.Context(), args, os.Getenv, c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.ip, "ip", "", "IP address of the client, as `ADDR`")
	f.StringVar(&o.method, "method", "GET", "the request's `METHOD`")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object a line")
	f.BoolVar(&o.lines, "stdin", false, "read lines with an address and a path from standard input")
	return c
}

type options struct {
	ip, method    string
	named         bool // an empty -ip is a bad address, not a missing one
	asJSON, lines bool
}

func (o *options) run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout io.Writer) error {
	switch {
	case o.lines && (o.named || len(args) > 0):
		return cli.Usagef("-stdin takes addresses and paths from standard input; leave out -ip and PATH")
	case !o.lines && (!o.named || len(args) != 1):
		return cli.Usagef("name an address and a path, as in: -ip 35.180.1.1 /v2/pause/manifests/3.9")
	}
	c, err := config.Load(getenv)
	if err != nil {
		return cli.Usage(err)
	}
	if err := ranges.Check(); err != nil {
		return fmt.Errorf("%w; build from a clean checkout", err)
	}
	e := newExplainer(c)
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	print := (*explanation).writeText
	if o.asJSON {
		print = (*explanation).writeJSON
	}
	if !o.lines {
		print(e.explain(ctx, o.method, o.ip, args[0]), out)
		return out.Flush()
	}
	in := bufio.NewReader(stdin)
	for n := 0; ; n++ {
		if in.Buffered() == 0 {
			// Who waits for an answer before the next line gets it.
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if line = strings.TrimSpace(line); line != "" || err == nil {
			if n > 0 && !o.asJSON {
				fmt.Fprintln(out)
			}
			addr, path := line, ""
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				addr, path = line[:i], strings.TrimSpace(line[i:])
			}
			print(e.explain(ctx, o.method, addr, path), out)
		}
		if err == io.EOF {
			break
		}
	}
	return out.Flush()
}
