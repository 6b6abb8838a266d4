package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"archeio/lambda/registry"
)

// sent is a queue that records messages.
type sent []Message

func (s *sent) Send(_ context.Context, messages ...Message) error {
	*s = append(*s, messages...)
	return nil
}

func (s *sent) Waiting(context.Context) (waiting, inFlight int, err error) { return len(*s), 0, nil }

// TestShards tests that a large repository is split: each image is in one shard, and
// the repositories below it are left for one more message.
func TestShards(t *testing.T) {
	t.Parallel()
	l := &registry.Listing{Children: []string{"team/app/below"}}
	for i := range 2*splitAt + 1 {
		l.Entries = append(l.Entries, registry.Entry{Tag: fmt.Sprintf("v%05d", i)})
	}
	var queue sent
	f := &Filler{Queue: &queue, State: Folder(t.TempDir())}
	whole := &repositoryRun{filler: f, message: Message{Do: doRepository, Run: "x", Repository: "team/app"}, name: workPrefix + "team/app.json"}
	if todo, split, err := whole.todo(t.Context(), l, l.Entries); err != nil || !split || len(todo) != 0 || !whole.progress.Done || len(whole.progress.Below) != 1 {
		t.Fatalf("%d images are left, split %v, %v", len(todo), split, err)
	}
	if len(queue) != 4 || !reflect.DeepEqual(queue[3], whole.message) {
		t.Fatalf("messages %+v, want three shards and the repository again", queue)
	}
	seen := map[registry.Entry]int{}
	for _, m := range queue[:3] {
		shard := &repositoryRun{filler: f, message: m}
		todo, split, err := shard.todo(t.Context(), l, l.Entries)
		if err != nil || split || len(todo) == 0 {
			t.Fatalf("shard %d of %d: %d images, split %v, %v", m.Shard, m.Of, len(todo), split, err)
		}
		for _, e := range todo {
			seen[e]++
		}
	}
	for _, e := range l.Entries {
		if seen[e] != 1 {
			t.Errorf("image %s is in %d shards", e, seen[e])
		}
	}
	if len(queue) != 4 {
		t.Errorf("%d messages, want none from a shard", len(queue))
	}
}

// full is a queue that cannot take messages.
type full struct{ Queue }

func (full) Send(context.Context, ...Message) error { return errors.New("the queue is full") }

// TestFailuresAreLogged tests that the log has the cause of all that is retried.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	data, blob := noise(1, 100)
	h.blob(t, "app", data)
	h.manifest(t, "app", "v1", ociManifest, manifestOf(blob))
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	var log bytes.Buffer
	f := &Filler{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{start(t).buckets[0]}, State: Folder(t.TempDir()), Queue: &sent{},
		Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: io.Discard}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	for _, tt := range []struct {
		name  string
		queue Queue
		want  []string
	}{
		{"first", &sent{}, []string{`msg="copying failed" repository=app image=app:v1 digest=` + blob.Digest, "log in"}},
		{"retry", &sent{}, []string{`msg="copying failed" repository=app image=app:v1 digest=` + blob.Digest, "log in"}},
		{"retry-stops", full{}, []string{`msg="retrying failed images stopped" repository=app images=1 error="the queue is full"`}},
	} {
		log.Reset()
		f.Queue = tt.queue
		err := f.Work(ctx, `{"do":"repository","run":"x","repository":"app"}`)
		oneLineOf(t, err, `repository "app": images to retry: 1`)
		for _, want := range tt.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s: the log does not have %q:\n%s", tt.name, want, &log)
			}
		}
	}
}
