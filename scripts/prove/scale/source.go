package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// source is a registry with a catalog, and with listings that have the digests of all
// manifests, as those of Google's registries.
type source struct {
	*generator
	counts *counts
}

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
	absent(w, "BLOB_UNKNOWN")
	return sourceOther
}

func absent(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"errors":[{"code":%q}]}`, code)
}

func (s *source) catalog(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Query().Get("last")
	first := sort.Search(s.repositories, func(i int) bool { return s.repository(i) > last })
	end := min(s.repositories, first+catalogPage)
	names := []string{}
	for i := first; i < end; i++ {
		names = append(names, s.repository(i))
	}
	if end < s.repositories {
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, catalogPage, names[len(names)-1]))
	}
	json.NewEncoder(w).Encode(map[string]any{"repositories": names})
}

func (s *source) tags(w http.ResponseWriter, repository string) {
	number, err := strconv.Atoi(strings.TrimPrefix(repository, sourcePath+"/repository-"))
	if err != nil || number >= s.repositories {
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
		m := image{strconv.Itoa(blobSize), ociImage, []string{}, "1790000000000", "1790000000000"}
		if i%groupSize == 0 {
			m.MediaType, m.Tag = ociIndex, []string{fmt.Sprint("v", i)}
			tags = append(tags, m.Tag...)
		}
		images[s.digests[i]] = m
	})
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": repository, "child": []string{}, "tags": tags, "manifest": images})
}
