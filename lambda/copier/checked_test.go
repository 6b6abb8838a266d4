package copier

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Whatever the reader below does, a whole blob is handed on and nothing else is
// taken for one.
func TestCheckedReader(t *testing.T) {
	data, blob := noise(1, 10_000)
	empty := blobOf(nil)
	other := bytes.Clone(data)
	other[9_999] ^= 1
	broken := errors.New("the network broke")
	for _, tt := range []struct {
		name string
		from io.Reader
		blob Blob
		want error
		text string
	}{
		{"right", bytes.NewReader(data), blob, nil, ""},
		{"byte-by-byte", iotest.OneByteReader(bytes.NewReader(data)), blob, nil, ""},
		{"end-with-the-last-bytes", iotest.DataErrReader(bytes.NewReader(data)), blob, nil, ""},
		{"empty", strings.NewReader(""), empty, nil, ""},
		{"short", bytes.NewReader(data[:9_999]), blob, ErrContent, "1 bytes are missing"},
		{"nothing", strings.NewReader(""), blob, ErrContent, "10000 bytes are missing"},
		{"longer", io.MultiReader(bytes.NewReader(data), strings.NewReader("x")), blob, ErrContent, "it is longer"},
		{"longer-in-one-read", bytes.NewReader(append(bytes.Clone(data), 'x')), blob, ErrContent, "it is longer"},
		{"longer-than-empty", strings.NewReader("x"), empty, ErrContent, "it is longer"},
		{"last-byte-wrong", bytes.NewReader(other), blob, ErrContent, "it hashes to " + blobOf(other).Digest},
		{"last-byte-wrong-byte-by-byte", iotest.OneByteReader(bytes.NewReader(other)), blob, ErrContent, "it hashes to"},
		{"breaks", io.MultiReader(bytes.NewReader(data[:5_000]), iotest.ErrReader(broken)), blob, broken, ""},
		{"breaks-behind-the-end", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), blob, broken, ""},
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
				t.Error("all bytes were handed on although they are wrong")
			}
			if err == nil && blobOf(got.Bytes()) != tt.blob {
				t.Errorf("%d bytes were handed on", got.Len())
			}
			// It stays so.
			if n, again := r.Read(make([]byte, 1)); n != 0 || err != nil && again != err || err == nil && again != io.EOF {
				t.Errorf("after the end: %d, %v", n, again)
			}
		})
	}
}

// Reading goes on behind what another process has read.
func TestCheckedReaderResumes(t *testing.T) {
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
			t.Errorf("behind %d bytes: %d bytes, error %v", read, len(got), err)
		}
	}
	if err := newCheckedReader(nil, d, 1).resume([]byte("nonsense"), 0); err == nil {
		t.Error("nonsense is taken for a state")
	}
}
