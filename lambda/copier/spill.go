package copier

import (
	"errors"
	"os"
)

// maxSpillMemory is how many bytes of a spill are in memory before they are written to
// its file, so that small runs need none.
const maxSpillMemory = 1 << 20

// spill is a sequence of bytes that only grows, most of it in a temporary file. The file
// has no name, so that nothing is left of it when the spill is garbage or the process
// ends. A spill is not safe for concurrent use.
type spill struct {
	dir     string   // of the file; empty is that of the operating system
	file    *os.File // nil until it is needed
	written int64    // bytes in the file
	tail    []byte   // what follows them
}

// append adds data and returns its offset.
func (s *spill) append(data []byte) (offset int64, err error) {
	if len(s.tail) > 0 && len(s.tail)+len(data) > maxSpillMemory {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	offset = s.written + int64(len(s.tail))
	s.tail = append(s.tail, data...)
	return offset, nil
}

func (s *spill) flush() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, tempPrefix+"*")
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		s.file = f
	}
	if _, err := s.file.WriteAt(s.tail, s.written); err != nil {
		return err
	}
	s.written, s.tail = s.written+int64(len(s.tail)), s.tail[:0]
	return nil
}

// read fills data from an offset.
func (s *spill) read(offset int64, data []byte) error {
	if end := offset + int64(len(data)); end > s.written {
		from := max(offset, s.written)
		copy(data[from-offset:], s.tail[from-s.written:])
		data = data[:from-offset]
	}
	if len(data) == 0 {
		return nil
	}
	_, err := s.file.ReadAt(data, offset)
	return err
}
