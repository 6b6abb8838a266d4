package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/pace"
)

// simulated is a Client with a simulated body for each blob.
func simulated(t *testing.T, o Options, body func(ctx context.Context) io.ReadCloser) *Client {
	t.Helper()
	o.Keychain = authn.NewMultiKeychain()
	o.Transport = wire(func(r *http.Request) (*http.Response, error) {
		resp, err := respond(r, http.StatusOK, nil, "")
		if r.URL.Path != "/v2/" {
			resp.Body, resp.ContentLength = body(r.Context()), -1
		}
		return resp, err
	})
	s, err := New("example.com", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBandwidth tests that all blobs share one bandwidth limit.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 5_000_000
		s := simulated(t, Options{Bandwidth: 1_000_000}, func(context.Context) io.ReadCloser {
			return io.NopCloser(strings.NewReader(strings.Repeat("x", size)))
		})
		began := time.Now()
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				body, _, err := s.Blob(t.Context(), "app", Blob{Digest: a, Size: size}, 0)
				if err != nil {
					return err
				}
				defer body.Close()
				n, err := io.Copy(io.Discard, body)
				if n != size {
					t.Errorf("%d bytes", n)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("20 MB at 1 MB per second took %v", took)
		}
	})
}

// dripping reads a byte at a time, after a pause that gets longer.
type dripping struct {
	ctx   context.Context
	pause time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if err := pace.Sleep(d.ctx, d.pause); err != nil {
		return 0, d.ctx.Err() // as net/http does
	}
	d.pause += 10 * time.Second
	return 1, nil
}

func (*dripping) Close() error { return nil }

// TestStalled tests that a slow stream continues, and that a stalled one is
// requested again a few times, and then fails.
func TestStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := simulated(t, Options{}, func(ctx context.Context) io.ReadCloser { return &dripping{ctx, time.Second} })
		body, _, err := s.Blob(t.Context(), "app", Blob{Digest: a, Size: 100}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		began := time.Now()
		n, err := io.Copy(io.Discard, body)
		const once = (1 + 11 + 21 + 31 + 41 + 51 + 60) * time.Second
		if n != 6 || !errors.Is(err, pace.ErrStalled) || time.Since(began) < (1+blobAttempts)*once || time.Since(began) > (1+blobAttempts)*once+time.Minute {
			t.Errorf("%d bytes after %v, error %v", n, time.Since(began), err)
		}
	})
}

// TestSlowReader tests that a stream does not stall because of its reader.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var of context.Context
		s := simulated(t, Options{}, func(ctx context.Context) io.ReadCloser {
			of = ctx
			return io.NopCloser(strings.NewReader("abc"))
		})
		body, _, err := s.Blob(t.Context(), "app", Blob{Digest: a, Size: 3}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		for range 3 {
			if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if pace.Sleep(t.Context(), 2*pace.StallTimeout); of.Err() != nil {
				t.Fatal("the request was canceled:", context.Cause(of))
			}
		}
	})
}
