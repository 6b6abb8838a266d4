package main

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestCountHops(t *testing.T) {
	t.Parallel()
	d := "sha256:" + strings.Repeat("a", 64)
	hops := []hop{
		{Server: "distribution", Method: "GET", Path: "/v2/x/blobs/" + d, Status: 307, Reason: "aws-region", UserAgent: "crane"},
		{Server: "mirror us-east-1", Method: "HEAD", Path: "/m/containers/images/" + d, Status: 200, UserAgent: "Go-http-client/1.1"},
		{Server: "mirror us-east-1", Method: "GET", Path: "/m/containers/images/" + strings.Replace(d, ":", "%3A", 1), Status: 200, UserAgent: "crane"},
	}
	r := clientResult{Requests: map[string]int{}, Blobs: map[string]int{}}
	sources := countHops(hops, &r)
	if got, want := sources[d], (blobSource{"mirror us-east-1", "aws-region"}); got != want {
		t.Errorf("the blob came from %s, want %s", got, want)
	}
	if r.Requests["mirror us-east-1"] != 1 || r.Blobs["mirror us-east-1 (aws-region)"] != 1 {
		t.Errorf("counted %+v", r)
	}
}

// TestCountRelayed tests that a blob which the entry point sends itself has its reason.
func TestCountRelayed(t *testing.T) {
	t.Parallel()
	d := "sha256:" + strings.Repeat("a", 64)
	r := clientResult{Requests: map[string]int{}, Blobs: map[string]int{}}
	sources := countHops([]hop{{Server: "distribution", Method: "GET", Path: "/v2/x/blobs/" + d, Status: 200, Reason: "mirror-absent", UserAgent: "crane"}}, &r)
	if got, want := sources[d], (blobSource{"distribution", "mirror-absent"}); got != want {
		t.Errorf("the blob came from %s, want %s", got, want)
	}
}

func TestCheckHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		hop  hop
		want string // in the error; empty for none
	}{
		{"own-host", hop{UserAgent: "crane", Host: "a:1", Location: "http://a:1/x"}, ""},
		{"path", hop{UserAgent: "crane", Host: "a:1", Location: "/x"}, ""},
		{"request-to-another", hop{UserAgent: "crane", Host: "b:1"}, "a client sent it to b:1"},
		{"redirect-to-another", hop{UserAgent: "crane", Host: "a:1", Location: "https://b/x"}, "redirected to b"},
		{"request-of-the-function", hop{UserAgent: "archeio", Host: "b:1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, checkHost([]hop{tt.hop}, "a:1"), tt.want)
		})
	}
}

func TestCheckHops(t *testing.T) {
	t.Parallel()
	fine := hop{Method: "GET", Path: "/v2/", Status: 200, UserAgent: "crane"}
	for _, tt := range []struct {
		name string
		hop  hop
		want string // in the error; empty for none
	}{
		{"fine", fine, ""},
		{"credentials", hop{UserAgent: "crane", Status: 200, Auth: true}, "credentials"},
		{"error", hop{UserAgent: "crane", Status: 404}, "404"},
		{"error-for-the-function", hop{UserAgent: "Go-http-client/1.1", Status: 404}, ""},
		{"credentials-of-the-function", hop{UserAgent: "Go-http-client/1.1", Status: 200, Auth: true}, "credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, checkHops([]hop{fine, tt.hop}), tt.want)
		})
	}
}

func TestCheckSources(t *testing.T) {
	t.Parallel()
	image := &testImage{nativeBlobs: []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}}
	blob := image.nativeBlobs[0]
	want := func(v1.Hash) blobSource { return blobSource{"upstream", "mirror-absent"} }
	for _, tt := range []struct {
		name    string
		sources map[string]blobSource
		want    string
	}{
		{"right", map[string]blobSource{blob.String(): {"upstream", "mirror-absent"}}, ""},
		{"another-reason", map[string]blobSource{blob.String(): {"upstream", "manifest"}}, "came from upstream (manifest), want upstream (mirror-absent)"},
		{"not-requested", nil, "was not requested"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, checkSources(tt.sources, image.nativeBlobs, want), tt.want)
		})
	}
}

// checkError fails the test unless err contains want, or is nil if want is
// empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case (err != nil) != (want != ""):
		t.Errorf("error %v, want one with %q", err, want)
	case err != nil && !strings.Contains(err.Error(), want):
		t.Errorf("error %q does not contain %q", err, want)
	}
}
