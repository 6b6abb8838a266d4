package mirror

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// missingReport is a blob that the source has and a mirror is missing.
type missingReport struct {
	Digest string `json:"digest"`
	// Size is in bytes, -1 if unknown.
	Size int64 `json:"size"`
	// Image refers to the blob.
	Image string `json:"image"`
	// Mirrors are the buckets that are missing it.
	Mirrors []string `json:"mirrors"`
}

// newMissing returns the blobs that mirrors are missing, sorted by image.
func newMissing(buckets []*copier.Bucket, p *copier.Plan) []missingReport {
	at := map[string]int{}
	rows := []missingReport{}
	for i, missing := range p.Missing {
		for _, blob := range missing {
			if blob.Absent {
				continue
			}
			n, known := at[blob.Digest]
			if !known {
				n = len(rows)
				at[blob.Digest] = n
				rows = append(rows, missingReport{Digest: blob.Digest, Size: blob.Size, Image: blob.Image})
			}
			rows[n].Mirrors = append(rows[n].Mirrors, buckets[i].Name)
		}
	}
	slices.SortFunc(rows, func(a, b missingReport) int {
		return cmp.Or(strings.Compare(a.Image, b.Image), strings.Compare(a.Digest, b.Digest))
	})
	return rows
}

func writeMissing(w io.Writer, rows []missingReport) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nMISSING\tSIZE\tIMAGE\tMIRRORS\n")
	for _, x := range rows {
		bytes := "unknown"
		if x.Size >= 0 {
			bytes = size(x.Size)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", x.Digest, bytes, cli.Printable(x.Image), strings.Join(x.Mirrors, " "))
	}
	return t.Flush()
}
