// Package page renders what the redirector serves to humans and programs that are
// not registry clients: the page at /, the hosts at /hosts.json and the caller's
// place at /where.
//
// Nothing is rendered before the first request for it. The page loads nothing, works
// without JavaScript, and depends on the configuration, the name of the host and the
// date of the range table only, so that it can be cached.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/hosts"
	"archeio/lambda/worldmap"
	"archeio/ranges"
)

//go:embed page.html
var skeleton string

//go:embed page.css
var style string

//go:embed page.js
var script string

// DataPolicy is the Content-Security-Policy of the JSON documents.
const DataPolicy = "default-src 'none'; frame-ancestors 'none'"

// MaxSize is the size that the page must stay below, in bytes.
const MaxSize = 64 << 10

// Pages renders the pages of a configuration. It is safe for concurrent use.
type Pages struct {
	config *config.Config
	parts  func() *parts
	last   atomic.Pointer[rendered]
}

// parts depend on the configuration only.
type parts struct{ policy, style, mirrors, world string }

type rendered struct {
	host string
	date time.Time
	html string
}

// New returns the pages of a configuration.
func New(c *config.Config) *Pages {
	p := &Pages{config: c}
	p.parts = sync.OnceValue(p.prepare)
	return p
}

func (p *Pages) prepare() *parts {
	all := worldmap.Regions(p.config, nil)
	css := worldmap.Style + style
	return &parts{
		policy: "default-src 'none'; style-src " + hash(css) + "; script-src " + hash(script) +
			"; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		style:   css,
		mirrors: p.mirrors(all),
		world:   string(worldmap.Element(all)),
	}
}

// hash returns the source expression of an inline element with a text.
// https://www.w3.org/TR/CSP3/#framework-directive-source-list
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Policy returns the Content-Security-Policy of the page.
func (p *Pages) Policy() string { return p.parts().policy }

// HTML returns the page. viewerHost is a validated name of the host that the client
// requested, empty if it is not known; a configured name takes precedence. date is
// that of the range table.
func (p *Pages) HTML(viewerHost string, date time.Time) string {
	host := p.name(viewerHost)
	if r := p.last.Load(); r != nil && r.host == host && r.date.Equal(date) {
		return r.html
	}
	r := &rendered{host, date, p.render(host, viewerHost, date)}
	p.last.Store(r)
	return r.html
}

// name returns the name of the registry, empty if it is not known.
func (p *Pages) name(viewerHost string) string {
	if p.config.RegistryHost != "" {
		return p.config.RegistryHost
	}
	return viewerHost
}

// unnamed stands for the name of the registry in examples if it is not known.
const unnamed = "REGISTRY"

func (p *Pages) render(host, viewerHost string, date time.Time) string {
	c, parts := p.config, p.parts()
	m := &markup{out: make([]byte, 0, MaxSize)}
	title := c.PageTitle
	if title == "" {
		title = host
	}
	if title == "" {
		title = "Container registry"
	}
	if host == "" {
		host = unnamed
	}
	upstream, _ := url.Parse(c.Upstream) // validated
	fill(skeleton, m, func(name string) {
		switch name {
		case "title", "heading":
			m.write(title)
		case "style":
			m.raw(parts.style)
		case "script":
			m.raw(script)
		case "map":
			m.raw(parts.world)
		case "mirrors":
			m.raw(parts.mirrors)
		case "about":
			p.about(m, host)
		case "host":
			m.write(host)
		case "scheme":
			m.raw(scheme(host))
		case "upstream":
			m.write(c.Upstream)
		case "upstreamHost":
			m.write(upstream.Host)
		case "upstreamName":
			m.write(strings.TrimSuffix(imageHost(upstream)+"/"+c.Prefix, "/") + "/IMAGE")
		case "imageHost":
			m.write(imageHost(upstream))
		case "hosts":
			for _, h := range p.hosts(viewerHost) {
				m.raw(`<tr><th scope="row">`)
				m.write(h.Host)
				m.raw("</th><td>")
				m.write(h.Path)
				m.raw("</td><td>")
				m.write(h.Purpose)
				m.raw("</td></tr>\n")
			}
		case "clouds":
			m.write(list(ranges.Clouds[:]))
		case "date":
			day(m, date)
		case "contact":
			contact(m, c.PageContact)
		default:
			p.sentence(m, name)
		}
	})
	return string(m.out)
}

// scheme returns the scheme of the registry: a loopback address has no certificate.
func scheme(host string) string {
	if strings.ContainsRune(host, ':') {
		return "http://"
	}
	return "https://"
}

func (p *Pages) about(m *markup, host string) {
	if p.config.PageTitle != "" && host != unnamed {
		m.raw(`<p class="lead">`)
		m.code(host)
		m.raw("</p>\n")
	}
	text := p.config.PageText
	if text == "" {
		text = describe(p.config)
	}
	m.raw(`<p class="lead">`)
	m.write(text)
	m.raw("</p>\n")
}

// fallback writes where the clients outside of AWS get blobs.
func (p *Pages) fallback(m *markup) {
	switch c := p.config; {
	case c.DefaultMirror == config.DistributionHost:
		m.raw("this host, which has edge locations around the world")
	case c.DefaultMirror != "":
		at, _ := url.Parse(c.DefaultMirror) // validated
		m.raw("the default mirror, ")
		m.code(at.Host)
	case len(c.Mirrors) > 0:
		m.raw("the mirror nearest to them or to this registry")
	default:
		m.raw("the upstream registry")
	}
}

func day(m *markup, date time.Time) {
	if date.IsZero() {
		m.raw("an unknown date")
		return
	}
	text := date.UTC().Format("2 January 2006")
	m.raw(`<time datetime="` + date.UTC().Format(time.DateOnly) + `">` + text + "</time>")
}

func contact(m *markup, at string) {
	if at == "" {
		return
	}
	link := at
	if !strings.Contains(at, "://") {
		link = "mailto:" + url.PathEscape(at)
	}
	m.raw(`Contact: <a href="`)
	m.write(link)
	m.raw(`">`)
	m.write(at)
	m.raw("</a> · ")
}

// mirrors returns the table of mirrors, and how many regions each serves.
func (p *Pages) mirrors(all []worldmap.Region) string {
	serves := map[string]int{}
	for _, r := range all {
		serves[r.Mirror]++
	}
	m := &markup{}
	if p.config.SingleHost {
		return "<p>Clients are only sent to this host.</p>"
	}
	if len(p.config.Mirrors) == 0 {
		return "<p>No regional mirror is configured.</p>"
	}
	m.raw("<div class=\"scroll\" role=\"region\" aria-label=\"Table of mirrors\" tabindex=\"0\">\n<table>\n<caption>Mirrors</caption>\n" +
		"<thead><tr><th scope=\"col\">Region</th><th scope=\"col\">Place</th><th scope=\"col\" class=\"number\">AWS regions served</th></tr></thead>\n<tbody>\n")
	for _, mirror := range p.config.Mirrors {
		place := ""
		for _, r := range all {
			if r.Name == mirror.Region {
				place = r.Place
			}
		}
		m.raw(`<tr><th scope="row">`)
		m.write(mirror.Region)
		m.raw("</th><td>")
		m.write(place)
		m.raw(`</td><td class="number">` + strconv.Itoa(serves[mirror.Region]) + "</td></tr>\n")
	}
	m.raw("</tbody>\n</table>\n</div>")
	return string(m.out)
}

func list(clouds []ranges.Cloud) string {
	var out string
	for i, c := range clouds {
		switch {
		case i > 0 && i == len(clouds)-1:
			out += " and "
		case i > 0:
			out += ", "
		}
		out += string(c)
	}
	return out
}

// hosts returns the hosts that clients may be sent to, this one first.
func (p *Pages) hosts(viewerHost string) []hosts.Host {
	var all []hosts.Host
	if host := p.name(viewerHost); host != "" {
		all = append(all, hosts.Host{Host: host, Path: "/v2/", Purpose: "this registry"})
	}
	if p.config.DefaultMirror == config.DistributionHost && viewerHost != "" {
		blobs := hosts.Host{Host: viewerHost, Path: "/" + config.BlobPrefix, Purpose: "blobs from the default mirror"}
		for _, h := range hosts.Of(p.config) {
			if h == blobs {
				return append(all, hosts.Of(p.config)...)
			}
		}
		all = append(all, blobs)
	}
	return append(all, hosts.Of(p.config)...)
}

// Hosts returns the hosts that clients may be sent to as JSON. viewerHost is as in
// HTML.
func (p *Pages) Hosts(viewerHost string) string {
	return encode(map[string]any{"hosts": p.hosts(viewerHost)})
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true) // a browser may be told to display it as HTML
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // texts and numbers always encode
	}
	return b.String()
}
