package hosts

import (
	"slices"
	"testing"

	"archeio/lambda/config"
)

func load(t *testing.T, changes map[string]string) *config.Config {
	t.Helper()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"UPSTREAM_REGISTRY_PATH":     "example-project/images",
		"MIRROR_REGIONS":             "us-east-1,eu-central-1",
		"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
		"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
	}
	for name, value := range changes {
		env[name] = value
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOf(t *testing.T) {
	t.Parallel()
	mirrors := []Host{
		{"mirror-us-east-1.s3.dualstack.us-east-1.amazonaws.com", "/containers/images/", "blobs from the mirror in us-east-1"},
		{"mirror-eu-central-1.s3.dualstack.eu-central-1.amazonaws.com", "/containers/images/", "blobs from the mirror in eu-central-1"},
	}
	edge := Host{"d111111abcdef8.cloudfront.net", "/containers/images/", "blobs from the default mirror"}
	upstream := Host{"us-docker.pkg.dev", "/v2/example-project/images/", "manifests, tags, and blobs that no mirror has"}
	for _, tt := range []struct {
		name    string
		changes []map[string]string
		want    []Host
	}{
		{"one-configuration", []map[string]string{nil}, append(slices.Clone(mirrors), edge, upstream)},
		{"each-once", []map[string]string{nil, nil}, append(slices.Clone(mirrors), edge, upstream)},
		{"the-distribution-has-no-name", []map[string]string{{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://mirror.example"}},
			append(slices.Clone(mirrors), upstream)},
		{"viewer-hosts", []map[string]string{{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://mirror.example", "VIEWER_HOSTS": "a.example.com,b.example.com"}},
			append(slices.Clone(mirrors), Host{"a.example.com", edge.Path, edge.Purpose}, Host{"b.example.com", edge.Path, edge.Purpose}, upstream)},
		{"viewer-hosts-of-no-redirect", []map[string]string{{"VIEWER_HOSTS": "a.example.com"}}, append(slices.Clone(mirrors), edge, upstream)},
		{"no-prefix", []map[string]string{{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example", "UPSTREAM_REGISTRY_PATH": ""}},
			append(slices.Clone(mirrors), edge, Host{"registry.example", "/v2/", upstream.Purpose})},
		{"regional-upstreams", []map[string]string{nil, {"UPSTREAM_REGISTRY_ENDPOINT": "https://europe-docker.pkg.dev"}},
			append(slices.Clone(mirrors), edge, upstream, Host{"europe-docker.pkg.dev", upstream.Path, upstream.Purpose})},
		{"token", []map[string]string{{"UPSTREAM_REGISTRY_ENDPOINT": "https://quay.io", "UPSTREAM_ACCESS": "token", "UPSTREAM_BLOB_HOSTS": "*.quay.io", "SIGNATURE_UPSTREAM_ENDPOINT": "https://quay.io"}},
			append(slices.Clone(mirrors), edge, Host{"*.quay.io", "/", "blobs that no mirror has"})},
		{"single-host", []map[string]string{{"SINGLE_HOST": "true", "DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://mirror.example", "VIEWER_HOSTS": "a.example.com"}},
			[]Host{{"a.example.com", edge.Path, edge.Purpose}}},
		{"signature-upstream", []map[string]string{{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}},
			append(slices.Clone(mirrors), edge, upstream, Host{"signatures.example", upstream.Path, "signatures and referrers"})},
		{"pages", []map[string]string{{"INFO_URL": "https://www.example/registry", "PRIVACY_URL": "https://www.example/privacy"}},
			append(slices.Clone(mirrors), edge, upstream, Host{"www.example", "/registry", "the page at /"}, Host{"www.example", "/privacy", "the page at /privacy"})},
		{"page-at-the-root", []map[string]string{{"INFO_URL": "https://www.example/", "PRIVACY_URL": "https://privacy.example"}},
			append(slices.Clone(mirrors), edge, upstream, Host{"www.example", "/", "the page at /"}, Host{"privacy.example", "/", "the page at /privacy"})},
		{"page-that-ends-with-a-slash", []map[string]string{{"INFO_URL": "https://www.example/registry/"}},
			append(slices.Clone(mirrors), edge, upstream, Host{"www.example", "/registry/", "the page at /"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var configs []*config.Config
			for _, changes := range tt.changes {
				configs = append(configs, load(t, changes))
			}
			if got := Of(configs...); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%v\nwant\n%v", got, tt.want)
			}
		})
	}
}
