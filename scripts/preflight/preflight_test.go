package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is an account in which all is well, but for what a test changes.
type fake struct {
	id                  string
	err                 error
	public              bool
	zoneName            string
	disabled            string
	version, concurrent int
	buckets             map[string]int
}

func well() fake {
	return fake{id: "123456789012", zoneName: "example.com.", version: 30, concurrent: 1000}
}

func (f fake) account(context.Context) (string, error)           { return f.id, f.err }
func (f fake) publicAccessBlocked(context.Context) (bool, error) { return f.public, nil }
func (f fake) zone(context.Context, string) (string, error)      { return f.zoneName, nil }
func (f fake) enabled(_ context.Context, region string) (bool, error) {
	return region != f.disabled, nil
}
func (f fake) bootstrapped(context.Context, string) (int, error)     { return f.version, nil }
func (f fake) concurrency(context.Context, string) (int, error)      { return f.concurrent, nil }
func (f fake) bucket(_ context.Context, _, name string) (int, error) { return f.buckets[name], nil }

func preflightOf(t *testing.T, f fake, status int, args ...string) (string, error) {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the upstream is asked with a login")
		}
		if r.URL.Path != "/v2/" && r.URL.Path != "/v2/images/pause/manifests/3.9" {
			t.Errorf("the upstream is asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"test": {
		"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1"],
		"domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"},
		"upstream": {"endpoint": "`+upstream.URL+`", "path": "images"}
	}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := run(t.Context(), append([]string{"-file", file, "-stage", "test"}, args...), &out,
		func(context.Context) (cloud, error) { return f, nil }, upstream.Client())
	return out.String(), err
}

func TestAllIsWell(t *testing.T) {
	got, err := preflightOf(t, well(), 200, "-image", "pause:3.9")
	if err != nil || strings.Contains(got, string(blocked)) || strings.Contains(got, string(unsure)) {
		t.Errorf("%v\n%s", err, got)
	}
	// The edge's region is one of the stage's too.
	for _, want := range []string{"us-east-1 ", "eu-central-1 ", "us-west-2 ", "the account has 1000, the stage needs 15 at once", "-state-123456789012-eu-central-1-an is free"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table does not say %q:\n%s", want, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	change := func(f func(*fake)) fake { out := well(); f(&out); return out }
	const mirror = "archeio-test-123456789012-us-west-2-an"
	for _, tt := range []struct {
		name   string
		cloud  fake
		status int
		args   []string
		stops  bool
		want   string
	}{
		{"login", change(func(f *fake) { f.err = errors.New("expired") }), 200, nil, true, "AWS does not take the credentials: expired; log in"},
		{"account", change(func(f *fake) { f.id = "210987654321" }), 200, nil, true, "they are of the account 210987654321, the stage is in 123456789012"},
		{"public", change(func(f *fake) { f.public = true }), 200, nil, true, "switch BlockPublicPolicy and RestrictPublicBuckets off"},
		{"zone", change(func(f *fake) { f.zoneName = "example.org." }), 200, nil, true, "is the zone example.org., the stage says example.com"},
		{"region", change(func(f *fake) { f.disabled = "us-west-2" }), 200, nil, true, "aws account enable-region --region-name us-west-2"},
		{"bootstrap", change(func(f *fake) { f.version = 0 }), 200, nil, true, "run make bootstrap STAGE=test"},
		{"concurrency", change(func(f *fake) { f.concurrent = 10 }), 200, nil, true, "the account has 10 of the 15"},
		{"requests", well(), 200, []string{"-requests", "20000"}, true, "the account has 1000 of the 2005"},
		{"bucket", change(func(f *fake) { f.buckets = map[string]int{mirror: bucketTaken} }), 200, nil, true, mirror + " belongs to another account"},
		{"own-bucket", change(func(f *fake) { f.buckets = map[string]int{mirror: bucketOurs} }), 200, nil, false, mirror + " is there and the account's own"},
		{"challenge", well(), 401, []string{"-image", "pause:3.9"}, true, "it wants a token for pause:3.9"},
		{"no-image", well(), 404, []string{"-image", "pause:3.9"}, true, "it answers 404 for pause:3.9"},
		{"ping", well(), 401, nil, false, "name an image by -image to know"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := preflightOf(t, tt.cloud, tt.status, tt.args...)
			if errors.Is(err, errInTheWay) != tt.stops || err != nil && !tt.stops {
				t.Errorf("error %v, want one: %v\n%s", err, tt.stops, got)
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("the table does not say %q:\n%s", tt.want, got)
			}
		})
	}
}

func TestUnknownStage(t *testing.T) {
	if _, err := preflightOf(t, well(), 200, "-stage", "none"); err == nil || !strings.Contains(err.Error(), `there is no stage "none"`) {
		t.Errorf("error %v", err)
	}
}
