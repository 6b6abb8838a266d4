package copier

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// ErrContent is wrapped by errors for content of another digest or size than
// expected.
var ErrContent = errors.New("content does not match its digest or size")

// checkedReader returns an error if the content is shorter or longer than its
// size, or does not match its digest; failed returns that error again.
type checkedReader struct {
	from   io.Reader
	digest Digest
	sized  bool  // the size is known
	left   int64 // of the size
	hash   hash.Hash
	done   bool

	// A request may still read its body after its response has arrived.
	mu  sync.Mutex
	err error
}

// newCheckedReader returns a reader for content of a size in bytes, negative if
// unknown.
func newCheckedReader(from io.Reader, digest Digest, size int64) *checkedReader {
	return &checkedReader{from: from, digest: digest, sized: size >= 0, left: size, hash: sha256.New()}
}

// state returns the state of the hash after the bytes read so far.
func (r *checkedReader) state() ([]byte, error) {
	return r.hash.(encoding.BinaryMarshaler).MarshalBinary()
}

// resume continues after a number of bytes, with the state of their hash. The state ends
// with that number too (crypto/sha256, MarshalBinary): if they differ, one of them was
// saved for other content, and the hash would match without the bytes.
func (r *checkedReader) resume(state []byte, read int64) error {
	if err := r.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return err
	}
	if n := binary.BigEndian.Uint64(state[len(state)-8:]); n != uint64(read) {
		return fmt.Errorf("it is of %d bytes, not of %d", n, read)
	}
	r.left -= read
	return nil
}

// failed returns the error of the content, if there was one.
func (r *checkedReader) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *checkedReader) Read(p []byte) (int, error) {
	if err := r.failed(); err != nil {
		return 0, err
	}
	if r.done {
		return 0, io.EOF
	}
	n, err := r.from.Read(p)
	if wrong := r.check(p[:n], err); wrong != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = wrong
		return 0, wrong
	}
	if err == io.EOF {
		r.done = true
		return n, io.EOF
	}
	return n, nil
}

func (r *checkedReader) check(p []byte, err error) error {
	r.left -= int64(len(p))
	r.hash.Write(p)
	switch {
	case r.sized && r.left < 0:
		return fmt.Errorf("%w: it is longer than expected", ErrContent)
	case err == io.EOF:
		return r.finished()
	case err != nil:
		return err
	case r.sized && r.left == 0:
		// The last byte is only returned after the hash has been checked, so that no
		// reader can treat an invalid blob as complete.
		return r.end()
	}
	return nil
}

// end checks that nothing follows the last byte, and checks the digest.
func (r *checkedReader) end() error {
	var more [1]byte
	for {
		switch n, err := r.from.Read(more[:]); {
		case n > 0:
			return fmt.Errorf("%w: it is longer than expected", ErrContent)
		case err == io.EOF:
			r.done = true
			return r.finished()
		case err != nil:
			return err
		}
	}
}

func (r *checkedReader) finished() error {
	if r.sized && r.left > 0 {
		return fmt.Errorf("%w: %d bytes are missing", ErrContent, r.left)
	}
	if got := Digest(r.hash.Sum(nil)); got != r.digest {
		return fmt.Errorf("%w: its digest is %s", ErrContent, got)
	}
	return nil
}
