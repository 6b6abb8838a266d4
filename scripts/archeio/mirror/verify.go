package mirror

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// verifying is one verification, as the flags describe it.
type verifying struct {
	digests      []copier.Digest // empty for all
	sample       share           // of the blobs; 0 is all
	replace      bool
	distribution string
}

// parse reads the arguments.
func (v *verifying) parse(args []string) error {
	for _, arg := range args {
		d, ok := copier.ParseDigest(arg)
		if !ok {
			return cli.Usagef("invalid digest %q: want sha256: and 64 lower-case hexadecimal digits", arg)
		}
		v.digests = append(v.digests, d)
	}
	return nil
}

func (v *verifying) run(ctx context.Context, m *mirrors) (output, error) {
	o := copier.VerifyOptions{Buckets: m.options.Buckets, Digests: v.digests, State: m.state, Sample: float64(v.sample), Bandwidth: m.bandwidth,
		Parallel: m.options.Parallel, Progress: m.options.Progress}
	if v.replace {
		var err error
		if o.Plan, err = m.survey(ctx); err != nil {
			return nil, err
		}
		o.Source = m.options.Source
	}
	result, err := copier.Verify(ctx, o)
	if result == nil {
		return nil, err
	}
	r := newVerifyReport(result)
	// After an interrupt too, as the next run does not find what was replaced.
	if digests := r.replaced(); v.distribution != "" && len(digests) > 0 {
		var failed error
		if r.Edge, failed = invalidate(context.WithoutCancel(ctx), m.aws, v.distribution, digests, false); failed != nil {
			r.Errors = append(r.Errors, failed.Error())
			if err != nil {
				return nil, failed
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// verifyReport is the output of verify.
type verifyReport struct {
	Checked int           `json:"checked"`
	Of      int           `json:"of"`
	Bytes   int64         `json:"bytes"`
	Wrong   []wrongReport `json:"wrong"`
	// Edge has the IDs of the invalidations.
	Edge   string   `json:"edge,omitempty"`
	Errors []string `json:"errors"`
}

type wrongReport struct {
	Bucket   string `json:"bucket"`
	Digest   string `json:"digest"`
	Found    string `json:"found"`
	Replaced bool   `json:"replaced"`
	Why      string `json:"why,omitempty"`
}

func newVerifyReport(v *copier.Verification) *verifyReport {
	out := &verifyReport{Checked: v.Checked, Of: v.Of, Bytes: v.Bytes, Wrong: []wrongReport{}, Errors: texts(v.Errors)}
	for _, x := range v.Mismatches {
		row := wrongReport{Bucket: x.Bucket, Digest: x.Digest, Found: x.Err.Error(), Replaced: x.Replaced}
		if x.ReplaceErr != nil {
			row.Why = x.ReplaceErr.Error()
		}
		out.Wrong = append(out.Wrong, row)
	}
	return out
}

func (v *verifyReport) complete() bool {
	return len(v.Errors) == 0 && !slices.ContainsFunc(v.Wrong, func(x wrongReport) bool { return !x.Replaced })
}

func (v *verifyReport) writeText(w io.Writer) error {
	fmt.Fprintf(w, "hashed %d of %d blobs, %s: %d do not match their digests\n", v.Checked, v.Of, size(v.Bytes), len(v.Wrong))
	if len(v.Wrong) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "\nMIRROR\tDIGEST\tREPLACED\n")
		for _, x := range v.Wrong {
			replaced := "yes"
			if !x.Replaced {
				replaced = "no"
			}
			if x.Why != "" {
				replaced += ": " + cli.Printable(x.Why)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", x.Bucket, x.Digest, replaced)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	switch {
	case v.Edge != "":
		fmt.Fprintf(w, "\nThe replaced blobs are invalidated at the edge: invalidation %s.\n", v.Edge)
	case len(v.replaced()) > 0:
		fmt.Fprintf(w, "\nThe edge may still have the old content: invalidate /%sDIGEST of the replaced blobs in CloudFront.\n", config.BlobPrefix)
	}
	writeErrors(w, v.Errors)
	return nil
}

// replaced returns the digests of the replaced blobs, sorted.
func (v *verifyReport) replaced() []string {
	var digests []string
	for _, x := range v.Wrong {
		if x.Replaced {
			digests = append(digests, x.Digest)
		}
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}
