package main

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// played is a front that answers the mix of TestLoad; every so many requests it
// does something else.
func played(t *testing.T, every int64, otherwise http.HandlerFunc) *loadLab {
	t.Helper()
	var n atomic.Int64
	s, err := listenAs("played", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if otherwise != nil && n.Add(1)%every == 0 {
			otherwise(w, r)
			return
		}
		w.Header().Set("Location", "https://a.example/x")
		w.Header().Set("X-Redirect-Reason", "manifest")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.down)
	return &loadLab{lab: &lab{near: &server{}, far: &server{}, check: &server{}}, fronts: map[string]*server{"played": s}}
}

func TestLoad(t *testing.T) {
	mix := []asked{{front: "played", name: "it", method: "GET", text: []byte("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n"),
		wants: []want{{307, "https://a.example/x", "manifest", ""}}}}
	for _, tt := range []struct {
		name        string
		every       int64
		otherwise   http.HandlerFunc
		wrong, lost int64
		says        string
	}{
		{"all-right", 0, nil, 0, 0, ""},
		{"another-location", 100, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://b.example/x")
			w.Header().Set("X-Redirect-Reason", "manifest")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 5, 0, "https://b.example/x"},
		{"an-error", 250, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 2, 0, "status:502"},
		{"no-answer", 500, func(w http.ResponseWriter, r *http.Request) { reset(w) }, 0, 1, "no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := load{requests: 500, clients: 8, most: time.Minute}
			r := played(t, tt.every, tt.otherwise).run(t.Context(), o, mix, nil)
			err := r.answers(o)
			if r.Requests != 500 || r.Wrong != tt.wrong || r.Lost != tt.lost || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%d requests, %d wrong, %d lost: %v", r.Requests, r.Wrong, r.Lost, err)
			}
		})
	}
	t.Run("not-through-in-time", func(t *testing.T) {
		o := load{requests: 1 << 30, clients: 2, most: 20 * time.Millisecond}
		if err := played(t, 0, nil).run(t.Context(), o, mix, nil).answers(o); err == nil || !strings.Contains(err.Error(), "was not through") {
			t.Errorf("%v", err)
		}
	})
}

func TestLoadVerdicts(t *testing.T) {
	o := load{requests: 100, least: time.Second}
	for _, tt := range []struct {
		name string
		r    loaded
		says string
	}{
		{"enough", loaded{Requests: 100, Seconds: 1}, ""},
		{"too-few", loaded{Requests: 99, Seconds: 1}, "99 requests"},
		{"too-soon", loaded{Requests: 100, Seconds: 0.9}, "were to be"},
		{"one-wrong", loaded{Requests: 100, Seconds: 1, Wrong: 1, first: "that one"}, "that one"},
		{"one-lost", loaded{Requests: 100, Seconds: 1, Lost: 1, first: "that one"}, "1 are lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.r.answers(o); (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
	flat, leak := steady(100, 1, 10<<10, 10<<10), steady(100, 1, 10<<10, 20<<10)
	if err := (&loaded{Memory: []curve{flat, leak}}).memory(); err == nil || !strings.Contains(err.Error(), "process 2") {
		t.Errorf("a process that grows: %v", err)
	}
	if err := (&loaded{Memory: []curve{flat, flat}}).memory(); err != nil {
		t.Errorf("processes that do not grow: %v", err)
	}
	if (&loaded{}).memory() == nil {
		t.Error("no process was looked at, and that is well")
	}
}

func TestRaceReport(t *testing.T) {
	r := &transcript{out: io.Discard}
	io.WriteString(r, `{"level":"WARN"}`+"\n==================\nWARNING: DATA RA")
	if got := r.report(); got != "" {
		t.Errorf("a report before there is one: %q", got)
	}
	io.WriteString(r, "CE\nWrite at 0x00c0 by goroutine 7:\n  main.f()\n")
	if got := r.report(); !strings.Contains(got, "main.f()") || strings.Contains(got, "\n") {
		t.Errorf("%q", got)
	}
}
