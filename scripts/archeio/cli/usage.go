package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"archeio/lambda/spelling"
)

// NoArgs refuses every argument that is not a flag.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unexpected(c, args[0])
}

// OneArg requires exactly one argument, which messages call name, as DIGEST.
func OneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return Usagef("missing %s", name)
		case 1:
			return nil
		}
		return unexpected(c, args[1])
	}
}

func unexpected(c *cobra.Command, arg string) error {
	if c.Flags().Lookup(arg) != nil {
		return Usagef("unexpected argument %q (did you mean -%s?)", arg, arg)
	}
	return Usagef("unexpected argument %q", arg)
}

func unknownCommand(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return Usagef("unknown command %q%s", name, spelling.DidYouMean(name, slices.Values(names)))
}

// flagError returns what is wrong with a flag, spelled with one dash.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if near := nearestFlag(c, name); near != "" {
			return Usagef("unknown flag -%s (did you mean -%s?)", name, near)
		}
		return Usagef("unknown flag -%s", name)
	case errors.As(err, &missing):
		return Usagef("flag -%s needs a value", missing.GetFlag().Name)
	case errors.As(err, &invalid):
		return Usagef("-%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), cause(invalid))
	}
	return Usage(err)
}

// cause returns why a value is invalid, without the words that Go's own parsers
// put before it.
func cause(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	if _, text, ok := strings.Cut(err.Error(), "parsing "); ok {
		if _, text, ok = strings.Cut(text, ": "); ok {
			return errors.New(text)
		}
	}
	return err
}

func nearestFlag(c *cobra.Command, name string) string {
	if len(name) < 2 {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return spelling.Suggest(name, slices.Values(names))
}
