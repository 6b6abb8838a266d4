package cli

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"archeio/infra/stage"
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
	if s := stageNamed(c, arg); s != "" {
		return Usagef("unexpected argument %q (did you mean -stage %s?)", arg, s)
	}
	return Usagef("unexpected argument %q", arg)
}

// stageNamed returns arg if it is a stage in the file of a command that no stage is
// named for.
func stageNamed(c *cobra.Command, arg string) string {
	f := c.Flags()
	if f.Lookup("stage") == nil || f.Lookup("file") == nil || f.Changed("stage") {
		return ""
	}
	if names, err := stage.Names(f.Lookup("file").Value.String()); err == nil && slices.Contains(names, arg) {
		return arg
	}
	return ""
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
		return Usagef("-%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), cause(invalid.GetFlag(), invalid))
	}
	return Usage(err)
}

// cause returns why the value of a flag is invalid: what is wanted, if Go's own parsers
// refuse it.
func cause(f *pflag.Flag, err error) error {
	switch f.Value.Type() {
	case "bool":
		return errors.New("want true or false")
	case "int":
		return errors.New("want a whole number")
	case "float64":
		return errors.New("want a number")
	case "duration":
		return errors.New("want a duration, for example 24h")
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// ReadError marks an error of reading a file that the usage of a command names. It is
// wrong usage if the file cannot be read, and a problem if its content is invalid.
func ReadError(err error) error {
	failed := (*fs.PathError)(nil)
	if errors.As(err, &failed) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EISDIR) {
		return Usage(err)
	}
	return err
}

// NoEffect returns an error for the first of the flags that is set, because it has no
// effect for a reason such as "without -replace".
func NoEffect(c *cobra.Command, reason string, flags ...string) error {
	for _, name := range flags {
		if c.Flags().Changed(name) {
			return Usagef("-%s has no effect %s", name, reason)
		}
	}
	return nil
}

func nearestFlag(c *cobra.Command, name string) string {
	if len(name) < 2 {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return spelling.Suggest(name, slices.Values(names))
}
