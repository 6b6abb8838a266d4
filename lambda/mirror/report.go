package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"archeio/lambda/copier"
)

// report is what a command prints in the end.
type report interface {
	// complete tells that nothing is missing or wrong.
	complete() bool
	writeText(io.Writer) error
}

func writeJSON(w io.Writer, r report) error { return json.NewEncoder(w).Encode(r) }

// mostRows is how many rows a table for people has; -json has all.
const mostRows = 20

// sourceReport is what the source has; its JSON has these names.
type sourceReport struct {
	Repositories int   `json:"repositories"`
	Manifests    int   `json:"manifests"`
	Fetched      int   `json:"fetched"`
	Blobs        int   `json:"blobs"`
	Bytes        int64 `json:"bytes"`
	LeftOut      int   `json:"leftOut"`
	Withdrawn    int   `json:"withdrawn"`
}

func sourceOf(p *copier.Plan) sourceReport {
	return sourceReport{p.Repositories, p.Manifests, p.Fetched, p.Blobs, p.Bytes, p.LeftOut, p.Withdrawn}
}

func (s sourceReport) writeText(w io.Writer) {
	fmt.Fprintf(w, "%s, %s (%d fetched), %s of %s, %d left out", count(s.Repositories, "repository", "repositories"),
		count(s.Manifests, "manifest", "manifests"), s.Fetched, blobs(s.Blobs), size(s.Bytes), s.LeftOut)
	if s.Withdrawn > 0 {
		fmt.Fprintf(w, ", %d withdrawn", s.Withdrawn)
	}
	fmt.Fprint(w, "\n\n")
}

// copyReport is that of plan and copy.
type copyReport struct {
	sourceReport
	Buckets []bucketReport `json:"buckets"`
	Images  []imageReport  `json:"images"`
	Copied  *copied        `json:"copied,omitempty"`
	// Indexed is how many blobs the index has that was written.
	Indexed int      `json:"indexed,omitempty"`
	Errors  []string `json:"errors"`
}

type bucketReport struct {
	Name         string `json:"name"`
	Missing      int    `json:"missing"`
	MissingBytes int64  `json:"missingBytes"`
}

// imageReport is an image with the blobs that it is the first to need.
type imageReport struct {
	Image        string `json:"image"`
	Missing      int    `json:"missing"`
	MissingBytes int64  `json:"missingBytes"`
}

type copied struct {
	Blobs      int   `json:"blobs"`
	FromBucket int   `json:"fromBucket"`
	Existed    int   `json:"existed"`
	Pending    int   `json:"pending"`
	Bytes      int64 `json:"bytes"`
}

func newReport(buckets []*copier.Bucket, p *copier.Plan, r *copier.Result) *copyReport {
	out := &copyReport{sourceReport: sourceOf(p), Images: []imageReport{}, Errors: texted(p.Errors)}
	images := map[string]*imageReport{}
	seen := map[string]bool{}
	for i, b := range buckets {
		row := bucketReport{Name: b.Name, Missing: len(p.Lacks[i])}
		for _, blob := range p.Lacks[i] {
			row.MissingBytes += max(blob.Size, 0)
			if seen[blob.Digest] {
				continue
			}
			seen[blob.Digest] = true
			image := images[blob.Image]
			if image == nil {
				image = &imageReport{Image: blob.Image}
				images[blob.Image] = image
			}
			image.Missing++
			image.MissingBytes += max(blob.Size, 0)
		}
		out.Buckets = append(out.Buckets, row)
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		out.Images = append(out.Images, *images[name])
	}
	if r != nil {
		out.Copied = &copied{r.Copied, r.FromBucket, r.Existed, r.Pending, r.Bytes}
		out.Errors = texted(r.Errors)
	}
	return out
}

// texted is never null in JSON.
func texted(errs []error) []string {
	out := []string{}
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

// complete of a plan tells that all is known.
func (r *copyReport) complete() bool { return len(r.Errors) == 0 }

func (r *copyReport) writeText(w io.Writer) error {
	r.sourceReport.writeText(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	what := "LACKS"
	if r.Copied != nil {
		what = "LACKED"
	}
	fmt.Fprintf(t, "BUCKET\t%s\tOF\n", what)
	for _, b := range r.Buckets {
		fmt.Fprintf(t, "%s\t%s\t%s\n", b.Name, blobs(b.Missing), size(b.MissingBytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if c := r.Copied; c != nil {
		fmt.Fprintf(w, "\ncopied %s, %s, of which %d from bucket to bucket; %d were there already\n", blobs(c.Blobs), size(c.Bytes), c.FromBucket, c.Existed)
		if c.Pending > 0 {
			fmt.Fprintf(w, "%d more are on their way by S3's replication; status tells when they have arrived\n", c.Pending)
		}
		if r.Indexed > 0 {
			fmt.Fprintf(w, "the index of what all of them hold has %s\n", blobs(r.Indexed))
		}
	} else if len(r.Images) > 0 {
		largest := slices.Clone(r.Images)
		slices.SortStableFunc(largest, func(a, b imageReport) int { return cmp.Compare(b.MissingBytes, a.MissingBytes) })
		fmt.Fprintf(t, "\nIMAGE\tLACKS\tOF\n")
		for _, i := range largest[:min(len(largest), mostRows)] {
			fmt.Fprintf(t, "%s\t%s\t%s\n", i.Image, blobs(i.Missing), size(i.MissingBytes))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if more := len(largest) - mostRows; more > 0 {
			fmt.Fprintf(w, "and %d more, which -json lists\n", more)
		}
	}
	writeErrors(w, r.Errors)
	return nil
}

func writeErrors(w io.Writer, errs []string) {
	for _, e := range errs {
		fmt.Fprintln(w, "error:", e)
	}
}

// statusReport is that of status.
type statusReport struct {
	sourceReport
	Mirrors []mirrorReport `json:"mirrors"`
	// NeedsCopy are what the functions could not copy.
	NeedsCopy []string `json:"needsCopy"`
	Errors    []string `json:"errors"`
}

type mirrorReport struct {
	bucketReport
	Has  int  `json:"has"`
	Full bool `json:"full"`
}

func newStatus(buckets []*copier.Bucket, p *copier.Plan, needs []string) *statusReport {
	out := &statusReport{sourceReport: sourceOf(p), NeedsCopy: append([]string{}, needs...), Errors: texted(p.Errors)}
	for i, row := range newReport(buckets, p, nil).Buckets {
		out.Mirrors = append(out.Mirrors, mirrorReport{row, p.Blobs - p.Withdrawn - len(p.Lacks[i]), len(p.Lacks[i]) == 0 && len(p.Errors) == 0})
	}
	return out
}

func (r *statusReport) complete() bool {
	return len(r.Errors) == 0 && !slices.ContainsFunc(r.Mirrors, func(m mirrorReport) bool { return !m.Full })
}

func (r *statusReport) writeText(w io.Writer) error {
	r.sourceReport.writeText(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "MIRROR\tHAS\tLACKS\tOF\tFULL\n")
	for _, m := range r.Mirrors {
		full := "no"
		if m.Full {
			full = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, blobs(m.Has), blobs(m.Missing), size(m.MissingBytes), full)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, digest := range r.NeedsCopy {
		fmt.Fprintf(w, "needs mirror copy, as it was too much for the functions: %s\n", digest)
	}
	writeErrors(w, r.Errors)
	return nil
}

// verification is the report of verify.
type verification struct {
	Checked int           `json:"checked"`
	Of      int           `json:"of"`
	Bytes   int64         `json:"bytes"`
	Wrong   []wrongReport `json:"wrong"`
	Errors  []string      `json:"errors"`
}

type wrongReport struct {
	Bucket   string `json:"bucket"`
	Digest   string `json:"digest"`
	Found    string `json:"found"`
	Replaced bool   `json:"replaced"`
	Why      string `json:"why,omitempty"`
}

func newVerification(v *copier.Verification) *verification {
	out := &verification{Checked: v.Checked, Of: v.Of, Bytes: v.Bytes, Wrong: []wrongReport{}, Errors: texted(v.Errors)}
	for _, x := range v.Wrong {
		row := wrongReport{Bucket: x.Bucket, Digest: x.Digest, Found: x.Found.Error(), Replaced: x.Replaced}
		if x.Why != nil {
			row.Why = x.Why.Error()
		}
		out.Wrong = append(out.Wrong, row)
	}
	return out
}

func (v *verification) complete() bool {
	return len(v.Errors) == 0 && !slices.ContainsFunc(v.Wrong, func(x wrongReport) bool { return !x.Replaced })
}

func (v *verification) writeText(w io.Writer) error {
	fmt.Fprintf(w, "hashed %d of %d blobs, %s: %d are not what their keys say\n", v.Checked, v.Of, size(v.Bytes), len(v.Wrong))
	if len(v.Wrong) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "\nBUCKET\tDIGEST\tREPLACED\n")
		for _, x := range v.Wrong {
			done := "yes"
			if !x.Replaced {
				done = "no"
			}
			if x.Why != "" {
				done += ": " + x.Why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", x.Bucket, x.Digest, done)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	writeErrors(w, v.Errors)
	return nil
}

func blobs(n int) string { return count(n, "blob", "blobs") }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// size writes bytes in powers of 1000, as S3 is billed.
func size(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes), 0
	for value >= 1000 && unit < 5 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, " kMGTP"[unit])
}
