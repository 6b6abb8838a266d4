package mirror

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// withdrawing is one withdrawal, as the arguments name it.
type withdrawing struct {
	digest, distribution string
	listOnly             bool
}

// parse validates the digest, which is the argument of the command.
func (w *withdrawing) parse(digest string) error {
	if _, ok := copier.ParseDigest(digest); !ok {
		return cli.Usagef("invalid digest %q: want sha256: and 64 lower-case hexadecimal digits", digest)
	}
	w.digest = digest
	return nil
}

// indexLag is how long a redirector may use an index that still lists a blob
// after the blob was taken out: twice the default of MIRROR_INDEX_REFRESH.
const indexLag = 10 * time.Minute

// staleFor is how long redirectors may send clients to a mirror for a blob that
// was removed.
const staleFor = max(indexLag, blobs.PresentFor)

func (w *withdrawing) run(ctx context.Context, m *mirrors) (output, error) {
	withdraw := copier.Withdraw
	if w.listOnly {
		withdraw = copier.MarkWithdrawn
	}
	removal, err := withdraw(ctx, m.state, m.options.Buckets, w.digest)
	if err != nil {
		return nil, err
	}
	r := &withdrawReport{Digest: w.digest, ListedOnly: w.listOnly, Until: time.Now().UTC().Add(staleFor).Truncate(time.Second), Errors: texts(removal.Errors)}
	for i, b := range m.options.Buckets {
		row := removedReport{Name: b.Name}
		if n := removal.Versions[i]; n > 0 || removal.Removed[i] {
			row.Versions = &n
		}
		r.Buckets = append(r.Buckets, row)
	}
	if w.distribution != "" && !w.listOnly {
		if r.Edge, err = invalidate(ctx, m.aws, w.distribution, []string{w.digest}); err != nil {
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
	// ListedOnly reports that the blob was not removed.
	ListedOnly bool `json:"listedOnly,omitempty"`
	// Edge is the ID of the invalidation.
	Edge string `json:"edge,omitempty"`
	// edgeFailed reports that the invalidation failed.
	edgeFailed bool
	// Until is the time from which on no redirector sends a client to a mirror for
	// the blob.
	Until  time.Time `json:"until"`
	Errors []string  `json:"errors"`
}

type removedReport struct {
	Name string `json:"name"`
	// Versions is nil if the versions in the bucket are unknown.
	Versions *int `json:"versions"`
}

func (r *withdrawReport) complete() bool { return len(r.Errors) == 0 }

func (r *withdrawReport) writeText(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "BUCKET\tREMOVED\n")
	for _, b := range r.Buckets {
		removed := "not checked"
		switch {
		case b.Versions != nil:
			removed = count(*b.Versions, "version", "versions")
		case r.ListedOnly:
			removed = "not removed"
		}
		fmt.Fprintf(t, "%s\t%s\n", b.Name, removed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s is listed as withdrawn and is not copied again.\n", r.Digest)
	switch {
	case r.ListedOnly:
		fmt.Fprintln(out, "It leaves the index and stays in the mirrors: run withdraw again after MIRROR_INDEX_MAX_AGE to remove it.")
	case r.Edge != "":
		fmt.Fprintf(out, "It is invalidated at the edge: invalidation %s.\n", r.Edge)
	case r.edgeFailed:
		fmt.Fprintln(out, "The edge may still have it: the invalidation failed, see the error below.")
	default:
		fmt.Fprintln(out, "The edge may still have it: run withdraw again with -distribution to invalidate it there.")
	}
	fmt.Fprintf(out, "Redirectors may send clients to the mirrors for it until %s, and those that cannot read\n"+
		"the index for MIRROR_INDEX_MAX_AGE. After that they send clients to the upstream: remove it there too.\n", r.Until.Format(time.RFC3339))
	writeErrors(out, r.Errors)
	return nil
}
