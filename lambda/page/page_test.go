package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"html/template"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/ranges/regions"
)

var date = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func load(tb testing.TB, more map[string]string) *config.Config {
	tb.Helper()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"UPSTREAM_REGISTRY_PATH":     "example-project/images",
		"MIRROR_REGIONS":             "us-east-1,eu-central-1,ap-southeast-2",
		"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
		"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
		"REGISTRY_HOST":              "registry.example.com",
	}
	for name, value := range more {
		env[name] = value
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// everyRegion is a configuration with a mirror in every region that can have one.
func everyRegion(tb testing.TB) *config.Config {
	var names []string
	for r := range regions.All(string(ranges.AWS)) {
		names = append(names, r.Name)
	}
	return load(tb, map[string]string{
		"MIRROR_REGIONS": strings.Join(names, ","),
		"PAGE_TITLE":     strings.Repeat("\"", 80), "PAGE_TEXT": strings.Repeat("\"", 600), "PAGE_CONTACT": "https://example.com/" + strings.Repeat("+", 200),
	})
}

func TestPage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"default", nil, []string{
			"<h1>registry.example.com</h1>", "docker pull registry.example.com/IMAGE:TAG", `[host."https://registry.example.com"]`, `server = "https://us-docker.pkg.dev"`,
			"us-docker.pkg.dev/example-project/images/IMAGE", "20 November 2026", "<th scope=\"row\">eu-central-1</th><td>Frankfurt</td>",
			"mirror-us-east-1.s3.dualstack.us-east-1.amazonaws.com", "AWS, GCP, Azure and OCI publish", "Clients in GCP get blobs from the upstream registry. A blob that no mirror has comes from the upstream registry,", "<li>Manifests and tags come from the upstream registry, <code>us-docker.pkg.dev", "An upstream registry may redirect further", "for others the default mirror, <code>", "This registry stores no images",
		}},
		{"stage", map[string]string{"PAGE_TITLE": `Images & "more"`, "PAGE_TEXT": "It's for all.", "PAGE_CONTACT": "a+b@example.com"}, []string{
			"<h1>Images &amp; &#34;more&#34;</h1>", "<title>Images &amp; &#34;more&#34;</title>", "It&#39;s for all.", `<a href="mailto:a&#43;b@example.com">a&#43;b@example.com</a>`, "<code>registry.example.com</code>",
		}},
		{"contact-url", map[string]string{"PAGE_CONTACT": "https://example.com/?a=1&b='"}, []string{`<a href="https://example.com/?a=1&amp;b=&#39;">`}},
		{"unnamed", map[string]string{"REGISTRY_HOST": ""}, []string{"<h1>Container registry</h1>", "docker pull REGISTRY/IMAGE:TAG"}},
		{"loopback", map[string]string{"REGISTRY_HOST": "127.0.0.1:8081"}, []string{`[host."http://127.0.0.1:8081"]`}},
		{"no-mirror", map[string]string{"MIRROR_REGIONS": "", "MIRROR_URL_TEMPLATE": "", "DEFAULT_AWS_BASE_URL": "", "UPSTREAM_CLOUDS": "none"}, []string{"No regional mirror is configured.", "for others the upstream registry"}},
		{"token", map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry-1.docker.io", "UPSTREAM_REGISTRY_PATH": "", "UPSTREAM_ACCESS": "token"}, []string{
			"and relays everything else from the upstream registry.", "<li>Manifests and tags are relayed by this host from the upstream registry, <code>registry-1.docker.io</code>", "GCP get blobs from the storage of the upstream registry. A blob that no mirror has comes from the storage of the upstream registry,",
			`<a href="/hosts.json">/hosts.json</a>.</p>`, `<th scope="row">production.cloudflare.docker.com</th><td>/</td><td>blobs that no mirror has</td>`, "certs.d/docker.io/hosts.toml", `server = "https://registry-1.docker.io"`, "Images named <code>docker.io/IMAGE</code>",
		}},
		{"token-signatures", map[string]string{"UPSTREAM_ACCESS": "token", "SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, []string{"The registry for signatures may redirect further"}},
		{"single-host", map[string]string{"SINGLE_HOST": "true", "DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://mirror.example"}, []string{
			"It serves each blob from a mirror behind this host, and relays everything else", "which are nearly all bytes of an image, come from this host, which has edge locations around the world.",
			"<li>A blob that it does not have yet is relayed from the upstream registry, up to 4 MiB;", "are relayed by this host", "<p>Clients are only sent to this host.</p>", `<a href="/hosts.json">/hosts.json</a>.</p>`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			html := New(load(t, tt.env)).HTML("", date)
			for _, want := range tt.want {
				if !strings.Contains(html, want) {
					t.Errorf("no %s in the page", want)
				}
			}
			checkMarkup(t, html)
		})
	}
}

// checkMarkup checks that a page is well-formed, refers to nothing on other hosts
// except by links, and has no markup but its own.
func checkMarkup(t *testing.T, html string) {
	t.Helper()
	if strings.Contains(html, "{{") {
		t.Error("a placeholder is left in the page")
	}
	body := strings.Replace(html, "<!doctype html>", "", 1)
	for _, text := range []string{"<style>" + between(html, "<style>", "</style>") + "</style>", "<script>" + script + "</script>"} {
		body = strings.Replace(body, text, "", 1)
	}
	d := xml.NewDecoder(strings.NewReader(body))
	ids, links := map[string]bool{}, []string{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range element.Attr {
			switch name := a.Name.Local; {
			case name == "id":
				if ids[a.Value] {
					t.Errorf("two elements have the ID %q", a.Value)
				}
				ids[a.Value] = true
			case name == "href" && element.Name.Local == "a":
				links = append(links, a.Value)
			case name == "href" && strings.HasPrefix(a.Value, "data:"):
			case name == "src" || name == "href" || name == "srcset" || name == "style" || strings.HasPrefix(name, "on"):
				t.Errorf("<%s %s=%q>", element.Name.Local, name, a.Value)
			}
		}
		if slices.Contains([]string{"script", "style", "iframe", "object", "embed", "form", "base", "b"}, element.Name.Local) {
			t.Errorf("<%s> in the page", element.Name.Local)
		}
	}
	for _, link := range links {
		id, internal := strings.CutPrefix(link, "#")
		if internal && !ids[id] {
			t.Errorf("link to %q, which no element has as its ID", link)
		}
		if !internal && link != "/where" && link != "/hosts.json" && !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "mailto:") {
			t.Errorf("link to %q", link)
		}
	}
}

func between(text, begin, end string) string {
	_, text, _ = strings.Cut(text, begin)
	text, _, _ = strings.Cut(text, end)
	return text
}

func TestSize(t *testing.T) {
	t.Parallel()
	c := everyRegion(t)
	if n := len(New(c).HTML("", date)); n >= MaxSize {
		t.Errorf("the page with %d mirrors has %d bytes, want less than %d", len(c.Mirrors), n, MaxSize)
	}
}

// TestPolicy checks that the policy allows the inline script and style of the page
// and nothing else inline.
func TestPolicy(t *testing.T) {
	t.Parallel()
	p := New(load(t, nil))
	html, policy := p.HTML("", date), p.Policy()
	for _, tt := range []struct{ directive, begin, end string }{{"style-src", "<style>", "</style>"}, {"script-src", "<script>", "</script>"}} {
		if want := "; " + tt.directive + " " + hash(between(html, tt.begin, tt.end)) + ";"; !strings.Contains(policy, want) {
			t.Errorf("policy %q, want %q in it", policy, want)
		}
	}
	if sum := between(policy, "script-src 'sha256-", "'"); strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("policy %q", policy)
	} else if raw, err := base64.StdEncoding.DecodeString(sum); err != nil || len(raw) != 32 {
		t.Errorf("policy %q has the hash %q", policy, sum)
	}
}

// TestRenderedOnce checks that the page is rendered again only if it changes.
func TestRenderedOnce(t *testing.T) {
	p := New(load(t, map[string]string{"REGISTRY_HOST": ""}))
	first := p.HTML("a.cloudfront.net", date)
	if n := testing.AllocsPerRun(10, func() { p.HTML("a.cloudfront.net", date) }); n > 0 {
		t.Errorf("the same page again takes %v allocations", n)
	}
	if other := p.HTML("b.cloudfront.net", date); other == first || !strings.Contains(other, "b.cloudfront.net") {
		t.Error("the page of another host is the same")
	}
	if later := p.HTML("b.cloudfront.net", date.AddDate(0, 0, 1)); !strings.Contains(later, "21 November 2026") {
		t.Error("the page does not have the date of the range table")
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	var got struct {
		Hosts []struct{ Host, Path, Purpose string }
	}
	if err := json.Unmarshal([]byte(New(load(t, nil)).Hosts("")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Hosts) != 6 || got.Hosts[0].Host != "registry.example.com" || got.Hosts[0].Path != "/v2/" {
		t.Errorf("hosts %+v, want this one and five more", got.Hosts)
	}
}

// oracles are templates with a text in each place that escape is for.
var oracles = []*template.Template{
	template.Must(template.New("element").Parse(`<p>{{.}}</p>`)),
	template.Must(template.New("attribute").Parse(`<p title="{{.}}">`)),
}

// FuzzEscape compares escape with html/template.
func FuzzEscape(f *testing.F) {
	for _, text := range []string{"", "plain", `<script>alert("1")</script>`, "a&b&amp;", "'+`=", "\x00", "é\u2028\U0001F600", "\xff<\xc3", "]]>", "--><!--", "</title>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := escape(nil, text)
		valid := strings.ToValidUTF8(text, "\uFFFD")
		for i, want := range []string{"<p>" + string(escape(nil, valid)) + "</p>", `<p title="` + string(escape(nil, valid)) + `">`} {
			var b bytes.Buffer
			if err := oracles[i].Execute(&b, valid); err != nil {
				t.Fatal(err)
			}
			if b.String() != want {
				t.Errorf("html/template writes %q, escape %q", &b, want)
			}
		}
		if bytes.ContainsAny(got, "<>\"'\x00") {
			t.Errorf("escape(%q) = %q", text, got)
		}
	})
}

// FuzzPage renders pages of every configuration that is accepted: they have no markup
// but their own.
func FuzzPage(f *testing.F) {
	f.Add("Title", "Text", "a@example.com", "registry.example.com", "https://upstream.example")
	f.Add("{{script}}", "&lt;script&gt;", "https://example.com/'%22", "", "https://a&b.example")
	f.Add("</title", "\"'", "a'b@example.com", "127.0.0.1:1", "https://upstream.example:8443")
	f.Fuzz(func(t *testing.T, title, text, contact, host, upstream string) {
		env := map[string]string{
			"PAGE_TITLE": title, "PAGE_TEXT": text, "PAGE_CONTACT": contact, "REGISTRY_HOST": host, "UPSTREAM_REGISTRY_ENDPOINT": upstream,
			"UPSTREAM_REGISTRY_PATH": "example-project/images",
		}
		c, err := config.Load(func(name string) string { return env[name] })
		if err != nil {
			return
		}
		html := New(c).HTML("", date)
		if strings.Contains(title+text, "{{") {
			html = strings.ReplaceAll(html, "{{", "") // a text, not a placeholder
		}
		checkMarkup(t, html)
	})
}

func BenchmarkHTML(b *testing.B) {
	c := everyRegion(b)
	for b.Loop() {
		New(c).HTML("", date)
	}
}
