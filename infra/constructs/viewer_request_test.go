package constructs

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/ranges/regions"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close() // removes what importing the CDK created
	os.Exit(code)
}

// edgeRequest is a request as CloudFront passes it to a function.
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
	// Broken makes every call that the function can make throw.
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

// edgeGet returns a GET request with header fields as name, value, name, value.
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

// edgeStages returns the stages of cdk.json that have a distribution.
func edgeStages(t *testing.T) []*stage.Stage {
	t.Helper()
	var all []*stage.Stage
	for _, name := range []string{"production", "sandbox", "smallest"} {
		s, err := stage.Read("../../cdk.json", name)
		if err != nil {
			t.Fatal(err)
		}
		if !s.HasDistribution() {
			t.Fatalf("stage %s of cdk.json has no distribution", name)
		}
		all = append(all, s)
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

// runAtEdge runs the stage's function for all requests in one process.
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
			t.Fatal("the viewer-request function is not tested: there is no node in PATH")
		}
		t.Skip("the viewer-request function is not tested: there is no node in PATH")
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
		t.Fatalf("node returned %d outcomes for %d events: %v", len(outcomes), len(events), err)
	}
	for i, o := range runInNJS(t, edgeCode(t, s), events) {
		if !reflect.DeepEqual(o, outcomes[i]) {
			t.Errorf("%q: under njs %s, under Node.js %s", events[i].Request.URI, literal(o), literal(outcomes[i]))
		}
	}
	return outcomes
}

// runInNJS runs the code for all events in njs, whose engine is close to that of
// CloudFront Functions. It returns nil if there is no njs.
func runInNJS(t *testing.T, code string, events []edgeEvent) []edgeOutcome {
	t.Helper()
	njs, err := exec.LookPath("njs")
	if err != nil {
		t.Log("not run under njs, which is not in PATH")
		return nil
	}
	script, err := os.ReadFile("testdata/viewer_request.njs")
	if err != nil {
		t.Fatal(err)
	}
	code = strings.TrimPrefix(code, "import cf from 'cloudfront';")
	text := strings.Replace(string(script), "/*CODE*/", code, 1)
	text = strings.Replace(text, "/*EVENTS*/", literal(events), 1)
	file := filepath.Join(t.TempDir(), "viewer_request.js")
	result := file + "on" // console.log breaks long lines
	text = strings.Replace(text, "/*OUT*/", literal(result), 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(njs, file).CombinedOutput(); err != nil {
		t.Fatalf("njs: %v\n%s", err, out)
	}
	out, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []edgeOutcome
	if err := json.Unmarshal(out, &outcomes); err != nil {
		t.Fatalf("njs returned %.200q: %v", out, err)
	}
	return outcomes
}

// edgeGroup is the origin group that the function created, zero for none.
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
		t.Fatalf("calls %+v, want one origin group", o.Calls)
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

// request returns the request that the function returned.
func (o *edgeOutcome) request(t *testing.T) (r edgeRequest) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(o.Returned))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || o.Thrown != "" {
		t.Fatalf("returned %s, threw %q, want the request: %v", o.Returned, o.Thrown, err)
	}
	// The redirector is told the host that the viewer asked.
	if got, want := r.Headers["x-viewer-host"], r.Headers["host"]; got != want {
		t.Errorf("X-Viewer-Host %q, want %q", got.Value, want.Value)
	}
	delete(r.Headers, "x-viewer-host")
	return r
}

// byDistance sorts regions in a slow but obvious way.
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

// wantMirrors returns the origin group for blobs of mirrors and a viewer at a point.
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

// wantRedirectors returns the origin group for the redirectors and a viewer at a point.
func wantRedirectors(s *stage.Stage, at regions.Point) edgeGroup {
	near := byDistance(s.Redirectors, at)
	if len(near) == 1 {
		return edgeGroup{}
	}
	// The redirector's own errors, such as 403 and 404, must not fail over.
	return edgeGroup{[]string{"redirector-" + near[0], "redirector-" + near[1]}, []int{429, 500, 502, 503, 504}}
}

// oddStages have several origins of one kind only, or the fewest mirrors.
var oddStages = []*stage.Stage{
	{Name: "one-redirector", Mirrors: []string{"ap-south-1", "us-west-2", "eu-west-1"}, Primary: "eu-west-1", Redirectors: []string{"us-west-2"}},
	{Name: "one-mirror", Mirrors: []string{"sa-east-1"}, Primary: "sa-east-1", Redirectors: []string{"sa-east-1", "ap-northeast-1"}},
	{Name: "two-mirrors", Mirrors: []string{"af-south-1", "ap-southeast-2"}, Primary: "ap-southeast-2", Redirectors: []string{"af-south-1"}},
}

func TestViewerRequestSelectsNearestForCountries(t *testing.T) {
	t.Parallel()
	for _, s := range append(edgeStages(t), oddStages...) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
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
						t.Errorf("%s: MirrorsFor returns %v, want %v", country, ids, want.origins)
					}
				}
				if got := outcomes[i].group(t); !reflect.DeepEqual(got, want) {
					t.Errorf("%s %s from %s: origin group %v, want %v", r.Method, r.URI, country, got, want)
				}
				if got := outcomes[i].request(t); !reflect.DeepEqual(got, r) {
					t.Errorf("%s %s from %s: request %+v, want it unchanged, %+v", r.Method, r.URI, country, got, r)
				}
			}
		})
	}
}

// serve returns the status that CloudFront returns with an origin group, or without one
// from the origin of the cache behavior.
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

// A blob that only the primary has is found there: for a missing key, S3 returns 403 to
// clients that cannot list the bucket.
func TestViewerRequestFailsOverToPrimary(t *testing.T) {
	t.Parallel()
	for _, s := range append(edgeStages(t), oddStages...) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
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
