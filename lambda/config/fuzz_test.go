package config

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzLoad loads environments: Load returns an error of one line, or a
// configuration that survives Env and in which every URL is https or of a loopback
// address.
func FuzzLoad(f *testing.F) {
	for _, env := range roundTrips {
		f.Add(joined(env))
	}
	for _, tt := range valueTests {
		env := environment(tt.others...)
		env[tt.variable] = tt.value
		f.Add(joined(env))
	}
	f.Fuzz(func(t *testing.T, text string) {
		env := map[string]string{}
		for pair := range strings.SplitSeq(text, "\x00") {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		c, err := Load(with(env))
		if err != nil {
			if c != nil || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("Load returns %v and the error %q, want nil and one line", c, err)
			}
			return
		}
		roundTrip(t, env)
		if c.Upstream == "" {
			t.Fatal("Upstream is empty")
		}
		urls := []string{c.Upstream, c.SignatureUpstream, c.DefaultMirror, c.DefaultMirrorCheck}
		for _, m := range c.Mirrors {
			urls = append(urls, m.URL)
		}
		for _, v := range urls {
			if strings.HasSuffix(v, "/") && v != DistributionHost || strings.ContainsAny(v, "?#%") {
				t.Errorf("base URL %q: a path cannot be appended", v)
			}
		}
		for _, v := range append(urls, c.InfoURL, c.PrivacyURL) {
			if v != "" && v != DistributionHost && !safe(v) {
				t.Errorf("%q is neither https nor of a loopback address", v)
			}
		}
		if at := c.PageContact; at != "" && !safe(at) && (strings.Contains(at, "/") || !strings.Contains(at, "@")) {
			t.Errorf("contact %q is neither an email address nor a safe URL", at)
		}
		for _, v := range []string{c.PageTitle, c.PageText, c.RegistryHost} {
			if strings.ContainsAny(v, "<>\r\n") {
				t.Errorf("text %q has markup or a line break", v)
			}
		}
		for _, host := range c.ViewerHosts {
			if u, err := url.Parse("https://" + host + "/"); err != nil || u.Host != host || u.Port() != "" || host != strings.ToLower(host) || !safe(u.String()) {
				t.Errorf("viewer host %q cannot be part of a URL", host)
			}
		}
		for client, i := range c.MirrorFor {
			if i < 0 || i >= len(c.Mirrors) {
				t.Errorf("MirrorFor[%q] is %d of %d mirrors", client, i, len(c.Mirrors))
			}
		}
	})
}

// joined returns an environment as FuzzLoad reads it, NAME=value separated by NUL,
// which a variable cannot contain.
func joined(env map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		b.WriteString(name + "=" + env[name] + "\x00")
	}
	return b.String()
}

// safe reports whether a URL is https or of a loopback address, implemented
// independently of trustedScheme.
func safe(v string) bool {
	u, err := url.Parse(v)
	if err != nil || u.User != nil || u.Hostname() == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	labels := strings.Split(u.Hostname(), ".")
	addr, _ := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (labels[len(labels)-1] == "localhost" || addr.IsValid() && addr.IsLoopback())
}
