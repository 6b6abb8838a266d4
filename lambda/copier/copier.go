// Package copier fills mirrors: it finds the blobs of a registry that are
// missing from the buckets of the mirrors, and copies them.
//
// A blob appears in a bucket only if its bytes match its digest. Work is not
// repeated: buckets are listed instead of checked blob by blob, and the content
// of manifests is cached. Concurrent runs are safe, and an invalid image does not
// stop the others.
//
// Run does everything in one run, from a shell. A Filler does the same
// in many short invocations of functions: the planner lists the buckets and
// enqueues repositories, and workers process one repository at a time.
package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"archeio/lambda/registry"
)

// GCPercent is the GOGC of programs that fill mirrors: what buckets with eight million blobs
// have takes up to 210 MB, and must stay below 400 MB with garbage.
const GCPercent = 50

// ShellWithoutReferrersFor is Options.WithoutReferrersFor of runs from a shell.
const ShellWithoutReferrersFor = askAbsentAfter

// ShellImages is Options.Images of runs from a shell for each of Options.Parallel: the
// distance to the registry decides how long a run without changes takes.
const ShellImages = 8

// Options are the settings of NewPlan, Run and Copy.
type Options struct {
	Source *registry.Client
	// Buckets are those of the mirrors. The first is the primary: every blob is
	// written there first.
	Buckets []*Bucket
	// Inventory is what the buckets have; nil lists them.
	Inventory Inventory
	// Filter limits what is mirrored.
	Filter Filter
	// AllowEmpty accepts a source that does not have the prefix, or none of the
	// repositories of the Filter.
	AllowEmpty bool
	// Referrers requests the referrers of each manifest, one request each, unless
	// the listing includes untagged manifests.
	Referrers bool
	// Withdrawn are the blobs not to copy, according to the list when the run began.
	Withdrawn Withdrawn
	// State has the list of withdrawn blobs, which is checked again before and after
	// each blob; nil if there is none.
	State State
	// KeepUploads saves in State how far the upload of a large blob is, so that another
	// run continues it.
	KeepUploads bool
	// Warn is called with a line for each saved upload that is damaged and starts again,
	// at once: it is in Result.Warnings too. It must be safe for concurrent use; it may be
	// nil.
	Warn func(string)
	// Manifests may be nil; then every manifest is fetched.
	Manifests *ManifestCache
	// TempDir is the folder for temporary files, which exists; empty is that of the
	// operating system.
	TempDir string
	// CheckExisting sends a HEAD request for each blob before it is copied, for
	// when other processes copy at the same time.
	CheckExisting bool
	// Found is called for each blob that a bucket has, after it was copied or because it
	// was there. It must be safe for concurrent use; it may be nil.
	Found func(bucket int, digest string)
	// Parallel is the number of blobs copied at once; 0 is 8.
	Parallel int
	// Images is the number of images read at once, in all repositories; 0 is Parallel.
	// For most of them a run without changes only sends a request for the tag.
	Images int
	// AbsentFor is how long the source is not asked again for what it did not have,
	// according to Manifests; 0 always asks.
	AbsentFor time.Duration
	// ReferrersFor is how long the source is not asked again for the referrers of a
	// manifest; 0 always asks.
	ReferrersFor time.Duration
	// WithoutReferrersFor is how long a repository that does not have the referrers API,
	// according to Manifests, is not asked again for any; 0 always asks.
	WithoutReferrersFor time.Duration
	// ImageTime and ImageRequests are the share of one image in a run: its time, and
	// its requests without a result. 0 is 10 minutes and 5,000.
	ImageTime     time.Duration
	ImageRequests int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Progress is called from time to time, by one goroutine at a time; it may
	// be nil.
	Progress func(Progress)

	early *early // copies what is found; nil for none
	group int    // partition.group; 0 is maxGroup
}

// Inventory is what the buckets have.
type Inventory interface {
	// Has reports whether the bucket at a position has a blob, and its size in
	// bytes, -1 if unknown.
	Has(bucket int, d Digest) (size int64, has bool)
}

// Progress is the progress of a run.
type Progress struct {
	// Phase is a short name of the current work, for example "hashing".
	Phase string
	// Done and Total count its units: repositories, blobs.
	Done, Total int
	// Bytes and TotalBytes are the sizes of blobs. Bytes includes what was read of blobs
	// in progress.
	Bytes, TotalBytes int64
	// Growing reports that TotalBytes is still growing, because the source is still
	// being read.
	Growing bool
}

// Plan is what a source has and what is missing from the buckets.
type Plan struct {
	// Repositories, Manifests and Blobs count what the source has; Fetched counts
	// the manifests that were not in the cache. Bytes is the total size of all
	// blobs of known size.
	Repositories, Manifests, Fetched, Blobs int
	Bytes                                   int64
	// LeftOut counts nondistributable layers, and blobs and manifests whose digest
	// is not SHA-256; Withdrawn counts withdrawn blobs.
	LeftOut, Withdrawn int
	// Leftovers are withdrawn blobs that buckets still have.
	Leftovers []Leftover
	// Unreferenced are the blobs of each bucket that no manifest refers to, in the order
	// of the buckets.
	Unreferenced []Blobs
	// Filtered counts what the Filter left out.
	Filtered Filtered
	// Missing are the missing blobs of each bucket, in the order of the buckets, of a plan
	// that has no temporary file; nil for NewPlan and Run.
	Missing [][]MissingBlob
	// Unmirrored are the blobs that each bucket is missing although the source has them.
	Unmirrored []Blobs
	// Absent is what the source names and does not have, or what cannot be parsed,
	// one *ItemError each. It is no reason for another run.
	Absent []error
	// Warnings are one line each.
	Warnings []string
	// Errors are what could not be found out, of single repositories, images and
	// blobs, one line each, most of them an *ItemError.
	Errors []error
	// Unlisted counts what is not in these, because there is too much of it.
	Unlisted Unlisted

	// malformed is an error of a manifest that cannot be parsed, nil for none.
	malformed error
	// missing is what Copy may copy: all blobs of Unmirrored, and those that were absent.
	missing Blobs

	// blobs or, for NewPlan and Run, the partition has the blobs of the source, except for what all
	// buckets have, and everywhere counts these, of which references has the repositories.
	blobs      map[Digest]MissingBlob
	partition  *partition
	compared   *Options // for EachMissing
	references *references
	everywhere int
}

// Empty reports whether the source has nothing to mirror.
func (p *Plan) Empty() bool { return p.Manifests == 0 && len(p.Errors) == 0 }

// MissingBlob is a blob that is missing from a bucket.
type MissingBlob struct {
	registry.Blob
	// Repository has the blob, and Image is the full name of an image there that
	// refers to it.
	Repository, Image string
	// Others are a few more repositories that may have the blob.
	Others []string
	// Absent reports that the source did not have the blob when it was last asked.
	Absent bool
}

// maxOthers limits MissingBlob.Others, to bound memory.
const maxOthers = 8

// ItemError is an error of one repository, image or blob.
type ItemError struct {
	Repository string
	// Image and Digest are empty if unknown. Digest is that of a blob or manifest.
	Image, Digest string
	Err           error
}

// Error returns the message of Err, which names the item.
func (e *ItemError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ItemError) Unwrap() error { return e.Err }

// NewPlan lists the source and finds what is missing from the buckets. It changes
// nothing but Manifests. It returns an error if the source or a bucket cannot be
// listed, or ctx has ended; errors of single images are in the plan. What is missing is in
// a temporary file, so that memory does not depend on it.
func NewPlan(ctx context.Context, o Options) (*Plan, error) {
	o.fill()
	if err := o.Filter.Check(); err != nil {
		return nil, err
	}
	ctx, stop := o.beginListing(ctx)
	defer stop()
	w := newWalk(o)
	w.plan.partition = &partition{spill: spill{dir: o.TempDir}, group: cmp.Or(o.group, maxGroup)}
	err := w.source(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, err // the listing is not awaited
	}
	if failed := w.awaitListing(); failed != nil || err != nil {
		return nil, or(failed, err)
	}
	if err := w.compare(ctx); err != nil {
		return nil, fmt.Errorf("reading a temporary file: %w", err)
	}
	w.plan.countUnreferenced(o)
	w.plan.Leftovers = o.Withdrawn.leftovers(len(o.Buckets), o.Inventory)
	return w.plan, context.Cause(ctx)
}

func (o *Options) fill() {
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Images <= 0 {
		o.Images = o.Parallel
	}
	if o.Manifests == nil {
		o.Manifests = &ManifestCache{}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Found == nil {
		o.Found = func(int, string) {}
	}
	if o.ImageTime <= 0 {
		o.ImageTime = 10 * time.Minute
	}
	if o.ImageRequests <= 0 {
		o.ImageRequests = 5000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func sortErrors(errs []error) {
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
}

// permanent reports whether a retry would fail again.
func permanent(err error) bool {
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMovedPermanently:
		return true
	}
	switch code(err) {
	case "NoSuchBucket", "AuthorizationHeaderMalformed":
		return true
	}
	return errors.Is(err, ErrWithdrawn) || errors.Is(err, errStillThere) || errors.Is(err, registry.ErrUnauthorized) || errors.Is(err, errTooLarge) || errors.Is(err, errStopped) || absence(err)
}

// absence reports whether an error is that the source itself does not have
// something, or has something that is no manifest.
func absence(err error) bool {
	return errors.Is(err, registry.ErrAbsent) || errors.Is(err, registry.ErrMalformed)
}
