package mirror

import (
	"errors"
	"strconv"
	"strings"
)

// bandwidth is a flag in bytes per second, as 500k or 20M; 0 is no limit.
type bandwidth float64

// String returns nothing: the default is no limit.
func (b *bandwidth) String() string { return "" }

// Type returns the kind of the flag.
func (b *bandwidth) Type() string { return "bytes" }

// Set parses the value of the flag.
func (b *bandwidth) Set(v string) error {
	digits := strings.TrimRight(v, "kMG")
	factor, known := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[v[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n > 0) || !known { // NaN is a number to ParseFloat
		return errors.New("want bytes per second, as 500k, 20M or 1G")
	}
	*b = bandwidth(n * factor)
	return nil
}

// share is a flag from 0 to 1, as 5% or 0.05.
type share float64

// String returns nothing: the default is all.
func (s *share) String() string { return "" }

// Type returns the kind of the flag.
func (s *share) Type() string { return "share" }

// Set parses the value of the flag.
func (s *share) Set(v string) error {
	digits, percent := strings.CutSuffix(v, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n <= 1) {
		return errors.New("want a share above 0 and at most 1, as 5% or 0.05")
	}
	*s = share(n)
	return nil
}
