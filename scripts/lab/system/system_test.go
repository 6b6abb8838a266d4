package system

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
)

// TestPulls pulls an image through the whole system, as each client through each
// entry point, and checks where every blob came from.
func TestPulls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		options     Options
		entryPoints []string
	}{
		{"multi-value", Options{}, []string{"alb", "distribution"}},
		{"single-value", Options{SingleValue: true}, []string{"alb"}},
		// The client is then redirected to a path on the host of its request.
		{"default-mirror-on-the-same-host", Options{Env: map[string]string{"DEFAULT_AWS_BASE_URL": "/"}}, []string{"distribution"}},
		{"token", Options{Token: true}, []string{"alb", "distribution"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, image := start(t, tt.options)
			for _, name := range tt.entryPoints {
				base := map[string]string{"alb": s.ALB, "distribution": s.Distribution}[name]
				for _, c := range s.Clients() {
					t.Run(name+"/"+strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
						p, err := s.Pull(t.Context(), base, c.Addr, image)
						if err != nil {
							t.Fatal(err)
						}
						if mismatch := p.Mismatch(c.Want, image, s.ServerName); mismatch != "" {
							t.Error(mismatch)
						}
						if got, want := s.ServerName(p.Manifest), s.ManifestSource(s.ServerName(base)); got != want {
							t.Errorf("the manifest came from %s, want %s", got, want)
						}
						for _, h := range p.Hops {
							if h.Status == http.StatusUnauthorized {
								t.Errorf("%s responded with 401", s.ServerName(h.URL))
							}
						}
					})
				}
			}
			t.Run("forged-headers", func(t *testing.T) { forgedHeaders(t, s, image) })
			t.Run("tags-with-query", func(t *testing.T) { tags(t, s) })
			t.Run("only-blobs-are-readable", func(t *testing.T) { onlyBlobsAreReadable(t, s, image) })
		})
	}
}

// start starts a system and publishes an image in it.
func start(t *testing.T, o Options) (*System, *pull.Image) {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	image, err := s.Publish(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s, image
}

// TestSingleHost pulls an image as each client through a distribution that must not send
// them to another host.
func TestSingleHost(t *testing.T) {
	t.Parallel()
	s, image := start(t, Options{Token: true, Env: map[string]string{"SINGLE_HOST": "true", "DEFAULT_AWS_BASE_URL": "/", "INFO_URL": ""}})
	want := pull.Want{Present: "distribution", PresentReason: "default-mirror", Missing: "distribution", MissingReason: "mirror-absent"}
	for _, c := range s.Clients() {
		t.Run(strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
			p, err := s.Pull(t.Context(), s.Distribution, c.Addr, image)
			if err != nil {
				t.Fatal(err)
			}
			if mismatch := p.Mismatch(want, image, s.ServerName); mismatch != "" {
				t.Error(mismatch)
			}
			for _, h := range p.Hops {
				if s.ServerName(h.URL) != "distribution" || h.Location != "" && s.ServerName(h.Location) != "distribution" {
					t.Errorf("%s is redirected to %q", h.URL, h.Location)
				}
			}
		})
	}
}

// forgedHeaders checks that no header of a client changes the client's address.
func forgedHeaders(t *testing.T, s *System, image *pull.Image) {
	home, aws := Clients()[4].Addr.String(), Clients()[1].Addr.String()
	for _, base := range []string{s.ALB, s.Distribution} {
		redirect := func(forged bool) string {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, base+"/v2/"+pull.Repository+"/blobs/"+image.Blobs[0].String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(entrypoint.ClientAddressHeader, home)
			if forged {
				req.Header.Set("X-Forwarded-For", aws)
				req.Header.Set("CloudFront-Viewer-Address", aws+":80")
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.Status + " " + resp.Header.Get("X-Redirect-Reason") + " " + resp.Header.Get("Location")
		}
		if plain, forged := redirect(false), redirect(true); forged != plain || !strings.HasPrefix(plain, "307") {
			t.Errorf("%s: redirect %q with a forged address, %q without", s.ServerName(base), forged, plain)
		}
	}
}

// tags checks that the query reaches the registry unchanged.
func tags(t *testing.T, s *System) {
	for _, base := range []string{s.ALB, s.Distribution} {
		resp, err := http.Get(base + "/v2/" + pull.Repository + "/tags/list?n=1&last=v1%2Fb")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"`+pull.Tag+`"`) {
			t.Errorf("%s: %s %s", s.ServerName(base), resp.Status, body)
		}
		if got := resp.Request.URL.RawQuery; got != "last=v1%2Fb&n=1" && got != "n=1&last=v1%2Fb" {
			t.Errorf("%s: the registry received the query %q", s.ServerName(base), got)
		}
	}
}

// onlyBlobsAreReadable checks that the mirrors have the bucket policy of deployed
// ones.
func onlyBlobsAreReadable(t *testing.T, s *System, image *pull.Image) {
	for path, want := range map[string]int{
		"/containers/images/" + image.Blobs[0].String(): http.StatusOK,
		"/": http.StatusForbidden,
		"/?list-type=2&prefix=containers/images/": http.StatusForbidden,
		"/state/secret": http.StatusForbidden,
	} {
		resp, err := http.Get(s.MirrorURL(Regions[0]) + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
}

// TestAddress checks that an address that cannot be listened on is one line, and
// that it is reported before anything is built.
func TestAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, tt := range []struct{ name, address, want string }{
		{"in-use", l.Addr().String(), l.Addr().String() + " is in use: stop the program"},
		{"no-port", "127.0.0.1", `"127.0.0.1": want HOST:PORT`},
		{"not-loopback", "0.0.0.0:0", `"0.0.0.0:0": want a loopback address`},
		{"name", "localhost:0", `"localhost:0": want a loopback address`},
		{"bad-port", "127.0.0.1:http:x", "want HOST:PORT"},
		{"port-out-of-range", "127.0.0.1:70000", "invalid port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(t.Context(), Options{Distribution: tt.address, Progress: func(step string) { t.Errorf("step %q", step) }})
			if err == nil || !strings.HasPrefix(err.Error(), "address of the distribution: ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}
