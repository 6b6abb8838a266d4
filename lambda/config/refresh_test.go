package config

import (
	"maps"
	"reflect"
	"strings"
	"testing"
)

var refresh = environment(
	"UPSTREAM_REGISTRY_PATH", "project/images",
	"DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example",
	"MIRROR_REGIONS", "us-east-1,eu-west-1", "MIRROR_URL_TEMPLATE", "https://{region}.example", "MIRROR_FOR", "cn-north-1:eu-west-1",
	"REFRESH_STAGE", "production",
	"REFRESH_BUCKETS", "images-us@us-east-1,images-eu@eu-west-1",
	"REFRESH_STATE", "images-state@us-east-1",
	"REFRESH_REDIRECTORS", "us-east-1,eu-west-1",
	"REFRESH_BALANCER", "true",
	"REFRESH_TOPIC", "arn:aws:sns:us-east-1:123456789012:alarms",
	"REFRESH_NOTICES", AWSNotices,
	"REFRESH_DOCUMENTS", "http://127.0.0.1:8080",
)

func TestLoadRefresh(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	r, err := LoadRefresh(func(name string) string { read[name] = true; return refresh[name] })
	if err != nil {
		t.Fatal(err)
	}
	if r.Stage != "production" || len(r.Buckets) != 2 || r.Buckets[1] != (Bucket{Name: "images-eu", Region: "eu-west-1"}) || r.State.Name != "images-state" ||
		!r.Balancer || len(r.Redirectors) != 2 || r.Redirectors[1].Region != "eu-west-1" || r.Redirectors[1].MirrorFor["cn-north-1"] != 1 || r.Documents != "http://127.0.0.1:8080" {
		t.Errorf("configuration %+v", r)
	}
	for _, v := range RefreshVariables {
		if !read[v.Name] {
			t.Errorf("%s is not read", v.Name)
		}
	}
	env := r.Env()
	again, err := LoadRefresh(func(name string) string { return env[name] })
	if err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("from Env: %+v, error %v; want %+v", again, err, r)
	}
}

func TestLoadRefreshProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, variable, value, want string }{
		{"no-stage", "REFRESH_STAGE", "", `REFRESH_STAGE="": invalid name`},
		{"no-buckets", "REFRESH_BUCKETS", "", `REFRESH_BUCKETS="": required`},
		{"bucket-region", "REFRESH_BUCKETS", "images@us-esat-1", `unknown region "us-esat-1"`},
		{"no-state", "REFRESH_STATE", "", `REFRESH_STATE="": invalid bucket name`},
		{"no-redirectors", "REFRESH_REDIRECTORS", "", `REFRESH_REDIRECTORS="": required`},
		{"redirector", "REFRESH_REDIRECTORS", "us-esat-1", `unknown region "us-esat-1"`},
		{"balancer", "REFRESH_BALANCER", "yes", `not a boolean`},
		{"documents-elsewhere", "REFRESH_DOCUMENTS", "https://attacker.example", `REFRESH_DOCUMENTS="https://attacker.example": not a loopback address`},
		{"documents-http", "REFRESH_DOCUMENTS", "http://10.0.0.1", `not https`},
		{"mirror-rule", "MIRROR_FOR", "cn-north-1:eu-west-9", `MIRROR_FOR=`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(refresh)
			env[tt.variable] = tt.value
			_, err := LoadRefresh(func(name string) string { return env[name] })
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}
