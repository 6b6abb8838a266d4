package main

import (
	"bytes"
	"io"
)

// withoutMetrics writes lines to out. Unless verbose is set it leaves out metrics,
// which are lines in CloudWatch's embedded metric format.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type withoutMetrics struct {
	out     io.Writer
	verbose bool

	line []byte // begun and not yet ended
}

// metric is how a line with a metric begins.
var metric = []byte(`{"_aws":`)

func (w *withoutMetrics) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			w.line = append(w.line, b...)
			return n, nil
		}
		w.line = append(w.line, b[:i+1]...)
		b = b[i+1:]
		w.flush()
	}
}

// flush writes the line that was begun.
func (w *withoutMetrics) flush() {
	if w.verbose || !bytes.HasPrefix(w.line, metric) {
		w.out.Write(w.line)
	}
	w.line = w.line[:0]
}
