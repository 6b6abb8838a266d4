package mirror

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// missingBlobs calls yield with each missing blob, in the order of their digests: there
// may be too many of them for the memory.
type missingBlobs func(yield func(missingReport) error) error

func newMissing(buckets []*copier.Bucket, p *copier.Plan) missingBlobs {
	return func(yield func(missingReport) error) error {
		return p.EachMissing(func(blob copier.MissingBlob, missing []int) error {
			row := missingReport{Digest: blob.Digest, Size: blob.Size, Image: blob.Image}
			for _, i := range missing {
				row.Mirrors = append(row.Mirrors, buckets[i].Name)
			}
			return yield(row)
		})
	}
}

// alignedRows is the number of rows that are aligned with each other.
const alignedRows = 1000

func (each missingBlobs) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	n := 0
	err := each(func(x missingReport) error {
		if n == 0 {
			fmt.Fprint(t, "\nMISSING\tSIZE\tIMAGE\tMIRRORS\n")
		}
		bytes := "unknown"
		if x.Size >= 0 {
			bytes = size(x.Size)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", x.Digest, bytes, cli.Printable(x.Image), strings.Join(x.Mirrors, " "))
		if n++; n%alignedRows == 0 {
			return t.Flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.Flush()
}

// writeJSON writes the JSON of a report with the missing blobs as its last field.
func (each missingBlobs) writeJSON(w io.Writer, report any) error {
	var head bytes.Buffer
	if err := cli.JSON(&head, report); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	out.Write(bytes.TrimSuffix(head.Bytes(), []byte("\n}\n")))
	out.WriteString(",\n  \"missingBlobs\": [")
	separator := "\n    "
	err := each(func(x missingReport) error {
		text, err := json.MarshalIndent(x, "    ", "  ")
		if err == nil {
			out.WriteString(separator)
			_, err = out.Write(text)
		}
		separator = ",\n    "
		return err
	})
	if err != nil {
		return err
	}
	out.WriteString("\n  ]\n}\n")
	return out.Flush()
}
