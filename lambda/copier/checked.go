package copier

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// ErrContent is wrapped by the error for content that is not what its digest or
// its length says.
var ErrContent = errors.New("the content is not what was promised")

// checkedReader fails where the content ends early, goes on too long, or does
// not hash to its digest; then failed tells.
type checkedReader struct {
	from   io.Reader
	digest Digest
	left   int64
	hash   hash.Hash
	done   bool

	// A request may still read its body when its answer is there.
	mu  sync.Mutex
	err error
}

func newCheckedReader(from io.Reader, digest Digest, size int64) *checkedReader {
	return &checkedReader{from: from, digest: digest, left: size, hash: sha256.New()}
}

// state is the hash of what was read so far, to go on from.
func (r *checkedReader) state() ([]byte, error) {
	return r.hash.(encoding.BinaryMarshaler).MarshalBinary()
}

// resume goes on behind a number of bytes that had this state.
func (r *checkedReader) resume(state []byte, read int64) error {
	r.left -= read
	return r.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

// failed is what was wrong, if anything was.
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
	case r.left < 0:
		return fmt.Errorf("%w: it is longer", ErrContent)
	case err == io.EOF:
		return r.finished()
	case err != nil:
		return err
	case r.left == 0:
		// The last byte is not handed on before the hash is known to be right,
		// so that nobody takes a wrong blob for a whole one.
		return r.end()
	}
	return nil
}

// end sees to it that nothing follows the last byte, and checks the digest.
func (r *checkedReader) end() error {
	var more [1]byte
	for {
		switch n, err := r.from.Read(more[:]); {
		case n > 0:
			return fmt.Errorf("%w: it is longer", ErrContent)
		case err == io.EOF:
			r.done = true
			return r.finished()
		case err != nil:
			return err
		}
	}
}

func (r *checkedReader) finished() error {
	if r.left > 0 {
		return fmt.Errorf("%w: %d bytes are missing", ErrContent, r.left)
	}
	if got := Digest(r.hash.Sum(nil)); got != r.digest {
		return fmt.Errorf("%w: it hashes to %s", ErrContent, got)
	}
	return nil
}
