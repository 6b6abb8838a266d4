package rude

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// list is one page of a listing.
type list struct {
	items  []string
	links  []string // values of Link header fields
	status int      // of an error, or 0
}

// cursor is the content of an opaque token: an offset, and how often a page was
// repeated or empty.
type cursor struct{ offset, extra int }

func (c cursor) token() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", c.offset, c.extra))
}

func parseCursor(token string) (c cursor) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return c
	}
	_, _ = fmt.Sscanf(string(text), "%d.%d", &c.offset, &c.extra) // zero if it cannot be parsed
	return c
}

// paginate returns the page of a listing that a request asks for.
func (s *Server) paginate(r *http.Request, items []string, most int, how paging, end ending) list {
	query := r.URL.Query()
	n, err := strconv.Atoi(query.Get("n"))
	if err != nil || n < 0 || how == unpaged {
		n = len(items)
	}
	if s.MaxN > 0 && n > s.MaxN && query.Get("n") != "" {
		return list{status: s.MaxNStatus}
	}
	limit := n
	if most > 0 && how != unpaged {
		limit = min(limit, most)
	}
	if query.Get("n") == "0" {
		limit = 0
	}
	second := query.Has("next_page") || query.Has("last")
	switch {
	case end == secondGone && second:
		return list{status: http.StatusNotFound}
	case end == secondDenied && second:
		return list{status: http.StatusForbidden}
	case end == secondHTML && second:
		return list{status: http.StatusOK}
	}
	at := cursor{}
	switch last := query.Get("last"); {
	case query.Has("next_page"):
		at = parseCursor(query.Get("next_page"))
	case last == "" || how == unpaged:
	case how == byToken:
		if s.LastStatus != 0 {
			return list{status: s.LastStatus}
		}
	default:
		at.offset = slices.Index(items, last) + 1
		if how == inclusive && at.offset > 0 {
			at.offset--
		}
		if at.offset == 0 {
			at.offset, _ = slices.BinarySearch(items, last)
		}
	}
	if at.offset > len(items) {
		at.offset = len(items)
	}
	rest := items[at.offset:]
	shown := rest[:min(limit, len(rest))]
	next := cursor{offset: at.offset + len(shown)}
	more := next.offset < len(items)
	if s.EmptyPages > 0 && at.extra < s.EmptyPages && len(rest) > 0 && limit > 0 {
		shown, next, more = nil, cursor{at.offset, at.extra + 1}, true
	}
	link := ""
	path := r.URL.Path + "?"
	if query.Get("n") != "" && how != unpaged {
		path += "n=" + query.Get("n") + "&"
	}
	switch {
	case limit == 0:
	case end == linksSelf:
		link = r.URL.RequestURI()
	case end == repeats:
		shown, link = items[:min(limit, len(items))], path+"next_page="+cursor{0, at.extra + 1}.token()
	case end == endless && !more:
		if at.extra > 0 {
			shown = nil
		}
		link = path + "next_page=" + cursor{len(items), at.extra + 1}.token()
	case end == leadsBack && !more:
		link = strings.TrimRight(path, "?&")
	case end == otherHost && at == cursor{}:
		link = s.url(auth) + path + "next_page=" + next.token()
	case s.ExtraLink && !more && len(shown) > 0 && end == ends && (how == byLink || how == byToken):
		link = path + "next_page=" + next.token()
	case !more || how == byLast || how == unpaged:
	case how == byToken || len(shown) == 0 || next.extra > 0 || end != ends:
		link = path + "next_page=" + next.token()
	default:
		link = path + "last=" + url.QueryEscape(shown[len(shown)-1])
	}
	switch {
	case end == unreadable && at == cursor{}:
		return list{items: shown, links: []string{"<" + link + `; rel="next"`}}
	case end == bare && at == cursor{}:
		return list{items: shown, links: []string{link + `; rel="next"`}}
	case end == noURL && at == cursor{}:
		return list{items: shown, links: []string{`<>; rel="next"`}}
	}
	return list{items: shown, links: s.links(r, link)}
}

// links returns the values of the Link header fields of a page. link is the path of
// the next page, empty for none. RFC 8288.
func (s *Server) links(r *http.Request, link string) []string {
	previous := "<" + r.URL.Path + `?before=1>; rel="prev"`
	sheet := `</static/app.css>; rel="preload"; as="style"`
	if link == "" {
		switch s.Link {
		case twoFields, oneField:
			return []string{previous}
		case preload:
			return []string{sheet}
		}
		return nil
	}
	if strings.Contains(link, "://") {
		return []string{"<" + link + `>; rel="next"`}
	}
	scheme, host := "http", s.Host()
	if s.TLS {
		scheme = "https"
	}
	next := func(target string) string { return "<" + target + `>; rel="next"` }
	switch s.Link {
	case twoFields:
		return []string{previous, next(link)}
	case oneField:
		return []string{previous + ", " + next(link)}
	case preload:
		return []string{sheet + ", " + next(link)}
	case paramsFirst:
		return []string{"<" + link + `> ; title="page, 2; rel=prev >" ; REL=Next ; type="application/json"`}
	case manyRels:
		return []string{"<" + link + `>; rel="last next"`}
	case absoluteLink:
		return []string{next(scheme + "://" + host + link)}
	case clearScheme:
		return []string{next("http://" + host + link)}
	case upperHost:
		return []string{next(strings.ToUpper(scheme+"://"+host) + link)}
	case defaultPort:
		if !strings.Contains(host, ":") {
			host += ":443"
		}
		return []string{next(scheme + "://" + host + link)}
	case queryOnly:
		return []string{next(link[strings.Index(link+"?", "?"):])}
	case segmentOnly:
		path, query, _ := strings.Cut(link, "?")
		return []string{next(path[strings.LastIndex(path, "/")+1:] + "?" + query)}
	}
	return []string{next(link)}
}

// refusal is the response to a page that a registry refuses.
func refusal(status int) response {
	switch status {
	case http.StatusOK:
		return page(status, signIn)
	case http.StatusNotFound, http.StatusForbidden:
		return failure(status, "DENIED", "not found")
	}
	return failure(status, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
}

// listed returns a response with a document.
func listed(l list, document any) response {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // of types that can be encoded
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if len(l.links) > 0 {
		h["Link"] = l.links
	}
	return response{status: http.StatusOK, header: h, body: body}
}

func (s *Server) items(items []string) any {
	if len(items) == 0 {
		if s.NullLists {
			return nil
		}
		return []string{}
	}
	if s.Duplicates {
		items = append([]string{items[0]}, items...)
	}
	return items
}

// order returns items in the order of the registry.
func (s *Server) order(items []string) []string {
	if s.Unsorted {
		slices.Reverse(items) // the newest first
	}
	return items
}

func (s *Server) catalog(r *http.Request) response {
	l := s.paginate(r, s.order(s.content.Names()), s.CatalogPage, s.CatalogPaging, s.CatalogEnd)
	if l.status != 0 {
		return refusal(l.status)
	}
	return listed(l, map[string]any{"repositories": s.items(l.items)})
}

func (s *Server) tags(r *http.Request, q request) response {
	if s.Google {
		return s.googleTags(r, q.repository)
	}
	repository := s.content.Repositories[q.repository]
	switch {
	case repository == nil && q.repository == Prefix && s.PrefixStatus != 0:
		return failure(s.PrefixStatus, "DENIED", "requested access to the resource is denied")
	case repository == nil && s.UnknownEmpty:
		repository = &Repository{}
	case repository == nil:
		return s.notFound("NAME_UNKNOWN")
	}
	l := s.paginate(r, s.order(slices.Sorted(maps.Keys(repository.Tags))), s.TagsPage, s.TagsPaging, s.TagsEnd[q.repository])
	if l.status != 0 {
		return refusal(l.status)
	}
	return listed(l, map[string]any{"name": q.repository, "tags": s.items(l.items)})
}

// googleMax is the most entries of a listing of Artifact Registry.
const googleMax = 10_000

type googleManifest struct {
	Size         string   `json:"imageSizeBytes"`
	MediaType    string   `json:"mediaType"`
	Tag          []string `json:"tag"`
	TimeCreated  string   `json:"timeCreatedMs"`
	TimeUploaded string   `json:"timeUploadedMs"`
}

// googleTags lists children, manifests and tags, cut at n.
// https://github.com/google/go-containerregistry/pull/1645
func (s *Server) googleTags(r *http.Request, name string) response {
	limit := googleMax
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	seen := map[string]bool{}
	for other := range s.content.Repositories {
		if rest, ok := strings.CutPrefix(other, name+"/"); ok {
			child, _, _ := strings.Cut(rest, "/")
			seen[child] = true
		}
	}
	children := slices.Sorted(maps.Keys(seen))
	repository := s.content.Repositories[name]
	if repository == nil {
		if len(children) == 0 && name != Prefix {
			return s.notFound("NAME_UNKNOWN")
		}
		repository = &Repository{}
	}
	byDigest := map[string][]string{}
	for tag, digest := range repository.Tags {
		byDigest[digest] = append(byDigest[digest], tag)
	}
	manifests := map[string]googleManifest{}
	tags := []string{}
	for _, digest := range slices.Sorted(maps.Keys(repository.Manifests)) {
		if len(manifests) == limit {
			break
		}
		m := repository.Manifests[digest]
		slices.Sort(byDigest[digest])
		tags = append(tags, byDigest[digest]...)
		manifests[digest] = googleManifest{strconv.Itoa(len(m.Body)), m.MediaType, append([]string{}, byDigest[digest]...), "1700000000000", "1700000000000"}
	}
	slices.Sort(tags)
	children = children[:min(limit, len(children))]
	return listed(list{}, map[string]any{"child": append([]string{}, children...), "manifest": manifests, "name": name, "tags": tags})
}

// index finds the referrers of all manifests.
func (r *Repository) index() {
	r.subjects = maps.Clone(r.named)
	for _, digest := range slices.Sorted(maps.Keys(r.Manifests)) {
		m := r.Manifests[digest]
		var d document
		if bytes.Contains(m.Body, []byte(`"subject"`)) && json.Unmarshal(m.Body, &d) == nil && d.Subject != nil {
			r.subjects[d.Subject.Digest] = append(r.subjects[d.Subject.Digest], Descriptor{MediaType: m.MediaType, Digest: digest, Size: int64(len(m.Body)), ArtifactType: d.ArtifactType})
		}
	}
}

func (s *Server) referrers(r *http.Request, q request) response {
	switch {
	case s.ReferrersHTML:
		return page(http.StatusOK, signIn)
	case s.Referrers == http.StatusNotFound:
		return s.notFound("NOT_FOUND")
	case s.Referrers != 0:
		return failure(s.Referrers, "UNSUPPORTED", "referrers are not available")
	}
	repository := s.content.Repositories[q.repository]
	if repository == nil {
		return s.notFound("NAME_UNKNOWN")
	}
	byDigest := map[string]Descriptor{}
	digests := []string{}
	for _, d := range repository.subjects[q.reference] {
		byDigest[d.Digest] = d
		digests = append(digests, d.Digest)
	}
	l := s.paginate(r, digests, s.ReferrersPage, byToken, ends)
	if l.status != 0 {
		return refusal(l.status)
	}
	manifests := []Descriptor{}
	for _, digest := range l.items {
		manifests = append(manifests, byDigest[digest])
	}
	document := map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": manifests}
	if s.NullLists && len(manifests) == 0 {
		document["manifests"] = nil
	}
	a := listed(l, document)
	a.header.Set("Content-Type", ociIndex)
	return a
}
