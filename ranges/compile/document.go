package compile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"archeio/ranges"
)

// Document is what a provider has published.
type Document struct {
	Cloud ranges.Cloud
	// Version is what the document calls its version or date, as it is written
	// there.
	Version string
	// Date is when it was published, in UTC. It is zero if neither the document nor
	// its file name has a date.
	Date time.Time
	// Prefixes are in the order of the document. One may occur more than once.
	Prefixes []ranges.Prefix

	// published is the number of distinct prefixes that were published, if Prefixes
	// are others; else 0.
	published int
}

// parser fills a document from JSON. The name is that of the file or the URL.
type parser func(d *Document, name string, data []byte) error

// add validates one entry and appends it.
func (d *Document) add(prefix, region string) error {
	p, err := netip.ParsePrefix(prefix)
	place := ranges.Place{Cloud: d.Cloud, Region: region}
	problem := ""
	switch {
	case len(d.Prefixes) == maxPrefixes:
		return fmt.Errorf("more than %d entries", maxPrefixes)
	case err != nil:
		problem = "invalid prefix"
	case problemOf(p) != "":
		problem = problemOf(p)
	case !place.Valid():
		problem = fmt.Sprintf("invalid region %.64q", region)
	default:
		d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: p, Place: place})
		return nil
	}
	return fmt.Errorf("entry %d, prefix %.64q: %s", len(d.Prefixes)+1, prefix, problem)
}

// decode is json.Unmarshal within the bounds of a document, with line and column in
// its errors.
func decode(data []byte, v any) error {
	if err := checkForm(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %s: %w", position(data, syntax.Offset), err)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: %q is %.64s, want %s", position(data, wrongType.Offset), wrongType.Field, wrongType.Value, wrongType.Type)
	}
	return err
}

// position returns line and column of the byte before offset.
func position(data []byte, offset int64) string {
	before := data[:max(0, min(offset, int64(len(data)))-1)]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}
