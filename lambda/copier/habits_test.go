package copier

import (
	"bytes"
	"context"
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

	"archeio/lambda/registry"
	"archeio/scripts/lab/rude"
)

// rudeContent is what all rude registries are made from.
var rudeContent = sync.OnceValue(func() *rude.Content { return rude.Base(1) })

// rudeSets returns the sets of habits to run against. RUDE_PAIRS=N is each habit alone
// and N random pairs; the default is as many habits at once as go together. The race
// detector, which makes this ten times as slow, gets every sixth of the sets.
func rudeSets(t *testing.T) [][]string {
	if text := os.Getenv("RUDE_PAIRS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			t.Fatalf("RUDE_PAIRS=%q: want a number", text)
		}
		sets := rude.Pairs(7, n)
		for _, name := range rude.Names() {
			sets = append(sets, []string{name})
		}
		return sets
	}
	sets := packed(t)
	if !raced {
		return sets
	}
	var sample [][]string
	for i := 0; i < len(sets); i += 6 {
		sample = append(sample, sets[i])
	}
	t.Logf("under the race detector: %d of %d sets of habits", len(sample), len(sets))
	return sample
}

// packed puts all habits that are not heavy into as few sets as go together. Those after
// which a run is refused hide others, so they are alone, and one of each group is enough.
func packed(t *testing.T) [][]string {
	t.Helper()
	const together = 4
	var sets, alone [][]string
	seen := map[string]bool{}
	for _, h := range rude.Habits {
		if h.Heavy {
			continue
		}
		s, err := rude.NewInMemory(rudeContent(), h.Name)
		if err != nil {
			t.Fatal(err)
		}
		want := s.Want(rude.Run{Referrers: true})
		s.Close()
		if len(want.Blobs) == 0 {
			if group := strings.Join(h.Groups, " "); group == "" || !seen[group] {
				seen[group] = true
				alone = append(alone, []string{h.Name})
			}
			continue
		}
		at := slices.IndexFunc(sets, func(set []string) bool {
			return len(set) < together && compatible(append(slices.Clone(set), h.Name))
		})
		if at < 0 {
			sets = append(sets, nil)
			at = len(sets) - 1
		}
		sets[at] = append(sets[at], h.Name)
	}
	return append(sets, alone...)
}

// hasGroup reports whether one of the habits is of one of the groups.
func hasGroup(names []string, groups ...string) bool {
	return slices.ContainsFunc(rude.Habits, func(h rude.Habit) bool {
		return slices.Contains(names, h.Name) && slices.ContainsFunc(h.Groups, func(g string) bool { return slices.Contains(groups, g) })
	})
}

// compatible reports whether habits go together.
func compatible(names []string) bool {
	taken := map[string]bool{}
	for _, h := range rude.Habits {
		if !slices.Contains(names, h.Name) {
			continue
		}
		for _, group := range h.Groups {
			if taken[group] {
				return false
			}
			taken[group] = true
		}
	}
	return true
}

// TestHabits mirrors registries with bad habits. What is called full must be complete,
// what can be had must be copied, and the number of requests and the time must be
// bounded.
func TestHabits(t *testing.T) {
	t.Parallel()
	for _, habits := range rudeSets(t) {
		t.Run(strings.Join(habits, "+"), func(t *testing.T) {
			t.Parallel()
			content := rudeContent()
			synctest.Test(t, func(t *testing.T) { mirrorAll(t, content, habits) })
		})
	}
}

// longestRun bounds the virtual time of a run.
const longestRun = 2 * time.Hour

// rudeSource returns a server with habits and a client for it.
func rudeSource(t *testing.T, content *rude.Content, habits []string) (*rude.Server, *registry.Client) {
	t.Helper()
	s, err := rude.NewInMemory(content, habits...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	transport := s.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	transport.ResponseHeaderTimeout = 30 * time.Second
	client, err := registry.New(s.Source(), registry.Options{Transport: transport, Keychain: rudeLogin{s}})
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

// rudeLogin has the credentials that the server accepts now.
type rudeLogin struct{ s *rude.Server }

func (l rudeLogin) Resolve(authn.Resource) (authn.Authenticator, error) {
	if !l.s.NeedsLogin() {
		return authn.Anonymous, nil
	}
	user, password := l.s.Credentials()
	return &authn.Basic{Username: user, Password: password}, nil
}

func (rudeLogin) Refresh(context.Context) error { return nil }

func mirrorAll(t *testing.T, content *rude.Content, habits []string) {
	s, client := rudeSource(t, content, habits)
	want := s.Want(rude.Run{Referrers: true})
	buckets := newMemory()
	o := Options{Source: client, Buckets: []*Bucket{buckets.bucket("primary", "us-east-1"), buckets.bucket("replica", "eu-central-1")},
		Referrers: true, Manifests: &ManifestCache{}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*longestRun)
	defer cancel()
	began := time.Now()
	outcome, lines := mirrorOnce(ctx, t, o)
	if outcome == rude.Incomplete && !want.Allows(outcome) && hasGroup(habits, "passing", "429") {
		// Every seventh request fails, and one was unlucky each time.
		outcome, lines = mirrorOnce(ctx, t, o)
	}
	for _, line := range lines {
		if strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("text with control characters: %q", line)
		}
	}
	details := strings.Join(lines[:min(5, len(lines))], "\n\t")
	if !want.Allows(outcome) {
		t.Errorf("outcome %v, want %v:\n\t%s", outcome, want.Outcomes, details)
	}
	for _, b := range o.Buckets {
		checkBlobs(t, buckets.blobs(b), want, outcome, details)
	}
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

// checkBlobs checks that a bucket has all that can be had, and nothing else.
func checkBlobs(t *testing.T, got map[string][]byte, want rude.Want, outcome rude.Outcome, details string) {
	t.Helper()
	var missing []string
	for _, digest := range slices.Sorted(maps.Keys(want.Blobs)) {
		if content, has := got[digest]; !has || !bytes.Equal(content, want.Blobs[digest]) {
			missing = append(missing, digest)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d blobs were not copied, although the outcome is %v, for example %s:\n\t%s", len(missing), len(want.Blobs), outcome, missing[0], details)
	}
	for digest, content := range got {
		if blobOf(content).Digest != digest {
			t.Errorf("%s does not match its digest", digest)
		}
	}
}

// mirrorOnce does what a shell command does, and returns its outcome with what it
// says.
func mirrorOnce(ctx context.Context, t *testing.T, o Options) (outcome rude.Outcome, lines []string) {
	t.Helper()
	plan, err := NewPlan(ctx, o)
	if err != nil {
		return rude.Refused, []string{err.Error()}
	}
	result, err := Copy(ctx, o, plan)
	if err != nil {
		t.Errorf("the run did not end: %v", err)
	}
	for _, err := range slices.Concat(result.Errors, result.Absent) {
		lines = append(lines, err.Error())
	}
	lines = append(lines, result.Warnings...)
	switch {
	case len(result.Errors) > 0:
		return rude.Incomplete, lines
	case plan.Empty():
		return rude.Empty, lines
	}
	return rude.Full, lines
}
