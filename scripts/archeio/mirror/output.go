package mirror

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// output is the result of a command. Encoded as JSON it is what -json prints.
type output interface {
	// complete reports whether nothing is missing or wrong.
	complete() bool
	writeText(io.Writer) error
}

// jsonOutput is an output that is larger than the memory.
type jsonOutput interface{ writeJSON(io.Writer) error }

// maxRows is the number of rows of a table in text; JSON has all of them.
const maxRows = 20

// sourceReport is what the source has.
type sourceReport struct {
	Repositories int   `json:"repositories"`
	Manifests    int   `json:"manifests"`
	Fetched      int   `json:"fetched"`
	Blobs        int   `json:"blobs"`
	Bytes        int64 `json:"bytes"`
	LeftOut      int   `json:"leftOut"`
	Withdrawn    int   `json:"withdrawn"`
	// Filtered counts what the filters left out.
	Filtered *filteredReport `json:"filtered,omitempty"`
	// Empty reports that the source has nothing to mirror.
	Empty bool `json:"empty,omitempty"`
	// Absent is what the source names and does not have, one line each.
	Absent   []string `json:"absent"`
	Warnings []string `json:"warnings"`
	// Unlisted counts what is in none of the lists, because they would be too long.
	Unlisted *copier.Unlisted `json:"unlisted,omitempty"`
}

type filteredReport struct {
	Repositories int `json:"repositories"`
	Images       int `json:"images"`
	Platforms    int `json:"platforms"`
}

func newSourceReport(p *copier.Plan) sourceReport {
	s := sourceReport{Repositories: p.Repositories, Manifests: p.Manifests, Fetched: p.Fetched, Blobs: p.Blobs, Bytes: p.Bytes, LeftOut: p.LeftOut, Withdrawn: p.Withdrawn,
		Empty: p.Empty(), Absent: texts(p.Absent), Warnings: append([]string{}, p.Warnings...)}
	if f := p.Filtered; f.Any() {
		s.Filtered = &filteredReport{f.Repositories, f.Images, f.Platforms}
	}
	s.setUnlisted(p.Unlisted)
	return s
}

func (s *sourceReport) setUnlisted(u copier.Unlisted) {
	if s.Unlisted = nil; u != (copier.Unlisted{}) {
		s.Unlisted = &u
	}
}

// unlisted returns what is in none of the lists.
func (s sourceReport) unlisted() (u copier.Unlisted) {
	if s.Unlisted != nil {
		u = *s.Unlisted
	}
	return u
}

func (s sourceReport) writeText(w io.Writer) {
	fmt.Fprintf(w, "%s, %s (%d fetched), %s, %s in total, %d left out", count(s.Repositories, "repository", "repositories"),
		count(s.Manifests, "manifest", "manifests"), s.Fetched, blobCount(s.Blobs), size(s.Bytes), s.LeftOut)
	if s.Withdrawn > 0 {
		fmt.Fprintf(w, ", %d withdrawn", s.Withdrawn)
	}
	if n := len(s.Absent) + s.unlisted().Absent; n > 0 {
		fmt.Fprintf(w, ", %d not in the source", n)
	}
	fmt.Fprint(w, "\n")
	if f := s.Filtered; f != nil {
		fmt.Fprintf(w, "left out by the filters: %s, %s, %s\n", count(f.Repositories, "repository", "repositories"),
			count(f.Images, "tag or untagged manifest", "tags and untagged manifests"), count(f.Platforms, "platform of an image", "platforms of images"))
	}
	if s.Empty {
		fmt.Fprintln(w, "warning: the source has nothing to mirror")
	}
	fmt.Fprintln(w)
}

// writeNotes writes what is no error, before the errors.
func (s sourceReport) writeNotes(w io.Writer) {
	for _, text := range s.Absent[:min(len(s.Absent), maxRows)] {
		fmt.Fprintln(w, "not in the source:", cli.Printable(text))
	}
	writeMore(w, "not in the source", len(s.Absent)-maxRows, s.unlisted().Absent)
	for _, text := range s.Warnings[:min(len(s.Warnings), maxRows)] {
		fmt.Fprintln(w, "warning:", cli.Printable(text))
	}
	writeMore(w, "warning", len(s.Warnings)-maxRows, s.unlisted().Warnings)
}

// writeMore writes how many lines of a kind are not shown.
func writeMore(w io.Writer, kind string, more, unlisted int) {
	switch {
	case unlisted > 0:
		fmt.Fprintf(w, "%s: %d more; use -json to list %d of them\n", kind, more+unlisted, more)
	case more > 0:
		fmt.Fprintf(w, "%s: %d more; use -json to list all\n", kind, more)
	}
}

// copyReport is the output of plan and copy.
type copyReport struct {
	sourceReport
	// Buckets and Images are what was missing before the copy.
	Buckets []bucketReport `json:"buckets"`
	Images  []imageReport  `json:"images"`
	Copied  *copiedReport  `json:"copied,omitempty"`
	// Indexed is the number of blobs in the index that was written.
	Indexed int `json:"indexed,omitempty"`
	// Leftovers are withdrawn blobs that buckets still had.
	Leftovers []leftoverReport `json:"leftovers,omitempty"`
	// Fill is what a first fill by functions takes.
	Fill   *fillReport `json:"fill,omitempty"`
	Errors []string    `json:"errors"`
}

type bucketReport struct {
	Name         string `json:"name"`
	Missing      int    `json:"missing"`
	MissingBytes int64  `json:"missingBytes"`
}

// imageReport is an image with the missing blobs that no earlier image refers to.
type imageReport struct {
	Image        string `json:"image"`
	Missing      int    `json:"missing"`
	MissingBytes int64  `json:"missingBytes"`
}

type copiedReport struct {
	Blobs      int   `json:"blobs"`
	FromBucket int   `json:"fromBucket"`
	Existed    int   `json:"existed"`
	Pending    int   `json:"pending"`
	Bytes      int64 `json:"bytes"`
}

// newBucketReports returns what the buckets are missing.
func newBucketReports(buckets []*copier.Bucket, p *copier.Plan) (rows []bucketReport) {
	for i, b := range buckets {
		rows = append(rows, bucketReport{Name: b.Name, Missing: p.Unmirrored[i].Count, MissingBytes: p.Unmirrored[i].Bytes})
	}
	return rows
}

// newCopyReport returns the report of plan, or of copy if r is not nil.
func newCopyReport(buckets []*copier.Bucket, p *copier.Plan, r *copier.Result) (*copyReport, error) {
	out := &copyReport{sourceReport: newSourceReport(p), Buckets: newBucketReports(buckets, p), Images: []imageReport{}, Errors: texts(p.Errors)}
	images := map[string]copier.Blobs{}
	err := p.EachMissing(func(blob copier.MissingBlob, _ []int) error {
		x := images[blob.Image]
		images[blob.Image] = copier.Blobs{Count: x.Count + 1, Bytes: x.Bytes + max(blob.Size, 0)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		out.Images = append(out.Images, imageReport{name, images[name].Count, images[name].Bytes})
	}
	if r != nil {
		out.Copied = &copiedReport{r.Copied, r.FromBucket, r.Existed, r.Pending, r.Bytes}
		out.Errors, out.Absent, out.Warnings = texts(r.Errors), texts(r.Absent), append([]string{}, r.Warnings...)
		out.setUnlisted(r.Unlisted)
	}
	return out, nil
}

// texts returns the errors as text, never nil, so that JSON has no null.
func texts(errs []error) []string {
	out := []string{}
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

// complete of a plan reports whether everything could be read.
func (r *copyReport) complete() bool { return len(r.Errors) == 0 }

func (r *copyReport) writeText(w io.Writer) error {
	r.sourceReport.writeText(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	missing := "MISSING"
	if r.Copied != nil {
		missing = "WAS MISSING"
	}
	fmt.Fprintf(t, "MIRROR\t%s\tSIZE\n", missing)
	for _, b := range r.Buckets {
		fmt.Fprintf(t, "%s\t%s\t%s\n", b.Name, blobCount(b.Missing), size(b.MissingBytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Copied != nil {
		r.writeCopied(w)
	} else if err := r.writeImages(w); err != nil {
		return err
	}
	if r.Fill != nil {
		fmt.Fprintln(w)
		if err := r.Fill.writeText(w); err != nil {
			return err
		}
	}
	r.writeNotes(w)
	writeLeftovers(w, r.Leftovers)
	writeErrors(w, r.Errors)
	if n := r.unlisted().Errors; n > 0 {
		fmt.Fprintf(w, "error: %d more\n", n)
	}
	return nil
}

func (r *copyReport) writeCopied(w io.Writer) {
	c := r.Copied
	fmt.Fprintf(w, "\ncopied %s, %s, of which %d from bucket to bucket; %d existed already\n", blobCount(c.Blobs), size(c.Bytes), c.FromBucket, c.Existed)
	if c.Pending > 0 {
		fmt.Fprintf(w, "%d more are being replicated by S3; run status to see whether they have arrived\n", c.Pending)
	}
	if r.Indexed > 0 {
		fmt.Fprintf(w, "the index of the blobs that all mirrors have was written, with %s\n", blobCount(r.Indexed))
	}
}

// writeImages writes the images with the most missing bytes.
func (r *copyReport) writeImages(w io.Writer) error {
	if len(r.Images) == 0 {
		return nil
	}
	largest := slices.Clone(r.Images)
	slices.SortStableFunc(largest, func(a, b imageReport) int { return cmp.Compare(b.MissingBytes, a.MissingBytes) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nIMAGE\tMISSING\tSIZE\n")
	for _, i := range largest[:min(len(largest), maxRows)] {
		fmt.Fprintf(t, "%s\t%s\t%s\n", cli.Printable(i.Image), blobCount(i.Missing), size(i.MissingBytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(largest) - maxRows; more > 0 {
		fmt.Fprintf(w, "and %d more; use -json to list all\n", more)
	}
	return nil
}

func writeErrors(w io.Writer, errs []string) {
	for _, e := range errs {
		fmt.Fprintln(w, "error:", cli.Printable(e))
	}
}

// statusReport is the output of status.
type statusReport struct {
	sourceReport
	Mirrors []mirrorReport `json:"mirrors"`
	// NeedsCopy are the digests of the blobs that the functions could not copy.
	NeedsCopy []string `json:"needsCopy"`
	// Leftovers are withdrawn blobs that buckets still had.
	Leftovers []leftoverReport `json:"leftovers,omitempty"`
	Errors    []string         `json:"errors"`

	missing missingBlobs // with -missing
}

type mirrorReport struct {
	bucketReport
	Has int `json:"has"`
	// Unreferenced is what no manifest refers to.
	Unreferenced copier.Blobs `json:"unreferenced"`
	// Full reports that Status is full.
	Full   bool   `json:"full"`
	Status string `json:"status"`
}

// The values of mirrorReport.Status.
const (
	statusFull       = "full"
	statusEmpty      = "empty" // as the source is
	statusIncomplete = "incomplete"
)

func newStatusReport(buckets []*copier.Bucket, p *copier.Plan, needs []string) *statusReport {
	out := &statusReport{sourceReport: newSourceReport(p), NeedsCopy: append([]string{}, needs...), Errors: texts(p.Errors)}
	for i, row := range newBucketReports(buckets, p) {
		status := statusFull
		switch {
		case row.Missing > 0 || len(p.Errors) > 0:
			status = statusIncomplete
		case p.Empty():
			status = statusEmpty
		}
		out.Mirrors = append(out.Mirrors, mirrorReport{row, p.Blobs - p.Withdrawn - row.Missing, p.Unreferenced[i], status == statusFull, status})
	}
	return out
}

// writeJSON implements jsonOutput.
func (r *statusReport) writeJSON(w io.Writer) error {
	if r.missing == nil {
		return cli.JSON(w, r)
	}
	return r.missing.writeJSON(w, r)
}

func (r *statusReport) complete() bool {
	return len(r.Errors) == 0 && !slices.ContainsFunc(r.Mirrors, func(m mirrorReport) bool { return m.Status == statusIncomplete })
}

func (r *statusReport) writeText(w io.Writer) error {
	r.sourceReport.writeText(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "MIRROR\tHAS\tMISSING\tSIZE\tFULL\n")
	for _, m := range r.Mirrors {
		full := map[string]string{statusFull: "yes", statusEmpty: "empty", statusIncomplete: "no"}[m.Status]
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, blobCount(m.Has), blobCount(m.Missing), size(m.MissingBytes), full)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range r.Mirrors {
		if x := m.Unreferenced; x.Count > 0 {
			fmt.Fprintf(w, "no manifest refers to %s of %s in %s\n", blobCount(x.Count), size(x.Bytes), m.Name)
		}
	}
	if r.missing != nil {
		if err := r.missing.writeText(w); err != nil {
			return err
		}
	}
	for _, digest := range r.NeedsCopy {
		fmt.Fprintf(w, "too large for the functions, run archeio mirror copy: %s\n", digest)
	}
	r.writeNotes(w)
	writeLeftovers(w, r.Leftovers)
	writeErrors(w, r.Errors)
	if n := r.unlisted().Errors; n > 0 {
		fmt.Fprintf(w, "error: %d more\n", n)
	}
	return nil
}
