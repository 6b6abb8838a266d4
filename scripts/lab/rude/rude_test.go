package rude

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// client is a plain client of a server, which follows no redirects.
func client(t *testing.T, s *Server) *http.Client {
	t.Helper()
	transport := s.Transport()
	transport.DisableCompression = true
	t.Cleanup(func() { transport.CloseIdleConnections() })
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func serverOf(t *testing.T, habits ...string) *Server {
	t.Helper()
	s, err := New(base(), habits...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask returns the response to a request and its body. The error is that of reading
// the body.
func ask(t *testing.T, c *http.Client, method, address string, header http.Header) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		r.Header[key] = values
	}
	resp, err := c.Do(r)
	if err != nil {
		return &http.Response{Header: http.Header{}}, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<22))
	return resp, string(body), err
}

// TestPolite reads the content of a server without habits.
func TestPolite(t *testing.T) {
	t.Parallel()
	s := serverOf(t)
	c := client(t, s)
	content := base()
	var catalog struct{ Repositories []string }
	_, body, err := ask(t, c, http.MethodGet, s.URL()+"/v2/_catalog", nil)
	if err != nil || json.Unmarshal([]byte(body), &catalog) != nil || len(catalog.Repositories) != len(content.Repositories) {
		t.Fatalf("catalog %.200s, %v: want %d names", body, err, len(content.Repositories))
	}
	for _, name := range catalog.Repositories {
		var tags struct{ Tags []string }
		if _, body, _ = ask(t, c, http.MethodGet, s.URL()+"/v2/"+name+"/tags/list", nil); json.Unmarshal([]byte(body), &tags) != nil || len(tags.Tags) != len(content.Repositories[name].Tags) {
			t.Errorf("tags of %s: %.200s", name, body)
		}
		for tag, digest := range content.Repositories[name].Tags {
			resp, body, _ := ask(t, c, http.MethodGet, s.URL()+"/v2/"+name+"/manifests/"+tag, nil)
			if digestOf([]byte(body)) != digest || resp.Header.Get("Docker-Content-Digest") != digest {
				t.Errorf("%s:%s: %.200s", name, tag, body)
			}
		}
		for digest, blob := range content.Repositories[name].Blobs {
			if _, body, _ := ask(t, c, http.MethodGet, s.URL()+"/v2/"+name+"/blobs/"+digest, nil); body != string(blob) {
				t.Errorf("%s@%s: %d bytes, want %d", name, digest, len(body), len(blob))
			}
		}
	}
	index := content.Repositories[appName].Tags["latest"]
	if _, body, _ := ask(t, c, http.MethodGet, s.URL()+"/v2/"+appName+"/referrers/"+index, nil); !strings.Contains(body, "cosign") {
		t.Errorf("referrers of %s: %s", index, body)
	}
}

// TestDeterministic makes the same content and pairs twice.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	a, b := Base(7), Base(7)
	for name, r := range a.Repositories {
		for digest := range r.Blobs {
			if _, has := b.Repositories[name].Blobs[digest]; !has {
				t.Fatalf("%s@%s is not in the second copy", name, digest)
			}
		}
	}
	first, second := Pairs(3, 50), Pairs(3, 50)
	for i := range first {
		if strings.Join(first[i], " ") != strings.Join(second[i], " ") {
			t.Fatalf("pair %d: %q and %q", i, first[i], second[i])
		}
	}
}

// TestCombinations starts a server with each habit, and with random pairs.
func TestCombinations(t *testing.T) {
	t.Parallel()
	sets := Pairs(1, 100)
	for _, name := range Names() {
		sets = append(sets, []string{name})
	}
	for _, set := range sets {
		s, err := NewInMemory(base(), set...)
		if err != nil {
			t.Errorf("%q: %v", set, err)
			continue
		}
		want := s.Want(Run{Referrers: true})
		if len(want.Outcomes) == 0 || want.Allows(Full) && len(want.Blobs) < 60 {
			t.Errorf("%q: outcomes %v and %d blobs", set, want.Outcomes, len(want.Blobs))
		}
		s.Close()
	}
}

// TestNames checks that names are unique, and what errors say.
func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, h := range Habits {
		if seen[h.Name] || h.Name == "" || h.Source == "" || h.Apply == nil {
			t.Errorf("habit %q: the name is not unique, or a field is missing", h.Name)
		}
		seen[h.Name] = true
	}
	for _, test := range []struct {
		name   string
		habits []string
		want   string
	}{
		{"misspelt", []string{"google-tgas"}, `unknown habit "google-tgas" (did you mean "google-tags"?)`},
		{"same-group", []string{"tags-page", "google-tags"}, `habits "tags-page" and "google-tags" exclude each other: both are of the group "tags"`},
	} {
		if _, err := New(base(), test.habits...); err == nil || err.Error() != test.want {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
	}
}

// TestVirtualTime waits for a quota in a bubble.
func TestVirtualTime(t *testing.T) {
	t.Parallel()
	content := base()
	synctest.Test(t, func(t *testing.T) {
		s, err := NewInMemory(content, "429-retry-after", "tls")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := client(t, s)
		defer c.CloseIdleConnections()
		began := time.Now()
		for range 25 {
			resp, _, err := ask(t, c, http.MethodGet, s.URL()+"/v2/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == http.StatusTooManyRequests {
				if got := resp.Header.Get("Retry-After"); got != "300" {
					t.Fatalf("Retry-After %q, want 300", got)
				}
				time.Sleep(300 * time.Second)
			}
		}
		if took := time.Since(began); took != 300*time.Second {
			t.Errorf("took %v, want 300 s", took)
		}
	})
}
