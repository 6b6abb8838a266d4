package system

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
)

// TestPulls pulls an image through the whole system, as a client in each kind
// of place, through every front, and looks where each blob came from.
func TestPulls(t *testing.T) {
	for _, tt := range []struct {
		name   string
		single bool
		env    map[string]string
		fronts []string
	}{
		{"multi-value", false, nil, []string{"alb", "distribution"}},
		{"single-value", true, nil, []string{"alb"}},
		// The client is then sent to a path on the host that it asked.
		{"default-mirror-on-the-same-host", false, map[string]string{"DEFAULT_AWS_BASE_URL": "/"}, []string{"distribution"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			s, err := Start(t.Context(), Options{SingleValue: tt.single, Env: tt.env, Log: &locked{w: &log}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			image, err := s.Publish(t.Context(), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range tt.fronts {
				base := map[string]string{"alb": s.ALB, "distribution": s.Distribution}[name]
				for _, c := range Clients() {
					t.Run(name+"/"+strings.ReplaceAll(c.Name, " ", "-"), func(t *testing.T) {
						p, err := s.Pull(t.Context(), base, c.Addr, image)
						if err != nil {
							t.Fatal(err)
						}
						if wrong := p.Mismatch(c.Want, image, s.ServerName); wrong != "" {
							t.Error(wrong)
						}
						for _, h := range p.Hops {
							if h.Status == http.StatusUnauthorized {
								t.Errorf("%s asked for a token", s.ServerName(h.URL))
							}
						}
					})
				}
			}
			t.Run("forged-headers", func(t *testing.T) { forgedHeaders(t, s, image) })
			t.Run("tags-with-query", func(t *testing.T) { tags(t, s) })
		})
	}
}

// forgedHeaders: what a client says about itself changes nothing.
func forgedHeaders(t *testing.T, s *System, image *pull.Image) {
	home, aws := Clients()[4].Addr.String(), Clients()[1].Addr.String()
	for _, base := range []string{s.ALB, s.Distribution} {
		answer := func(forged bool) string {
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
		if plain, forged := answer(false), answer(true); forged != plain || !strings.HasPrefix(plain, "307") {
			t.Errorf("through the %s the forged address counts: %q, without it %q", s.ServerName(base), forged, plain)
		}
	}
}

// tags: the query reaches the registry, and what it answers is what was asked.
func tags(t *testing.T, s *System) {
	for _, base := range []string{s.ALB, s.Distribution} {
		resp, err := http.Get(base + "/v2/" + pull.Repository + "/tags/list?n=1&last=v1%2Fb")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"`+pull.Tag+`"`) {
			t.Errorf("%s: %s %s", base, resp.Status, body)
		}
		if got := resp.Request.URL.RawQuery; got != "last=v1%2Fb&n=1" && got != "n=1&last=v1%2Fb" {
			t.Errorf("the registry was asked with the query %q", got)
		}
	}
}

// TestOnlyBlobsAreReadable holds the mirrors of the stack to the rule that the
// deployed ones follow.
func TestOnlyBlobsAreReadable(t *testing.T) {
	s, err := Start(t.Context(), Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	image, err := s.Publish(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
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

func TestPortInUse(t *testing.T) {
	s, err := Start(t.Context(), Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	_, err = Start(t.Context(), Options{ALB: hostOf(s.ALB), Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), hostOf(s.ALB)+" is in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line that names the port", err)
	}
}
