package mirror

import (
	"context"
	"fmt"
	"io"
	"time"

	"archeio/lambda/copier"
)

// leftoverReport is a withdrawn blob that a bucket still had.
type leftoverReport struct {
	Digest string `json:"digest"`
	Bucket string `json:"bucket"`
	// Versions is the number of versions that were removed, nil if the blob stays for
	// now or could not be removed.
	Versions *int `json:"versions,omitempty"`
}

// removeWithdrawn removes what is withdrawn and still in a bucket.
func (m *mirrors) removeWithdrawn(ctx context.Context, p *copier.Plan) (rows []leftoverReport, errs []string, err error) {
	removed, err := copier.RemoveWithdrawn(ctx, m.state, m.options.Buckets, p.Leftovers, time.Now())
	for _, x := range removed {
		row := leftoverReport{Digest: x.Digest, Bucket: m.options.Buckets[x.Bucket].Name}
		if x.Err != nil {
			errs = append(errs, fmt.Sprintf("%s is withdrawn and may still be in a mirror: %v", x.Digest, x.Err))
		} else {
			row.Versions = &x.Versions
		}
		rows = append(rows, row)
	}
	return rows, errs, err
}

// leftovers returns the withdrawn blobs of a plan that buckets still have.
func (m *mirrors) leftovers(p *copier.Plan) (rows []leftoverReport) {
	for _, x := range p.Leftovers {
		rows = append(rows, leftoverReport{Digest: x.Digest, Bucket: m.options.Buckets[x.Bucket].Name})
	}
	return rows
}

func writeLeftovers(w io.Writer, rows []leftoverReport) {
	for _, x := range rows {
		if x.Versions != nil {
			fmt.Fprintf(w, "withdrawn, but it was still in %s: removed %s of %s\n", x.Bucket, count(*x.Versions, "version", "versions"), x.Digest)
		} else {
			fmt.Fprintf(w, "withdrawn, but still in %s: %s\n", x.Bucket, x.Digest)
		}
	}
}
