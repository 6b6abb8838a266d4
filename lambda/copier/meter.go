package copier

import (
	"io"
	"sync"
)

// meter reports the progress of a copy. It is safe for concurrent use.
type meter struct {
	report func(Progress)

	mu sync.Mutex
	Progress
	// reading is how many bytes of the blobs in progress are in Progress.Bytes, by
	// digest.
	reading map[string]int64
}

func newMeter(report func(Progress)) *meter {
	return &meter{report: report, reading: map[string]int64{}}
}

// change changes the progress and reports it.
func (m *meter) change(change func(*Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.Progress)
	m.report(m.Progress)
}

// began sets how many bytes of a blob have been copied when an attempt begins.
func (m *meter) began(digest string, offset int64) {
	m.change(func(p *Progress) {
		p.Bytes += offset - m.reading[digest]
		m.reading[digest] = offset
	})
}

func (m *meter) read(digest string, n int) {
	m.change(func(p *Progress) {
		p.Bytes += int64(n)
		m.reading[digest] += int64(n)
	})
}

// done counts a blob of which nothing more is copied. size is what it counts in
// Progress.TotalBytes.
func (m *meter) done(digest string, size int64) {
	m.change(func(p *Progress) {
		p.Done++
		p.Bytes += max(size, 0) - m.reading[digest]
		delete(m.reading, digest)
	})
}

// metered is the content of a blob that counts in a meter while it is read.
type metered struct {
	io.Reader
	meter  *meter
	digest string
}

func (r *metered) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.meter.read(r.digest, n)
	}
	return n, err
}
