package copier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

func TestPut(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.buckets[0]
	parts := *b
	parts.maxPutSize, parts.partSize = 6<<20, 5<<20
	t.Run("whole", func(t *testing.T) { puts(t, b, 100_000) })
	t.Run("empty", func(t *testing.T) { putEmpty(t, b) })
	t.Run("parts", func(t *testing.T) { puts(t, &parts, 12<<20+5) })
	t.Run("as-many-bytes-as-two-parts", func(t *testing.T) { puts(t, &parts, 10<<20) })
	t.Run("resume", func(t *testing.T) { resume(t, &parts) })
	t.Run("resume-after-trouble", func(t *testing.T) { resumeTrouble(t, &parts) })
	t.Run("resume-empty", func(t *testing.T) { resumeEmpty(t, &parts) })
}

// puts tests that a blob only appears complete and once, and that it is only
// replaced if it has not changed.
func puts(t *testing.T, b *Bucket, size int) {
	data, blob := noise(byte(size), size)
	other := bytes.Clone(data)
	other[size/2] ^= 1
	broken := errors.New("connection lost")
	for _, tt := range []struct {
		name    string
		content io.Reader
		want    error
		there   bool
	}{
		{"cut-off", bytes.NewReader(data[:size-1]), ErrContent, false},
		{"nothing", strings.NewReader(""), ErrContent, false},
		{"longer", io.MultiReader(bytes.NewReader(data), strings.NewReader("x")), ErrContent, false},
		{"other-byte", bytes.NewReader(other), ErrContent, false},
		{"breaks", io.MultiReader(bytes.NewReader(data[:size/2]), iotest.ErrReader(broken)), broken, false},
		{"breaks-at-the-end", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), broken, false},
		{"right", iotest.HalfReader(bytes.NewReader(data)), nil, true},
		{"again", bytes.NewReader(data), ErrExists, true},
		{"again-and-wrong", bytes.NewReader(other), nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			etag, err := b.Put(t.Context(), blob, tt.content, "")
			if tt.name == "again-and-wrong" {
				if !errors.Is(err, ErrExists) && !errors.Is(err, ErrContent) {
					t.Errorf("error %v", err)
				}
			} else if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if err != nil && err != ErrExists {
				oneLineOf(t, err, blob.Digest, b.Name)
			}
			if got := content(t, b, blob.Digest); tt.there != bytes.Equal(got, data) || !tt.there && got != nil {
				t.Errorf("the bucket has %d bytes", len(got))
			}
			if err == nil {
				if o, err := b.Stat(t.Context(), blob.Digest); err != nil || o.ETag != etag || o.ChecksumVerified != (blob.Size <= b.maxPutSize) {
					t.Errorf("%+v, error %v, want the ETag %s", o, err, etag)
				}
			}
			noUploads(t, b)
		})
	}

	wrong := put(t, b, blob.Digest, []byte("wrong"))
	for _, tt := range []struct {
		name, replaces string
		content        []byte
		want           error
		there          []byte
	}{
		{"replace-another", `"0123456789abcdef0123456789abcdef"`, data, ErrExists, []byte("wrong")},
		{"replace-by-wrong", wrong, other, ErrContent, []byte("wrong")},
		{"replace", wrong, data, nil, data},
		{"replace-what-was-replaced", wrong, data, ErrExists, data},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := b.Put(t.Context(), blob, bytes.NewReader(tt.content), tt.replaces); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := content(t, b, blob.Digest); !bytes.Equal(got, tt.there) {
				t.Errorf("the bucket has %d bytes", len(got))
			}
			noUploads(t, b)
		})
	}
	t.Run("replace-what-is-gone", func(t *testing.T) {
		if _, err := b.Remove(t.Context(), blob.Digest); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Put(t.Context(), blob, bytes.NewReader(data), wrong); err == nil || content(t, b, blob.Digest) != nil {
			t.Errorf("error %v", err)
		}
		noUploads(t, b)
	})
}

func putEmpty(t *testing.T, b *Bucket) {
	blob := blobOf(nil)
	if _, err := b.Put(t.Context(), blob, strings.NewReader(""), ""); err != nil {
		t.Error(err)
	}
	if o, err := b.Stat(t.Context(), blob.Digest); err != nil || o == nil || o.Size != 0 || !o.ChecksumVerified {
		t.Errorf("%+v, error %v", o, err)
	}
	if _, err := b.Put(t.Context(), registry.Blob{Digest: "sha512:x", Size: 1}, strings.NewReader("x"), ""); err == nil {
		t.Error("another kind of digest is accepted")
	}
}

// another is the same bucket in another process.
func another(b *Bucket) *Bucket { out := *b; return &out }

// kept returns an upload as saved for another process.
func kept(t *testing.T, u *Upload) *Upload {
	t.Helper()
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	out := &Upload{}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func opener(data []byte, opened *[]int64) func(int64) (io.ReadCloser, int64, error) {
	return func(from int64) (io.ReadCloser, int64, error) {
		*opened = append(*opened, from)
		return io.NopCloser(bytes.NewReader(data[from:])), int64(len(data)), nil
	}
}

func always() bool { return true }

// resume tests several processes that upload a part each, where the last one
// verifies the whole blob.
func resume(t *testing.T, b *Bucket) {
	const size = 12 << 20
	data, blob := noise(2, size)
	other := bytes.Clone(data)
	other[0] ^= 1
	for _, tt := range []struct {
		name   string
		first  []byte // what the first process reads
		then   []byte
		want   error
		there  bool
		begins []int64
	}{
		{"right", data, data, nil, true, []int64{0, 5 << 20, 10 << 20}},
		{"wrong-in-the-first-part", other, data, ErrContent, false, []int64{0, 5 << 20, 10 << 20}},
		{"cut-off", data, data[:size-1], ErrContent, false, []int64{0, 5 << 20, 10 << 20}},
		{"longer", data, append(bytes.Clone(data), 1), ErrContent, false, []int64{0, 5 << 20, 10 << 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := b.Remove(t.Context(), blob.Digest); err != nil {
				t.Fatal(err)
			}
			u, text := &Upload{}, tt.first
			var opened []int64
			for round := range 3 {
				complete, err := another(b).Resume(t.Context(), blob, u, opener(text, &opened), always)
				if round < 2 {
					if complete || err != nil || u.Offset != int64(round+1)*5<<20 || content(t, b, blob.Digest) != nil {
						t.Fatalf("round %d: complete %v, error %v, %d bytes", round, complete, err, u.Offset)
					}
				} else if complete != (tt.want == nil) || !errors.Is(err, tt.want) {
					t.Errorf("complete %v, error %v, want %v", complete, err, tt.want)
				}
				u, text = kept(t, u), tt.then
			}
			if fmt.Sprint(opened) != fmt.Sprint(tt.begins) {
				t.Errorf("opened from %v, want %v", opened, tt.begins)
			}
			if got := content(t, b, blob.Digest); tt.there != bytes.Equal(got, data) || !tt.there && got != nil {
				t.Errorf("the bucket has %d bytes", len(got))
			}
			if tt.want != nil && (u.ID != "" || u.Offset != 0) {
				t.Errorf("the upload was not aborted: %+v", u)
			}
			noUploads(t, b)
		})
	}
}

// resumeTrouble tests that a failed upload continues from its last part.
func resumeTrouble(t *testing.T, b *Bucket) {
	data, blob := noise(3, 12<<20)
	u := &Upload{}
	var opened []int64
	broken := errors.New("connection lost")
	breaking := func(from int64) (io.ReadCloser, int64, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[from:7<<20]), iotest.ErrReader(broken))), blob.Size, nil
	}
	if complete, err := b.Resume(t.Context(), blob, u, breaking, never); complete || !errors.Is(err, broken) || u.Offset != 5<<20 {
		t.Fatalf("complete %v, error %v, upload %+v", complete, err, u)
	}
	closed := func(int64) (io.ReadCloser, int64, error) { return nil, 0, broken }
	if _, err := b.Resume(t.Context(), blob, u, closed, never); !errors.Is(err, broken) || u.Offset != 5<<20 {
		t.Fatalf("error %v, upload %+v", err, u)
	}
	// All parts are uploaded when the completion fails; a registry rejects a range
	// after the end.
	failing := through(b, wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			return refuse(r, http.StatusBadRequest, "InvalidRequest")
		}
		return http.DefaultTransport.RoundTrip(r)
	}))
	complete, err := failing.Resume(t.Context(), blob, u, opener(data, &opened), never)
	if complete || err == nil || u.Offset != blob.Size {
		t.Fatalf("complete %v, error %v, upload %+v", complete, err, u)
	}
	u = kept(t, u)
	if complete, err := another(b).Resume(t.Context(), blob, u, opener(data, &opened), never); !complete || err != nil || !bytes.Equal(content(t, b, blob.Digest), data) {
		t.Errorf("complete %v, error %v", complete, err)
	}
	if fmt.Sprint(opened) != fmt.Sprint([]int64{5 << 20}) {
		t.Errorf("opened from %v", opened)
	}
	noUploads(t, b)

	// Another writer was first.
	u = &Upload{}
	if _, err := b.Resume(t.Context(), blob, u, opener(data, &opened), never); !errors.Is(err, ErrExists) || u.ID == "" {
		t.Errorf("error %v, upload %+v", err, u)
	}
	if err := b.abort(t.Context(), blob, u, ErrExists); err != ErrExists {
		t.Error(err)
	}
	noUploads(t, b)

	// The lifecycle of the bucket has aborted it. The real server closes the connection
	// before it has read the part, so that its response is often lost.
	gone := through(b, wire(func(r *http.Request) (*http.Response, error) {
		return refuse(r, http.StatusNotFound, "NoSuchUpload")
	}))
	if _, err = gone.Resume(t.Context(), blob, &Upload{ID: "0123", Parts: nil}, opener(data, &opened), never); code(err) != "NoSuchUpload" {
		t.Errorf("error %v", err)
	}
	// The saved state is corrupt.
	if _, err = b.Resume(t.Context(), blob, &Upload{ID: "0123", Offset: 1, Hash: []byte("x")}, opener(data, &opened), never); err == nil {
		t.Error("a corrupt hash state is accepted")
	}
	if _, err := b.Resume(t.Context(), registry.Blob{Digest: "sha512:x", Size: 1}, u, opener(data, &opened), never); err == nil {
		t.Error("another kind of digest is accepted")
	}
}

// resumeEmpty tests an empty blob.
func resumeEmpty(t *testing.T, b *Bucket) {
	blob := blobOf(nil)
	if _, err := b.Remove(t.Context(), blob.Digest); err != nil {
		t.Fatal(err)
	}
	var opened []int64
	copyAttempts := 0
	complete, err := b.Resume(t.Context(), blob, &Upload{}, opener(nil, &opened), func() bool { copyAttempts++; return copyAttempts > 3 })
	if got := content(t, b, blob.Digest); !complete || err != nil || got == nil || len(got) != 0 {
		t.Errorf("complete %v, error %v, %d bytes", complete, err, len(got))
	}
}

// TestConflict tests that a write during another write can be retried.
func TestConflict(t *testing.T) {
	t.Parallel()
	b := start(t).bucket(t, system.Regions[0])
	data, blob := noise(1, 100)
	_, err := refusing(b, http.StatusConflict, "ConditionalRequestConflict").Put(t.Context(), blob, bytes.NewReader(data), "")
	if !errors.Is(err, errConflict) || permanent(err) {
		t.Errorf("error %v", err)
	}
}
