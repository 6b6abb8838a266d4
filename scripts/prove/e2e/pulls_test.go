package main

import (
	"strings"
	"testing"
)

func TestHops(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	hops := []hop{
		{Server: "distribution", Method: "GET", Path: "/v2/x/blobs/" + d, Status: 307, Reason: "aws-region", Agent: "crane"},
		{Server: "mirror us-east-1", Method: "HEAD", Path: "/m/containers/images/" + d, Status: 200, Agent: "Go-http-client/1.1"},
		{Server: "mirror us-east-1", Method: "GET", Path: "/m/containers/images/" + strings.Replace(d, ":", "%3A", 1), Status: 200, Agent: "crane"},
	}
	r := row{Hops: map[string]int{}, Blobs: map[string]int{}}
	served := count(hops, &r)
	if got := served[d]; got != (origin{"mirror us-east-1", "aws-region"}) || r.Hops["mirror us-east-1"] != 1 || r.Blobs["mirror us-east-1 (aws-region)"] != 1 {
		t.Errorf("%+v, %+v", served, r)
	}
	for _, tt := range []struct {
		name string
		hop  hop
		says string
	}{
		{"fine", hops[0], ""},
		{"token", hop{Agent: "crane", Status: 200, Token: true}, "token"},
		{"error", hop{Agent: "crane", Status: 404}, "404"},
		{"the-function-may-be-told-no", hop{Agent: "Go-http-client/1.1", Status: 404}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := clean([]hop{hops[0], tt.hop}); (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSum(t *testing.T) {
	s := sum([]sample{{reason: "a", took: 2}, {reason: "b", took: 5, err: errSkipped}, {reason: "a", took: 1}})
	if s.good != 2 || s.bad != 1 || s.slowest != 5 || s.reasons["a"] != 2 || s.reasons["b"] != 0 || s.err != errSkipped {
		t.Errorf("%+v", s)
	}
}

func TestMostly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bad     int
		reasons map[string]int
		want    bool
	}{
		{"all", 0, map[string]int{"a": 20}, true},
		{"nine-of-ten", 0, map[string]int{"a": 18, "mirror-unavailable": 2}, true},
		{"fewer", 0, map[string]int{"a": 17, "mirror-unavailable": 3}, false},
		{"another-reason", 0, map[string]int{"a": 19, "b": 1}, false},
		{"an-error", 1, map[string]int{"a": 19}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (summary{good: 20 - tt.bad, bad: tt.bad, reasons: tt.reasons}).mostly("a", 20); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}
