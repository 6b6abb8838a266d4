package ranges

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"archeio/lambda/spelling"
	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
)

func compileCommand() *cobra.Command {
	var file, folder string
	var dryRun, asJSON bool
	var allowed []string
	c := &cobra.Command{
		Use:   "compile [flags]",
		Short: "compile the documents of the clouds into a table",
		Long: "Reads the documents in which the clouds publish their IP ranges, prints which\n" +
			"addresses move compared with the table in place, and replaces it. The same\n" +
			"documents always give the same bytes. Nothing is written if a document is\n" +
			"invalid, or for one of these reasons:\n" + checksHelp(),
		Example: cli.Example(
			"archeio ranges compile -dry-run",
			"archeio ranges compile -azure ServiceTags_Public_20260727.json",
			"archeio ranges compile -documents downloads"),
	}
	f := c.Flags()
	var from [len(compile.Providers)]string
	for i, p := range compile.Providers {
		f.StringVar(&from[i], flagOf(p.Cloud), p.URL, fmt.Sprintf("`FILE|URL` document of %s, a file or URL", p.Cloud))
	}
	f.StringVar(&folder, "documents", "", "`FOLDER` folder to read instead, with a JSON file of each cloud, recognized by its content")
	f.StringVarP(&file, "output", "o", filepath.Join("ranges", "table.bin"), "`FILE` table to compare with and replace")
	f.BoolVar(&dryRun, "dry-run", false, "write nothing")
	s := cli.StageFlags(c)
	f.StringSliceVar(&allowed, "allow", nil, "`CHECKS` names of the checks to ignore, comma-separated: "+strings.Join(checkNames(), ", "))
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := s.Optional(c); err != nil {
			return err
		}
		for _, p := range compile.Providers {
			if name := flagOf(p.Cloud); folder != "" && c.Flags().Changed(name) {
				return cli.Usagef("-%s has no effect with -documents: use one of them", name)
			}
		}
		if err := checkAllowed(allowed); err != nil {
			return err
		}
		before, err := compile.ReadTable(c.Context(), nil, file)
		exists := !errors.Is(err, fs.ErrNotExist)
		switch {
		case errors.Is(err, ranges.ErrDamaged):
			return fmt.Errorf("%w: restore it from version control", err)
		case err != nil && exists:
			return cli.ReadError(err)
		}
		documents, err := readDocuments(c.Context(), from[:], folder)
		if err != nil {
			return cli.ReadError(fmt.Errorf("%w; nothing was written", err))
		}
		after, report, err := compile.Update(before, documents, time.Now())
		if err != nil {
			return fmt.Errorf("%w; nothing was written", err)
		}
		if err := inStage(&report, s); err != nil {
			return err
		}
		if err := print(c.OutOrStdout(), report, asJSON); err != nil {
			return err
		}
		if problems := compile.Except(report.Problems, allowed); len(problems) > 0 {
			return refusal(problems)
		}
		switch {
		case dryRun:
			return nil
		case exists && before == after:
			_, err := fmt.Fprintf(c.ErrOrStderr(), "%s is up to date\n", file)
			return err
		}
		if err := compile.WriteFile(file, after); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.ErrOrStderr(), "wrote %s, %d bytes\n", file, len(after.Bytes()))
		return err
	}
	return c
}

func checkNames() []string {
	var names []string
	for _, check := range compile.Checks {
		names = append(names, check.Name)
	}
	return names
}

func checksHelp() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, check := range compile.Checks {
		fmt.Fprintf(t, "\n  %s\t%s", check.Name, check.Meaning)
	}
	t.Flush()
	return b.String()
}

// checkAllowed validates the checks that -allow names.
func checkAllowed(allowed []string) error {
	for _, name := range allowed {
		if names := checkNames(); !slices.Contains(names, name) {
			return cli.Usagef("-allow %q: unknown check%s: want %s", name, spelling.DidYouMean(name, slices.Values(names)), strings.Join(names, ", "))
		}
	}
	return nil
}

// refusal returns the problems as an error that says how to ignore them.
func refusal(problems []compile.Problem) error {
	var checks []string
	for _, p := range problems {
		if !slices.Contains(checks, p.Check) {
			checks = append(checks, p.Check)
		}
	}
	return fmt.Errorf("%s; nothing was written: use -allow %s if this is correct", compile.Texts(problems), strings.Join(checks, ","))
}

// flagOf returns the flag that names the document of a cloud.
func flagOf(cloud ranges.Cloud) string { return strings.ToLower(string(cloud)) }

// readDocuments reads the documents in a folder, or else each from its own file or
// URL.
func readDocuments(ctx context.Context, from []string, folder string) ([]compile.Document, error) {
	if folder != "" {
		return compile.ReadFolder(folder)
	}
	var documents []compile.Document
	for i, p := range compile.Providers {
		d, err := p.Read(ctx, nil, from[i])
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	return documents, nil
}

func print(w io.Writer, report compile.Report, asJSON bool) error {
	if asJSON {
		return cli.JSON(w, report)
	}
	_, err := io.WriteString(w, report.Text())
	return err
}
