package copier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/scripts/lab/system"
)

// damage is what may be wrong with a saved upload of 2,500 bytes in parts of 1,000.
var damage = []struct {
	name string
	// parts is the number of parts that are uploaded.
	parts  int
	change func(u *Upload, inS3 map[int][]byte)
	want   error
}{
	{"intact", 2, func(*Upload, map[int][]byte) {}, nil},
	{"more-parts-in-s3", 2, func(_ *Upload, inS3 map[int][]byte) { inS3[3] = []byte("not saved") }, nil},
	// Completed as it is, the object has 1,500 bytes.
	{"entry-missing-at-the-end", 3, func(u *Upload, _ map[int][]byte) { u.Parts = slices.Delete(u.Parts, 1, 2) }, ErrDamaged},
	{"entry-missing", 2, func(u *Upload, _ map[int][]byte) { u.Parts = u.Parts[:1] }, ErrDamaged},
	{"entry-of-another-part", 2, func(u *Upload, _ map[int][]byte) { u.Parts[1] = u.Parts[0] }, ErrDamaged},
	{"entries-swapped", 2, func(u *Upload, _ map[int][]byte) { slices.Reverse(u.Parts) }, ErrDamaged},
	{"no-entries", 2, func(u *Upload, _ map[int][]byte) { u.Parts = nil }, ErrDamaged},
	{"one-entry-more", 2, func(u *Upload, _ map[int][]byte) { u.Parts = append(u.Parts, u.Parts[0]) }, ErrDamaged},
	{"offset", 2, func(u *Upload, _ map[int][]byte) { u.Offset = 1000 }, ErrDamaged},
	// Completed as it is, the object has 1,000 bytes and the hash of all.
	{"entries-offset-and-size", 3, func(u *Upload, _ map[int][]byte) { u.Parts, u.Offset, u.Size = u.Parts[:1], 1000, 1000 }, ErrDamaged},
	{"size", 2, func(u *Upload, _ map[int][]byte) { u.Size = 2000 }, ErrContent},
	{"no-size", 2, func(u *Upload, _ map[int][]byte) { u.Size = 0 }, nil},
	{"hash", 2, func(u *Upload, _ map[int][]byte) { u.Hash = u.Hash[1:] }, ErrDamaged},
	{"hash-of-other-bytes", 2, func(u *Upload, _ map[int][]byte) { u.Hash[10]++ }, ErrContent},
	{"part-missing-in-s3", 2, func(_ *Upload, inS3 map[int][]byte) { delete(inS3, 2) }, ErrDamaged},
	{"another-part-in-s3", 2, func(_ *Upload, inS3 map[int][]byte) { inS3[1] = make([]byte, 1000) }, ErrDamaged},
	{"cut-off-part-in-s3", 2, func(u *Upload, inS3 map[int][]byte) {
		inS3[1] = inS3[1][:500]
		u.Parts[0].ETag = etag(inS3[1])
	}, ErrDamaged},
}

// TestDamagedUpload tests that an upload continues only if what was saved matches what
// S3 has, and that it can start again otherwise.
func TestDamagedUpload(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 2500)
	for _, tt := range damage {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			b := m.bucket("primary", "us-east-1")
			b.maxPutSize, b.partSize = 1000, 1000
			u := m.saved(t, b, data, tt.parts)
			tt.change(u, m.uploads[u.ID])
			var opened []int64
			complete, err := b.Resume(t.Context(), blob, u, opener(data, &opened), never)
			if complete != (tt.want == nil) || !errors.Is(err, tt.want) {
				t.Fatalf("complete %v, error %v, want %v", complete, err, tt.want)
			}
			if tt.want != nil {
				oneLineOf(t, err, b.Name, blob.Digest)
				if content(t, b, blob.Digest) != nil || u.ID != "" || len(m.uploads) != 0 {
					t.Errorf("the bucket has the blob, or the upload is not aborted: %+v", u)
				}
				if complete, err := b.Resume(t.Context(), blob, u, opener(data, &opened), never); !complete || err != nil {
					t.Errorf("complete %v, error %v", complete, err)
				}
			}
			if got := content(t, b, blob.Digest); !bytes.Equal(got, data) {
				t.Errorf("the bucket has %d bytes", len(got))
			}
		})
	}
}

// saved uploads some parts of a blob and returns the saved upload.
func (m *memory) saved(t *testing.T, b *Bucket, data []byte, parts int) *Upload {
	t.Helper()
	u := &Upload{}
	var opened []int64
	for range parts - 1 {
		if complete, err := b.Resume(t.Context(), blobOf(data), u, opener(data, &opened), always); complete || err != nil {
			t.Fatalf("complete %v, error %v", complete, err)
		}
	}
	// The completion of the last part fails.
	failing := through(b, wire(func(r *http.Request) (*http.Response, error) {
		if step(r) == "complete" {
			return refuse(r, http.StatusBadRequest, "InvalidRequest")
		}
		return m.Do(r)
	}))
	if complete, err := failing.Resume(t.Context(), blobOf(data), u, opener(data, &opened), always); complete || len(u.Parts) != parts {
		t.Fatalf("complete %v, error %v, %d parts", complete, err, len(u.Parts))
	}
	return kept(t, u)
}

// TestDamagedState tests that a worker rebuilds a damaged piece of the state, and logs
// it.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	data, _ := noise(1, 2500)
	for _, tt := range []struct {
		name   string
		change func(u *Upload) []byte
		log    string
	}{
		{"intact", func(u *Upload) []byte { return encoded(u) }, ""},
		{"no-json", func(*Upload) []byte { return []byte(`{"id":"1","offset":`) }, "unexpected end of JSON input"},
		{"other-json", func(*Upload) []byte { return []byte(`{"id":"1","offset":"1000"}`) }, "cannot unmarshal"},
		{"wrong-parts", func(u *Upload) []byte { u.Parts = u.Parts[:1]; return encoded(u) }, ErrDamaged.Error()},
		{"of-a-copy", func(u *Upload) []byte { u.From = "x"; return encoded(u) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			b := m.bucket("primary", "us-east-1")
			b.maxPutSize, b.partSize = 1000, 1000
			_, o, plan, digest := oneBlob(t, data, b)
			var log bytes.Buffer
			f := &Filler{Source: o.Source, Buckets: o.Buckets, State: Folder(t.TempDir()), Queue: &sent{}, Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: io.Discard}
			name := f.uploadName(0, digest)
			if err := f.State.Put(t.Context(), name, tt.change(m.saved(t, b, data, 2))); err != nil {
				t.Fatal(err)
			}
			blob := plan.Missing[0][0]
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := f.blob(ctx, Message{Do: doBlob, Repository: blob.Repository, Image: blob.Image, Blob: &blob.Blob, Requeues: 1}); err != nil {
				t.Error(err)
			}
			if got := content(t, b, digest); !bytes.Equal(got, data) {
				t.Errorf("the bucket has %d bytes", len(got))
			}
			if said := strings.Contains(log.String(), `msg="state is damaged, rebuilding it" state=`+name); said != (tt.log != "") || !strings.Contains(log.String(), tt.log) {
				t.Errorf("log %q, want %q", &log, tt.log)
			}
			if left, err := f.State.Get(t.Context(), name); left != nil || err != nil {
				t.Errorf("the state still has %s, error %v", left, err)
			}
		})
	}
}

func encoded(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}

// TestCompleteWithFewerBytes tests that S3 itself refuses to complete an upload of
// another size.
func TestCompleteWithFewerBytes(t *testing.T) {
	t.Parallel()
	b := start(t).bucket(t, system.Regions[0])
	b.maxPutSize, b.partSize = 6<<20, 5<<20
	data, blob := noise(4, 11<<20)
	u := &Upload{}
	var opened []int64
	for range 2 {
		if complete, err := b.Resume(t.Context(), blob, u, opener(data, &opened), always); complete || err != nil {
			t.Fatalf("complete %v, error %v", complete, err)
		}
	}
	u.Parts = u.Parts[:1]
	if err := b.complete(t.Context(), blob, u, ""); err == nil || content(t, b, blob.Digest) != nil {
		t.Errorf("error %v, and the bucket has %d bytes", err, len(content(t, b, blob.Digest)))
	}
}
