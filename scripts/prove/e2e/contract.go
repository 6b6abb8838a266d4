package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
)

// answered is what a client has at the end of a redirect.
type answered struct {
	first, last *http.Response // their bodies are read and closed
	body        []byte
}

func (a answered) reason() string { return a.first.Header.Get("X-Redirect-Reason") }

// fetch asks a front and then where it redirects to, each time with the same
// headers, as the clients do that forward all of them.
func fetch(ctx context.Context, t http.RoundTripper, method, url string, headers map[string]string) (a answered, err error) {
	for range 3 {
		r, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			return a, err
		}
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		resp, err := t.RoundTrip(r)
		if err != nil {
			return a, err
		}
		a.body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		a.last = resp
		if a.first == nil {
			a.first = resp
		}
		if err != nil {
			return a, err
		}
		if resp.StatusCode != http.StatusTemporaryRedirect {
			return a, nil
		}
		to, err := resp.Location()
		if err != nil {
			return a, err
		}
		url = to.String()
	}
	return a, errors.New("more than two redirects")
}

// hashes tells whether a body is the blob.
func hashes(body []byte, digest string) error {
	sum := sha256.Sum256(body)
	if is := "sha256:" + hex.EncodeToString(sum[:]); is != digest {
		return fmt.Errorf("got %d bytes of %s, not %s", len(body), short(is), short(digest))
	}
	return nil
}

// rule is one line of the contract, tried at one front.
type rule struct {
	name string
	try  func(ctx context.Context, d door) (saw string, err error)
}

// contract tries every rule at both fronts, as a client next to a mirror.
func (w *world) contract(ctx context.Context, o options, images *images) (checks []check) {
	for _, r := range w.rules(images) {
		for _, d := range w.doors {
			if d.client.Name != "AWS us-east-1" || !o.only.MatchString("contract/"+r.name) || ctx.Err() != nil {
				continue
			}
			bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
			began := time.Now()
			saw, err := r.try(bounded, d)
			cancel()
			checks = append(checks, verdict("contract", r.name, d.front, saw, began, err))
		}
	}
	return checks
}

func verdict(part, name, front, saw string, began time.Time, err error) check {
	c := check{Part: part, Name: name, Front: front, Saw: saw, Took: time.Since(began).Seconds(), Verdict: good}
	switch {
	case errors.Is(err, errSkipped):
		c.Verdict = err.Error()
	case err != nil:
		c.Verdict = "FAILED: " + lastLine(err.Error())
	}
	if c.Saw == "" {
		c.Saw = "-"
	}
	return c
}

var errSkipped = errors.New("skipped")

func (w *world) rules(images *images) []rule {
	blob := images.single.here[len(images.single.here)-2] // 256 KiB, in every mirror
	digest := blob.String()
	path := "/v2/" + singleRepo + "/blobs/" + digest
	plain := &http.Transport{MaxIdleConnsPerHost: 4}
	mirror := w.mirrors["us-east-1"]
	get := func(ctx context.Context, url string, headers map[string]string) (answered, error) {
		return fetch(ctx, plain, http.MethodGet, url, headers)
	}
	where := func(a answered) string {
		return fmt.Sprintf("%d %s, %d", a.first.StatusCode, a.reason(), a.last.StatusCode)
	}
	return []rule{
		{"HEAD is answered as GET, without a body", func(ctx context.Context, d door) (string, error) {
			head, err := fetch(ctx, plain, http.MethodHead, d.base+path, nil)
			if err != nil {
				return "", err
			}
			full, err := get(ctx, d.base+path, nil)
			if err != nil {
				return "", err
			}
			if a, b := head.first.Header.Get("Location"), full.first.Header.Get("Location"); a != b || a == "" {
				return "", fmt.Errorf("HEAD leads to %q, GET to %q", a, b)
			}
			if len(head.body) > 0 || head.last.ContentLength != int64(len(full.body)) {
				return "", fmt.Errorf("HEAD tells of %d bytes, the blob has %d", head.last.ContentLength, len(full.body))
			}
			return where(head) + fmt.Sprintf(", Content-Length %d", head.last.ContentLength), hashes(full.body, digest)
		}},
		{"Range", func(ctx context.Context, d door) (string, error) {
			full, err := get(ctx, d.base+path, nil)
			if err != nil {
				return "", err
			}
			part, err := get(ctx, d.base+path, map[string]string{"Range": "bytes=1000-1999"})
			if err != nil {
				return "", err
			}
			if part.last.StatusCode != http.StatusPartialContent || len(full.body) < 2000 || !bytes.Equal(part.body, full.body[1000:2000]) {
				return "", fmt.Errorf("%s with %d bytes that are not those asked for", part.last.Status, len(part.body))
			}
			return where(part), nil
		}},
		{"a download that is cut halfway and resumed", func(ctx context.Context, d door) (string, error) {
			mirror.fail(func(out http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Range") != "" {
					mirror.handler.ServeHTTP(out, r)
					return
				}
				cutHalfway(out, r, mirror.handler)
			})
			defer mirror.fail(nil)
			cut, err := get(ctx, d.base+path, nil)
			if err == nil {
				return "", errors.New("the download was not cut")
			}
			rest, err := get(ctx, d.base+path, map[string]string{"Range": "bytes=" + strconv.Itoa(len(cut.body)) + "-"})
			if err != nil {
				return "", err
			}
			saw := fmt.Sprintf("%d bytes, then %d by Range", len(cut.body), len(rest.body))
			return saw, hashes(append(cut.body, rest.body...), digest)
		}},
		{"Authorization forwarded across the redirect", func(ctx context.Context, d door) (string, error) {
			mirror.fail(func(out http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" { // as S3
					http.Error(out, "InvalidArgument: Unsupported Authorization Type", http.StatusBadRequest)
					return
				}
				mirror.handler.ServeHTTP(out, r)
			})
			defer mirror.fail(nil)
			bearer := map[string]string{"Authorization": "Bearer e2e"}
			refused, err := get(ctx, mirror.base+"/mirror-us-east-1/containers/images/"+digest, bearer)
			if err != nil {
				return "", err
			}
			a, err := get(ctx, d.base+path, bearer)
			if err != nil {
				return "", err
			}
			if refused.last.StatusCode != http.StatusBadRequest || a.reason() != "authorization" {
				return "", fmt.Errorf("the mirror says %s, the answer %q", refused.last.Status, a.reason())
			}
			return where(a) + " (400 from the bucket itself)", hashes(a.body, digest)
		}},
		{"a digest written with %3A", func(ctx context.Context, d door) (string, error) {
			a, err := get(ctx, d.base+strings.Replace(path, "sha256:", "sha256%3A", 1), nil)
			if err != nil {
				return "", err
			}
			return where(a), hashes(a.body, digest)
		}},
		{"an IPv6 client in AWS eu-west-3", func(ctx context.Context, d door) (string, error) {
			base := map[string]string{loadBalancer: w.stack.ALB, distribution: w.stack.Distribution}[d.front]
			a, err := get(ctx, base+path, map[string]string{entrypoint.PlayAddress: address6(ranges.AWS, "eu-west-3").String()})
			if err == nil && a.reason() != "nearest-region" {
				err = fmt.Errorf("the reason is %q, not nearest-region", a.reason())
			}
			if err != nil {
				return "", err
			}
			return where(a), hashes(a.body, digest)
		}},
		{"a connection over IPv6", func(ctx context.Context, d door) (string, error) {
			s, err := listenOn("[::1]:0", d.front, nil, w.front(d.front, w.stack.API.Invoke, netip.Addr{}))
			if err != nil {
				return "", fmt.Errorf("%w: this machine has no IPv6 loopback: %v", errSkipped, err)
			}
			defer s.down()
			a, err := get(ctx, s.base+path, nil)
			if err == nil && a.reason() != "default-mirror" {
				err = fmt.Errorf("the reason is %q, not default-mirror", a.reason())
			}
			if err != nil {
				return "", err
			}
			return where(a), hashes(a.body, digest)
		}},
		{"HTTP/2", func(ctx context.Context, d door) (string, error) {
			p := &http.Protocols{}
			p.SetUnencryptedHTTP2(true)
			two := &http.Transport{Protocols: p}
			defer two.CloseIdleConnections()
			a, err := fetch(ctx, two, http.MethodGet, d.base+path, nil)
			if err == nil && (a.first.ProtoMajor != 2 || a.last.ProtoMajor != 2) {
				err = fmt.Errorf("answered by %s and %s", a.first.Proto, a.last.Proto)
			}
			if err != nil {
				return "", err
			}
			return where(a) + " by " + a.first.Proto, hashes(a.body, digest)
		}},
		{"HTTP/1.1, one connection for 60 requests", func(ctx context.Context, d door) (string, error) {
			one := &http.Transport{MaxIdleConnsPerHost: 1}
			defer one.CloseIdleConnections()
			opened, proto := 0, ""
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				if !i.Reused {
					opened++
				}
			}})
			for i := range 60 {
				method := []string{http.MethodGet, http.MethodHead, http.MethodPost}[i%3]
				target := []string{path, "/v2/" + singleRepo + "/manifests/" + tag, "/v2/", "/v2/BAD/tags/list"}[i%4]
				r, err := http.NewRequestWithContext(ctx, method, d.base+target, nil)
				if err != nil {
					return "", err
				}
				resp, err := one.RoundTrip(r)
				if err != nil {
					return "", err
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				proto = resp.Proto
			}
			if opened != 1 {
				return "", fmt.Errorf("%d connections for 60 requests", opened)
			}
			return "1 connection, " + proto, nil
		}},
	}
}

// cutHalfway sends half of what h answers and resets the connection.
func cutHalfway(w http.ResponseWriter, r *http.Request, h http.Handler) {
	h.ServeHTTP(&half{ResponseWriter: w}, r)
}

type half struct {
	http.ResponseWriter
	left int64
}

func (h *half) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *half) WriteHeader(status int) {
	n, _ := strconv.ParseInt(h.Header().Get("Content-Length"), 10, 64)
	h.left = n / 2
	h.ResponseWriter.WriteHeader(status)
}

func (h *half) Write(b []byte) (int, error) {
	n, err := h.ResponseWriter.Write(b[:min(int64(len(b)), h.left)])
	h.left -= int64(n)
	if err == nil && h.left <= 0 {
		http.NewResponseController(h.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return len(b), err
}

// address6 is the first IPv6 address of a cloud's region.
func address6(cloud ranges.Cloud, region string) netip.Addr {
	for x := range ranges.All() {
		if x.First.Is6() && x.Place == (ranges.Place{Cloud: cloud, Region: region}) {
			return x.First.Next()
		}
	}
	return netip.Addr{}
}

// reset closes a connection so that the other side sees a reset.
func reset(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
