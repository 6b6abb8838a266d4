package rude

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Habits are all habits. Those without a report are variations of one that has
// one, or what a hostile registry could do.
var Habits = slices.Concat(listingHabits, httpHabits, contentHabits)

var listingHabits = []Habit{
	// Listings of tags.
	{Name: "google-tags", Groups: []string{"tags", "catalog", "n"}, Source: "Artifact Registry, GCR: google/go-containerregistry#1643, #1645", Apply: func(s *setup) {
		s.Google = true
		s.many("google-many", 1_050)
		s.loss.catalog = Full
	}},
	{Name: "google-children", Groups: []string{"tags", "catalog", "n"}, Heavy: true, Source: "Artifact Registry: google/go-containerregistry#1643", Apply: func(s *setup) {
		s.Google = true
		m := s.maker("google-children")
		shared := s.content.Repository(Prefix + "/children/c0000")
		d := m.image(shared, 100, 1, "v1")
		for i := 1; i < 1_050; i++ {
			r := s.content.Repository(Prefix + "/children/c" + digits(i))
			r.Manifests, r.Blobs, r.Tags = shared.Manifests, shared.Blobs, map[string]string{"v1": d.Digest}
		}
	}},
	{Name: "google-10000", Groups: []string{"tags", "catalog", "n"}, Heavy: true, Source: "Artifact Registry: google/go-containerregistry#1643", Apply: func(s *setup) {
		s.Google = true
		s.many("google-too-many", googleMax+1)
		s.loss.repositories[Prefix+"/google-too-many"] = true
	}},
	{Name: "tags-page", Groups: []string{"tags"}, Source: "distribution v3, Harbor: opencontainers/distribution-spec#470", Apply: set(func(k *Knobs) { k.TagsPage = 50 })},
	{Name: "tags-token", Groups: []string{"tags"}, Source: "Quay: deitch/docker_registry2#56, TritonDataCenter/node-docker-registry-client#12", Apply: set(func(k *Knobs) { k.TagsPage, k.TagsPaging = 50, byToken })},
	{Name: "tags-last-only", Groups: []string{"tags"}, Source: "registries before opencontainers/distribution-spec#470; regclient#274", Apply: set(func(k *Knobs) { k.TagsPage, k.TagsPaging = 100, byLast })},
	{Name: "tags-whole", Groups: []string{"tags"}, Source: "distribution v2: distribution/distribution#1936", Apply: set(func(k *Knobs) { k.TagsPaging = unpaged })},
	{Name: "tags-link-back", Groups: []string{"tags"}, Source: "CDNs that ignore queries", Apply: misledTags(leadsBack)},
	{Name: "tags-link-self", Groups: []string{"tags"}, Source: "CDNs that ignore queries", Apply: misledTags(linksSelf)},
	{Name: "tags-repeat", Groups: []string{"tags"}, Source: "CDNs that ignore queries", Apply: misledTags(repeats)},
	{Name: "tags-endless", Groups: []string{"tags"}, Source: "hostile", Apply: misledTags(endless)},
	{Name: "tags-other-host", Groups: []string{"tags"}, Source: "hostile", Apply: misledTags(otherHost)},
	{Name: "tags-unreadable-link", Groups: []string{"tags"}, Source: "opencontainers/distribution-spec#496", Apply: misledTags(unreadable)},
	{Name: "tags-empty-link", Groups: []string{"tags"}, Source: "opencontainers/distribution-spec#496", Apply: misledTags(noURL)},
	{Name: "tags-bare-link", Groups: []string{"tags"}, Source: "opencontainers/distribution-spec#496", Apply: misledTags(bare)},
	{Name: "tags-second-404", Groups: []string{"tags"}, Source: "proxies that change paths", Apply: misledTags(secondGone)},
	{Name: "tags-second-403", Groups: []string{"tags"}, Source: "proxies", Apply: misledTags(secondDenied)},
	{Name: "tags-second-html", Groups: []string{"tags"}, Source: "sign-in pages", Apply: misledTags(secondHTML)},
	{Name: "tags-inclusive", Groups: []string{"tags"}, Source: "registries that begin with last", Apply: set(func(k *Knobs) { k.TagsPage, k.TagsPaging = 50, inclusive })},
	{Name: "tags-404", Source: "distribution/distribution#4324", Apply: func(s *setup) {
		s.content.Repository(Prefix + "/deleted")
		s.special("tags", Prefix+"/deleted", "", always(failure(http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")))
	}},
	{Name: "tags-null", Source: "distribution/distribution#1186, #2314", Apply: func(s *setup) {
		s.content.Repository(Prefix + "/cleaned")
		s.special("tags", Prefix+"/cleaned", "", json200(`{"name":"`+Prefix+`/cleaned","tags":null}`))
	}},
	{Name: "tags-403", Source: "Harbor robots", Apply: func(s *setup) { s.badTags("denied", deny(http.StatusForbidden)) }},
	{Name: "tags-500", Source: "Nexus", Apply: func(s *setup) { s.badTags("broken", deny(http.StatusInternalServerError)); s.loss.requests += 100 }},
	{Name: "tags-html", Source: "sign-in pages: kubegems/kubegems#328", Apply: func(s *setup) { s.badTags("signin", always(page(http.StatusOK, signIn))) }},
	{Name: "tags-errors-200", Source: "proxies that drop the status", Apply: func(s *setup) {
		s.badTags("errors", json200(`{"errors":[{"code":"DENIED","message":"denied"}]}`))
	}},
	{Name: "tags-truncated", Source: "proxies", Apply: func(s *setup) { s.badTags("truncated", json200(`{"name":"`+Prefix+`/truncated","tags":["v1","v`)) }},
	{Name: "tags-204", Source: "proxies", Apply: func(s *setup) {
		s.badTags("nocontent", always(response{status: http.StatusNoContent}))
	}},
	{Name: "tags-bomb", Source: "hostile", Apply: func(s *setup) {
		s.badTags("bomb", json200(`{"tags":[],"x":`+strings.Repeat("[", 1<<20)))
	}},
	{Name: "tags-endless-body", Source: "hostile", Heavy: true, Apply: func(s *setup) { s.badTags("endless", always(unended(`{"tags":["v1"`, `,"v1"`))) }},
	{Name: "tags-silent", Source: "proxies", Apply: func(s *setup) { s.badTags("silent", silence(2*time.Minute)) }},
	{Name: "tags-drip", Slow: true, Source: "hostile", Apply: func(s *setup) {
		s.badTags("drip", always(dripping(`{"tags":["v1"`+strings.Repeat(`,"v1"`, 1000)+`]}`)))
	}},
	{Name: "tags-stall", Slow: true, Source: "proxies", Apply: func(s *setup) {
		s.badTags("stall", func(*http.Request) response {
			return stalled(response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"tags":["v1"]}`)}, 5)
		})
	}},
	{Name: "tags-garbage", Source: "hostile", Apply: func(s *setup) {
		s.badTags("garbage", always(response{raw: "\x16\x03\x01\x1b[2J\x00 not HTTP\r\n\r\n"}))
	}},
	{Name: "tags-status-999", Source: "WAFs", Apply: func(s *setup) {
		s.badTags("status", always(response{raw: "HTTP/1.1 999 \x1b[2JRequest Denied\r\nContent-Length: 0\r\n\r\n"}))
	}},
	{Name: "tags-endless-header", Heavy: true, Source: "hostile", Apply: func(s *setup) {
		s.badTags("header", always(response{raw: "HTTP/1.1 103 Early Hints\r\nX-A: " + strings.Repeat("a", 8000) + "\r\n\r\n", endless: true}))
	}},
	{Name: "tags-mixed-types", Source: "hostile", Apply: func(s *setup) { s.badTags("mixed", json200(`{"tags":[1,null,"v1",{}]}`)) }},
	{Name: "tags-wrong-type", Source: "hostile", Apply: func(s *setup) { s.badTags("wrongtype", json200(`{"tags":{"v1":1}}`)) }},
	{Name: "tags-escape", Source: "hostile", Apply: func(s *setup) {
		s.badTags("escape", json200(`{"tags":["v1","\u001b[2J\u001b]0;owned\u0007","../../x","a b"]}`))
		delete(s.loss.repositories, Prefix+"/escape")
		s.loss.outcome(Full, Incomplete)
	}},
	{Name: "errors-escape", Source: "hostile", Apply: func(s *setup) {
		s.badTags("escapes", always(failure(http.StatusForbidden, "DENIED\x1b[2J", "\x1b]0;owned\x07\r\nlevel=info msg=\"all is well\"\u202e")))
	}},
	{Name: "duplicates", Source: "opencontainers/distribution-spec#470", Apply: set(func(k *Knobs) { k.Duplicates = true })},
	{Name: "unsorted", Source: "Quay, GHCR: TritonDataCenter/node-docker-registry-client#12", Apply: set(func(k *Knobs) { k.Unsorted = true })},
	{Name: "null-lists", Source: "distribution/distribution#1186", Apply: set(func(k *Knobs) { k.NullLists = true })},
	{Name: "empty-pages", Source: "registries that filter pages by permission", Apply: func(s *setup) { withLinks(&s.Knobs); s.EmptyPages = 3 }},

	{Name: "link-extra", Source: "pulp/pulp_container#220: the last page has a link to an empty one", Apply: func(s *setup) {
		withLinks(&s.Knobs)
		s.ExtraLink = true
	}},

	// Links.
	{Name: "link-two-fields", Groups: []string{"link"}, Source: "opencontainers/distribution-spec#496", Apply: linked(twoFields)},
	{Name: "link-one-field", Groups: []string{"link"}, Source: "RFC 8288", Apply: linked(oneField)},
	{Name: "link-preload", Groups: []string{"link"}, Source: "CDNs", Apply: linked(preload)},
	{Name: "link-parameters", Groups: []string{"link"}, Source: "RFC 8288, section 3", Apply: linked(paramsFirst)},
	{Name: "link-relations", Groups: []string{"link"}, Source: "RFC 8288, section 3.3", Apply: linked(manyRels)},
	{Name: "link-absolute", Groups: []string{"link"}, Source: "Quay: TritonDataCenter/node-docker-registry-client#12", Apply: linked(absoluteLink)},
	{Name: "link-clear", Groups: []string{"link"}, Source: "TLS ended by a proxy", Apply: linked(clearScheme)},
	{Name: "link-upper-host", Groups: []string{"link"}, Source: "RFC 3986, section 6.2.2.1", Apply: linked(upperHost)},
	{Name: "link-default-port", Groups: []string{"link"}, Source: "proxies; https://HOST:443", Apply: linked(defaultPort)},
	{Name: "link-query", Groups: []string{"link"}, Source: "RFC 3986, section 4.2", Apply: linked(queryOnly)},
	{Name: "link-segment", Groups: []string{"link"}, Source: "RFC 3986, section 4.2", Apply: linked(segmentOnly)},

	// Page sizes.
	{Name: "n-max-400", Groups: []string{"n"}, Source: "distribution catalog.maxentries, Quay 3.12: PAGINATION_NUMBER_INVALID", Apply: set(func(k *Knobs) { k.MaxN, k.MaxNStatus = 100, http.StatusBadRequest })},
	{Name: "n-max-413", Groups: []string{"n"}, Source: "proxies", Apply: set(func(k *Knobs) { k.MaxN, k.MaxNStatus = 100, http.StatusRequestEntityTooLarge })},
	{Name: "n-max-422", Groups: []string{"n"}, Source: "GitLab", Apply: set(func(k *Knobs) { k.MaxN, k.MaxNStatus = 100, http.StatusUnprocessableEntity })},
	{Name: "n-max-1", Groups: []string{"n"}, Heavy: true, Source: "hostile", Apply: set(func(k *Knobs) { k.MaxN, k.MaxNStatus = 1, http.StatusBadRequest })},
	{Name: "n-max-50", Groups: []string{"n"}, Source: "Quay 3.12", Apply: set(func(k *Knobs) { k.MaxN, k.MaxNStatus = 50, http.StatusBadRequest })},

	// The catalog.
	{Name: "catalog-page", Groups: []string{"catalog"}, Source: "distribution catalog.maxentries", Apply: set(func(k *Knobs) { k.CatalogPage = 20 })},
	{Name: "catalog-token", Groups: []string{"catalog"}, Source: "Quay", Apply: set(func(k *Knobs) { k.CatalogPage, k.CatalogPaging = 20, byToken })},
	{Name: "catalog-token-405", Groups: []string{"catalog"}, Source: "ECR", Apply: set(func(k *Knobs) {
		k.CatalogPage, k.CatalogPaging, k.LastStatus = 20, byToken, http.StatusMethodNotAllowed
	})},
	{Name: "catalog-last-only", Groups: []string{"catalog"}, Source: "distribution before links", Apply: set(func(k *Knobs) { k.CatalogPage, k.CatalogPaging = 20, byLast })},
	{Name: "catalog-whole", Groups: []string{"catalog"}, Source: "Nexus", Apply: set(func(k *Knobs) { k.CatalogPaging = unpaged })},
	{Name: "catalog-401", Groups: []string{"catalog"}, Source: "Docker Hub", Apply: noCatalog(deny(http.StatusUnauthorized))},
	{Name: "catalog-403", Groups: []string{"catalog"}, Source: "GitLab, Harbor robots", Apply: noCatalog(deny(http.StatusForbidden))},
	{Name: "catalog-second-404", Groups: []string{"catalog"}, Source: "proxies that change paths", Apply: misledCatalog(secondGone)},
	{Name: "catalog-second-403", Groups: []string{"catalog"}, Source: "proxies", Apply: misledCatalog(secondDenied)},
	{Name: "catalog-bare-link", Groups: []string{"catalog"}, Source: "opencontainers/distribution-spec#496", Apply: misledCatalog(bare)},
	{Name: "catalog-inclusive", Groups: []string{"catalog"}, Source: "registries that begin with last", Apply: set(func(k *Knobs) { k.CatalogPage, k.CatalogPaging = 20, inclusive })},
	{Name: "catalog-odd-names", Pushable: true, Source: "distribution-spec: valid names", Apply: func(s *setup) {
		m := s.maker("catalog-odd-names")
		for _, name := range []string{"a__b/c.d-e---f/0", "blobs/uploads", "manifests/tags/list/x", "x/tags", strings.Repeat("long/", 40) + "name"} {
			m.image(s.content.Repository(Prefix+"/"+name), 100, 1, "_x", "A.b-c_", strings.Repeat("t", 128))
		}
	}},
	{Name: "catalog-escape", Source: "hostile", Apply: func(s *setup) {
		for _, name := range []string{"\x1b[2Jred", "../../etc", "UPPER", "a b", "x?n=1#f", strings.Repeat("y", 300)} {
			s.content.Repository(Prefix + "/" + name)
			s.loss.doubtful[Prefix+"/"+name] = true
		}
	}},
	{Name: "catalog-404", Groups: []string{"catalog"}, Source: "GHCR", Apply: noCatalog(deny(http.StatusNotFound))},
	{Name: "catalog-405", Groups: []string{"catalog"}, Source: "GHCR", Apply: noCatalog(deny(http.StatusMethodNotAllowed))},
	{Name: "catalog-500", Groups: []string{"catalog"}, Source: "distribution with large storage", Apply: noCatalog(deny(http.StatusInternalServerError))},
	{Name: "catalog-html", Groups: []string{"catalog"}, Source: "sign-in pages", Apply: noCatalog(always(page(http.StatusOK, signIn)))},
	{Name: "catalog-204", Groups: []string{"catalog"}, Source: "proxies", Apply: noCatalog(always(response{status: http.StatusNoContent}))},
	{Name: "catalog-errors-200", Groups: []string{"catalog"}, Source: "proxies that drop the status", Apply: noCatalog(json200(`{"errors":[{"code":"DENIED"}]}`))},
	{Name: "catalog-endless-body", Groups: []string{"catalog"}, Heavy: true, Source: "hostile", Apply: noCatalog(always(unended(`{"repositories":["`+Prefix+`/x"`, `,"`+Prefix+`/x"`)))},
	{Name: "catalog-drip", Slow: true, Groups: []string{"catalog"}, Source: "hostile", Apply: noCatalog(always(dripping(`{"repositories":["` + Prefix + `/app"` + strings.Repeat(`,"`+Prefix+`/app"`, 1000) + `]}`)))},
	{Name: "catalog-link-back", Groups: []string{"catalog"}, Source: "CDNs that ignore queries", Apply: misledCatalog(leadsBack)},
	{Name: "catalog-link-self", Groups: []string{"catalog"}, Source: "CDNs that ignore queries", Apply: misledCatalog(linksSelf)},
	{Name: "catalog-repeat", Groups: []string{"catalog"}, Source: "CDNs that ignore queries", Apply: misledCatalog(repeats)},
	{Name: "catalog-endless", Groups: []string{"catalog"}, Source: "hostile", Apply: misledCatalog(endless)},
	{Name: "catalog-other-host", Groups: []string{"catalog"}, Source: "hostile", Apply: misledCatalog(otherHost)},
	{Name: "catalog-unreadable-link", Groups: []string{"catalog"}, Source: "opencontainers/distribution-spec#496", Apply: misledCatalog(unreadable)},
	{Name: "prefix-401", Groups: []string{"prefix"}, Source: "Quay, Docker Hub: unknown repositories are 401", Apply: set(func(k *Knobs) { k.PrefixStatus = http.StatusUnauthorized })},
	{Name: "prefix-403", Groups: []string{"prefix"}, Source: "GHCR, Harbor: unknown repositories are 403", Apply: set(func(k *Knobs) { k.PrefixStatus = http.StatusForbidden })},
	{Name: "prefix-empty", Groups: []string{"prefix"}, Source: "olareg: 200 for unknown repositories; distribution/distribution#1186", Apply: set(func(k *Knobs) { k.UnknownEmpty = true })},
	{Name: "empty-google", Groups: []string{"tags", "catalog", "n"}, order: 9, Source: "Artifact Registry on its first day", Apply: func(s *setup) {
		s.Google = true
		s.content = &Content{Repositories: map[string]*Repository{}}
		s.loss.nothing()
	}},
	{Name: "empty-catalog", Groups: []string{"tags", "catalog"}, order: 9, Source: "distribution on its first day", Apply: func(s *setup) {
		s.content = &Content{Repositories: map[string]*Repository{}}
		s.loss.nothing()
	}},
	{Name: "empty-prefix", Groups: []string{"catalog"}, order: 9, Source: "a misspelt prefix", Apply: func(s *setup) {
		outside := s.content.Repository(Outside)
		s.content = &Content{Repositories: map[string]*Repository{Outside: outside}}
		s.loss.nothing()
	}},
}
