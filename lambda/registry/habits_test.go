package registry_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
	"archeio/scripts/lab/rude"
	"archeio/scripts/lab/system"
)

// pairs returns the number of random pairs of habits: RUDE_PAIRS, or 40.
func pairs(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RUDE_PAIRS")
	if text == "" {
		return 40
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("RUDE_PAIRS=%q: want a number", text)
	}
	return n
}

var rudeContent = sync.OnceValue(func() *rude.Content { return rude.Base(1) })

// TestHabits reads a registry with each bad habit, with random pairs of them, and with
// half as many sets of four, whole. What is called full must be complete, what can be
// had must be read, and the number of requests and the time must be bounded. The race
// detector, which makes this ten times as slow, gets every sixth of the sets.
func TestHabits(t *testing.T) {
	t.Parallel()
	n := pairs(t)
	sets := append(rude.Pairs(18, n), rude.Combinations(18, n/2, 4)...)
	for _, name := range rude.Names() {
		sets = append(sets, []string{name})
	}
	for i, habits := range sets {
		if raced && os.Getenv("RUDE_PAIRS") == "" && i%6 != 0 {
			continue
		}
		t.Run(strings.Join(habits, "+"), func(t *testing.T) {
			t.Parallel()
			content := rudeContent()
			synctest.Test(t, func(t *testing.T) { readAll(t, content, habits) })
		})
	}
}

// longestRun bounds the virtual time of a run: three times the longest quota, and
// the time-outs of some silent requests.
const longestRun = time.Hour

func readAll(t *testing.T, content *rude.Content, habits []string) {
	s, err := rude.NewInMemory(content, habits...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	transport := s.Transport()
	defer transport.CloseIdleConnections()
	transport.ResponseHeaderTimeout = 30 * time.Second // as that of the client itself
	client, err := registry.New(s.Source(), registry.Options{Transport: transport, Keychain: &login{s: s}})
	if err != nil {
		t.Fatal(err)
	}
	want := s.Want(rude.Run{Referrers: true})
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), longestRun)
	defer cancel()
	r := newReader(client)
	outcome := r.run(ctx)
	r.check(t, outcome, want)
	if n := s.Total(); n > want.Requests {
		t.Errorf("%d requests, want at most %d", n, want.Requests)
	}
	if took := time.Since(began); took > longestRun {
		t.Errorf("took %v, want at most %v", took, longestRun)
	}
	for _, violation := range s.Violations() {
		t.Errorf("violation: %s", violation)
	}
}

// TestRealRegistries reads two real registries with the same odd content.
func TestRealRegistries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		start func() (base string, stop func(), err error)
		// olareg has the referrers API, and no catalog.
		olareg bool
		// refused is the number of manifests that it does not accept.
		refused int
	}{
		{"distribution", func() (string, func(), error) { return system.StartRegistry(t.Context(), io.Discard, t.TempDir()) }, false, 3},
		{"olareg", func() (string, func(), error) { return system.StartOlareg(t.Context(), io.Discard) }, true, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			base, stop, err := test.start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			content, refused, err := rude.Push(t.Context(), base, rude.Odd(1))
			if err != nil {
				t.Fatal(err)
			}
			if len(refused) != test.refused {
				t.Errorf("refused %v, want %d", refused, test.refused)
			}
			client, err := registry.New(strings.TrimPrefix(base, "http://")+"/"+rude.Prefix, registry.Options{Keychain: authn.NewMultiKeychain()})
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(client)
			if test.olareg {
				if outcome := r.run(t.Context()); outcome != rude.Refused {
					t.Errorf("outcome %v without a catalog, want refused", outcome)
				}
				r = newReader(client)
				r.repositories = slices.DeleteFunc(content.Names(), func(name string) bool { return name == rude.Outside })
			}
			r.check(t, r.run(t.Context()), content.Want(rude.Run{Referrers: test.olareg}))
		})
	}
}

// check compares what was read with what a correct client reads.
func (r *reader) check(t *testing.T, outcome rude.Outcome, want rude.Want) {
	t.Helper()
	errorTexts := make([]string, len(r.errs))
	for i, err := range r.errs {
		errorTexts[i] = err.Error()
		if strings.ContainsFunc(err.Error(), func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("error with control characters: %q", err)
		}
	}
	details := strings.Join(errorTexts[:min(5, len(errorTexts))], "\n\t")
	if !want.Allows(outcome) {
		t.Errorf("outcome %v, want %v:\n\t%s", outcome, want.Outcomes, details)
	}
	var missing []string
	for _, digest := range slices.Sorted(maps.Keys(want.Blobs)) {
		if !r.blobs[digest] {
			missing = append(missing, digest)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d blobs were not read, although the outcome is %v, for example %s:\n\t%s", len(missing), len(want.Blobs), outcome, missing[0], details)
	}
	for name, references := range want.Tags {
		for _, reference := range references {
			key := name + ":" + reference
			if r.untagged {
				key = name + "@" + reference
			}
			if strings.Contains(reference, ":") == r.untagged && !r.listed[key] {
				t.Errorf("%s was not listed, although the outcome is %v", key, outcome)
				break
			}
		}
	}
}

// login has credentials as they were when they were read.
type login struct {
	s *rude.Server

	mu   sync.Mutex
	read *authn.Basic
}

func (l *login) Resolve(authn.Resource) (authn.Authenticator, error) {
	if !l.s.NeedsLogin() {
		return authn.Anonymous, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read == nil {
		user, password := l.s.Credentials()
		l.read = &authn.Basic{Username: user, Password: password}
	}
	return l.read, nil
}

func (l *login) Refresh(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = nil
	return nil
}

// reader reads all that a client lists, with concurrent requests.
type reader struct {
	client *registry.Client
	// repositories are those to read; nil lists them.
	repositories []string

	mu    sync.Mutex
	blobs map[string]bool
	// listed are "repository:tag" and "repository@digest".
	listed map[string]bool
	// untagged is whether listings have digests of all manifests.
	untagged bool
	errs     []error
}

func newReader(c *registry.Client) *reader {
	return &reader{client: c, blobs: map[string]bool{}, listed: map[string]bool{}}
}

// fail records an error, unless it is no fault of a run: the registry itself says
// that something is not there, or that the bytes of a manifest are not one.
func (r *reader) fail(err error) {
	if !errors.Is(err, registry.ErrAbsent) && !errors.Is(err, registry.ErrMalformed) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.errs = append(r.errs, err)
	}
}

func (r *reader) run(ctx context.Context) rude.Outcome {
	repositories := r.repositories
	var err error
	if repositories == nil {
		err = r.client.Roots(ctx, "", func(page []string, _ string) error {
			repositories = append(repositories, page...)
			return nil
		})
	}
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
		return rude.Refused
	case len(repositories) == 0:
		return rude.Empty
	}
	seen := map[string]bool{}
	for len(repositories) > 0 {
		var mu sync.Mutex
		var below []string
		var group errgroup.Group
		group.SetLimit(4)
		for _, name := range repositories {
			if seen[name] {
				continue
			}
			seen[name] = true
			group.Go(func() error {
				l, err := r.client.List(ctx, name)
				if err != nil {
					r.fail(err)
				}
				if l != nil {
					mu.Lock()
					below = append(below, l.Children...)
					mu.Unlock()
					r.entries(ctx, name, l)
				}
				return nil
			})
		}
		_ = group.Wait() // errors are recorded
		repositories = below
	}
	if len(r.errs) > 0 {
		return rude.Incomplete
	}
	return rude.Full
}

func (r *reader) entries(ctx context.Context, name string, l *registry.Listing) {
	seen := map[string]bool{}
	first := func(digest string) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		known := seen[digest] || !strings.HasPrefix(digest, "sha256:")
		seen[digest] = true
		return !known
	}
	var group errgroup.Group
	group.SetLimit(4)
	for _, e := range l.Entries {
		r.mu.Lock()
		r.untagged = r.untagged || l.Complete
		r.listed[name+":"+e.Tag], r.listed[name+"@"+e.Digest] = true, true
		r.mu.Unlock()
		group.Go(func() error {
			digest := e.Digest
			if digest == "" {
				var err error
				if digest, err = r.client.Resolve(ctx, name, e.Tag); err != nil {
					r.fail(err)
					return nil
				}
			}
			for queue := []string{digest}; len(queue) > 0; queue = queue[1:] {
				if first(queue[0]) {
					queue = append(queue, r.manifest(ctx, name, queue[0], !l.Complete)...)
				}
			}
			return nil
		})
	}
	_ = group.Wait() // errors are recorded
}

// manifest reads the blobs of a manifest, and returns the manifests that belong to
// it.
func (r *reader) manifest(ctx context.Context, name, digest string, referrers bool) []string {
	c, err := r.client.Manifest(ctx, name, digest)
	if moved := (*registry.MovedError)(nil); errors.As(err, &moved) {
		digest, c, err = moved.Digest, moved.Contents, nil
	}
	if err != nil {
		r.fail(err)
		return nil
	}
	more := c.Children
	if referrers {
		found, err := r.client.Referrers(ctx, name, digest)
		if err != nil {
			r.fail(err)
		}
		more = append(slices.Clone(more), found...)
	}
	for _, b := range c.Blobs {
		r.mu.Lock()
		known := r.blobs[b.Digest]
		r.mu.Unlock()
		if known {
			continue
		}
		if err := r.blob(ctx, name, b); err != nil {
			r.fail(fmt.Errorf("reading blob %s: %w", b.Digest, err))
		}
	}
	return more
}

// blob reads a blob, and continues after interruptions as long as there is
// progress.
func (r *reader) blob(ctx context.Context, name string, b registry.Blob) error {
	sum := sha256.New()
	var at int64
	for idle := 0; ; idle++ {
		content, _, err := r.client.Blob(ctx, name, b, at)
		var n int64
		if err == nil {
			n, err = io.Copy(sum, io.LimitReader(content, 1<<26))
			content.Close()
		}
		at += n
		if b.Digest == fmt.Sprintf("sha256:%x", sum.Sum(nil)) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.blobs[b.Digest] = true
			return nil
		}
		if n > 0 {
			idle = 0
		}
		switch {
		case err == nil && n == 0 || idle == 3 || at > 1<<25 || ctx.Err() != nil:
			return fmt.Errorf("%d bytes do not match the digest: %w", at, err)
		case errors.Is(err, registry.ErrAbsent):
			return err
		}
	}
}
