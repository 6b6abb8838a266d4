package copier

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"archeio/lambda/registry"
)

// TestCheckedReader tests that only a complete and matching blob is read without
// an error.
func TestCheckedReader(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 10_000)
	empty := blobOf(nil)
	other := bytes.Clone(data)
	other[9_999] ^= 1
	broken := errors.New("connection lost")
	for _, tt := range []struct {
		name string
		from io.Reader
		blob registry.Blob
		want error
		text string
	}{
		{"right", bytes.NewReader(data), blob, nil, ""},
		{"byte-by-byte", iotest.OneByteReader(bytes.NewReader(data)), blob, nil, ""},
		{"end-with-the-last-bytes", iotest.DataErrReader(bytes.NewReader(data)), blob, nil, ""},
		{"empty", strings.NewReader(""), empty, nil, ""},
		{"short", bytes.NewReader(data[:9_999]), blob, ErrContent, "1 bytes are missing"},
		{"nothing", strings.NewReader(""), blob, ErrContent, "10000 bytes are missing"},
		{"longer", io.MultiReader(bytes.NewReader(data), strings.NewReader("x")), blob, ErrContent, "longer than expected"},
		{"longer-in-one-read", bytes.NewReader(append(bytes.Clone(data), 'x')), blob, ErrContent, "longer than expected"},
		{"longer-than-empty", strings.NewReader("x"), empty, ErrContent, "longer than expected"},
		{"last-byte-wrong", bytes.NewReader(other), blob, ErrContent, "its digest is " + blobOf(other).Digest},
		{"last-byte-wrong-byte-by-byte", iotest.OneByteReader(bytes.NewReader(other)), blob, ErrContent, "its digest is"},
		{"breaks", io.MultiReader(bytes.NewReader(data[:5_000]), iotest.ErrReader(broken)), blob, broken, ""},
		{"breaks-after-the-end", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), blob, broken, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := ParseDigest(tt.blob.Digest)
			r := newCheckedReader(tt.from, d, tt.blob.Size)
			var got bytes.Buffer
			_, err := io.CopyBuffer(struct{ io.Writer }{&got}, r, make([]byte, 20_000))
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.text) || r.failed() != err {
				t.Errorf("error %v, then %v, want %v: %s", err, r.failed(), tt.want, tt.text)
			}
			if whole := int64(got.Len()) == tt.blob.Size && tt.blob.Size > 0; err != nil && whole {
				t.Error("all bytes were returned although they do not match")
			}
			if err == nil && !reflect.DeepEqual(blobOf(got.Bytes()), tt.blob) {
				t.Errorf("got %d bytes", got.Len())
			}
			// The result stays the same.
			if n, again := r.Read(make([]byte, 1)); n != 0 || err != nil && again != err || err == nil && again != io.EOF {
				t.Errorf("after the end: %d, %v", n, again)
			}
		})
	}
}

// TestCheckedReaderResumes continues after the bytes that another process read.
func TestCheckedReaderResumes(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 10_000)
	d, _ := ParseDigest(blob.Digest)
	for _, read := range []int64{0, 1, 63, 64, 9_999, 10_000} {
		first := newCheckedReader(bytes.NewReader(data), d, blob.Size)
		if _, err := io.CopyN(io.Discard, first, read); err != nil {
			t.Fatal(err)
		}
		state, err := first.state()
		if err != nil {
			t.Fatal(err)
		}
		second := newCheckedReader(bytes.NewReader(data[read:]), d, blob.Size)
		if err := second.resume(state, read); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(second); err != nil || !bytes.Equal(got, data[read:]) {
			t.Errorf("after %d bytes: %d bytes, error %v", read, len(got), err)
		}
	}
	if err := newCheckedReader(nil, d, 1).resume([]byte("nonsense"), 0); err == nil {
		t.Error("an invalid state is accepted")
	}
}
