package copier

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
)

// ErrContent is wrapped by the error for content that is not what its digest or
// its length says.
var ErrContent = errors.New("the content is not what was promised")

// checkedReader fails where the content ends early, goes on too long, or does
// not hash to its digest; then err tells.
type checkedReader struct {
	from   io.Reader
	digest Digest
	left   int64
	hash   hash.Hash
	done   bool
	err    error
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

func (r *checkedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.done {
		return 0, io.EOF
	}
	n, err := r.from.Read(p)
	r.left -= int64(n)
	r.hash.Write(p[:n])
	switch {
	case r.left < 0:
		r.err = fmt.Errorf("%w: it is longer", ErrContent)
	case err == io.EOF:
		r.err = r.finished()
	case err != nil:
		r.err = err
	case r.left == 0:
		// The last byte is not handed on before the hash is known to be right,
		// so that nobody takes a wrong blob for a whole one.
		r.err = r.end()
	}
	if r.err != nil {
		return 0, r.err
	}
	if err == io.EOF {
		r.done = true
		return n, io.EOF
	}
	return n, nil
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
