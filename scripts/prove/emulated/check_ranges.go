package main

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archeio/infra/stage"
	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/lab/clouds"
	"archeio/scripts/lab/pull"
)

// newRange is a range of the second region that appears while the stage runs, with a
// client in it.
var (
	newRange       = netip.MustParsePrefix("198.18.7.0/24")
	newRangeClient = netip.MustParseAddr("198.18.7.1")
)

// documents simulates the servers of the providers.
type documents struct {
	mu  sync.Mutex
	all map[string][]byte // by path
}

func (d *documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Write(d.all[r.URL.Path])
}

// publish sets the document of AWS and returns the notice about it.
func (d *documents) publish(x compile.Document) (notice string) {
	text := clouds.JSON(x)
	d.set(ranges.AWS, text)
	return fmt.Sprintf(`{"create-time":"2026-01-01T00:00:00+00:00","synctoken":"%d","md5":"%x","url":"https://attacker.example/"}`, x.Date.Unix(), md5.Sum(text))
}

func (d *documents) set(cloud ranges.Cloud, text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all["/"+string(cloud)+".json"] = text
}

// checkRanges publishes new IP ranges while clients pull: they reach the redirector
// without a deployment. Then it publishes what must be refused, approves it, and rolls
// it back.
func (c *checks) checkRanges(ctx context.Context) {
	c.progress.Step("publishing new IP ranges while clients pull")
	c.check("IP ranges are refreshed without a deployment", c.refreshRanges(ctx))
}

func (c *checks) refreshRanges(ctx context.Context) error {
	d := &documents{all: map[string][]byte{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: d}
	go server.Serve(l)
	defer server.Close()
	var aws compile.Document
	for _, p := range compile.Providers {
		x, ok := compile.Keep(ranges.Embedded(), p.Cloud)
		if !ok {
			return fmt.Errorf("the embedded table has no document of %s", p.Cloud)
		}
		d.set(p.Cloud, clouds.JSON(x))
		if p.Cloud == ranges.AWS {
			aws = x
		}
	}
	topic, err := c.simulateProviders(ctx, "http://"+l.Addr().String())
	if err != nil {
		return err
	}
	published := aws.Prefixes
	next := func(prefixes []ranges.Prefix) string {
		aws.Date = aws.Date.Add(time.Hour)
		aws.Version, aws.Prefixes = aws.Date.Format("2006-01-02-15-04-05"), prefixes
		return d.publish(aws)
	}
	with := append(published[:len(published):len(published)], ranges.Prefix{Prefix: newRange, Place: ranges.Place{Cloud: ranges.AWS, Region: regions[1]}})

	// The ranges of a table are fewer than the prefixes that were published: the first
	// documents count as shrunk.
	if id, err := c.operate(ctx, "refused", "refresh"); err != nil {
		return err
	} else if _, err := c.operate(ctx, "published", "approve", id); err != nil {
		return err
	}
	stop := c.keepAsking(ctx)
	defer stop()
	if err := c.waitForReason(ctx, "default-mirror"); err != nil {
		return err
	}
	notice := next(with)
	forged := notice[:strings.Index(notice, `"md5":"`)] + `"md5":"` + strings.Repeat("0", 32) + `"}`
	for _, message := range []string{forged, notice} {
		if err := c.aws(ctx, stage.EdgeRegion, nil, "sns", "publish", "--topic-arn", topic, "--message", message); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := c.waitForReason(ctx, "aws-region"); err != nil {
		return err
	}
	c.progress.Note("the new range is used after %s", time.Since(began).Round(time.Second))

	next(with[:len(with)/2]) // shrunk
	id, err := c.operate(ctx, "refused", "refresh")
	if err != nil {
		return err
	}
	if _, err := c.operate(ctx, "published", "approve", id); err != nil {
		return err
	}
	if err := c.waitForReason(ctx, "default-mirror"); err != nil {
		return fmt.Errorf("after the approval: %w", err)
	}
	if _, err := c.operate(ctx, "published", "rollback"); err != nil {
		return err
	}
	if err := c.waitForReason(ctx, "aws-region"); err != nil {
		return fmt.Errorf("after the rollback: %w", err)
	}
	if _, err := c.operate(ctx, "refused", "refresh"); err != nil { // the rollback holds
		return err
	}
	if failed, asked := stop(); failed > 0 || asked == 0 {
		return fmt.Errorf("%d of %d requests failed in the meantime", failed, asked)
	}
	return nil
}

// simulateProviders makes the refresher read documents from a server on loopback, and
// subscribes it to a topic of this account in place of AWS's.
func (c *checks) simulateProviders(ctx context.Context, base string) (topic string, err error) {
	function := c.stage.RefreshFunction()
	var created struct{ TopicArn string }
	if err := c.aws(ctx, stage.EdgeRegion, &created, "sns", "create-topic", "--name", "AmazonIpSpaceChanged"); err != nil {
		return "", err
	}
	arn := "arn:aws:lambda:" + stage.EdgeRegion + ":" + account + ":function:" + function
	if err := c.aws(ctx, stage.EdgeRegion, nil, "sns", "subscribe", "--topic-arn", created.TopicArn, "--protocol", "lambda", "--notification-endpoint", arn); err != nil {
		return "", err
	}
	if err := c.aws(ctx, stage.EdgeRegion, nil, "lambda", "add-permission", "--function-name", function, "--statement-id", "simulated",
		"--action", "lambda:InvokeFunction", "--principal", "sns.amazonaws.com", "--source-arn", created.TopicArn); err != nil {
		return "", err
	}
	var now struct {
		Environment struct{ Variables map[string]string }
	}
	if err := c.aws(ctx, stage.EdgeRegion, &now, "lambda", "get-function-configuration", "--function-name", function); err != nil {
		return "", err
	}
	env := now.Environment.Variables
	env["REFRESH_DOCUMENTS"], env["REFRESH_NOTICES"] = base, created.TopicArn
	text, err := json.Marshal(map[string]any{"Variables": env})
	if err != nil {
		return "", err
	}
	return created.TopicArn, c.aws(ctx, stage.EdgeRegion, nil, "lambda", "update-function-configuration", "--function-name", function, "--environment", string(text))
}

// operate runs a command of archeio ranges and returns the ID in its result.
func (c *checks) operate(ctx context.Context, want, command string, args ...string) (id string, err error) {
	if err := c.writeStages(c.settings.json()); err != nil {
		return "", err
	}
	var result struct{ Outcome, ID string }
	if err := c.archeioJSON(ctx, &result, append([]string{"ranges", command, "-json", "-file", c.stagesFile(), "-stage", stageName}, args...)...); err != nil {
		return "", err
	}
	return result.ID, wantOutcome(command, result.Outcome, want)
}

func wantOutcome(command, got, expected string) error {
	return want(got == expected, "archeio ranges %s: outcome %q, want %q", command, got, expected)
}

// ask requests a blob for a client in the new range, and returns the reason of the
// redirect.
func (c *checks) ask(ctx context.Context) (reason string, err error) {
	status, header, err := c.get(ctx, "https://"+c.distribution+"/v2/"+pull.Repository+"/blobs/"+c.image.Blobs[0].String(),
		map[string]string{"CloudFront-Viewer-Address": newRangeClient.String() + ":4711"})
	if err == nil {
		err = want(status == http.StatusTemporaryRedirect, "status %d, want 307", status)
	}
	return header.Get("X-Redirect-Reason"), err
}

func (c *checks) waitForReason(ctx context.Context, reason string) error {
	return waitUntil(ctx, time.Minute, "a client in the new range is redirected for the reason "+reason, func() (bool, error) {
		got, err := c.ask(ctx)
		return got == reason, err
	})
}

// keepAsking requests a blob again and again until stop is called, which returns how many
// requests failed, of how many.
func (c *checks) keepAsking(ctx context.Context) (stop func() (failed, asked int64)) {
	ctx, cancel := context.WithCancel(ctx)
	var failed, asked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, err := c.ask(ctx)
			if ctx.Err() != nil {
				return
			}
			asked.Add(1)
			if err != nil {
				failed.Add(1)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() (int64, int64) {
		cancel()
		<-done
		return failed.Load(), asked.Load()
	}
}
