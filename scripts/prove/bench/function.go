package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"time"

	"archeio/lambda/build"
	"archeio/lambda/index"
	"archeio/scripts/lab/runtimeapi"
)

// empty is the smallest function there is, what ours is compared with.
const empty = "./lambda/redirector/testdata/hello"

// functions builds ours and the empty one in the same way.
func (b *bench) functions(ctx context.Context) (ours, other string, err error) {
	if ours, err = build.Bootstrap(ctx, "redirector"); err != nil {
		return "", "", err
	}
	other, err = b.compile(ctx, empty)
	return ours, other, err
}

// compile builds a package of the repository as functions are built.
func (b *bench) compile(ctx context.Context, pkg string) (string, error) {
	out := filepath.Join(b.dir, filepath.Base(pkg))
	return out, build.Package(ctx, pkg, "", out)
}

// function is a process under a Runtime API of its own.
type function struct {
	api     *runtimeapi.API
	process *runtimeapi.Process
}

// launch starts a function and waits until it asks for an event.
func launch(ctx context.Context, binary string, env map[string]string, output io.Writer) (*function, error) {
	api, err := runtimeapi.Listen()
	if err != nil {
		return nil, err
	}
	p, err := api.Start(binary, env, output)
	if err != nil {
		api.Close()
		return nil, err
	}
	f := &function{api, p}
	select {
	case <-api.Ready():
		return f, nil
	case <-p.Exited():
		err = p.Err()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	f.stop()
	return nil, err
}

func (f *function) stop() {
	f.process.Stop()
	f.api.Close()
}

// all sends events one after the other.
func (f *function) all(ctx context.Context, payloads [][]byte) error {
	for _, p := range payloads {
		if _, err := f.api.Invoke(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// onlyInIndex is in every index here, and in no mirror.
var onlyInIndex = digestOf(42)

// mirrors serves a mirror that has every blob, and an index of entries. It
// answers the environment of a function that asks it.
func mirrors(entries []uint64) (env map[string]string, stop func(), err error) {
	data, err := index.Encode(time.Now(), append(slices.Clone(entries), 42))
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

// withoutIndex is an environment in which no index is used.
func withoutIndex(env map[string]string) map[string]string {
	env = maps.Clone(env)
	env["MIRROR_INDEX_REFRESH"] = "none"
	return env
}

// awaitIndex waits until a function has loaded the index: it knows it beside its
// answers, and tells nobody.
func (f *function) awaitIndex(ctx context.Context) error {
	event := blobEvent("pause", onlyInIndex, "35.180.1.1")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		out, err := f.api.Invoke(ctx, event)
		if err != nil {
			return err
		}
		if bytes.Contains(out, []byte("nearest-region")) {
			return nil
		}
	}
	return errors.New("the function did not load the index in 20 seconds")
}
