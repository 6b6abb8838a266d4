package smoketest

import (
	"testing"

	"archeio/lambda/config"
	"archeio/lambda/route"
)

func TestCheckRelayed(t *testing.T) {
	t.Parallel()
	env := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://quay.io", "UPSTREAM_ACCESS": "token"}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	s := sample{status: 307, reasons: []route.Reason{route.MirrorAbsent}}
	for _, tt := range []struct {
		name, location string
		status         int
		reason         route.Reason
		ok             bool
	}{
		{"absent", "", 404, route.MirrorAbsent, true},
		{"relayed", "", 200, route.MirrorAbsent, true},
		{"failed", "", 502, route.UpstreamFailed, true},
		{"limited", "", 429, route.UpstreamLimited, true},
		{"storage", "https://CDN01.quay.io/x?Expires=1", 307, route.MirrorAbsent, true},
		{"other-reason", "", 200, route.Manifest, false},
		{"status", "", 500, route.MirrorAbsent, false},
		{"location-without-redirect", "https://cdn01.quay.io/", 404, route.MirrorAbsent, false},
		{"other-host", "https://evil.example/", 307, route.MirrorAbsent, false},
		{"http", "http://cdn01.quay.io/", 307, route.MirrorAbsent, false},
		{"user", "https://cdn01.quay.io@evil.example/", 307, route.MirrorAbsent, false},
		{"path", "/x", 307, route.MirrorAbsent, false},
	} {
		r := response{status: tt.status, headers: map[string]string{"location": tt.location}}
		if err := checkRelayed(c, s, r, tt.reason); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	c.SingleHost = true
	if checkRelayed(c, s, response{status: 307, headers: map[string]string{"location": "https://cdn01.quay.io/"}}, route.MirrorAbsent) == nil {
		t.Error("a redirect leaves the only host")
	}
}
