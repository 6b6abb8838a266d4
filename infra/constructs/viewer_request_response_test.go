package constructs

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"archeio/lambda/oci"
	"archeio/lambda/redirect"
)

// The response to another method is the same as the redirector's.
func TestViewerRequestRejectsOtherMethods(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, method string }{
		{"post", "POST"},
		{"put", "PUT"},
		{"patch", "PATCH"},
		{"delete", "DELETE"},
		{"options", "OPTIONS"},
		{"lower-case", "get"},
		{"longer", "GETS"},
		{"shorter", "HEA"},
		{"marker", "METHOD"},
		{"quotes", `A"B'C\D`},
		{"match", "$&"},
		{"before-and-after", "$`$'$$$1"},
		{"markup", "<b>&amp;</b>"},
		{"longest", strings.Repeat("M", 128)},
		{"too-long", strings.Repeat("M", 129)},
		{"cut-before-escaping", strings.Repeat("&", 200)},
	}
	for _, s := range edgeStages(t) {
		var requests []edgeRequest
		for _, tt := range tests {
			r := edgeFrom("DE", edgeManifest)
			r.Method = tt.method
			blob := r
			blob.URI = edgeBlob
			requests = append(requests, r, blob)
		}
		outcomes := runAtEdge(t, s, requests...)
		for i, r := range requests {
			t.Run(s.Name+"/"+tests[i/2].name, func(t *testing.T) {
				var got struct {
					StatusCode        int                  `json:"statusCode"`
					StatusDescription string               `json:"statusDescription"`
					Headers           map[string]edgeValue `json:"headers"`
					Body              string               `json:"body"`
				}
				if err := json.Unmarshal(outcomes[i].Returned, &got); err != nil || outcomes[i].Thrown != "" {
					t.Fatalf("returned %s, threw %q: %v", outcomes[i].Returned, outcomes[i].Thrown, err)
				}
				want := redirect.Refuse(oci.MethodNotAllowed(r.Method))
				want.Allow = "GET, HEAD"
				headers := map[string]edgeValue{}
				for _, field := range want.Fields() {
					if field.Value != "" {
						headers[strings.ToLower(field.Name)] = edgeValue{field.Value}
					}
				}
				if got.StatusCode != 405 || want.Status != 405 || got.StatusDescription != "Method Not Allowed" {
					t.Errorf("status %d %q, want 405", got.StatusCode, got.StatusDescription)
				}
				if got.Body != want.Body {
					t.Errorf("body %s, want %s", got.Body, want.Body)
				}
				if !reflect.DeepEqual(got.Headers, headers) || got.Headers["allow"].Value != "GET, HEAD" {
					t.Errorf("headers %v, want %v", got.Headers, headers)
				}
				if len(outcomes[i].Calls) != 0 {
					t.Errorf("calls %+v for a rejected request", outcomes[i].Calls)
				}
			})
		}
	}
}

// The redirector trusts X-Viewer-Authorized, so the value of a client must not pass.
func TestViewerRequestMarksAuthorization(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		headers []string
		want    bool
	}{
		{"nothing", nil, false},
		{"authorization", []string{"authorization", "Bearer x"}, true},
		{"authorization-empty", []string{"authorization", ""}, true},
		{"forged", []string{"x-viewer-authorized", "1"}, false},
		{"forged-empty", []string{"x-viewer-authorized", ""}, false},
		{"denied", []string{"authorization", "Basic eA==", "x-viewer-authorized", "0"}, true},
		{"both", []string{"authorization", "Basic eA==", "x-viewer-authorized", "1"}, true},
		{"other", []string{"proxy-authorization", "Basic eA=="}, false},
	}
	for _, s := range edgeStages(t) {
		var events []edgeEvent
		for _, tt := range tests {
			for _, uri := range []string{edgeManifest, edgeBlob} {
				with := edgeGet(uri, append([]string{"cloudfront-viewer-country", "DE"}, tt.headers...)...)
				events = append(events, edgeEvent{edgeGet(uri, tt.headers...), false}, edgeEvent{with, false}, edgeEvent{with, true})
			}
		}
		outcomes := runEvents(t, s, events)
		for i, e := range events {
			tt := tests[i*len(tests)/len(events)]
			t.Run(s.Name+"/"+tt.name, func(t *testing.T) {
				want := e.Request
				delete(want.Headers, "x-viewer-authorized")
				if tt.want {
					want.Headers["x-viewer-authorized"] = edgeValue{"1"}
				}
				if got := outcomes[i].request(t); !reflect.DeepEqual(got, want) {
					t.Errorf("request %+v, want %+v", got, want)
				}
			})
		}
	}
}

func TestViewerRequestSurvivesErrors(t *testing.T) {
	t.Parallel()
	for _, s := range edgeStages(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var events []edgeEvent
			for _, r := range []edgeRequest{
				edgeFrom("DE", edgeBlob),
				edgeFrom("DE", edgeManifest),
				edgeGet(edgeManifest, "cloudfront-viewer-latitude", "50.11", "cloudfront-viewer-longitude", "8.68"),
			} {
				events = append(events, edgeEvent{r, true})
			}
			for i, o := range runEvents(t, s, events) {
				// The call that throws.
				if choice(s) && len(o.Calls) != 1 {
					t.Errorf("%v: %d calls, want 1", events[i].Request, len(o.Calls))
				}
				if got := o.request(t); !reflect.DeepEqual(got, events[i].Request) {
					t.Errorf("request %+v, want %+v", got, events[i].Request)
				}
			}
		})
	}
}
