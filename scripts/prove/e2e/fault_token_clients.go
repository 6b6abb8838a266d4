package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"archeio/scripts/prove/cli"
	"archeio/scripts/prove/clients"
)

// clientsDuring has every client that pulls images pull during a fault of the upstream or
// its token server, before and after the image was relayed.
type clientsDuring struct {
	inject func(*testbed)
}

func (c clientsDuring) run(f *faultTest, ctx context.Context) (string, error) {
	t, remove, err := newTools()
	if err != nil {
		return "", err
	}
	defer remove()
	var all []*client
	var names []string
	for _, c := range t.clients() {
		if c.pull != nil && !c.charts {
			all, names = append(all, c), append(names, c.name)
		}
	}
	missing, err := clients.Install(ctx, names, f.progress)
	if err != nil {
		return "", err
	}
	var observed []string
	ran := 0
	for _, x := range all {
		err := missing[x.name]
		if err == nil && x.start != nil {
			err = x.start(ctx, f.log)
		}
		if err != nil {
			observed = append(observed, x.name+" is missing")
			continue
		}
		took, err := c.during(f, ctx, x)
		if x.stop != nil {
			x.stop()
		}
		if err != nil {
			return strings.Join(observed, ", "), fmt.Errorf("%s: %w", x.name, err)
		}
		ran++
		fails := "fails after " + seconds(took)
		if took >= commandTimeout {
			fails = "still retries after " + seconds(commandTimeout)
		}
		observed = append(observed, x.name+" "+fails)
	}
	text := strings.Join(observed, ", ")
	if ran == 0 {
		return text, fmt.Errorf("%w: no client is installed", cli.ErrSkipped)
	}
	return text + "; each pulls what was relayed before", nil
}

// during pulls the image with a client: during the fault, before it, and during it again
// when its tag is no longer cached. Only the first must fail. It returns how long that took.
func (c clientsDuring) during(f *faultTest, ctx context.Context, x *client) (took time.Duration, err error) {
	cold, err := tokenFault{}.start(f, ctx)
	if err != nil {
		return 0, err
	}
	defer cold.stop()
	c.inject(cold)
	began := time.Now()
	if err := cold.pullWith(ctx, x, f.images.single); err == nil {
		return 0, errors.New("pulled the image during the fault, want an error")
	}
	took = time.Since(began)
	warm, err := tokenFault{}.start(f, ctx)
	if err != nil {
		return took, err
	}
	defer warm.stop()
	for _, inject := range []func(*testbed){nil, c.inject} {
		if inject != nil {
			pause(ctx, tagMaxAge+200*time.Millisecond)
			inject(warm)
		}
		if err := warm.pullWith(ctx, x, f.images.single); err != nil {
			return took, err
		}
	}
	return took, nil
}

// pullWith pulls an image by its tag, checks its digest, and removes it.
func (t *testbed) pullWith(ctx context.Context, c *client, image *testImage) error {
	ref := t.entryPoint.address + "/" + image.repository + ":" + image.tag
	digests, err := c.pull(ctx, ref)
	if err != nil {
		if c.remove != nil {
			_ = c.remove(ctx, ref) // what was pulled until then
		}
		return err
	}
	if !strings.Contains(digests, image.digest.String()) {
		return fmt.Errorf("got digest %q, want %s", strings.TrimSpace(digests), image.digest)
	}
	if c.remove == nil {
		return nil
	}
	return c.remove(ctx, ref)
}
