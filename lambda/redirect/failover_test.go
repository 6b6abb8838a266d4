package redirect

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archeio/ranges/regions"
)

// firstUnknown are results for clients in Paris; the next mirror is in Frankfurt.
var firstUnknown = results{"eu-west-3": unknown, "eu-central-1": present, "default": present}

// with returns the results with some replaced.
func (a results) with(more results) results {
	all := maps.Clone(a)
	maps.Copy(all, more)
	return all
}

// step advances the clock and then sends requests, one for each letter of want: F is
// a redirect to the next mirror, D to the default mirror, R to the regional mirror
// and U to the upstream.
type step struct {
	pass    time.Duration
	results results
	want    string
}

func TestFailoverBudget(t *testing.T) {
	t.Parallel()
	letters := map[string]string{"failover-region": "F", "default-mirror": "D", "aws-region": "R", "mirror-absent": "U", "mirror-unavailable": "U"}
	for _, tt := range []struct {
		name, budget string
		steps        []step
	}{
		{"off", "0", []step{{0, firstUnknown, "DDD"}, {time.Hour, firstUnknown, "DDD"}}},
		{"unset", "", []step{{0, firstUnknown, "DDD"}, {time.Hour, firstUnknown, "DDD"}}},
		{"one", "1", []step{{0, firstUnknown, "FDD"}}},
		{"burst", "3", []step{{0, firstUnknown, "FFFDD"}}},
		{"fraction", "2.5", []step{{0, firstUnknown, "FFDD"}}},
		{"less-than-one", "0.5", []step{{0, firstUnknown, "FD"}, {time.Second, firstUnknown, "DD"}, {time.Second, firstUnknown, "FD"}}},
		{"refilled", "2", []step{{0, firstUnknown, "FFD"}, {499 * time.Millisecond, firstUnknown, "D"}, {time.Millisecond, firstUnknown, "FD"}, {time.Second, firstUnknown, "FFD"}}},
		{"refilled-to-capacity", "2", []step{{0, firstUnknown, "FFD"}, {time.Hour, firstUnknown, "FFD"}}},
		{"starts-late", "2", []step{{time.Hour, firstUnknown, "FFD"}}},

		{"returned-if-absent", "2", []step{{0, firstUnknown.with(results{"eu-central-1": absent}), "DDDD"}, {0, firstUnknown, "FFD"}}},
		{"returned-if-unknown", "2", []step{{0, firstUnknown.with(results{"eu-central-1": unknown}), "DDDD"}, {0, firstUnknown, "FFD"}}},
		{"returned-once", "2", []step{{0, firstUnknown, "F"}, {0, firstUnknown.with(results{"eu-central-1": absent}), "DDD"}, {0, firstUnknown, "FD"}}},
		{"unused-if-present", "2", []step{{0, firstUnknown.with(results{"eu-west-3": present}), "RRRR"}, {0, firstUnknown, "FFD"}}},
		{"unused-if-absent", "2", []step{{0, firstUnknown.with(results{"eu-west-3": absent}), "DDDD"}, {0, firstUnknown, "FFD"}}},
		{"then-upstream", "2", []step{{0, firstUnknown.with(results{"default": absent}), "FFUU"}, {0, firstUnknown.with(results{"default": unknown}), "UU"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, env{"FAILOVER_BUDGET": tt.budget}, nil)
			now := time.Unix(1_700_000_000, 0)
			h.now = func() time.Time { return now }
			for i, step := range tt.steps {
				now = now.Add(step.pass)
				s.results = step.results
				got := ""
				for range step.want {
					s.reset()
					r := h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
					got += letters[r.Reason]
					if (tt.budget == "" || tt.budget == "0") && slices.Contains(s.checked, "eu-central-1") {
						t.Errorf("checked %q without a budget", s.checked)
					}
				}
				if got != step.want {
					t.Errorf("step %d: redirects %s, want %s", i, got, step.want)
				}
			}
		})
	}
}

var failoverTests = []struct {
	name             string
	env              env
	place            string
	request          Request
	results          results
	checked          string
	location, reason string
}{
	{"region", nil, "AWS eu-west-3", Request{}, firstUnknown, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"region-absent", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": absent, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"region-absent-no-default", noDefault, "AWS eu-west-3", Request{}, results{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"next-absent", nil, "AWS eu-west-3", Request{}, firstUnknown.with(results{"eu-central-1": absent}), "eu-west-3 eu-central-1 default", defaultMirror, "default-mirror"},
	{"next-absent-default-absent", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": unknown, "eu-central-1": absent, "default": absent}, "eu-west-3 eu-central-1 default", "", "mirror-unavailable"},
	{"default-unknown", nil, "", Request{}, results{"default": unknown}, "default", "", "mirror-unavailable"},
	{"nearest", nil, "AWS eu-west-1", Request{}, firstUnknown, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"rule", env{"MIRROR_FOR": "cn-north-1:eu-west-3"}, "AWS cn-north-1", Request{}, firstUnknown, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"viewer", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 48, Longitude: 0}}, firstUnknown, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"function", env{"DEFAULT_AWS_BASE_URL": "", "AWS_REGION": "eu-west-3"}, "", Request{}, firstUnknown, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"no-other", env{"MIRROR_REGIONS": "eu-west-3"}, "AWS eu-west-3", Request{}, firstUnknown, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"authorized", nil, "AWS eu-west-3", Request{Authorized: true}, results{"default": unknown}, "default", "", "mirror-unavailable"},
}

func TestFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range failoverTests {
		t.Run(tt.name, func(t *testing.T) {
			e := env{"FAILOVER_BUDGET": "100"}
			maps.Copy(e, tt.env)
			h, s := newHandler(t, e, tt.results)
			r := tt.request
			r.Method, r.Path, r.Client = "GET", blobOf+digest, client(t, tt.place)
			location := tt.location
			if location == "" {
				location = images + "pause/blobs/"
			}
			if got, want := h.Handle(t.Context(), r), found307(location+digest, "private, no-store", tt.reason); got != want {
				t.Errorf("response %+v, want %+v", got, want)
			}
			checkOrder(t, s, names(tt.checked))
		})
	}
}

// TestFailoverConcurrently checks that concurrent requests share the budget.
func TestFailoverConcurrently(t *testing.T) {
	t.Parallel()
	const budget, requests = 20, 200
	h, _ := newHandler(t, env{"FAILOVER_BUDGET": "20"}, firstUnknown)
	h.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	from := client(t, "AWS eu-west-3")
	var moved atomic.Int32
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			if h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: from}).Reason == "failover-region" {
				moved.Add(1)
			}
		})
	}
	wg.Wait()
	if n := moved.Load(); n != budget {
		t.Errorf("%d requests are redirected to the next mirror, want %d", n, budget)
	}
}
