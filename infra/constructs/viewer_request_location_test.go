package constructs

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"archeio/ranges/regions"
)

// edgeTolerance is in km: the coordinates in the function have four decimals, which
// matters if two redirectors are about equally near.
const edgeTolerance = 10.0

func TestViewerRequestPrefersPosition(t *testing.T) {
	t.Parallel()
	decimal := func(f float64) string { return strconv.FormatFloat(f, 'f', 5, 64) }
	for _, s := range edgeStages(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var points []regions.Point
			var requests []edgeRequest
			for lat := -90.0; lat <= 90; lat += 7.5 {
				for lon := -180.0; lon <= 180; lon += 11.25 {
					points = append(points, regions.Point{Latitude: lat, Longitude: lon})
					requests = append(requests, edgeGet(edgeManifest, "cloudfront-viewer-country", "US",
						"cloudfront-viewer-latitude", decimal(lat), "cloudfront-viewer-longitude", decimal(lon)))
				}
			}
			for i, o := range runAtEdge(t, s, requests...) {
				got, want := o.group(t), wantRedirectors(s, points[i])
				if !slices.Equal(got.codes, want.codes) || len(got.origins) != len(want.origins) {
					t.Fatalf("at %v: origin group %v, want %v", points[i], got, want)
				}
				if len(got.origins) == 2 && got.origins[0] == got.origins[1] {
					t.Errorf("at %v: %s fails over to itself", points[i], got.origins[0])
				}
				far := func(origin string) float64 {
					r, _ := regions.Find("AWS", strings.TrimPrefix(origin, "redirector-"))
					return regions.Distance(r.Point, points[i])
				}
				for n := range got.origins {
					if far(got.origins[n]) > far(want.origins[n])+edgeTolerance {
						t.Errorf("at %v: origins %v, want %v", points[i], got.origins, want.origins)
					}
				}
			}
		})
	}
}

// The mirror depends on the country only: the origin request policy of the mirrors has
// no other header.
func TestViewerRequestMirrorIgnoresPosition(t *testing.T) {
	t.Parallel()
	tokyo := []string{"cloudfront-viewer-country", "US", "cloudfront-viewer-latitude", "35.68950", "cloudfront-viewer-longitude", "139.69171"}
	at, _ := regions.Country("US")
	for _, s := range edgeStages(t) {
		if got, want := runAtEdge(t, s, edgeGet(edgeBlob, tokyo...))[0].group(t), wantMirrors(s, at); !reflect.DeepEqual(got, want) {
			t.Errorf("stage %s: origin group %v, want %v", s.Name, got, want)
		}
	}
}

// absent stands for a missing header.
const absent = "absent"

func TestViewerRequestInvalidPositions(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, latitude, longitude string }{
		{"no-longitude", "35.7", absent},
		{"no-latitude", absent, "139.7"},
		{"empty", "", ""},
		{"empty-latitude", "", "139.7"},
		{"blank", " ", " "},
		{"words", "north", "east"},
		{"not-a-number", "NaN", "NaN"},
		{"infinite", "Infinity", "139.7"},
		{"hexadecimal", "0x10", "0x10"},
		{"two-points", "35.7.1", "139.7"},
		{"only-a-point", ".", "."},
		{"twice", "35.7,35.7", "139.7,139.7"},
		{"trailing", "35.7N", "139.7E"},
		{"past-the-pole", "90.1", "13.4"},
		{"past-the-south-pole", "-91", "13.4"},
		{"past-the-antimeridian", "50.1", "368.7"},
		{"past-the-antimeridian-west", "1.3", "-256.2"},
	}
	at, _ := regions.Country("US")
	for _, s := range edgeStages(t) {
		var requests []edgeRequest
		for _, tt := range tests {
			r := edgeFrom("US", edgeManifest)
			for name, value := range map[string]string{"latitude": tt.latitude, "longitude": tt.longitude} {
				if value != absent {
					r.Headers["cloudfront-viewer-"+name] = edgeValue{value}
				}
			}
			requests = append(requests, r)
		}
		outcomes := runAtEdge(t, s, requests...)
		for i, tt := range tests {
			t.Run(s.Name+"/"+tt.name, func(t *testing.T) {
				if got, want := outcomes[i].group(t), wantRedirectors(s, at); !reflect.DeepEqual(got, want) {
					t.Errorf("origin group %v, want the country's, %v", got, want)
				}
				if got := outcomes[i].request(t); !reflect.DeepEqual(got, requests[i]) {
					t.Errorf("request %+v, want %+v", got, requests[i])
				}
			})
		}
	}
}

func TestViewerRequestUnknownCountries(t *testing.T) {
	t.Parallel()
	for _, s := range edgeStages(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var requests []edgeRequest
			for _, uri := range []string{edgeBlob, edgeManifest} {
				requests = append(requests, edgeGet(uri))
				// The last ones are properties of every JavaScript object.
				for _, country := range []string{"", "ZZ", "XX", "us", "USA", "0", "constructor", "toString", "__proto__"} {
					requests = append(requests, edgeFrom(country, uri))
				}
			}
			for i, o := range runAtEdge(t, s, requests...) {
				if len(o.Calls) != 0 {
					t.Errorf("%v: calls %+v, want the origin of the cache behavior", requests[i], o.Calls)
				}
				if got := o.request(t); !reflect.DeepEqual(got, requests[i]) {
					t.Errorf("request %+v, want %+v", got, requests[i])
				}
			}
		})
	}
}

// A position is enough if the country is unknown.
func TestViewerRequestPositionWithoutCountry(t *testing.T) {
	t.Parallel()
	for _, s := range edgeStages(t) {
		r := edgeGet(edgeManifest, "cloudfront-viewer-latitude", "50.11", "cloudfront-viewer-longitude", "8.68")
		want := wantRedirectors(s, regions.Point{Latitude: 50.11, Longitude: 8.68})
		if got := runAtEdge(t, s, r)[0].group(t); !reflect.DeepEqual(got, want) {
			t.Errorf("stage %s: origin group %v, want %v", s.Name, got, want)
		}
	}
}

func TestViewerRequestKindsOfPaths(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri, kind string
	}{
		{"blob", edgeBlob, "mirror-"},
		{"prefix", "/containers/images/", "mirror-"},
		{"no-slash", "/containers/images", "redirector-"},
		{"other-folder", "/containers/imagesx/a", "redirector-"},
		{"other-case", "/Containers/images/a", "redirector-"},
		{"not-first", "/v2/containers/images/manifests/a", "redirector-"},
		{"registry-blob", "/v2/pause/blobs/sha256:00", "redirector-"},
		{"ping", "/v2/", "redirector-"},
		{"info", "/", "redirector-"},
	}
	for _, s := range edgeStages(t) {
		var requests []edgeRequest
		for _, tt := range tests {
			requests = append(requests, edgeFrom("NZ", tt.uri))
		}
		outcomes := runAtEdge(t, s, requests...)
		for i, tt := range tests {
			t.Run(s.Name+"/"+tt.name, func(t *testing.T) {
				for _, origin := range outcomes[i].group(t).origins {
					if !strings.HasPrefix(origin, tt.kind) {
						t.Errorf("%s goes to %s, want %s...", tt.uri, origin, tt.kind)
					}
				}
			})
		}
	}
}
