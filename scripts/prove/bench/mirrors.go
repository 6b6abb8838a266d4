package main

import (
	"bytes"
	"maps"
	"math"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"archeio/lambda/index"
)

// onlyInIndex returns one of some blobs that are in every index here and in no mirror.
// Each shows once whether a function uses the index: then it is known to be missing.
func onlyInIndex(i int) string { return digestOf(math.MaxUint64 - uint64(i)%onlyInIndexBlobs) }

const onlyInIndexBlobs = 4096

// isOnlyInIndex reports whether a digest is one of onlyInIndex.
func isOnlyInIndex(digest string) bool {
	p, ok := index.Prefix(digest)
	return ok && p > math.MaxUint64-onlyInIndexBlobs
}

// encodeIndex returns an index of blobs and of those that no mirror has, which covers
// the mirrors in some regions.
func encodeIndex(regions, blobs []string) ([]byte, error) {
	return index.Encode(time.Now(), regions, func(yield func(index.Digest) bool) {
		for _, digest := range blobs {
			if d, _ := index.ParseDigest(digest); !yield(d) {
				return
			}
		}
		for i := range onlyInIndexBlobs {
			if d, _ := index.ParseDigest(onlyInIndex(i)); !yield(d) {
				return
			}
		}
	})
}

// digestsOf returns a digest for each entry of an index.
func digestsOf(entries []uint64) []string {
	all := make([]string, len(entries))
	for i, p := range entries {
		all[i] = digestOf(p)
	}
	return all
}

// serveMirrors starts a server for all mirrors, which have every blob and an index
// of entries. It returns the environment of a function that uses them.
func serveMirrors(entries []uint64) (env map[string]string, stop func(), err error) {
	data, err := encodeIndex(strings.Split(environment["MIRROR_REGIONS"], ","), digestsOf(entries))
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch name := path.Base(r.URL.Path); {
		case name == index.Name:
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		case isOnlyInIndex(name):
			http.NotFound(w, r)
		}
	})}
	go server.Serve(l)
	env = maps.Clone(environment)
	env["MIRROR_URL_TEMPLATE"] = "http://" + l.Addr().String() + "/{region}"
	env["DEFAULT_MIRROR_CHECK_URL"] = "http://" + l.Addr().String()
	return env, func() { server.Close() }, nil
}

// withoutIndex returns the environment of a function that uses no index.
func withoutIndex(env map[string]string) map[string]string {
	env = maps.Clone(env)
	env["MIRROR_INDEX_REFRESH"] = "none"
	return env
}
