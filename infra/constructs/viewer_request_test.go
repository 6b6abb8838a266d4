package constructs

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/ranges/regions"
)

// edgeRequest is a request as CloudFront hands it to a function.
type edgeRequest struct {
	Method      string               `json:"method"`
	URI         string               `json:"uri"`
	Querystring map[string]edgeValue `json:"querystring"`
	Headers     map[string]edgeValue `json:"headers"`
	Cookies     map[string]edgeValue `json:"cookies"`
}

type edgeValue struct {
	Value string `json:"value"`
}

type edgeEvent struct {
	Request edgeRequest `json:"request"`
	// Broken makes all that the function can call throw.
	Broken bool `json:"broken"`
}

type edgeOutcome struct {
	Returned json.RawMessage `json:"returned"`
	Thrown   string          `json:"thrown"`
	Calls    []struct {
		Name     string          `json:"name"`
		Argument json.RawMessage `json:"argument"`
	} `json:"calls"`
}

const (
	edgeBlob     = "/containers/images/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	edgeManifest = "/v2/pause/manifests/3.9"
)

// edgeGet is a GET with header fields as name, value, name, value.
func edgeGet(uri string, headers ...string) edgeRequest {
	r := edgeRequest{"GET", uri, map[string]edgeValue{"ns": {"registry.example"}}, map[string]edgeValue{"host": {"registry.example"}}, map[string]edgeValue{}}
	for i := 0; i < len(headers); i += 2 {
		r.Headers[headers[i]] = edgeValue{headers[i+1]}
	}
	return r
}

func edgeFrom(country, uri string) edgeRequest {
	return edgeGet(uri, "cloudfront-viewer-country", country)
}

// edgeStages are the stages of cdk.json that have a distribution.
func edgeStages(t *testing.T) []*stage.Stage {
	t.Helper()
	data, err := os.ReadFile("../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var cdk struct {
		Context struct {
			Stages json.RawMessage `json:"stages"`
		} `json:"context"`
	}
	if err := json.Unmarshal(data, &cdk); err != nil {
		t.Fatal(err)
	}
	all, err := stage.Load(cdk.Context.Stages)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(s *stage.Stage) bool { return !s.HasDistribution() })
	if len(all) == 0 {
		t.Fatal("no stage of cdk.json has a distribution")
	}
	return all
}

func edgeCode(t *testing.T, s *stage.Stage) string {
	t.Helper()
	code, err := ViewerRequest(s)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// runAtEdge runs the stage's function on all requests in one process.
func runAtEdge(t *testing.T, s *stage.Stage, requests ...edgeRequest) []edgeOutcome {
	t.Helper()
	events := make([]edgeEvent, len(requests))
	for i, r := range requests {
		events[i].Request = r
	}
	return runEvents(t, s, events)
}

func runEvents(t *testing.T, s *stage.Stage, events []edgeEvent) []edgeOutcome {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI needs node to run the viewer-request function, and there is none in PATH")
		}
		t.Skip("there is no node in PATH: the viewer-request function was not run")
	}
	input, err := json.Marshal(map[string]any{"code": edgeCode(t, s), "events": events})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(node, "testdata/viewer_request.js")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	var outcomes []edgeOutcome
	if err := json.Unmarshal(out, &outcomes); err != nil || len(outcomes) != len(events) {
		t.Fatalf("node answered %d outcomes for %d events: %v", len(outcomes), len(events), err)
	}
	return outcomes
}

// edgeGroup is the origin group that the function made; the zero one for none.
type edgeGroup struct {
	origins []string
	codes   []int
}

func (o *edgeOutcome) group(t *testing.T) (g edgeGroup) {
	t.Helper()
	if len(o.Calls) == 0 {
		return g
	}
	if len(o.Calls) != 1 || o.Calls[0].Name != "createRequestOriginGroup" {
		t.Fatalf("the function called %+v, want one origin group", o.Calls)
	}
	var argument struct {
		OriginIDs []struct {
			OriginID string `json:"originId"`
		} `json:"originIds"`
		FailoverCriteria struct {
			StatusCodes []int `json:"statusCodes"`
		} `json:"failoverCriteria"`
	}
	d := json.NewDecoder(bytes.NewReader(o.Calls[0].Argument))
	d.DisallowUnknownFields()
	if err := d.Decode(&argument); err != nil {
		t.Fatalf("origin group %s: %v", o.Calls[0].Argument, err)
	}
	for _, id := range argument.OriginIDs {
		g.origins = append(g.origins, id.OriginID)
	}
	g.codes = argument.FailoverCriteria.StatusCodes
	return g
}

// request is what the function returned, which must be a request.
func (o *edgeOutcome) request(t *testing.T) (r edgeRequest) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(o.Returned))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || o.Thrown != "" {
		t.Fatalf("returned %s, threw %q, want the request: %v", o.Returned, o.Thrown, err)
	}
	return r
}

// byDistance is the slow and obvious way to order regions.
func byDistance(names []string, to regions.Point) []string {
	far := map[string]float64{}
	for _, name := range names {
		r, _ := regions.Find("AWS", name)
		far[name] = regions.Distance(r.Point, to)
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int {
		switch {
		case far[a] < far[b]:
			return -1
		case far[a] > far[b]:
			return 1
		}
		return 0
	})
}

// wantMirrors and wantRedirectors are the origin groups for a viewer.
func wantMirrors(s *stage.Stage, at regions.Point) edgeGroup {
	near := byDistance(s.Mirrors, at)
	switch {
	case len(near) == 1:
		return edgeGroup{}
	case near[0] != s.Primary:
		near[1] = s.Primary
	}
	return edgeGroup{[]string{"mirror-" + near[0], "mirror-" + near[1]}, []int{403, 404, 429, 500, 502, 503, 504}}
}

func wantRedirectors(s *stage.Stage, at regions.Point) edgeGroup {
	near := byDistance(s.Redirectors, at)
	if len(near) == 1 {
		return edgeGroup{}
	}
	// A refusal of the redirector is its answer: 403 and 404 must stay.
	return edgeGroup{[]string{"redirector-" + near[0], "redirector-" + near[1]}, []int{429, 500, 502, 503, 504}}
}

// oddStages have a choice of one kind of origin only, or the least there is.
var oddStages = []*stage.Stage{
	{Name: "one-redirector", Mirrors: []string{"ap-south-1", "us-west-2", "eu-west-1"}, Primary: "eu-west-1", Redirectors: []string{"us-west-2"}},
	{Name: "one-mirror", Mirrors: []string{"sa-east-1"}, Primary: "sa-east-1", Redirectors: []string{"sa-east-1", "ap-northeast-1"}},
	{Name: "two-mirrors", Mirrors: []string{"af-south-1", "ap-southeast-2"}, Primary: "ap-southeast-2", Redirectors: []string{"af-south-1"}},
}

func TestViewerRequestSendsCountriesToTheNearest(t *testing.T) {
	for _, s := range append(edgeStages(t), oddStages...) {
		t.Run(s.Name, func(t *testing.T) {
			countries := slices.Collect(regions.Countries())
			var requests []edgeRequest
			for _, country := range countries {
				head := edgeFrom(country, edgeManifest)
				head.Method = "HEAD"
				requests = append(requests, edgeFrom(country, edgeBlob), edgeFrom(country, edgeManifest), head)
			}
			outcomes := runAtEdge(t, s, requests...)
			for i, r := range requests {
				country := countries[i/3]
				at, _ := regions.Country(country)
				want := wantRedirectors(s, at)
				if r.URI == edgeBlob {
					want = wantMirrors(s, at)
					first, second := MirrorsFor(s, at)
					if ids := []string{"mirror-" + s.Mirrors[first], "mirror-" + s.Mirrors[second]}; want.origins != nil && !slices.Equal(ids, want.origins) {
						t.Errorf("%s: MirrorsFor answers %v, want %v", country, ids, want.origins)
					}
				}
				if got := outcomes[i].group(t); !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s from %s: origin group %v, want %v", r.Method, r.URI, country, got, want)
				}
				if got := outcomes[i].request(t); !reflect.DeepEqual(got, r) {
					t.Errorf("%s %s from %s: request %+v, want it as it came, %+v", r.Method, r.URI, country, got, r)
				}
			}
		})
	}
}

// serve does what CloudFront does with an origin group, or without one asks the
// origin of the behaviour.
func (g edgeGroup) serve(static string, status func(origin string) int) int {
	if len(g.origins) == 0 {
		return status(static)
	}
	first := status(g.origins[0])
	if slices.Contains(g.codes, first) {
		return status(g.origins[1])
	}
	return first
}

// S3 answers 403 for a missing key to those who may not list.
func TestViewerRequestFindsWhatOnlyThePrimaryHas(t *testing.T) {
	for _, s := range append(edgeStages(t), oddStages...) {
		t.Run(s.Name, func(t *testing.T) {
			requests := []edgeRequest{edgeGet(edgeBlob), edgeFrom("ZZ", edgeBlob)}
			for country := range regions.Countries() {
				requests = append(requests, edgeFrom(country, edgeBlob))
			}
			for i, o := range runAtEdge(t, s, requests...) {
				asked := map[string]int{}
				got := o.group(t).serve("mirror-"+s.Primary, func(origin string) int {
					asked[origin]++
					if origin == "mirror-"+s.Primary {
						return 200
					}
					return 403
				})
				if got != 200 {
					t.Errorf("from %q: %d of %s, want 200", requests[i].Headers["cloudfront-viewer-country"].Value, got, strings.Join(slices.Sorted(maps.Keys(asked)), " and "))
				}
			}
		})
	}
}
