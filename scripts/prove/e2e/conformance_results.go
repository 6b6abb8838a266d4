package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"archeio/scripts/prove/cli"
)

// maxNames is the most tests that an error names.
const maxNames = 10

// conformanceResults are the outcomes of the tests by name. The suite runs some
// tests several times under one name, in no fixed order.
type conformanceResults map[string]cli.Counts

// parseConformance parses the suite's junit.xml.
//
// https://github.com/opencontainers/distribution-spec/blob/main/conformance/junit.go
func parseConformance(r io.Reader) (conformanceResults, error) {
	var document struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name   string `xml:"name,attr"`
				Status string `xml:"status,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.NewDecoder(r).Decode(&document); err != nil {
		return nil, fmt.Errorf("reading the results of the conformance suite: %w", err)
	}
	results := conformanceResults{}
	for _, suite := range document.Suites {
		for _, c := range suite.Cases {
			name := strings.TrimPrefix(c.Name, suite.Name+"/")
			counts := results[name]
			switch c.Status {
			case "passed":
				counts.Passed++
			case "failure", "error":
				counts.Failed++
			case "skipped":
				counts.Skipped++
			default:
				return nil, fmt.Errorf("reading the results of the conformance suite: test %q: unknown status %q", name, c.Status)
			}
			results[name] = counts
		}
	}
	if results.total().Passed == 0 {
		return nil, errors.New("reading the results of the conformance suite: no test passed")
	}
	return results, nil
}

func (r conformanceResults) total() (sum cli.Counts) {
	for _, c := range r {
		sum.Passed += c.Passed
		sum.Failed += c.Failed
		sum.Skipped += c.Skipped
	}
	return sum
}

// String returns the numbers of outcomes, or "" if there are none.
func (r conformanceResults) String() string {
	if len(r) == 0 {
		return ""
	}
	return r.total().String()
}

// without returns the results of the tests that a pattern does not match, and how
// many of the others failed.
func (r conformanceResults) without(pattern *regexp.Regexp) (rest conformanceResults, failed int) {
	rest = conformanceResults{}
	for name, c := range r {
		if pattern.MatchString(name) {
			failed += c.Failed
		} else {
			rest[name] = c
		}
	}
	return rest, failed
}

// failures returns an error with the names of the tests that failed more often
// or passed less often than in want, in one line. Without want, these are all
// failed tests.
func (r conformanceResults) failures(want conformanceResults) error {
	names := map[string]bool{}
	for name, c := range r {
		if c.Failed > want[name].Failed {
			names[name] = true
		}
	}
	for name, c := range want {
		if r[name].Passed < c.Passed {
			names[name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	sorted, more := slices.Sorted(maps.Keys(names)), ""
	if n := len(sorted) - maxNames; n > 0 {
		sorted, more = sorted[:maxNames], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("did not pass: %s%s", strings.Join(sorted, "; "), more)
}
