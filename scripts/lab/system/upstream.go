package system

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/scripts/lab/pull"
)

// TokenUpstream are the base URLs of a registry that requires a token, as most public
// registries do, and that redirects blobs to presigned URLs of its storage.
type TokenUpstream struct {
	// Registry only permits to pull. Publisher has the same content and requires no
	// token: images are pushed to it.
	Registry, Publisher string
	// Tokens is the token server, Storage the S3 server.
	Tokens, Storage string
}

// StartTokenUpstream builds and starts a TokenUpstream that stores its files in dir. If
// storage is not empty, it is the base URL at which the registry and its clients reach
// the storage, for something in front of it. stop stops all servers, also after an error.
func StartTokenUpstream(ctx context.Context, log io.Writer, dir, storage string) (u *TokenUpstream, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, f := range stops {
			f()
		}
	}
	start := func(url *string, server string, args ...string) {
		if err != nil {
			return
		}
		var binary string
		if binary, err = serverBinary(ctx, server); err != nil {
			return
		}
		var f func()
		if *url, f, err = startServer(ctx, log, binary, args...); err == nil {
			stops = append(stops, f)
		}
	}
	u = &TokenUpstream{}
	keys, bucket := keysFile(dir), "upstream"
	start(&u.Storage, "s3", "-region", Regions[0], "-root", filepath.Join(dir, "storage"))
	// A name, not an address: go-containerregistry follows no redirect from a name to a
	// private address.
	u.Storage = strings.Replace(u.Storage, "127.0.0.1", "localhost", 1)
	start(&u.Tokens, "tokens", "-keys", keys)
	if err == nil {
		if _, err = client(u.Storage, Regions[0]).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			err = fmt.Errorf("creating bucket %q: %w", bucket, err)
		}
	}
	stored := []string{"-s3", cmp.Or(storage, u.Storage) + "/" + bucket, "-region", Regions[0]}
	start(&u.Publisher, "registry", stored...)
	start(&u.Registry, "registry", append(stored, "-realm", u.Tokens+"/token", "-keys", keys)...)
	return u, stop, err
}

// keysFile returns the file with the public keys of the token server.
func keysFile(dir string) string { return filepath.Join(dir, "keys.json") }

// startUpstream starts the registry that is the upstream.
func (s *System) startUpstream(ctx context.Context, registry string, o Options) (err error) {
	if !o.Token {
		s.Upstream, err = s.startServer(ctx, registry, "-root", filepath.Join(s.dir, "registry"))
		s.publisher = s.Upstream
		return err
	}
	u, stop, err := StartTokenUpstream(ctx, s.log, s.dir, o.Storage)
	s.closers = append(s.closers, stop)
	s.Upstream, s.publisher, s.tokens, s.Storage = u.Registry, u.Publisher, u.Tokens, u.Storage
	if err != nil || o.Observe == nil {
		return err
	}
	if s.tokens, err = s.observe(u.Tokens, o.Observe, func(*http.Response) {}); err != nil {
		return err
	}
	s.Upstream, err = s.observe(u.Registry, o.Observe, func(r *http.Response) {
		if c := r.Header.Get("WWW-Authenticate"); c != "" {
			r.Header.Set("WWW-Authenticate", strings.Replace(c, u.Tokens, s.tokens, 1))
		}
	})
	return err
}

// observe starts a proxy in front of a server, which calls observe for each response
// after change, and returns its base URL.
func (s *System) observe(target string, observe func(pull.Hop), change func(*http.Response)) (base string, err error) {
	to, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	l, err := s.listen("", "a server in front of "+to.Host)
	if err != nil {
		return "", err
	}
	base = "http://" + l.Addr().String()
	s.serve(l, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			change(r)
			observe(pull.Hop{At: time.Now(), URL: base + r.Request.URL.RequestURI(), Location: r.Header.Get("Location"), Status: r.StatusCode})
			return nil
		},
	})
	return base, nil
}

// Publisher returns what images are pushed to: the host of the registry and the
// repository prefix. Unless the upstream requires a token, it is the Source.
func (s *System) Publisher() string { return hostOf(s.publisher) + "/" + Prefix }
