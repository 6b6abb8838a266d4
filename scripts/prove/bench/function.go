package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
)

// The packages of the programs that ours is compared with. emptyFunction is the
// smallest function there is.
const (
	emptyFunction = "./lambda/redirector/testdata/hello"
	peerProgram   = "./scripts/prove/bench/peers/run"
)

// built are the binaries that this process has built, by package: linking one takes a
// second or two.
var built = struct {
	mu    sync.Mutex
	files map[string]string
}{files: map[string]string{}}

// once returns the binary of a package, made by build the first time.
func once(pkg string, build func() (string, error)) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if file := built.files[pkg]; file != "" {
		return file, nil
	}
	file, err := build()
	if err == nil {
		built.files[pkg] = file
	}
	return file, err
}

// redirector builds our function and returns the binary.
func (b *bench) redirector(ctx context.Context) (string, error) {
	return once("redirector", func() (string, error) { return build.Bootstrap(ctx, "redirector") })
}

// compile builds a package of the repository as functions are built, and returns the
// binary.
func (b *bench) compile(ctx context.Context, pkg string) (string, error) {
	return once(pkg, func() (string, error) {
		out := filepath.Join(b.root, ".build", "bench-"+filepath.Base(pkg))
		return out, build.Package(ctx, pkg, "", out)
	})
}

// functions builds our function and the empty one in the same way.
func (b *bench) functions(ctx context.Context) (ours, other string, err error) {
	if ours, err = b.redirector(ctx); err != nil {
		return "", "", err
	}
	other, err = b.compile(ctx, emptyFunction)
	return ours, other, err
}

// function is a process of a function with a Runtime API of its own.
type function struct {
	api     *runtimeapi.API
	process *runtimeapi.Process
}

// launch starts a function and waits until it asks for the first event.
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

// invokeAll sends events one after the other.
func (f *function) invokeAll(ctx context.Context, payloads [][]byte) error {
	for _, p := range payloads {
		if _, err := f.api.Invoke(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// awaitIndex sends events until the function has loaded the index, which it does
// in the background.
func (f *function) awaitIndex(ctx context.Context) error {
	i := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		out, err := f.api.Invoke(ctx, blobEvent("pause", onlyInIndex(i), "35.180.1.1"))
		i++
		if err != nil {
			return err
		}
		if bytes.Contains(out, []byte("nearest-region")) {
			return nil
		}
	}
	return errors.New("the function did not load the index within 20s")
}
