package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// requestTimeout is how long a request may take.
	requestTimeout = 15 * time.Second

	// maxBody is how many bytes of a body are read.
	maxBody = 2 << 20
)

// request is an HTTP request. The zero values are a GET and a connection to the host
// of the URL, by any network.
type request struct {
	method, url, body string
	header            map[string]string
	connect, network  string
}

type response struct {
	status int
	proto  int // major version of HTTP
	header http.Header
	body   string
}

// cached reports whether CloudFront has served the response from its cache.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html
func (r *response) cached() bool {
	return strings.HasPrefix(r.header.Get("X-Cache"), "Hit") || strings.HasPrefix(r.header.Get("X-Cache"), "RefreshHit")
}

// transport returns the transport for connections to a host, or to another one in its
// place, by a network.
func (d *deployment) transport(connect, network string) *http.Transport {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := [2]string{connect, network}
	if t := d.transports[key]; t != nil {
		return t
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return d.dialFor(ctx, cmp.Or(network, "tcp"), address, connect)
		},
		TLSClientConfig:    &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
	if key == [2]string{} {
		t.Proxy = http.ProxyFromEnvironment
	}
	if d.transports == nil {
		d.transports = map[[2]string]*http.Transport{}
	}
	d.transports[key] = t
	return t
}

func (d *deployment) closeConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.transports {
		t.CloseIdleConnections()
	}
}

// dialFor connects to an address, or with the same port to another host in its place.
func (d *deployment) dialFor(ctx context.Context, network, address, connect string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host = cmp.Or(connect, host)
	address = net.JoinHostPort(host, port)
	if to := cmp.Or(d.connectTo[host], d.connectTo["*"]); to != "" {
		address = to
	}
	return d.dial(ctx, network, address)
}

// send sends a request. It follows no redirect.
func (d *deployment) send(ctx context.Context, r request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.method, http.MethodGet), r.url, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "archeio-verify")
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := d.transport(r.connect, r.network).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return &response{resp.StatusCode, resp.ProtoMajor, resp.Header, string(body)}, err
}

// get sends a GET request to the distribution.
func (d *deployment) get(ctx context.Context, path string, header map[string]string) (*response, error) {
	return d.send(ctx, request{url: "https://" + d.edge + path, header: header})
}

// repeat calls do until it returns true, at most five times: a distribution has many
// caches.
func (d *deployment) repeat(ctx context.Context, do func() (bool, error)) (bool, error) {
	for i := range 5 {
		if i > 0 && !d.sleep(ctx) {
			break
		}
		if done, err := do(); done || err != nil {
			return done, err
		}
	}
	return false, ctx.Err()
}

// sleep waits for an interval, and reports false if ctx has ended.
func (d *deployment) sleep(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d.poll):
		return true
	}
}
