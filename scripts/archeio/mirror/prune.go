package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// minUnusedFor is longer than a run of the filler, which may be copying a blob of which
// prune has not seen the manifest.
const minUnusedFor = 24 * time.Hour

func pruneCommand() *cobra.Command {
	var o options
	var p pruning
	c := &cobra.Command{
		Use:   "prune [flags] -source REGISTRY[/PREFIX] -bucket NAME[@REGION] ... -state STATE\n  archeio mirror prune [flags] -stage NAME",
		Short: "delete blobs that no manifest refers to",
		Long: "Reads the whole source and all mirrors, and shows how many blobs no manifest refers\n" +
			"to. The state records since when, so run it regularly. With -delete, blobs that have\n" +
			"been unused for long enough are taken out of the blob index; when no redirector uses\n" +
			"an older index, a later run with -delete deletes them. It deletes nothing unless the\n" +
			"source and all mirrors could be read completely. With -stage, repositories that\n" +
			"fill.repositories leaves out do not count. The exit code is 1 if it failed.",
		Example: cli.Example(
			"archeio mirror prune -stage production",
			"archeio mirror prune -stage production -unused-for 2160h -delete"),
	}
	o.planFlags(c)
	for _, name := range []string{"tags", "exclude-tags", "platforms", "allow-empty", "referrers"} {
		if err := c.Flags().MarkHidden(name); err != nil {
			panic(err) // there is no such flag
		}
	}
	state := c.Flags().Lookup("state")
	state.Usage, _, _ = strings.Cut(state.Usage, " (default") // the index is written with this state
	p.stage = o.stageFlags(c)
	f := c.Flags()
	f.DurationVar(&p.unusedFor, "unused-for", 30*24*time.Hour, "`DURATION` how long no manifest must have referred to a blob, at least 24h")
	f.BoolVar(&p.others, "other-repositories", false, "let -delete delete what only repositories outside of -repositories refer to")
	f.BoolVar(&p.delete, "delete", false, "take blobs out of the index, and delete those that have been out of it for long enough")
	o.jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := cli.NoEffect(c, "for prune, which reads all images", "tags", "exclude-tags", "platforms", "allow-empty", "referrers"); err != nil {
			return err
		}
		if p.unusedFor < minUnusedFor {
			return cli.Usagef("-unused-for %s: want at least 24h", cli.Duration(p.unusedFor))
		}
		if o.repositories == "" {
			if err := cli.NoEffect(c, "without -repositories", "other-repositories"); err != nil {
				return err
			}
		}
		o.needsState = true
		o.otherState, o.needsStageState = "the stage may add deleted blobs to its blob index", p.delete
		return o.runStage(c, p.stage, p.run)
	}
	return c
}

// pruning is one run of prune, as the flags describe it.
type pruning struct {
	unusedFor time.Duration
	delete    bool
	others    bool
	stage     *stageFlag
}

func (p *pruning) run(ctx context.Context, m *mirrors) (output, error) {
	boundMemory()
	var r *copier.PruneResult
	err := m.saving(ctx, func() (err error) {
		r, err = copier.Prune(ctx, copier.PruneOptions{Options: m.options, UnusedFor: p.unusedFor, IndexFor: p.stage.staleFor(), Delete: p.delete,
			OtherRepositories: p.others || p.stage.read != nil}) // a stage mirrors fill.repositories
		if errors.Is(err, copier.ErrOtherRepositories) {
			err = fmt.Errorf("%w: omit -repositories, or set -other-repositories if the mirrors need not have their blobs", err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &pruneReport{Unreferenced: r.Unreferenced, Recent: r.Recent, Due: r.Due, Waiting: r.Waiting, Deleted: r.Deleted,
		DryRun: !p.delete, Warnings: append([]string{}, r.Warnings...), Errors: texts(r.Errors), unusedFor: p.unusedFor}
	if r.Waiting.Count > 0 {
		out.Until = &r.Until
	}
	return out, nil
}

// pruneReport is the output of prune. Its counts are those of copier.PruneResult.
type pruneReport struct {
	Unreferenced copier.Blobs `json:"unreferenced"`
	Recent       copier.Blobs `json:"recent"`
	Due          copier.Blobs `json:"due"`
	Waiting      copier.Blobs `json:"waiting"`
	// Until is the time from which on the waiting blobs can be deleted.
	Until    *time.Time   `json:"until,omitempty"`
	Deleted  copier.Blobs `json:"deleted"`
	DryRun   bool         `json:"dryRun"`
	Warnings []string     `json:"warnings"`
	Errors   []string     `json:"errors"`

	unusedFor time.Duration
}

func (r *pruneReport) complete() bool { return len(r.Errors) == 0 }

func (r *pruneReport) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(text string, b copier.Blobs) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", text, blobCount(b.Count), size(b.Bytes))
	}
	row("no manifest refers to", r.Unreferenced)
	row("for less than "+cli.Duration(r.unusedFor), r.Recent)
	row("for longer", r.Due)
	row("of these out of the index", r.Waiting)
	row("deleted", r.Deleted)
	if err := t.Flush(); err != nil {
		return err
	}
	switch {
	case r.Until != nil && !r.DryRun:
		fmt.Fprintf(w, "\nRedirectors may still send clients to the mirrors for what is out of the index: run prune -delete\nagain after %s to delete it.\n", r.Until.Format(time.RFC3339))
	case r.DryRun && r.Due.Count > 0:
		fmt.Fprintln(w, "\nNothing was deleted: run prune with -delete.")
	}
	for _, text := range r.Warnings {
		fmt.Fprintln(w, "warning:", cli.Printable(text))
	}
	writeErrors(w, r.Errors)
	return nil
}
