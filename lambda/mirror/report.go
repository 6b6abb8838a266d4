package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"archeio/lambda/copier"
)

// report is what is printed in the end; its JSON has these names.
type report struct {
	Repositories int            `json:"repositories"`
	Manifests    int            `json:"manifests"`
	Fetched      int            `json:"fetched"`
	Blobs        int            `json:"blobs"`
	Bytes        int64          `json:"bytes"`
	LeftOut      int            `json:"leftOut"`
	Buckets      []bucketReport `json:"buckets"`
	Copied       *copied        `json:"copied,omitempty"`
	Errors       []string       `json:"errors"`

	planned bool
}

type bucketReport struct {
	Name         string `json:"name"`
	Missing      int    `json:"missing"`
	MissingBytes int64  `json:"missingBytes"`
}

type copied struct {
	Blobs   int   `json:"blobs"`
	Existed int   `json:"existed"`
	Bytes   int64 `json:"bytes"`
}

func newReport(buckets []*copier.Bucket, p *copier.Plan, r *copier.Result) *report {
	out := &report{
		Repositories: p.Repositories, Manifests: p.Manifests, Fetched: p.Fetched,
		Blobs: p.Blobs, Bytes: p.Bytes, LeftOut: p.LeftOut, Errors: []string{}, planned: r == nil,
	}
	for i, b := range buckets {
		row := bucketReport{Name: b.Name, Missing: len(p.Lacks[i])}
		for _, blob := range p.Lacks[i] {
			row.MissingBytes += max(blob.Size, 0)
		}
		out.Buckets = append(out.Buckets, row)
	}
	errs := p.Errors
	if r != nil {
		out.Copied = &copied{r.Copied, r.Existed, r.Bytes}
		errs = r.Errors
	}
	for _, err := range errs {
		out.Errors = append(out.Errors, err.Error())
	}
	return out
}

// complete tells that nothing is missing, or for a plan that all is known.
func (r *report) complete() bool { return len(r.Errors) == 0 }

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	return e.Encode(r)
}

func (r *report) writeText(w io.Writer) error {
	fmt.Fprintf(w, "%d repositories, %d manifests (%d fetched), %d blobs of %s, %d left out\n\n",
		r.Repositories, r.Manifests, r.Fetched, r.Blobs, size(r.Bytes), r.LeftOut)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	what := "LACKED"
	if r.planned {
		what = "LACKS"
	}
	fmt.Fprintf(t, "BUCKET\t%s\tOF\n", what)
	for _, b := range r.Buckets {
		fmt.Fprintf(t, "%s\t%d blobs\t%s\n", b.Name, b.Missing, size(b.MissingBytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Copied != nil {
		fmt.Fprintf(w, "\ncopied %d blobs, %s; %d were there already\n", r.Copied.Blobs, size(r.Copied.Bytes), r.Copied.Existed)
	}
	for _, e := range r.Errors {
		fmt.Fprintln(w, "error:", e)
	}
	return nil
}

// size writes bytes in powers of 1000, as S3 is billed.
func size(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes), 0
	for value >= 1000 && unit < 5 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, " kMGTP"[unit])
}

// show prints progress: a line that changes on a terminal, else one now and
// then.
type show struct {
	out      io.Writer
	terminal bool
	start    time.Time
	last     time.Time
	drawn    bool
}

func newShow(w io.Writer) *show {
	s := &show{out: w, start: time.Now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *show) progress(p copier.Progress) {
	every := 10 * time.Second
	if s.terminal {
		every = 200 * time.Millisecond
	}
	if now := time.Now(); now.Sub(s.last) >= every {
		s.last = now
		line := fmt.Sprintf("%s: %d of %d", p.Doing, p.Done, p.Total)
		if p.TotalBytes > 0 {
			seconds := max(now.Sub(s.start).Seconds(), 0.001)
			rate := float64(p.Bytes) / seconds
			line += fmt.Sprintf(", %s of %s, %s/s", size(p.Bytes), size(p.TotalBytes), size(int64(rate)))
			if rate > 0 {
				left := time.Duration(float64(p.TotalBytes-p.Bytes) / rate * float64(time.Second))
				line += ", " + left.Round(time.Second).String() + " left"
			}
		}
		if s.terminal {
			fmt.Fprintf(s.out, "\r\x1b[K%s", line)
			s.drawn = true
		} else {
			fmt.Fprintln(s.out, line)
		}
	}
}

// clear takes the line that changes away.
func (s *show) clear() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}
