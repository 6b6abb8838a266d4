// Package registry reads a source registry: its repositories, tags, manifests,
// referrers and blobs. It copes with what real registries do: everything that is
// optional in the specification may be missing, and nothing is taken for complete
// that is not known to be. See Sources for those that work.
package registry

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/time/rate"

	"archeio/lambda/outage"
	"archeio/lambda/pace"
)

// Client is the registry that blobs are copied from. It is safe for concurrent
// use.
type Client struct {
	registry  name.Registry
	prefix    string // of repositories, without a slash at its end
	transport *retryTransport
	auth      *authenticator
	bandwidth *rate.Limiter

	tagPage, catalogPage pageSize
	headless             atomic.Bool // HEAD requests for manifests are of no avail

	schemeMu sync.Mutex
	found    string // the scheme, once it is known

	mu        sync.Mutex
	referrers map[string]referrersState // by repository
	computed  map[string]bool           // digests of manifests that were fetched by a tag
	tags      map[string]string         // that HEAD had a digest for, by REPOSITORY@DIGEST
}

// Options are the settings of a Client.
type Options struct {
	// Rate limits the requests per second, Bandwidth the bytes of blobs read per
	// second; 0 is no limit.
	Rate, Bandwidth float64
	// Patience is how long a request is sent again to an overloaded host that does
	// not say how long to wait; 0 is two minutes. Where a host says it, the Client
	// waits for as long as the context of the request lasts.
	Patience time.Duration
	// Transport sends the requests; nil is a transport of the Client.
	Transport http.RoundTripper
	// Keychain has the credentials; nil is that of the Docker configuration. A
	// Refresher is asked to read them again when the registry refuses them.
	Keychain authn.Keychain
	// Notify is called if a host cannot be reached, within a few seconds and once
	// per host and outage; if a host asks to wait; and if a login matches nothing
	// of the source. It gets one line and must be safe for concurrent use; it may
	// be nil.
	Notify func(message string)
	// Retried is called before a request is sent again. It must be safe for concurrent
	// use; it may be nil.
	Retried func()
}

// maxIdle is how many connections to a host are kept for the next request. Of more
// requests at once, each would close one, and the next request open another.
const maxIdle = 512

// New returns a Client for HOST[/PREFIX], which is limited to the
// repositories below the prefix. It uses HTTP for loopback addresses that do not
// use TLS. It sends no requests yet.
func New(source string, o Options) (*Client, error) {
	source = strings.TrimSuffix(source, "/")
	host, prefix, _ := strings.Cut(source, "/")
	registry, err := name.NewRegistry(host)
	if err != nil || host == "" || strings.Contains(source, "://") {
		return nil, fmt.Errorf("invalid source %q: want REGISTRY or REGISTRY/PREFIX, for example us-docker.pkg.dev/project/images", source)
	}
	c := &Client{registry: registry, prefix: prefix, bandwidth: pace.Limiter(o.Bandwidth, pace.Burst), referrers: map[string]referrersState{}, computed: map[string]bool{}, tags: map[string]string{}}
	c.catalogPage.halved.Store(usualPage) // what is cut off is paged there
	keychain := o.Keychain
	if keychain == nil {
		keychain = authn.DefaultKeychain
	}
	next := o.Transport
	if next == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxIdle
		t.MaxResponseHeaderBytes = 256 << 10
		next = t
	}
	c.transport = &retryTransport{next: next, limiter: pace.Limiter(o.Rate, max(1, int(o.Rate))), outages: outage.New(o.Notify, maxAttempts), notify: o.Notify, retried: o.Retried, patience: o.Patience}
	c.auth = newAuthenticator(strings.TrimSuffix(c.Host()+"/"+prefix, "/"), keychain, c.transport.RoundTrip, o.Notify)
	return c, nil
}

// Host returns the host of the registry, with its port if it has one.
func (c *Client) Host() string { return c.registry.RegistryStr() }

// Repository returns the full name of a repository below the prefix.
func (c *Client) Repository(below string) string {
	if c.prefix == "" {
		return below
	}
	return c.prefix + "/" + below
}
