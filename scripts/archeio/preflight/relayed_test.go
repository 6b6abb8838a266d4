package preflight

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/scripts/archeio/cli"
)

// tokenRegistry is a registry with a token server and a storage of its own.
type tokenRegistry struct {
	registry, tokens, storage *httptest.Server
	open                      bool // it wants no token
	refuse                    bool // it issues no tokens
	sends                     int  // blobs of so many bytes itself, instead of redirecting
}

const layer, large = "layer", "a larger layer"

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func newTokenRegistry(t *testing.T) *tokenRegistry {
	x := &tokenRegistry{}
	x.tokens = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x.refuse {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"token":"t","expires_in":300}`)
	}))
	x.storage = httptest.NewServer(http.NotFoundHandler())
	x.registry = httptest.NewServer(http.HandlerFunc(x.serve))
	for _, s := range []*httptest.Server{x.tokens, x.storage, x.registry} {
		t.Cleanup(s.Close)
	}
	return x
}

func (x *tokenRegistry) serve(w http.ResponseWriter, r *http.Request) {
	if !x.open && r.Header.Get("Authorization") != "Bearer t" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+x.tokens.URL+`/token",service="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	manifest := fmt.Sprintf(`{"layers":[{"digest":%q,"size":14},{"digest":%q,"size":5},{"digest":"../../x","size":1},{"digest":%q,"size":14}]}`, digestOf(large), digestOf(layer), digestOf(large))
	attestation := digestOf("an attestation, which is not requested")
	index := fmt.Sprintf(`{"manifests":[{"digest":%q,"size":9,"platform":{"os":"unknown","architecture":"unknown"}},{"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		attestation, digestOf(manifest), len(manifest))
	switch r.URL.Path {
	case "/v2/images/pause/manifests/3.9":
		fmt.Fprint(w, index)
	case "/v2/images/pause/manifests/" + digestOf(manifest):
		fmt.Fprint(w, manifest)
	case "/v2/images/pause/manifests/empty":
		fmt.Fprint(w, `{}`)
	case "/v2/images/pause/blobs/" + digestOf(layer):
		switch {
		case x.sends == 0:
			http.Redirect(w, r, x.storage.URL+"/signed", http.StatusTemporaryRedirect)
		case x.sends == len(layer):
			fmt.Fprint(w, layer)
		default:
			w.Header().Set("Content-Length", fmt.Sprint(x.sends))
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// run checks the registry of a stage with more variables, and returns the rows. TOKENS and
// STORAGE stand for the hosts of the servers.
func (x *tokenRegistry) run(t *testing.T, image string, check func(*preflight, *config.Config), variables ...string) string {
	t.Helper()
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	names := strings.NewReplacer(host(x.registry), "REGISTRY", host(x.tokens), "TOKENS", host(x.storage), "STORAGE")
	env := map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": x.registry.URL, "UPSTREAM_REGISTRY_PATH": "images"}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		env[name] = strings.NewReplacer("TOKENS", host(x.tokens), "STORAGE", host(x.storage)).Replace(value)
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	p := &preflight{external: external{client: http.DefaultClient}, image: image}
	check(p, c)
	var rows []string
	for _, row := range p.checks {
		rows = append(rows, string(row.Result)+" "+row.Check+" "+row.Details)
	}
	return names.Replace(strings.Join(rows, "\n"))
}

func TestRelayed(t *testing.T) {
	t.Parallel()
	relayed := func(p *preflight, c *config.Config) { p.relayed(t.Context(), c) }
	const (
		access, tokens, storage = "UPSTREAM_ACCESS=token", "UPSTREAM_TOKEN_HOSTS=TOKENS", "UPSTREAM_BLOB_HOSTS=STORAGE"
		check                   = " http://REGISTRY "
	)
	all := []string{access, tokens, storage}
	single := []string{"SINGLE_HOST=true", "DEFAULT_AWS_BASE_URL=/", "DEFAULT_MIRROR_CHECK_URL=https://bucket.example", storage}
	for _, tt := range []struct {
		name      string
		registry  tokenRegistry
		image     string
		variables []string
		want      string
	}{
		{"works", tokenRegistry{}, "pause:3.9", all, "PASS" + check + "it issues tokens to anonymous clients; it redirects blobs to STORAGE, which is allowed"},
		{"no-image", tokenRegistry{}, "", all, "WARN" + check + "tokens, manifests and the hosts of blobs were not tested; pass -image to test with an image"},
		{"token-host", tokenRegistry{}, "pause:3.9", []string{access, storage}, "FAIL" + check + "its token server is TOKENS, which is not an allowed host; if it is the registry's, set upstream.tokenHosts"},
		{"blob-host", tokenRegistry{}, "pause:3.9", []string{access, tokens}, "FAIL" + check + "it redirects the smallest blob of pause:3.9 to STORAGE, which is not an allowed host; if it is the registry's storage, set upstream.blobHosts"},
		{"no-token", tokenRegistry{refuse: true}, "pause:3.9", all, "FAIL" + check + "the manifest of pause:3.9: the upstream issues no anonymous token for this repository"},
		{"open", tokenRegistry{open: true}, "pause:3.9", all, "PASS" + check + `it serves requests without a token, so "access": "open" suffices, and clients are then redirected; it redirects blobs to STORAGE, which is allowed`},
		{"missing", tokenRegistry{}, "pause:4", all, "FAIL" + check + "it does not have the manifest of pause:4; pass an image that it has"},
		{"no-blobs", tokenRegistry{}, "pause:empty", all, "WARN" + check + "it issues tokens to anonymous clients; the manifest of pause:empty has no blobs, so their hosts were not tested"},
		{"sends", tokenRegistry{sends: len(layer)}, "pause:3.9", all, "WARN" + check + "it issues tokens to anonymous clients, but it sends blobs itself: those larger than 4 MiB are not relayed, so fill the mirrors before clients pull"},
		{"sends-large", tokenRegistry{sends: 5 << 20}, "pause:3.9", all, "FAIL" + check + "it issues tokens to anonymous clients, but it sends blobs itself, and the smallest of pause:3.9 is larger than 4 MiB, which is not relayed; fill the mirrors before clients pull"},
		{"single-host", tokenRegistry{open: true, sends: len(layer)}, "pause:3.9", single, "PASS" + check + "it serves requests without a token; blobs of up to 4 MiB that the mirror does not have are relayed"},
		{"single-host-storage", tokenRegistry{open: true}, "pause:3.9", single[:3], "FAIL" + check + "it redirects the smallest blob of pause:3.9 to STORAGE, which is not an allowed host; if it is the registry's storage, set upstream.blobHosts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTokenRegistry(t)
			x.open, x.refuse, x.sends = tt.registry.open, tt.registry.refuse, tt.registry.sends
			if got := x.run(t, tt.image, relayed, tt.variables...); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestSingleHost tests that a stage with one host has its upstream checked as a relayed one.
func TestSingleHost(t *testing.T) {
	t.Parallel()
	got := preflightWith(t, t.Context(), ready(), 404, `, "singleHost": true`, "-image", "pause:3.9")
	if want := "it does not have the manifest of pause:3.9; pass an image that it has"; got.code != cli.ExitProblem || !strings.Contains(got.stdout, want) {
		t.Errorf("exit code %d, want %q in\n%s", got.code, want, got.stdout)
	}
}

// TestRequiresToken tests what is said of an upstream that is not as open as the stage
// has it.
func TestRequiresToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, base, challenge string
		signatures            bool
		want                  string
	}{
		{"same-host", "https://a.example", `Bearer realm="https://A.example:443/token"`, false, `; set "access": "token" in upstream`},
		{"other-host", "https://a.example", `Basic realm="x", Bearer realm="https://t.example/token"`, false, `; set "access": "token" in upstream, its token server is t.example: "tokenHosts": ["t.example"]`},
		{"known", "https://registry-1.docker.io", `Bearer realm="https://auth.docker.io/token"`, false, `; set "access": "token" in upstream, its token server is auth.docker.io`},
		{"invalid-realm", "https://a.example", `Bearer realm="://"`, false, `; set "access": "token" in upstream`},
		{"basic", "https://a.example", `Basic realm="x"`, false, ", and issues none to anonymous clients; use a registry that serves public images to them"},
		{"signatures", "https://a.example", `Bearer realm="https://a.example/token"`, true, ", and only the upstream's responses are relayed; use the upstream itself or a registry without tokens as signatureUpstream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &preflight{image: "pause:3.9"}
			got := p.requiresToken(tt.base, tt.signatures, http.Header{"Www-Authenticate": {tt.challenge}})
			if want := "it requires a token for pause:3.9" + tt.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	x := newTokenRegistry(t)
	got := x.run(t, "pause:3.9", func(p *preflight, c *config.Config) {
		p.redirected(t.Context(), c.Upstream, registry{c.Upstream + "/v2/images/pause/manifests/3.9", false})
	})
	if want := `FAIL http://REGISTRY it requires a token for pause:3.9; set "access": "token" in upstream, its token server is TOKENS: "tokenHosts": ["TOKENS"]`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDockerHubLimits tests the warning about what Docker Hub allows anonymous clients.
func TestDockerHubLimits(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://registry-1.docker.io": "100 manifests in 6 hours per address, without a login, which suits a handful of tags",
		"https://ghcr.io":              "",
	} {
		p := &preflight{}
		p.limits(&config.Config{Upstream: endpoint})
		if want == "" && len(p.checks) > 0 || want != "" && (len(p.checks) != 1 || p.checks[0].Result != cli.Warn || !strings.Contains(p.checks[0].Details, want)) {
			t.Errorf("%s: %+v, want %q", endpoint, p.checks, want)
		}
	}
}
