package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"

	"archeio/lambda/config"
)

// source is a registry with a catalog, and with listings that have the digests of all
// manifests, as those of Google's registries.
type source struct {
	*generator
	counts *counts
	// deleted is how many of the last repositories do not exist any more.
	deleted atomic.Int64
}

// remaining returns the number of repositories that exist.
func (s *source) remaining() int { return s.repositories - int(s.deleted.Load()) }

const catalogPage = 1000

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.counts.begin()
	out := &counting{ResponseWriter: w}
	kind := s.respond(out, r)
	s.counts.add(kind, out.bytes)
}

func (s *source) respond(w http.ResponseWriter, r *http.Request) kind {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if repository, ok := strings.CutSuffix(path, "/tags/list"); ok {
		s.tags(w, repository)
		return sourceList
	}
	if _, digest, ok := strings.Cut(path, "/manifests/"); ok {
		i, known := s.numbers[digest]
		if !known {
			absent(w, "MANIFEST_UNKNOWN")
			return sourceManifest
		}
		mediaType := ociImage
		if i%groupSize == 0 {
			mediaType = ociIndex
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", digest)
		w.Write(s.manifest(i))
		return sourceManifest
	}
	if _, digest, ok := strings.Cut(path, "/blobs/"); ok {
		i, known := s.find(config.BlobPrefix + digest)
		if !known || s.seeds == nil {
			absent(w, "BLOB_UNKNOWN")
			return sourceBlob
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(contentSize))
		w.Write(content(s.seeds[i]))
		return sourceBlob
	}
	if strings.Contains(path, "/referrers/") {
		w.Header().Set("Content-Type", ociIndex)
		fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, ociIndex)
		return sourceReferrers
	}
	switch path {
	case "_catalog":
		s.catalog(w, r)
		return sourceList
	case "":
		w.Write([]byte("{}"))
		return sourceOther
	}
	absent(w, "NAME_UNKNOWN")
	return sourceOther
}

func absent(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"errors":[{"code":%q}]}`, code)
}

func (s *source) catalog(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Query().Get("last")
	remaining := s.remaining()
	first := sort.Search(remaining, func(i int) bool { return s.repository(i) > last })
	end := min(remaining, first+catalogPage)
	names := []string{}
	for i := first; i < end; i++ {
		names = append(names, s.repository(i))
	}
	if end < remaining {
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, catalogPage, names[len(names)-1]))
	}
	json.NewEncoder(w).Encode(map[string]any{"repositories": names})
}

func (s *source) tags(w http.ResponseWriter, repository string) {
	number, err := strconv.Atoi(strings.TrimPrefix(repository, sourcePath+"/repository-"))
	if err != nil || number >= s.remaining() {
		absent(w, "NAME_UNKNOWN")
		return
	}
	type image struct {
		Size      string   `json:"imageSizeBytes"`
		MediaType string   `json:"mediaType"`
		Tag       []string `json:"tag"`
		Created   string   `json:"timeCreatedMs"`
		Uploaded  string   `json:"timeUploadedMs"`
	}
	images, tags := map[string]image{}, []string{}
	s.manifestsOf(number, func(i int) {
		m := image{strconv.Itoa(s.size()), ociImage, []string{}, "1790000000000", "1790000000000"}
		if i%groupSize == 0 {
			m.MediaType, m.Tag = ociIndex, []string{fmt.Sprint("v", i)}
			tags = append(tags, m.Tag...)
		}
		images[s.digests[i]] = m
	})
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": repository, "child": []string{}, "tags": tags, "manifest": images})
}
