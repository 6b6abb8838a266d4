package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// digestProxy forwards requests to a registry and adds to its listings what those of
// Artifact Registry have: the digests of all tags, and the repositories below.
type digestProxy struct {
	listener net.Listener
	server   *http.Server
}

// listedManifest is a manifest in such a listing.
type listedManifest struct {
	Tag []string `json:"tag"`
}

// digestListing is a listing of a repository.
type digestListing struct {
	Name     string                    `json:"name"`
	Child    []string                  `json:"child"`
	Tags     []string                  `json:"tags"`
	Manifest map[string]listedManifest `json:"manifest"`
}

// newDigestProxy reads the tags of some repositories below a prefix of a registry, which
// must not change afterwards.
func newDigestProxy(target, prefix string, repositories []string) (*digestProxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	listings := map[string]*digestListing{}
	for _, repository := range repositories {
		l := listingOf(listings, path.Join(prefix, repository))
		from, err := name.NewRepository(host(target) + "/" + l.Name)
		if err != nil {
			return nil, err
		}
		if l.Tags, err = remote.List(from); err != nil {
			return nil, err
		}
		for _, tag := range l.Tags {
			d, err := remote.Head(from.Tag(tag))
			if err != nil {
				return nil, err
			}
			digest := d.Digest.String()
			l.Manifest[digest] = listedManifest{append(l.Manifest[digest].Tag, tag)}
		}
	}
	p := &digestProxy{}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	forward := httputil.NewSingleHostReverseProxy(u)
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repository, isListing := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
		l := listings[repository]
		if !isListing || l == nil {
			forward.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(l); err != nil {
			panic(http.ErrAbortHandler)
		}
	})}
	go p.server.Serve(p.listener)
	return p, nil
}

// listingOf returns the listing of a repository, and adds it to those above if it is new.
func listingOf(listings map[string]*digestListing, repository string) *digestListing {
	if l := listings[repository]; l != nil {
		return l
	}
	l := &digestListing{Name: repository, Child: []string{}, Tags: []string{}, Manifest: map[string]listedManifest{}}
	listings[repository] = l
	if above, below := path.Split(repository); above != "" {
		parent := listingOf(listings, path.Clean(above))
		if !slices.Contains(parent.Child, below) {
			parent.Child = append(parent.Child, below)
		}
	}
	return l
}

func (p *digestProxy) base() string { return fmt.Sprint("http://", p.listener.Addr()) }

func (p *digestProxy) close() { p.server.Close() }
