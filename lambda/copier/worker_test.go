package copier

import (
	"context"
	"fmt"
	"testing"
)

// sent is a queue that records messages.
type sent []Message

func (s *sent) Send(_ context.Context, messages ...Message) error {
	*s = append(*s, messages...)
	return nil
}

func (s *sent) Waiting(context.Context) (int, error) { return len(*s), nil }

// TestShards tests that a large repository is split: each image is in one shard,
// and repositories below it are enqueued once.
func TestShards(t *testing.T) {
	t.Parallel()
	l := &Listing{Children: []string{"team/app/below"}}
	for i := range 2*splitAt + 1 {
		l.Entries = append(l.Entries, Entry{Tag: fmt.Sprintf("v%05d", i)})
	}
	var queue sent
	f := &Filler{Queue: &queue, State: Folder(t.TempDir())}
	whole := &repositoryRun{filler: f, message: Message{Do: doRepository, Run: "x", Repository: "team/app"}, name: "run/x/work/team/app.json"}
	if todo, split, err := whole.todo(t.Context(), l); err != nil || !split || len(todo) != 0 || !whole.progress.Done {
		t.Fatalf("%d images are left, split %v, %v", len(todo), split, err)
	}
	if len(queue) != 4 || queue[0].Repository != "team/app/below" {
		t.Fatalf("messages %+v, want one below and three shards", queue)
	}
	seen := map[Entry]int{}
	for _, m := range queue[1:] {
		shard := &repositoryRun{filler: f, message: m}
		todo, split, err := shard.todo(t.Context(), l)
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
