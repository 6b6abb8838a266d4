package main

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// fakeLoadTestbed returns a testbed with one entry point, for the mix of TestLoad.
// Every so many requests, other handles the request; it may be nil.
func fakeLoadTestbed(t *testing.T, every int64, other http.HandlerFunc) *loadTestbed {
	t.Helper()
	var n atomic.Int64
	s, err := listen("fake", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if other != nil && n.Add(1)%every == 0 {
			other(w, r)
			return
		}
		redirectTo(w, "https://a.example/x")
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	base := &testbed{functions: &functions{}, near: &server{}, far: &server{}, bucket: &server{}}
	return &loadTestbed{testbed: base, entryPoints: map[string]*server{"fake": s}}
}

func redirectTo(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.Header().Set("X-Redirect-Reason", "manifest")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

var fakeMix = []loadRequest{{entryPoint: "fake", name: "it", method: "GET", text: []byte("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	accepted: []response{{307, "https://a.example/x", "manifest", ""}}}}

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		every         int64
		other         http.HandlerFunc
		wrong, failed int64
		want          string // in the error; empty for none
	}{
		{"right", 0, nil, 0, 0, ""},
		{"another-location", 100, func(w http.ResponseWriter, r *http.Request) { redirectTo(w, "https://b.example/x") }, 5, 0, "https://b.example/x"},
		{"another-status", 250, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 2, 0, "status:502"},
		{"no-response", 500, func(w http.ResponseWriter, r *http.Request) { reset(w) }, 0, 1, "no response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := loadOptions{requests: 500, clients: 8, atMost: time.Minute}
			r := fakeLoadTestbed(t, tt.every, tt.other).run(t.Context(), o, fakeMix, nil)
			if r.Requests != 500 || r.Wrong != tt.wrong || r.Failed != tt.failed {
				t.Errorf("%d requests, %d wrong, %d failed; want 500, %d, %d", r.Requests, r.Wrong, r.Failed, tt.wrong, tt.failed)
			}
			checkError(t, r.checkResponses(o), tt.want)
		})
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		o := loadOptions{requests: 1 << 30, clients: 2, atMost: 20 * time.Millisecond}
		checkError(t, fakeLoadTestbed(t, 0, nil).run(t.Context(), o, fakeMix, nil).checkResponses(o), "did not finish within")
	})
}

func TestCheckResponses(t *testing.T) {
	t.Parallel()
	o := loadOptions{requests: 100, atLeast: time.Second}
	for _, tt := range []struct {
		name string
		r    loadResult
		want string
	}{
		{"enough", loadResult{Requests: 100, Seconds: 1}, ""},
		{"too-few", loadResult{Requests: 99, Seconds: 1}, "99 requests in 1s, want at least 100"},
		{"too-short", loadResult{Requests: 100, Seconds: 0.9}, "want at least 100 and 1s"},
		{"wrong", loadResult{Requests: 100, Seconds: 1, Wrong: 1, first: "that one"}, "1 wrong responses, 0 failed requests; the first: that one"},
		{"failed", loadResult{Requests: 100, Seconds: 1, Failed: 1, first: "that one"}, "0 wrong responses, 1 failed requests; the first: that one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, tt.r.checkResponses(o), tt.want)
		})
	}
}

func TestCheckMemory(t *testing.T) {
	t.Parallel()
	flat, leak := steady(100, 1, 10<<10, 10<<10), steady(100, 1, 10<<10, 20<<10)
	for _, tt := range []struct {
		name   string
		memory []memoryCurve
		want   string
	}{
		{"flat", []memoryCurve{flat, flat}, ""},
		{"leak", []memoryCurve{flat, leak}, "process 2 has 20.0 MB at the end"},
		{"no-process", nil, "no process"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, (&loadResult{Memory: tt.memory}).checkMemory(), tt.want)
		})
	}
}

func TestDataRace(t *testing.T) {
	t.Parallel()
	out := &transcript{out: io.Discard}
	io.WriteString(out, `{"level":"WARN"}`+"\n==================\nWARNING: DATA RA")
	if got := dataRace(out.String()); got != "" {
		t.Errorf("before the report: %q", got)
	}
	io.WriteString(out, "CE\nWrite at 0x00c0 by goroutine 7:\n  main.f()\n")
	if got, want := dataRace(out.String()), "data race: Write at 0x00c0 by goroutine 7:, main.f()"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
