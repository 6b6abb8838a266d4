package worldmap

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/ranges/regions"
)

func load(t *testing.T) *config.Config {
	t.Helper()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"UPSTREAM_REGISTRY_PATH":     "example-project/images",
		"MIRROR_REGIONS":             "us-east-1,eu-central-1,ap-southeast-2",
		"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
		"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
		"MIRROR_FOR":                 "cn-north-1:ap-southeast-2",
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRegions(t *testing.T) {
	t.Parallel()
	found := map[string]Region{}
	for _, r := range Regions(load(t), []string{"eu-central-1", "us-west-2"}) {
		found[r.Name] = r
	}
	for _, tt := range []struct {
		name, region, mirror string
		redirector           bool
	}{
		{"own-mirror", "eu-central-1", "eu-central-1", true},
		{"nearest-mirror", "eu-west-3", "eu-central-1", false},
		{"redirector-without-mirror", "us-west-2", "us-east-1", true},
		{"across-the-180th-meridian", "ap-southeast-6", "ap-southeast-2", false},
		{"rule", "cn-north-1", "ap-southeast-2", false},
		{"other-partition", "us-gov-west-1", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, ok := found[tt.region]
			if !ok || r.Mirror != tt.mirror || r.Redirector != tt.redirector {
				t.Errorf("found %v, mirror %q, redirector %v; want mirror %q, redirector %v", ok, r.Mirror, r.Redirector, tt.mirror, tt.redirector)
			}
		})
	}
}

func TestSVG(t *testing.T) {
	t.Parallel()
	all := Regions(load(t), []string{"eu-central-1"})
	picture := SVG(all)
	if !bytes.Equal(picture, SVG(Regions(load(t), []string{"eu-central-1"}))) {
		t.Error("the same configuration gives two different maps")
	}
	const budget = 30_000
	if len(picture) > budget {
		t.Errorf("the map has %d bytes, the budget is %d", len(picture), budget)
	}
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	text := string(picture)
	for _, r := range all {
		want := "served by the default mirror or the upstream"
		if r.Mirror == r.Name {
			want = "has a mirror"
		} else if r.Mirror != "" {
			want = "served by the mirror in " + r.Mirror
		}
		if want = r.Name + " (" + r.Place + "): " + want; !strings.Contains(text, want) {
			t.Errorf("the map does not say %q", want)
		}
	}
	for _, foreign := range []string{"<script", "href", "url("} {
		if strings.Contains(text, foreign) {
			t.Errorf("the map contains %q", foreign)
		}
	}
}

func TestProject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		at   regions.Point
		x, y float64
	}{
		{"north-west", regions.Point{Latitude: north, Longitude: -180}, 0, 0},
		{"south-east", regions.Point{Latitude: south, Longitude: 180}, Width, Height},
		{"greenwich", regions.Point{Latitude: north, Longitude: 0}, Width / 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if x, y := Project(tt.at); math.Abs(x-tt.x) > 1e-9 || math.Abs(y-tt.y) > 1e-9 {
				t.Errorf("got %v, %v; want %v, %v", x, y, tt.x, tt.y)
			}
		})
	}
}
