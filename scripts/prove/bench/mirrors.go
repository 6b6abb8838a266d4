package main

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"time"

	"archeio/lambda/index"
)

// onlyInIndex is a blob that is in every index here and in no mirror. Its entry is
// onlyInIndexEntry.
var onlyInIndex = digestOf(onlyInIndexEntry)

const onlyInIndexEntry = 42

// serveMirrors starts a server for all mirrors, which have every blob and an index
// of entries. It returns the environment of a function that uses them.
func serveMirrors(entries []uint64) (env map[string]string, stop func(), err error) {
	data, err := index.Encode(time.Now(), append(slices.Clone(entries), onlyInIndexEntry))
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case index.Name:
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		case onlyInIndex:
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
