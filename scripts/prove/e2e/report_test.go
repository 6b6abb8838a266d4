package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"archeio/scripts/prove/cli"
)

func testReport() *report {
	began := time.Now()
	r := &report{
		Versions: map[string]string{"crane": "0.22.1"},
		Clients: []clientResult{
			{Client: "crane", EntryPoint: distribution, Location: "home", Operation: "pull", Requests: map[string]int{"upstream": 2}, Ran: true, Result: cli.OK},
			skippedClient(&client{name: "docker"}, errors.New("dockerd must be started by root")),
		},
		Checks: []check{
			newCheck("faults", "mirror down", distribution, "", began, errors.New("first\nlast")),
			newCheck("contract", "HTTP/2", loadBalancer, "307 aws-region, 200", began, nil),
		},
	}
	for i := range r.Checks {
		r.Checks[i].Seconds = 0
	}
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := testReport()
	if err := r.print(&out, false); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"CLIENT ENTRY POINT LOCATION OPERATION RESULT TIME RAN BLOBS FROM REQUESTS TO",
		"crane distribution home pull ok 0.0s yes - 2 upstream",
		"docker - - - skipped 0.0s - - -",
		"",
		"crane 0.22.1",
		"",
		"PART CHECK ENTRY POINT TIME RESULT OBSERVED",
		"faults mirror down distribution 0.0s FAILED -",
		"contract HTTP/2 load balancer 0.0s ok 307 aws-region, 200",
		"",
		"docker: skipped: dockerd must be started by root",
		"faults, mirror down, distribution: FAILED: last",
		"",
		"2 passed, 1 failed, 1 skipped",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("printed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	checkError(t, r.counts().Err(), "1 of 4 checks failed")
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := testReport().print(&out, true); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || len(got.Clients) != 2 || got.Checks[0].Result != "FAILED: last" {
		t.Errorf("%+v, error %v", got, err)
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		counts map[string]int
		want   string
	}{
		{"none", nil, "-"},
		{"largest-first", map[string]int{"a": 2, "b": 3, "c": 2}, "3 b, 2 a, 2 c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := counted(tt.counts); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
