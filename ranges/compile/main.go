// Command compile makes the range table from the documents in which AWS,
// Google and Azure publish their addresses.
//
//	go run ./ranges/compile                          from the official addresses
//	go run ./ranges/compile -aws FILE -gcp FILE -azure FILE
//
// It prints what changes against the table that is in place, so that a person
// can review an update, and writes the new table only if every document is
// sound. The same documents always give the same bytes.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"archeio/ranges"
)

const usage = `Usage: go run ./ranges/compile [flags]

Compiles the providers' documents of their IP ranges into the table that the
redirector carries, and prints what changes against the table before.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("compile", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	from := map[ranges.Cloud]*string{}
	for _, p := range providers {
		from[p.cloud] = flags.String(p.flag, p.official, fmt.Sprintf("`file` or https address of the document of %s", p.cloud))
	}
	out := flags.String("o", filepath.Join("ranges", "table.bin"), "the table to compare with and to `write`")
	dryRun := flags.Bool("dry-run", false, "report the changes, write nothing")
	allowShrink := flags.Bool("allow-shrink", false, "accept a document that loses more than a fifth of a cloud")
	asJSON := flags.Bool("json", false, "print the changes as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; documents are named by flags, see -h", flags.Arg(0))
	}

	before, err := tableAt(*out)
	if err != nil {
		return err
	}
	var documents []document
	for _, p := range providers {
		d, err := p.read(ctx, *from[p.cloud])
		if err != nil {
			return fmt.Errorf("document of %s, %q: %w; nothing was written", p.cloud, *from[p.cloud], err)
		}
		documents = append(documents, d)
	}
	prefixes, sources, doubts := merge(documents)
	after, err := ranges.Compile(prefixes, sources)
	if err != nil {
		return fmt.Errorf("compiling %d prefixes: %w; nothing was written", len(prefixes), err)
	}
	report := compare(before, after)
	report.Doubts = doubts
	if *asJSON {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeText(stdout)
	}
	if err != nil {
		return err
	}
	if lost := report.lost(); lost != "" && !*allowShrink {
		return fmt.Errorf("%s; nothing was written; if that is right, say -allow-shrink", lost)
	}
	switch {
	case *dryRun:
		return nil
	case before != nil && bytes.Equal(before.Bytes(), after.Bytes()):
		fmt.Fprintf(stderr, "%s is up to date\n", *out)
		return nil
	}
	if err := replace(*out, after.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "wrote %s, %d bytes\n", *out, len(after.Bytes()))
	return nil
}

// tableAt reads the table in place; nil where there is none yet.
func tableAt(name string) (*ranges.Table, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the table before: %w", err)
	}
	t, err := ranges.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading the table before, %q: %w; restore it from version control", name, err)
	}
	return &t, nil
}

// merge makes one set of all documents. Where a prefix is claimed twice the
// later one has it, and that is a doubt to report.
func merge(documents []document) ([]ranges.Prefix, []ranges.Source, []string) {
	var all []ranges.Prefix
	var sources []ranges.Source
	var doubts []string
	at := map[string]int{}
	for _, d := range documents {
		distinct := map[string]bool{}
		for _, p := range d.prefixes {
			key := p.Prefix.String()
			distinct[key] = true
			i, claimed := at[key]
			switch {
			case !claimed:
				at[key] = len(all)
				all = append(all, p)
			case all[i].Place != p.Place:
				doubts = append(doubts, fmt.Sprintf("%s is claimed by %s and by %s; the later one has it", key, name(all[i].Place), name(p.Place)))
				all[i] = p
			}
		}
		sources = append(sources, ranges.Source{Cloud: d.cloud, Version: d.published, Date: d.date, Prefixes: len(distinct)})
	}
	slices.Sort(doubts)
	return all, sources, slices.Compact(doubts)
}

// replace writes aside and renames, so that a reader or a crash never meets
// half a table.
func replace(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	return nil
}
