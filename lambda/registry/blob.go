package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"archeio/lambda/oci"
	"archeio/lambda/pace"
)

// emptyBlob is the digest of no bytes.
const emptyBlob = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// wellKnown are blobs that registries do not always store: no bytes, the empty
// JSON object that artifacts have as config, and the empty layer of old images.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
// https://github.com/distribution/distribution/blob/v2.8.3/registry/storage/blobserver.go
var wellKnown = map[string][]byte{
	emptyBlob: {},
	"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a": []byte("{}"),
	"sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4": {
		31, 139, 8, 0, 0, 9, 110, 136, 0, 255, 98, 24, 5, 163, 96, 20, 140, 88, 0, 8, 0, 0, 255, 255, 46, 175, 181, 239, 0, 4, 0, 0},
}

const (
	// blobAttempts is how often a blob is requested again without progress.
	blobAttempts = 4
	// blobProgress is the number of bytes that count as progress.
	blobProgress = 64 << 10
	// storageAttempts is how often a storage host is asked that refuses a signed
	// URL, each time with a new one of the registry.
	storageAttempts = 3
)

// Blob opens a blob at an offset in bytes and returns its full size, as the
// registry says, or else the manifest; SizeUnknown if neither has it. Inline
// content is returned without a request. The offset may be the size, then there
// is nothing to read.
//
// Reading goes on after a broken connection as long as there is progress, and
// counts against the bandwidth. It does not verify the digest. The error is an
// ErrAbsent if the registry does not have the blob.
func (c *Client) Blob(ctx context.Context, repository string, blob Blob, from int64) (content io.ReadCloser, size int64, err error) {
	data := blob.Data
	if known, ok := wellKnown[blob.Digest]; ok {
		data = known
	}
	if _, ok := wellKnown[blob.Digest]; (ok || data != nil) && from <= int64(len(data)) {
		return io.NopCloser(bytes.NewReader(data[from:])), int64(len(data)), nil
	}
	doing := "fetching blob " + line(repository+"@"+blob.Digest)
	if !oci.ValidName(repository) || !oci.ValidDigest(blob.Digest) {
		return nil, 0, c.explain(doing, fmt.Errorf("%w: invalid name", ErrMalformed))
	}
	r := &blobReader{client: c, repository: repository, digest: blob.Digest, doing: doing, offset: from, size: SizeUnknown, encoding: "identity"}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	if err := r.open(); err != nil && !errors.Is(err, errBody) { // Read tries those again
		r.cancel(nil)
		return nil, 0, c.explain(doing, err)
	}
	if size = r.size; size == SizeUnknown {
		size = blob.Size
	}
	return r, size, nil
}

// blobReader reads a blob, and requests the rest of it after an error.
type blobReader struct {
	client                    *Client
	ctx                       context.Context
	cancel                    context.CancelCauseFunc
	repository, digest, doing string
	encoding                  string // that is accepted
	noRanges                  bool   // the registry refuses or ignores them

	body   io.ReadCloser // nil at the end
	offset int64         // of the next byte
	size   int64         // of the blob, SizeUnknown if the registry does not say
	failed int           // requests since progress
	since  int64         // bytes since the last failure
	err    error         // the final one
}

// errChanged is the error for a blob of another size than before.
var errChanged = errors.New("the registry changed the size of the blob while it was read")

// open requests the blob from the offset on.
func (r *blobReader) open() error {
	for attempt := 1; ; attempt++ {
		ranged := r.offset > 0 && !r.noRanges
		q := request{method: http.MethodGet, address: "/v2/" + r.repository + "/blobs/" + r.digest, repository: r.repository,
			header: http.Header{"Accept-Encoding": {r.encoding}}}
		if ranged {
			q.header.Set("Range", fmt.Sprintf("bytes=%d-", r.offset))
		}
		resp, err := r.client.do(r.ctx, q)
		if err != nil {
			return err
		}
		start, total := int64(0), resp.ContentLength
		switch resp.StatusCode {
		case http.StatusOK:
			// GCS unpacks objects that were stored with Content-Encoding: gzip,
			// unless a client accepts them as they are.
			// https://cloud.google.com/storage/docs/transcoding
			if resp.Header.Get("X-Goog-Stored-Content-Encoding") == "gzip" && resp.Header.Get("Content-Encoding") == "" && r.encoding != "gzip" {
				resp.Body.Close()
				r.encoding = "gzip"
				continue
			}
		case http.StatusPartialContent:
			var ok bool
			if start, total, ok = contentRange(resp.Header.Get("Content-Range")); !ok || start != r.offset {
				resp.Body.Close()
				if !ranged || attempt > storageAttempts {
					return fmt.Errorf("the registry returned another part than requested: Content-Range %s", quote(resp.Header.Get("Content-Range")))
				}
				r.noRanges = true // read up to the offset instead
				continue
			}
		case http.StatusRequestedRangeNotSatisfiable:
			_, total, ok := contentRange(resp.Header.Get("Content-Range"))
			resp.Body.Close()
			switch {
			case ok && total == r.offset || r.size == r.offset:
				r.size, r.body = r.offset, http.NoBody
				return nil
			case ok && total < r.offset || !ranged:
				return fmt.Errorf("the blob has %d bytes: cannot read from byte %d on", total, r.offset)
			}
			r.noRanges = true // read up to the offset instead
			continue
		default:
			e := responseError(resp.Response, resp.storage)
			if resp.storage == "" || e.Status >= 500 || attempt >= storageAttempts {
				return e
			}
			// The signed URL may have expired: the registry signs another one.
			if err := pace.Sleep(r.ctx, pace.Backoff(attempt)); err != nil {
				return err
			}
			continue
		}
		switch {
		case total < 0 || total > MaxBlobSize:
		case r.size != SizeUnknown && r.size != total:
			resp.Body.Close()
			return errChanged
		default:
			r.size = total
		}
		r.body = resp.Body
		if start < r.offset { // the registry ignores ranges
			if _, err := io.CopyN(io.Discard, r.body, r.offset-start); err != nil {
				r.body.Close()
				r.body = nil
				return fmt.Errorf("%w: %w", errBody, err)
			}
		}
		return nil
	}
}

// contentRange parses a Content-Range header: the first byte, and the size of
// all, SizeUnknown for an asterisk. RFC 9110, section 14.4.
func contentRange(header string) (start, total int64, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	span, size, found := strings.Cut(strings.TrimSpace(rest), "/")
	if !found || !strings.EqualFold(unit, "bytes") {
		return 0, 0, false
	}
	total = SizeUnknown
	if size != "*" {
		if n, err := strconv.ParseInt(size, 10, 64); err != nil || n < 0 {
			return 0, 0, false
		} else {
			total = n
		}
	}
	if span == "*" {
		return 0, total, total != SizeUnknown
	}
	first, _, found := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return start, total, found && err == nil && start >= 0
}

// Read implements io.Reader. Its error is one line.
func (r *blobReader) Read(p []byte) (int, error) {
	for {
		if r.err != nil {
			return 0, r.err
		}
		if r.body == nil {
			if !r.again(r.open()) {
				return 0, r.err
			}
			continue
		}
		n, err := r.body.Read(p[:min(len(p), pace.Burst)])
		r.offset += int64(n)
		if r.since += int64(n); r.since >= blobProgress {
			r.failed = 0
		}
		switch {
		case r.size != SizeUnknown && r.offset > r.size:
			err = r.final(fmt.Errorf("the registry sent more than the %d bytes that it announced", r.size))
		case err == nil:
		case r.offset == r.size, r.size == SizeUnknown && err == io.EOF:
			r.err, err = io.EOF, io.EOF
		case err != nil:
			r.body.Close()
			r.body = nil
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if !r.again(fmt.Errorf("%w: %w", errBody, err)) {
				err = r.err
				break
			}
			err = nil
		}
		if waited := pace.Wait(r.ctx, r.client.bandwidth, n); waited != nil {
			return n, waited
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// again reports whether the rest of the blob is to be read after an error of a
// request or a body, nil for none. If not, the error is final.
func (r *blobReader) again(err error) bool {
	if err == nil {
		return true
	}
	if cause := context.Cause(r.ctx); cause != nil {
		r.err = cause
		return false
	}
	r.failed++
	r.since = 0
	var e *ResponseError
	if r.failed > blobAttempts || errors.As(err, &e) || errors.Is(err, errChanged) {
		_ = r.final(err)
		return false
	}
	r.client.transport.again()
	if err := pace.Sleep(r.ctx, pace.Backoff(r.failed)); err != nil {
		r.err = err
		return false
	}
	return true
}

func (r *blobReader) final(err error) error {
	r.err = r.client.explain(r.doing, err)
	return r.err
}

// Close ends all requests.
func (r *blobReader) Close() error {
	r.cancel(nil) // or a long run keeps one context per blob
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
