package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"time"

	"archeio/scripts/prove/cli"
)

const (
	// relayTimeout is how long a response may take that needs an upstream which does not
	// respond, and quickTimeout one that needs nothing of the kind.
	relayTimeout = 5*time.Second + slack
	quickTimeout = time.Second + slack
	// tagMaxAge is TAG_MAX_AGE in a testbed.
	tagMaxAge = time.Second
)

// tokenFault is a fault of an upstream that requires a token, of its token server or of
// its storage, and what clients must see of it. A response is written as its status and
// reason.
type tokenFault struct {
	name   string
	env    map[string]string // laid over the function's environment
	inject func(*testbed)    // begins the fault; nil if env does
	within time.Duration     // limits the time of a response; 0 is quickTimeout

	// cold is the response for a tag that no client requested before, message is part of
	// its error, and tokens is how many tokens are requested for it.
	// Empty is no response: the fault is of later times only.
	cold, message string
	tokens        int
	// blob is the response for a blob that no mirror has; empty is a redirect to the
	// storage.
	blob string

	// warm is the response for a tag that was relayed before the fault, when it is no
	// longer cached and wait has passed, and warmTokens is how many tokens are requested
	// for it. Empty is no response: the fault is of the first time only.
	warm       string
	warmTokens int
	wait       time.Duration
	// early is whether the fault begins before that tag is relayed, expired whether the
	// token of that time is no longer used.
	early, expired bool
}

const (
	relayedManifest = "200 manifest"
	storedBlob      = "307 mirror-absent"
	mirroredBlob    = "307 aws-region"
)

// tokenResult is the result of a tokenFault behind one kind of entry point.
type tokenResult struct {
	Fault      string `json:"fault"`
	EntryPoint string `json:"entryPoint"`
	// Cold and Blob are what a client gets that requests a tag and a blob which no mirror
	// has for the first time, and Tokens the tokens that were requested for the tag.
	Cold   *relayed `json:"cold,omitempty"`
	Blob   *relayed `json:"blob,omitempty"`
	Tokens int64    `json:"tokens"`
	// Warm and WarmTokens are the same for a tag that was relayed before the fault.
	Warm       *relayed `json:"warm,omitempty"`
	WarmTokens int64    `json:"warmTokens"`
	// Pull and WarmPull are pulls by a client.
	Pull     *faultPull `json:"pull,omitempty"`
	WarmPull *faultPull `json:"warmPull,omitempty"`
	Seconds  float64    `json:"seconds"`
	Result   cli.Result `json:"result"`
}

// run injects the fault before a function has requested anything, and again after it has
// relayed an image.
func (x tokenFault) run(f *faultTest, ctx context.Context) (r tokenResult) {
	r = tokenResult{Fault: x.name, EntryPoint: f.kind}
	began := time.Now()
	var err error
	if x.cold != "" {
		if err = x.runCold(f, ctx, &r); err != nil {
			err = fmt.Errorf("before anything was relayed: %w", err)
		}
	}
	if err == nil && x.warm != "" {
		if err = x.runWarm(f, ctx, &r); err != nil {
			err = fmt.Errorf("after the image was relayed: %w", err)
		}
	}
	r.Seconds, r.Result = time.Since(began).Seconds(), cli.ResultOf(err)
	return r
}

// start starts a testbed whose function caches tags for tagMaxAge and may send as many
// requests as the clients cause.
func (x tokenFault) start(f *faultTest, ctx context.Context) (*testbed, error) {
	env := map[string]string{"TAG_MAX_AGE": tagMaxAge.String(), "UPSTREAM_RATE": "1000"}
	maps.Copy(env, x.env)
	return f.testbed(ctx, env)
}

func (x tokenFault) runCold(f *faultTest, ctx context.Context, r *tokenResult) (err error) {
	t, err := x.start(f, ctx)
	if err != nil {
		return err
	}
	defer t.stop()
	if x.inject != nil {
		x.inject(t)
	}
	if r.Cold, err = t.manifest(ctx, tag); err != nil {
		return err
	}
	r.Tokens = t.tokens.issued.Load()
	if err := x.check("the manifest", r.Cold, x.cold, x.message); err != nil {
		return err
	}
	if r.Tokens != int64(x.tokens) {
		return fmt.Errorf("%d tokens were requested for it, want %d", r.Tokens, x.tokens)
	}
	if err := t.mirrored(ctx); err != nil {
		return err
	}
	if r.Blob, err = t.relay(ctx, "/blobs/"+f.images.single.missing()); err != nil {
		return err
	}
	blob := x.blob
	if blob == "" {
		blob = storedBlob
	}
	if err := x.check("the blob that no mirror has", r.Blob, blob, ""); err != nil {
		return err
	}
	r.Pull, err = x.pull(f, ctx, t, x.cold == relayedManifest && blob == storedBlob)
	return err
}

func (x tokenFault) runWarm(f *faultTest, ctx context.Context, r *tokenResult) error {
	t, err := x.start(f, ctx)
	if err != nil {
		return err
	}
	defer t.stop()
	if x.expired {
		t.editTokens(map[string]any{"expires_in": 11}) // it is used until 10 s before its end
	}
	if x.early {
		x.inject(t)
	}
	digest := f.images.single.digest.String()
	// These need the upstream once: a manifest by digest, and the address of a blob.
	kept := map[string]string{"/manifests/" + digest: relayedManifest, "/blobs/" + f.images.single.missing(): storedBlob}
	if err := t.expect(ctx, map[string]string{"/manifests/" + tag: relayedManifest}); err != nil {
		return fmt.Errorf("without the fault: %w", err)
	}
	if err := t.expect(ctx, kept); err != nil {
		return fmt.Errorf("without the fault: %w", err)
	}
	pause(ctx, max(x.wait, tagMaxAge+200*time.Millisecond))
	if !x.early {
		x.inject(t)
	}
	before := t.tokens.issued.Load()
	if r.Warm, err = t.manifest(ctx, tag); err != nil {
		return err
	}
	r.WarmTokens = t.tokens.issued.Load() - before
	if err := x.check("the manifest", r.Warm, x.warm, x.message); err != nil {
		return err
	}
	if r.WarmTokens != int64(x.warmTokens) {
		return fmt.Errorf("%d tokens were requested for it, want %d", r.WarmTokens, x.warmTokens)
	}
	if err := t.mirrored(ctx); err != nil {
		return err
	}
	if err := t.expect(ctx, kept); err != nil {
		return err
	}
	r.WarmPull, err = x.pull(f, ctx, t, x.warm == relayedManifest)
	return err
}

// check returns an error unless a response is the expected one and came in time.
func (x tokenFault) check(what string, got *relayed, want, message string) error {
	if got.String() != want {
		return fmt.Errorf("%s: %s (%s), want %s", what, got, got.Message, want)
	}
	if took, within := got.took(), max(x.within, quickTimeout); took > within {
		return fmt.Errorf("%s: took %s, want at most %s", what, seconds(took), seconds(within))
	}
	return got.sound(message)
}

// expect requests paths, and returns an error unless the responses are the expected ones.
func (t *testbed) expect(ctx context.Context, paths map[string]string) error {
	for path, want := range paths {
		got, err := t.relay(ctx, path)
		if err == nil {
			err = tokenFault{within: relayTimeout}.check(shortDigest(path), got, want, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mirrored downloads blobs that every mirror has.
func (t *testbed) mirrored(ctx context.Context) error {
	s := t.watchN(ctx, time.Millisecond, 5)
	switch {
	case s.failed > 0:
		return fmt.Errorf("%d of 5 blobs of a mirror were not downloaded: %w", s.failed, s.err)
	case s.reasons["aws-region"] != 5:
		return fmt.Errorf("blobs of a mirror have the reasons %s", counted(s.reasons))
	case s.slowest > quickTimeout:
		return fmt.Errorf("the redirect to a mirror took %s", seconds(s.slowest))
	}
	return nil
}

// faultPull is a pull by a client during a fault.
type faultPull struct {
	Seconds float64 `json:"seconds"`
	// Error is what the client printed; empty if it pulled the image.
	Error string `json:"error,omitempty"`
}

func (p *faultPull) String() string {
	switch {
	case p == nil:
		return "-"
	case p.Error != "":
		return fmt.Sprintf("fails, %.1fs", p.Seconds)
	}
	return fmt.Sprintf("pulls, %.1fs", p.Seconds)
}

// crane retries a request twice after some errors, with pauses of one and three seconds.
// https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/remote
const (
	craneAttempts = 3
	cranePauses   = 4 * time.Second
	craneTime     = 4 * time.Second // on a machine that does other things too
)

// pull pulls the single image by its tag with crane, and returns an error unless that
// succeeds or fails as it must, in time. It returns nil if crane is not installed.
func (x tokenFault) pull(f *faultTest, ctx context.Context, t *testbed, succeeds bool) (*faultPull, error) {
	tools, remove, err := newTools()
	if err != nil {
		return nil, err
	}
	defer remove()
	crane := tools.crane()
	if _, err := exec.LookPath(crane.name); err != nil {
		return nil, nil
	}
	began := time.Now()
	digest, err := crane.pull(ctx, strings.TrimPrefix(t.entryPoint.url, "http://")+"/"+singleRepository+":"+tag)
	took := time.Since(began)
	p := &faultPull{Seconds: took.Seconds()}
	if err != nil {
		p.Error = err.Error()
	}
	within := craneTime
	if !succeeds {
		within += cranePauses
	}
	if x.within > 0 {
		within += craneAttempts * x.within
	}
	switch {
	case succeeds && err != nil:
		return p, err
	case succeeds && !strings.Contains(digest, f.images.single.digest.String()):
		return p, fmt.Errorf("crane pulled %s", digest)
	case !succeeds && err == nil:
		return p, errors.New("crane pulled the image, want an error")
	case took > within:
		return p, fmt.Errorf("crane took %s, want at most %s", seconds(took), seconds(within))
	}
	return p, nil
}
