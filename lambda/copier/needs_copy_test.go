package copier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"archeio/lambda/registry"
)

// TestNeedsCopyEnds tests that a blob that only a copy from the shell can fill stops
// counting once it is withdrawn or the source does not have its image, by a status run of
// the functions and by a copy from the shell, and not while that is unknown.
func TestNeedsCopyEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, d *deployed, h *hub, digest string) error
		stays  bool
	}{
		{"unchanged", func(*testing.T, *deployed, *hub, string) error { return nil }, true},
		{"withdrawn", func(t *testing.T, d *deployed, _ *hub, digest string) error {
			_, err := Withdraw(t.Context(), d.State, d.Buckets, digest)
			return err
		}, false},
		{"image-deleted", func(t *testing.T, d *deployed, h *hub, _ string) error {
			h.remove("app", "v2")
			return d.readSource(t)
		}, false},
		{"image-deleted-and-not-listed-since", func(_ *testing.T, _ *deployed, h *hub, _ string) error {
			h.remove("app", "v2")
			return nil
		}, true},
		{"another-image-has-it", func(t *testing.T, d *deployed, h *hub, digest string) error {
			h.blob(t, "other", []byte("large"))
			h.manifest(t, "other", "v1", ociManifest, manifestOf(blobOf([]byte("large"))))
			err := d.readSource(t)
			h.remove("app", "v2")
			_, failed := d.Buckets[0].Remove(t.Context(), digest)
			return errors.Join(err, failed, d.State.Delete(t.Context(), cacheName("app", 0, 1)))
		}, true},
		{"cache-corrupt", func(t *testing.T, d *deployed, h *hub, _ string) error {
			h.remove("app", "v2")
			return errors.Join(d.readSource(t), d.State.Put(t.Context(), cacheName("app", 0, 1), []byte("x")))
		}, true},
		{"withdrawn-and-cache-corrupt", func(t *testing.T, d *deployed, _ *hub, digest string) error {
			_, err := Withdraw(t.Context(), d.State, d.Buckets, digest)
			return errors.Join(err, d.State.Put(t.Context(), cacheName("app", 0, 1), []byte("x")))
		}, false},
		{"no-cache", func(t *testing.T, d *deployed, _ *hub, _ string) error {
			return errors.Join(d.State.Delete(t.Context(), cacheName("app", 0, 1)), d.State.Delete(t.Context(), cacheName("team", 0, 1)))
		}, true},
	} {
		for by, end := range map[string]func(context.Context, *deployed) error{
			"status": func(ctx context.Context, d *deployed) error {
				_, err := d.Status(ctx)
				return err
			},
			"copy": func(ctx context.Context, d *deployed) error { return ClearNeedsCopy(ctx, d.State, d.Buckets[0]) },
		} {
			t.Run(tt.name+"-"+by, func(t *testing.T) {
				t.Parallel()
				h := startHub(t)
				h.manifest(t, "app", "v1", ociManifest, manifestOf(h.blob(t, "app", []byte("small"))))
				h.manifest(t, "team", "v1", ociManifest, manifestOf(h.blob(t, "team", []byte("small"))))
				large := h.blob(t, "app", []byte("large"))
				h.manifest(t, "app", "v2", ociManifest, manifestOf(large))
				d := deploy(t, nil, &Filler{Source: h.source(t, "", registry.Options{})})
				if err := d.readSource(t); err != nil {
					t.Fatal(err)
				}
				for _, b := range d.Buckets {
					if _, err := b.Remove(t.Context(), large.Digest); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(tt.change(t, d, h, large.Digest), d.write(t.Context(), needsPrefix+large.Digest, Message{Do: doBlob, Run: "x", Repository: "app", Blob: &large})); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), invocation)
				defer cancel()
				d.metrics.Reset()
				if err := end(ctx, d); err != nil {
					t.Fatal(err)
				}
				needs, err := NeedsCopy(t.Context(), d.State)
				if err != nil || (len(needs) > 0) != tt.stays {
					t.Errorf("%q still need a copy, error %v, want one: %v", needs, err, tt.stays)
				}
				if counted := strings.Contains(d.metrics.String(), "NeedsMirrorCopy"); by == "status" && counted != tt.stays {
					t.Errorf("metrics %s, want NeedsMirrorCopy: %v", d.metrics, tt.stays)
				}
			})
		}
	}
}

// readSource runs the planner and the workers.
func (d *deployed) readSource(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	_, err := d.Plan(ctx)
	d.work(t)
	return err
}
