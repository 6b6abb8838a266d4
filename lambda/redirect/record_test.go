package redirect

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/metrics"
)

// recordTests are requests with what is recorded of each.
var recordTests = []struct {
	name, method, path, query string
	malformed                 bool
	place                     string
	status                    float64
	kind, cloud, region       string
	reason                    string
}{
	{"blob", "GET", blobOf + digest, "", false, "AWS eu-west-3", 307, "blob", "AWS", "eu-west-3", "aws-region"},
	{"blob-no-cloud", "HEAD", blobOf + digest, "", false, "", 307, "blob", "", "", "default-mirror"},
	{"blob-no-address", "GET", blobOf + digest, "", false, "invalid", 307, "blob", "", "", "default-mirror"},
	{"manifest", "GET", "/v2/pause/manifests/3.9", "", false, "GCP europe-west9", 307, "manifest", "GCP", "europe-west9", "manifest"},
	{"tags", "GET", "/v2/pause/tags/list", "n=1", false, "AWS eu-west-3", 307, "tags", "AWS", "eu-west-3", "tags"},
	{"referrers", "GET", "/v2/pause/referrers/" + digest, "", false, "AWS eu-west-3", 307, "referrers", "AWS", "eu-west-3", "referrers"},
	{"ping", "GET", "/v2/", "", false, "AWS eu-west-3", 200, "ping", "AWS", "eu-west-3", "ping"},
	{"info", "GET", "/", "", false, "AWS eu-west-3", 302, "info", "AWS", "eu-west-3", "info"},
	{"privacy", "GET", "/privacy", "", false, "AWS eu-west-3", 302, "privacy", "AWS", "eu-west-3", "privacy"},
	{"catalog", "GET", "/v2/_catalog", "", false, "AWS eu-west-3", 404, "catalog", "AWS", "eu-west-3", "refused"},
	{"bad-tag", "GET", "/v2/pause/manifests/-x", "", false, "AWS eu-west-3", 400, "manifest", "AWS", "eu-west-3", "refused"},
	{"no-page", "GET", "/x", "", false, "AWS eu-west-3", 404, "", "AWS", "eu-west-3", "refused"},
	{"method", "POST", "/v2/", "", false, "AWS eu-west-3", 405, "", "AWS", "eu-west-3", "refused"},
	{"malformed", "GET", "/v2/", "", true, "AWS eu-west-3", 400, "", "AWS", "eu-west-3", "refused"},
	{"bad-query", "GET", "/v2/", "\x00", false, "AWS eu-west-3", 400, "", "AWS", "eu-west-3", "refused"},
}

var allPresent = results{"eu-west-3": present, "default": present}

// checkNoAddress checks that a text has the address in no notation.
func checkNoAddress(t *testing.T, text string, a netip.Addr) {
	t.Helper()
	if !a.IsValid() {
		return
	}
	sixteen := netip.AddrFrom16(a.As16())
	for _, notation := range []string{a.String(), a.StringExpanded(), sixteen.String(), sixteen.StringExpanded()} {
		if strings.Contains(text, notation) {
			t.Errorf("client address %s is in %s", notation, text)
		}
	}
}

func TestDebugLog(t *testing.T) {
	t.Parallel()
	known := names("time level msg status kind name reference cloud region country reason location took")
	slices.Sort(known)
	for _, tt := range recordTests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			h, _ := newHandler(t, nil, allPresent)
			h.log = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r := Request{Method: tt.method, Path: tt.path, Query: tt.query, Malformed: tt.malformed, Client: client(t, tt.place), Country: "FR"}
			resp := h.Handle(t.Context(), r)
			text := out.String()
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
				t.Fatalf("log %q, want one line", text)
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			// Any other member could be personal data.
			if got := slices.Sorted(maps.Keys(line)); !slices.Equal(got, known) {
				t.Errorf("members %q, want %q", got, known)
			}
			for name, want := range map[string]any{
				"level": "DEBUG", "status": tt.status, "kind": tt.kind, "cloud": tt.cloud, "region": tt.region, "country": "FR",
				"reason": tt.reason, "location": resp.Location,
			} {
				if line[name] != want {
					t.Errorf("%s = %v, want %v", name, line[name], want)
				}
			}
			checkNoAddress(t, text, r.Client)
		})
	}
}

func TestQuietLog(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		var out bytes.Buffer
		h, _ := newHandler(t, nil, allPresent)
		h.log = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level}))
		for _, tt := range recordTests {
			h.Handle(t.Context(), Request{Method: tt.method, Path: tt.path, Query: tt.query, Malformed: tt.malformed, Client: client(t, tt.place)})
		}
		if out.Len() > 0 {
			t.Errorf("level %v: log %s, want none", level, &out)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, tt := range recordTests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			now := time.Unix(1_700_000_000, 0)
			recorder := metrics.NewRecorder(&out, func() time.Time { return now })
			h, _ := newRecorded(t, nil, allPresent, recorder)
			// The clock is read at the start and at the end of a request.
			h.now = func() time.Time { now = now.Add(3 * time.Millisecond); return now }
			r := Request{Method: tt.method, Path: tt.path, Query: tt.query, Malformed: tt.malformed, Client: client(t, tt.place), Country: "FR"}
			h.Handle(t.Context(), r)
			recorder.Close()

			got := map[string]any{}
			for line := range strings.Lines(out.String()) {
				var root map[string]any
				if err := json.Unmarshal([]byte(line), &root); err != nil {
					t.Fatal(err)
				}
				if root["msg"] == metrics.ImageMessage {
					continue
				}
				delete(root, "_aws")
				for name, v := range root {
					if name == "TotalLatency" {
						v = v.([]any)[0]
					}
					got[name] = v
				}
			}
			want := map[string]any{"Requests": 1., "Kind": tt.kind, "Cloud": tt.cloud, "Reason": tt.reason, "TotalLatency": 3., "ColdStarts": 1.}
			for _, name := range []string{"Kind", "Cloud"} {
				if want[name] == "" {
					want[name] = "unknown"
				}
			}
			if tt.place == "invalid" {
				want["UnknownClients"] = 1.
			}
			if !maps.Equal(got, want) {
				t.Errorf("metrics %v, want %v", got, want)
			}
			checkNoAddress(t, out.String(), r.Client)
		})
	}
}

// TestImages checks which requests are counted by repository: those for a manifest or
// blob that are answered, once a pull, by the name that clients use.
func TestImages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path, query, place string
		want                             string // of the line, empty for none
	}{
		{"blob", "GET", blobOf + digest, "", "AWS eu-west-3", `{"repository":"pause","cloud":"AWS","region":"eu-west-3","requests":1}`},
		{"manifest", "GET", "/v2/a/b/manifests/1", "", "", `{"repository":"a/b","cloud":"unknown","region":"","requests":1}`},
		{"prefix", "GET", "/v2/project/images/pause/manifests/1", "ns=a", "", `"repository":"pause"`},
		{"prefix-without-ns", "GET", "/v2/project/images/pause/manifests/1", "", "", `"repository":"project/images/pause"`},
		{"head", "HEAD", "/v2/pause/manifests/1", "", "", ""},
		{"tags", "GET", "/v2/pause/tags/list", "", "", ""},
		{"refused-digest", "GET", "/v2/pause/blobs/sha256:0", "", "", ""},
		{"refused-name", "GET", "/v2/Pause/manifests/1", "", "", ""},
		{"refused-length", "GET", "/v2/" + longName(255) + "/manifests/1", "", "", ""},
		{"post", "POST", "/v2/pause/manifests/1", "", "", ""},
		{"page", "GET", "/", "", "", ""},
		{"where", "GET", "/where", "image=pause:1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			recorder := metrics.NewRecorder(&out, time.Now)
			h, _ := newRecorded(t, nil, allPresent, recorder)
			r := Request{Method: tt.method, Path: tt.path, Query: tt.query, Client: client(t, tt.place), Country: "FR"}
			h.Handle(t.Context(), r)
			recorder.Close()
			_, line, _ := strings.Cut(out.String(), `{"msg":"images"`)
			if (line == "") != (tt.want == "") || !strings.Contains(line, tt.want) {
				t.Errorf("line %s, want %s in it", line, tt.want)
			}
			checkNoAddress(t, out.String(), r.Client)
		})
	}
}
