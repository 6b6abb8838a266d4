package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"archeio/scripts/lab/system"
)

const (
	// oddRequests is how many requests the client sends that tries to affect others.
	oddRequests = 5000
	// oddClients is how many of them it sends at a time.
	oddClients = 4
	// oddDigest begins the digests that it makes up.
	oddDigest = "sha256:0dd0dd"
)

// oddRequests sends thousands of odd requests of one client: none of them may change
// what other clients get. The servers do their part: they return 500 for all odd
// requests, and serve all others.
func (t *ruleTest) oddRequests(ctx context.Context) (string, error) {
	f := &faultTest{testSystem: t.testSystem, images: t.images, kind: t.at.kind}
	bed, err := f.indexedTestbedOf(ctx, 1, map[string]string{
		"SIGNATURE_UPSTREAM_ENDPOINT": t.signatures.url, "UPSTREAM_REGISTRY_PATH": "", // so that long names reach the upstream
		"MIRROR_INDEX_REFRESH": "1m", "MIRROR_CHECK_TIMEOUT": "1s",
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
	var checks atomic.Int64 // of what no registry can hold
	for _, s := range append(bed.allMirrors(), bed.upstream) {
		serve := s.handler.ServeHTTP
		if fault := s.fault.Load(); fault != nil {
			serve = *fault
		}
		s.inject(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/md5:") {
				checks.Add(1)
			}
			if strings.Contains(r.URL.Path, "/"+oddDigest) || strings.Contains(r.URL.Path, "/odd") {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			serve(w, r)
		})
	}

	statuses := map[string]int{}
	var mu sync.Mutex
	var sent atomic.Int64
	var clients sync.WaitGroup
	for range oddClients {
		clients.Go(func() {
			for n := sent.Add(1); n <= oddRequests && ctx.Err() == nil; n = sent.Add(1) {
				status := 0
				if resp, err := bed.request(ctx, bed.entryPoint.url+oddRequest(int(n), bed.blobs)); err == nil {
					resp.Body.Close()
					status = resp.StatusCode
				}
				mu.Lock()
				statuses[fmt.Sprint(status)]++
				mu.Unlock()
			}
		})
	}
	ended := make(chan struct{})
	go func() { clients.Wait(); close(ended) }()
	others := &otherClients{testbed: bed.testbed, rule: t}
	for n := 0; ctx.Err() == nil; n++ {
		others.round(ctx, n)
		select {
		case <-ended:
			others.round(ctx, n+1)
			_, used := bed.untilIndexUsed(ctx, 2*healthInterval)
			observed := fmt.Sprintf("%d odd requests (%s); %d of others, %d affected", oddRequests, counted(statuses), others.sent, others.affected)
			switch {
			case others.affected > 0:
				err = fmt.Errorf("%d of %d requests of other clients were affected: %s", others.affected, others.sent, others.first)
			case !used:
				err = errors.New("the index does not count any more")
			case checks.Load() > 0:
				err = fmt.Errorf("%d checks of what no registry can hold", checks.Load())
			case statuses["307"] == 0 || statuses["400"] == 0 || statuses["0"] > 0:
				err = errors.New("odd requests got no response, or all the same")
			}
			return observed, err
		default:
		}
	}
	return "", context.Cause(ctx)
}

// oddRequest returns the target of the nth odd request.
func oddRequest(n int, mirrored []string) string {
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
		// It begins with the 64 bits of one that the index lists.
		"/v2/odd/blobs/" + mirrored[n%len(mirrored)][:len("sha256:")+16] + fmt.Sprintf("%048x", n),
	}
	return targets[n%len(targets)]
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
