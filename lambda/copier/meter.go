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
	// reading is how many bytes of the copies in progress are in Progress.Bytes.
	reading map[write]int64
}

// write is a copy of a blob to a bucket.
type write struct {
	bucket *Bucket
	digest string
}

func newMeter(report func(Progress)) *meter {
	return &meter{report: report, reading: map[write]int64{}}
}

// change changes the progress and reports it.
func (m *meter) change(change func(*Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.Progress)
	m.report(m.Progress)
}

// began sets how many bytes have been copied when an attempt begins.
func (m *meter) began(w write, offset int64) {
	m.change(func(p *Progress) {
		p.Bytes += offset - m.reading[w]
		m.reading[w] = offset
	})
}

func (m *meter) read(w write, n int64) {
	m.change(func(p *Progress) {
		p.Bytes += n
		m.reading[w] += n
	})
}

// done counts a copy of which nothing is left to do. size is what it counts in
// Progress.TotalBytes.
func (m *meter) done(w write, size int64) {
	m.change(func(p *Progress) {
		p.Done++
		p.Bytes += max(size, 0) - m.reading[w]
		delete(m.reading, w)
	})
}

// metered is the content of a blob that counts in a meter while it is read.
type metered struct {
	io.Reader
	meter *meter
	write write
}

func (r *metered) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.meter.read(r.write, int64(n))
	}
	return n, err
}
