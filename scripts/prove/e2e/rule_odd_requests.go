package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archeio/scripts/lab/system"
)

const (
	// oddRequests is the number of odd requests that the client sends.
	oddRequests = 5000
	// oddClients is how many of them it sends at the same time.
	oddClients = 4
	// oddDigest begins the digests that it makes up.
	oddDigest = "sha256:0dd0dd"
	// lookalikeEnd ends those that only look indexed, and contradictions is how many
	// of them the mirror must contradict.
	lookalikeEnd   = "0dd0dd0dd0dd"
	contradictions = 10
)

// oddRequests sends thousands of odd requests of one client: none of them may change
// what other clients get.
func (t *ruleTest) oddRequests(ctx context.Context) (string, error) {
	f := &faultTest{testSystem: t.testSystem, images: t.images, kind: t.at.kind}
	bed, err := f.indexedTestbedOf(ctx, 1, map[string]string{
		"SIGNATURE_UPSTREAM_ENDPOINT": t.signatures.url, "UPSTREAM_REGISTRY_PATH": "", // so that long names reach the upstream
		"MIRROR_INDEX_REFRESH": "1m", "MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "100ms",
	})
	if err != nil {
		return "", err
	}
	defer bed.stop()
	index, _, err := buildIndex(bed.blobs)
	if err != nil {
		return "", err
	}
	bed.index.Store(index)
	if err := bed.loadIndex(ctx, 1); err != nil {
		return "", err
	}
	c := &oddClient{indexedTestbed: bed, others: &otherClients{testbed: bed.testbed, rule: t}, statuses: map[string]int{}}
	c.injectOdd()
	if err := c.sendLookalikes(ctx); err != nil {
		return "", err
	}
	if err := c.sendOdd(ctx); err != nil {
		return "", err
	}
	observed := fmt.Sprintf("%d odd requests (%s) and %d digests that only look indexed (%d checked); %d requests of others, %d affected",
		oddRequests, counted(c.statuses), c.lookalikes, c.contradicted.Load(), c.others.sent, c.others.affected)
	switch {
	case c.others.affected > 0:
		err = fmt.Errorf("%d of %d requests of other clients were affected: %s", c.others.affected, c.others.sent, c.others.first)
	case c.impossible.Load() > 0:
		err = fmt.Errorf("%d checks of what no registry can hold", c.impossible.Load())
	case c.statuses["307"] == 0 || c.statuses["400"] == 0 || c.statuses["0"] > 0:
		err = errors.New("odd requests got no response, or all the same")
	}
	return observed, err
}

// oddClient is the client that tries to affect the others.
type oddClient struct {
	*indexedTestbed
	others *otherClients

	impossible   atomic.Int64 // checks of what no registry can hold
	contradicted atomic.Int64 // checks of digests that only look indexed
	lookalikes   int          // requests for those
	indexed      atomic.Int64 // checks of blobs that are indexed

	mu       sync.Mutex
	statuses map[string]int // of the odd requests
}

// injectOdd makes all servers return 500 for what only odd requests are for, and have
// the blobs of onlyInIndex.
func (c *oddClient) injectOdd() {
	for _, s := range append(c.allMirrors(), c.upstream) {
		serve := s.handler.ServeHTTP
		if fault := s.fault.Load(); fault != nil {
			serve = *fault
		}
		s.inject(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/md5:") {
				c.impossible.Add(1)
			}
			if strings.HasSuffix(r.URL.Path, lookalikeEnd) {
				c.contradicted.Add(1)
			}
			if r.Method == http.MethodHead && strings.HasPrefix(path.Base(r.URL.Path), onlyInIndex(0)[:len("sha256:")+12]) {
				c.indexed.Add(1) // and they are there
				return
			}
			if strings.Contains(r.URL.Path, "/"+oddDigest) || strings.Contains(r.URL.Path, "/odd") {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			serve(w, r)
		})
	}
}

// sendLookalikes requests digests that only look indexed, until the mirror has
// contradicted enough of them. The index must still count.
func (c *oddClient) sendLookalikes(ctx context.Context) error {
	for began := time.Now(); c.contradicted.Load() < contradictions && time.Since(began) < downloadTimeout; c.lookalikes++ {
		if c.send(ctx, "/v2/odd/blobs/"+lookalike(c.lookalikes, c.blobs)) != http.StatusTemporaryRedirect {
			return errors.New("a digest that only looks indexed was not redirected")
		}
		if c.lookalikes%10 == 0 {
			c.others.round(ctx, c.lookalikes)
		}
	}
	const indexed = 100
	for range indexed {
		c.send(ctx, "/v2/odd/blobs/"+nextOnlyInIndex())
	}
	if n := c.indexed.Load(); n > indexed/2 || c.contradicted.Load() < contradictions {
		return fmt.Errorf("after %d digests that only look indexed, %d of which were checked, %d of %d indexed blobs were checked: want at most half, as the index counts",
			c.lookalikes, c.contradicted.Load(), n, indexed)
	}
	return nil
}

// sendOdd sends the odd requests, while others send theirs.
func (c *oddClient) sendOdd(ctx context.Context) error {
	var sent atomic.Int64
	var clients sync.WaitGroup
	for range oddClients {
		clients.Go(func() {
			for n := sent.Add(1); n <= oddRequests && ctx.Err() == nil; n = sent.Add(1) {
				status := fmt.Sprint(c.send(ctx, oddRequest(int(n))))
				c.mu.Lock()
				c.statuses[status]++
				c.mu.Unlock()
			}
		})
	}
	ended := make(chan struct{})
	go func() { clients.Wait(); close(ended) }()
	for n := c.lookalikes; ; n++ {
		c.others.round(ctx, n)
		select {
		case <-ended:
			c.others.round(ctx, n+1)
			return ctx.Err()
		default:
		}
	}
}

// send returns the status of the entry point's response, 0 if there is none.
func (c *oddClient) send(ctx context.Context, target string) int {
	resp, err := c.request(ctx, c.entryPoint.url+target)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// oddRequest returns the target of the nth odd request.
func oddRequest(n int) string {
	digest := fmt.Sprintf("%s%058x", oddDigest, n)
	hex := strings.TrimPrefix(digest, "sha256:")
	long := func(length int) string { return "odd" + strings.Repeat("a", length-3) }
	targets := []string{
		"/v2/odd/manifests/md5:abc",
		fmt.Sprintf("/v2/odd/manifests/md5:%d", n),
		fmt.Sprintf("/v2/%s/blobs/md5:%d", singleRepository, n),
		"/v2/odd/manifests/sha384:" + hex,
		"/v2/odd/referrers/md5:abc",
		"/v2/" + long(250) + "/manifests/" + digest,
		"/v2/" + long(250) + "/blobs/" + digest,
		"/v2/" + long(255) + "/manifests/" + digest,
		"/v2/" + long(256) + "/manifests/" + digest,
		"/v2/odd/manifests/" + digest[:len(digest)-1],
		"/v2/odd/manifests/" + digest + "0",
		"/v2/odd/manifests/sha256:" + strings.ToUpper(hex),
		"/v2/odd/manifests/sha512:" + hex,
		"/v2/odd/manifests/sha512:" + hex + hex,
		"/v2/odd/blobs/sha512:" + hex + hex,
		"/v2/odd/manifests/sha256-" + hex + ".sig",
		"/v2/odd/manifests/" + strings.Replace(digest, ":", "%3A", 1),
		"/v2/odd/manifests/" + digest + "?ns=odd",
		"/v2/odd/blobs/" + digest,
		"/v2/odd/tags/list?n=-1&last=" + hex,
		"/v2/odd/referrers/" + digest,
	}
	return targets[n%len(targets)]
}

// lookalike returns the nth digest that begins with the 64 bits of one that the index
// lists.
func lookalike(n int, indexed []string) string {
	return fmt.Sprintf("%s%036x%s", indexed[n%len(indexed)][:len("sha256:")+16], n, lookalikeEnd)
}

// otherClients are the clients that the odd requests must not affect.
type otherClients struct {
	*testbed
	rule           *ruleTest
	sent, affected int
	first          string // the first one that was affected
}

// round sends one request of each kind, the nth time.
func (o *otherClients) round(ctx context.Context, n int) {
	images, base := o.rule.images, "/v2/"+system.Prefix+"/"+singleRepository
	unpublished := digestOf(blobOf("unpublished", n)) // requested for the first time
	config := ""
	for digest := range images.single.unmirrored {
		config = digest
	}
	const minutes, nothing, unsure = "public, max-age=300", "private, no-store", "no-store"
	for _, x := range []struct {
		path, reason, cacheControl string
		at                         *server
	}{
		{"/manifests/" + tag, "manifest", minutes, o.upstream},
		{"/manifests/" + images.single.digest.String(), "manifest", minutes, o.upstream},
		{"/manifests/" + images.separate.signature.String(), "signature", unsure, o.rule.signatures},
		{"/manifests/" + unpublished, "signature", unsure, o.rule.signatures},
		{"/manifests/" + signatureTag(images.single.digest), "signature", minutes, o.rule.signatures},
		{"/blobs/" + o.blobs[n%len(o.blobs)], "aws-region", nothing, o.near},
		{"/blobs/" + config, "mirror-absent", nothing, o.upstream},
		{"/blobs/" + unpublished, "signature", nothing, o.rule.signatures},
	} {
		o.sent++
		got := "no response"
		resp, err := o.request(ctx, o.entryPoint.url+base+x.path)
		if err == nil {
			resp.Body.Close()
			reason, location := resp.Header.Get("X-Redirect-Reason"), resp.Header.Get("Location")
			if reason == x.reason && resp.Header.Get("Cache-Control") == x.cacheControl && strings.HasPrefix(location, x.at.url+"/") {
				continue
			}
			got = fmt.Sprintf("%s, %s, Location %q", reason, resp.Header.Get("Cache-Control"), shortDigest(location))
		}
		o.affected++
		if o.first == "" {
			o.first = fmt.Sprintf("%s: %s, want %s, %s, Location at %q", shortDigest(x.path), got, x.reason, x.cacheControl, x.at.url)
		}
	}
}
