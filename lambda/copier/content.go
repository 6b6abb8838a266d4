package copier

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"archeio/lambda/registry"
)

// maxWithoutSize is how many bytes are read of a blob of which only the manifest has
// the size, at least.
const maxWithoutSize = 64 << 20

// countingReader counts the bytes that were read.
type countingReader struct {
	io.Reader
	n     int64
	limit int64 // 0 for none
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.n += int64(n); r.limit > 0 && r.n > r.limit {
		return n, fmt.Errorf("%w: it is longer than %d bytes, far more than in its manifest", ErrContent, r.limit)
	}
	return n, err
}

// openBlob opens a blob at an offset in bytes: the content in its manifest, or that of
// the first repository that has it. size is that of the whole blob, negative if the
// registry does not have it.
func openBlob(ctx context.Context, source *registry.Client, blob MissingBlob, from int64) (content io.ReadCloser, size int64, err error) {
	if blob.Data != nil && from <= int64(len(blob.Data)) {
		return io.NopCloser(bytes.NewReader(blob.Data[from:])), int64(len(blob.Data)), nil
	}
	for _, repository := range append([]string{blob.Repository}, blob.Others...) {
		open := func(from int64) (io.ReadCloser, int64, error) { return source.Blob(ctx, repository, blob.Blob, from) }
		content, size, failed := open(from)
		if failed == nil {
			return &lastingReader{ReadCloser: content, open: open, offset: from, hint: blob.Size}, size, nil
		}
		if err == nil || !absence(failed) {
			err = failed
		}
	}
	return nil, 0, err
}

// lastingReader continues a blob that ends before the size in its manifest: a registry
// that does not have the size cannot tell the end from a broken connection.
type lastingReader struct {
	io.ReadCloser
	open   func(from int64) (io.ReadCloser, int64, error)
	offset int64 // of the next byte
	since  int64 // bytes since the content was opened
	hint   int64
}

func (r *lastingReader) Read(p []byte) (int, error) {
	for {
		n, err := r.ReadCloser.Read(p)
		r.offset += int64(n)
		r.since += int64(n)
		if n > 0 && err == io.EOF {
			return n, nil // EOF again, or the rest
		}
		if err != io.EOF || r.offset >= r.hint || r.since == 0 {
			return n, err
		}
		more, _, failed := r.open(r.offset)
		if failed != nil {
			return 0, io.EOF // the hint may be wrong; the digest decides
		}
		r.ReadCloser.Close()
		r.ReadCloser, r.since = more, 0
	}
}
