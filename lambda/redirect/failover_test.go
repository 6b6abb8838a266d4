package redirect

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archeio/ranges/regions"
)

// The clients are in Paris; Frankfurt is next.
var trouble = says{"eu-west-3": unknown, "eu-central-1": present, "default": present}

func (a says) with(more says) says {
	all := maps.Clone(a)
	maps.Copy(all, more)
	return all
}

// Each step lets time pass, and then each letter is an answer of a request:
// F of the next mirror, D of the default mirror, R of the region's own, U of
// upstream.
type step struct {
	pass  time.Duration
	says  says
	wants string
}

func TestFailoverBudget(t *testing.T) {
	letters := map[string]string{"failover-region": "F", "default-mirror": "D", "aws-region": "R", "mirror-absent": "U", "mirror-unavailable": "U"}
	for _, tt := range []struct {
		name, budget string
		steps        []step
	}{
		{"off", "0", []step{{0, trouble, "DDD"}, {time.Hour, trouble, "DDD"}}},
		{"not-set", "", []step{{0, trouble, "DDD"}, {time.Hour, trouble, "DDD"}}},
		{"one", "1", []step{{0, trouble, "FDD"}}},
		{"burst", "3", []step{{0, trouble, "FFFDD"}}},
		{"broken-number", "2.5", []step{{0, trouble, "FFDD"}}},
		{"less-than-one", "0.5", []step{{0, trouble, "FD"}, {time.Second, trouble, "DD"}, {time.Second, trouble, "FD"}}},
		{"refilled", "2", []step{{0, trouble, "FFD"}, {499 * time.Millisecond, trouble, "D"}, {time.Millisecond, trouble, "FD"}, {time.Second, trouble, "FFD"}}},
		{"not-overfilled", "2", []step{{0, trouble, "FFD"}, {time.Hour, trouble, "FFD"}}},
		{"begun-late", "2", []step{{time.Hour, trouble, "FFD"}}},

		{"given-back-by-absent", "2", []step{{0, trouble.with(says{"eu-central-1": absent}), "DDDD"}, {0, trouble, "FFD"}}},
		{"given-back-by-unknown", "2", []step{{0, trouble.with(says{"eu-central-1": unknown}), "DDDD"}, {0, trouble, "FFD"}}},
		{"given-back-once", "2", []step{{0, trouble, "F"}, {0, trouble.with(says{"eu-central-1": absent}), "DDD"}, {0, trouble, "FD"}}},
		{"not-spent-by-present", "2", []step{{0, trouble.with(says{"eu-west-3": present}), "RRRR"}, {0, trouble, "FFD"}}},
		{"not-spent-by-absent", "2", []step{{0, trouble.with(says{"eu-west-3": absent}), "DDDD"}, {0, trouble, "FFD"}}},
		{"then-upstream", "2", []step{{0, trouble.with(says{"default": absent}), "FFUU"}, {0, trouble.with(says{"default": unknown}), "UU"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, env{"FAILOVER_BUDGET": tt.budget}, nil)
			now := time.Unix(1_700_000_000, 0)
			h.now = func() time.Time { return now }
			for i, step := range tt.steps {
				now = now.Add(step.pass)
				s.answers = step.says
				got := ""
				for range step.wants {
					s.forget()
					r := h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
					got += letters[r.Reason]
					if asked := strings.Join(s.asked, " "); (tt.budget == "" || tt.budget == "0") && strings.Contains(asked, "eu-central-1") {
						t.Errorf("asked %s without a budget", asked)
					}
				}
				if got != step.wants {
					t.Errorf("step %d: answers of %s, want %s", i, got, step.wants)
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
	says             says
	asked            string
	location, reason string
}{
	{"region", nil, "AWS eu-west-3", Request{}, trouble, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"region-absent", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": absent, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"region-absent-no-default", noDefault, "AWS eu-west-3", Request{}, says{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"next-absent", nil, "AWS eu-west-3", Request{}, trouble.with(says{"eu-central-1": absent}), "eu-west-3 eu-central-1 default", defaultMirror, "default-mirror"},
	{"next-absent-default-absent", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": unknown, "eu-central-1": absent, "default": absent}, "eu-west-3 eu-central-1 default", "", "mirror-unavailable"},
	{"default-unknown", nil, "", Request{}, says{"default": unknown}, "default", "", "mirror-unavailable"},
	{"nearest", nil, "AWS eu-west-1", Request{}, trouble, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"rule", env{"MIRROR_FOR": "cn-north-1:eu-west-3"}, "AWS cn-north-1", Request{}, trouble, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"viewer", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 48, Longitude: 0}}, trouble, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"function", env{"DEFAULT_AWS_BASE_URL": "", "AWS_REGION": "eu-west-3"}, "", Request{}, trouble, "eu-west-3 eu-central-1", frankfurt, "failover-region"},
	{"no-other", env{"MIRROR_REGIONS": "eu-west-3"}, "AWS eu-west-3", Request{}, trouble, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"authorized", nil, "AWS eu-west-3", Request{Authorized: true}, says{"default": unknown}, "default", "", "mirror-unavailable"},
}

func TestFailover(t *testing.T) {
	for _, tt := range failoverTests {
		t.Run(tt.name, func(t *testing.T) {
			e := env{"FAILOVER_BUDGET": "100"}
			maps.Copy(e, tt.env)
			h, s := newHandler(t, e, tt.says)
			r := tt.request
			r.Method, r.Path, r.Client = "GET", blobOf+digest, client(t, tt.place)
			location := tt.location
			if location == "" {
				location = images + "pause/blobs/"
			}
			if got, want := h.Handle(t.Context(), r), found307(location+digest, "private, no-store", tt.reason); got != want {
				t.Errorf("answer %+v, want %+v", got, want)
			}
			checkAsked(t, s, names(tt.asked))
		})
	}
}

// Requests that come together share the budget.
func TestFailoverTogether(t *testing.T) {
	const budget, requests = 20, 200
	h, _ := newHandler(t, env{"FAILOVER_BUDGET": "20"}, trouble)
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
		t.Errorf("%d requests went to the next mirror, want %d", n, budget)
	}
}
