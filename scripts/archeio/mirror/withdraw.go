package mirror

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

func withdrawCommand() *cobra.Command {
	var o options
	var w withdrawing
	c := &cobra.Command{
		Use:   "withdraw [flags] -bucket NAME[@REGION] ... -state STATE DIGEST\n  archeio mirror withdraw [flags] -stage NAME DIGEST",
		Short: "remove a blob everywhere, and never copy it again",
		Long: "Lists a digest in the state, so that it is not copied again, takes it out of the\n" +
			"blob index, and removes every version of the blob from every bucket. Copies in\n" +
			"progress remove what they write of it. With -stage, buckets and state are those of\n" +
			"the stage. With -distribution, CloudFront invalidates the blob, and manifests that\n" +
			"were relayed: the digest may be that of a manifest. The exit code is 1 if a bucket\n" +
			"may still have the blob.",
		Example: cli.Example("archeio mirror withdraw -stage production -distribution E1EXAMPLE \\\n"+
			"    sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"archeio mirror withdraw -bucket my-primary@us-east-1 -bucket my-replica@eu-central-1 -state s3://my-state \\\n"+
				"    -distribution E1EXAMPLE sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"archeio mirror withdraw -stage production -list"),
		Args: func(_ *cobra.Command, args []string) error {
			if w.list && len(args) > 0 {
				return cli.Usagef("unexpected argument %q: -list shows all withdrawn digests", args[0])
			}
			if !w.list && len(args) != 1 {
				return cli.Usagef("want exactly one DIGEST")
			}
			return nil
		},
	}
	o.bucketFlag(c)
	o.stateFlag(c)
	w.stage = o.stageFlags(c)
	f := c.Flags()
	f.StringVar(&w.distribution, "distribution", "", "`ID` CloudFront distribution to invalidate the blob in, and all of /v2/ unless -stage does not relay")
	f.BoolVar(&w.later, "later", false, "leave the blob in the mirrors until no redirector sends clients there for it; the filler or status then removes it")
	f.BoolVar(&w.undo, "undo", false, "remove the digest from the list, so that the blob is copied again")
	f.BoolVar(&w.list, "list", false, "show the withdrawn digests")
	o.jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := w.check(c, args); err != nil {
			return err
		}
		o.needsState, o.noBuckets = true, w.undo || w.list
		o.otherState, o.needsStageState = "the stage copies the blob again", true
		switch {
		case w.list:
			o.otherState, o.needsStageState = "this is not the list of the stage", false
		case w.undo:
			o.otherState = "the blob stays withdrawn there"
		}
		return o.runStage(c, w.stage, w.run)
	}
	return c
}

// withdrawing is one withdrawal, as the arguments name it.
type withdrawing struct {
	digest, distribution string
	later, undo, list    bool
	stage                *stageFlag
}

func (w *withdrawing) check(c *cobra.Command, args []string) error {
	for _, flag := range []string{"list", "undo", "later"} {
		if !c.Flags().Changed(flag) {
			continue
		}
		if err := cli.NoEffect(c, "with -"+flag, map[string][]string{
			"list": {"undo", "later", "distribution"}, "undo": {"later", "distribution"}, "later": {"distribution"},
		}[flag]...); err != nil {
			return err
		}
	}
	if w.list {
		return nil
	}
	if _, ok := copier.ParseDigest(args[0]); !ok {
		return cli.Usagef("invalid digest %q: want sha256: and 64 lower-case hexadecimal digits", args[0])
	}
	w.digest = args[0]
	return nil
}

func (w *withdrawing) run(ctx context.Context, m *mirrors) (output, error) {
	switch {
	case w.list:
		all, err := copier.Withdrawals(ctx, m.state)
		return &withdrawnReport{append([]copier.Withdrawal{}, all...)}, err
	case w.undo:
		listed, err := copier.UndoWithdrawal(ctx, m.state, w.digest)
		return &undoReport{w.digest, listed, w.stage.read != nil}, err
	}
	until := time.Now().UTC().Add(w.stage.staleFor()).Truncate(time.Second)
	var removal *copier.Removal
	var err error
	if w.later {
		removal, err = copier.MarkWithdrawn(ctx, m.state, m.options.Buckets, w.digest, until)
	} else {
		removal, err = copier.Withdraw(ctx, m.state, m.options.Buckets, w.digest)
	}
	if err != nil {
		return nil, err
	}
	r := &withdrawReport{Digest: w.digest, Later: w.later, Until: until, Errors: texts(removal.Errors),
		settings: w.stage.settings()}
	for i, b := range m.options.Buckets {
		row := removedReport{Name: b.Name}
		if n := removal.Versions[i]; n > 0 || removal.Removed[i] {
			row.Versions = &n
		}
		r.Buckets = append(r.Buckets, row)
	}
	if w.distribution != "" {
		if r.Edge, err = invalidate(ctx, m.aws, w.distribution, []string{w.digest}, w.stage.mayRelay()); err != nil {
			r.Errors = append(r.Errors, err.Error())
			r.edgeFailed = true
		}
	}
	return r, nil
}

// withdrawReport is the output of withdraw.
type withdrawReport struct {
	Digest  string          `json:"digest"`
	Buckets []removedReport `json:"buckets"`
	// Later reports that the blob was not removed.
	Later bool `json:"later,omitempty"`
	// Edge is the ID of the invalidation.
	Edge string `json:"edge,omitempty"`
	// edgeFailed reports that the invalidation failed.
	edgeFailed bool
	// Until is the time from which on no redirector sends a client to a mirror for
	// the blob, according to settings.
	Until    time.Time `json:"until"`
	settings string
	Errors   []string `json:"errors"`
}

type removedReport struct {
	Name string `json:"name"`
	// Versions is nil if the versions in the bucket are unknown.
	Versions *int `json:"versions"`
}

func (r *withdrawReport) complete() bool { return len(r.Errors) == 0 }

func (r *withdrawReport) writeText(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "MIRROR\tREMOVED\n")
	for _, b := range r.Buckets {
		removed := "not checked"
		switch {
		case b.Versions != nil:
			removed = count(*b.Versions, "version", "versions")
		case r.Later:
			removed = "not removed"
		}
		fmt.Fprintf(t, "%s\t%s\n", b.Name, removed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s is listed as withdrawn and is not copied again.\n", r.Digest)
	until := r.Until.Format(time.RFC3339)
	switch {
	case r.Later:
		fmt.Fprintf(out, "It is out of the index and stays in the mirrors until %s. After that, the filler of the\n"+
			"stage removes it, or archeio mirror status.\n", until)
	case r.Edge != "":
		fmt.Fprintf(out, "It is invalidated at the edge: invalidation %s.\n", r.Edge)
	case r.edgeFailed:
		fmt.Fprintln(out, "The edge may still have it: the invalidation failed, see the error below.")
	default:
		fmt.Fprintln(out, "The edge may still have it: run withdraw again with -distribution to invalidate it there.")
	}
	fmt.Fprintf(out, "Redirectors may send clients to the mirrors for it until %s.\n%s\nAfter that they send clients to the upstream: remove it there too.\n", until, r.settings)
	writeErrors(out, r.Errors)
	return nil
}

// undoReport is the output of withdraw -undo.
type undoReport struct {
	Digest string `json:"digest"`
	// Listed reports whether the digest was withdrawn.
	Listed bool `json:"listed"`
	// ofStage reports whether the list is that of a stage.
	ofStage bool
}

func (r *undoReport) complete() bool { return true }

func (r *undoReport) writeText(out io.Writer) error {
	if !r.Listed {
		hint := ": the list of a stage is in its state, pass -stage"
		if r.ofStage {
			hint = ""
		}
		_, err := fmt.Fprintf(out, "%s is not withdrawn%s\n", r.Digest, hint)
		return err
	}
	_, err := fmt.Fprintf(out, "%s is no longer withdrawn: the next run copies it again\n", r.Digest)
	return err
}

// withdrawnReport is the output of withdraw -list.
type withdrawnReport struct {
	Withdrawn []copier.Withdrawal `json:"withdrawn"`
}

func (r *withdrawnReport) complete() bool { return true }

func (r *withdrawnReport) writeText(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "DIGEST\tWITHDRAWN\tREMOVAL\n")
	for _, w := range r.Withdrawn {
		removal := "immediate"
		if !w.RemoveAfter.IsZero() {
			removal = "after " + w.RemoveAfter.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", cli.Printable(w.Digest), since(w.Since), removal)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s withdrawn\n", blobCount(len(r.Withdrawn)))
	return err
}

// since returns a time as text.
func since(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.RFC3339)
}
