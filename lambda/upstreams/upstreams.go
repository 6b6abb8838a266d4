// Package upstreams is the table of registries that are known as upstreams: whether
// they serve public images without a token, which hosts issue tokens, which hosts
// store blobs, and how they limit requests. Any other registry needs settings.
package upstreams

import (
	"strings"
	"time"
)

// Access is how a registry serves public images.
type Access string

// The kinds of access.
const (
	// Open: without authentication.
	Open Access = "open"
	// Token: with a bearer token that anonymous clients get from a token server.
	Token Access = "token"
	// Login: only with credentials. Such a registry cannot be an upstream.
	Login Access = "login"
)

// Registry is a known registry.
type Registry struct {
	// Name is that of the product.
	Name string
	// Endpoint is the scheme and host of its API. An upper-case word is to be
	// replaced.
	Endpoint string
	// Hosts are patterns of the hosts of its API. Aliases are hosts that users write
	// for it and that do not serve the API.
	Hosts, Aliases []string
	Access         Access
	// TokenHosts and BlobHosts are patterns of the hosts that issue tokens, in
	// addition to that of the API, and of those that blobs are redirected to.
	TokenHosts, BlobHosts []string
	// Library is whether a repository without a namespace is in "library".
	Library bool
	// TagMaxAge is how long a tag may be cached.
	TagMaxAge time.Duration
	// Rate is the number of requests per second that one process may send.
	Rate float64
	// Limits is how it limits anonymous requests, for operators.
	Limits string
	// Sources are the pages that these facts are from.
	Sources []string
}

// Defaults of registries that are not known, or not limited.
const (
	DefaultTagMaxAge = time.Minute
	DefaultRate      = 10
)

// The known registries.
var (
	ArtifactRegistry = &Registry{
		Name:      "Artifact Registry, GCR",
		Endpoint:  "https://LOCATION-docker.pkg.dev",
		Hosts:     []string{"*.pkg.dev", "gcr.io", "*.gcr.io"},
		Access:    Open,
		BlobHosts: []string{"*.pkg.dev", "storage.googleapis.com"},
		TagMaxAge: DefaultTagMaxAge,
		Rate:      100,
		Limits:    "quota per minute of the project",
		Sources:   []string{"https://cloud.google.com/artifact-registry/quotas"},
	}
	GHCR = &Registry{
		Name:      "GHCR",
		Endpoint:  "https://ghcr.io",
		Hosts:     []string{"ghcr.io"},
		Access:    Token,
		BlobHosts: []string{"pkg-containers.githubusercontent.com"},
		TagMaxAge: DefaultTagMaxAge,
		Rate:      20,
		Limits:    "abuse limits by address",
		Sources:   []string{"https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry", "https://pullist.d0t.se/ghcr.json"},
	}
	DockerHub = &Registry{
		Name:       "Docker Hub",
		Endpoint:   "https://registry-1.docker.io",
		Hosts:      []string{"registry-1.docker.io", "index.docker.io"},
		Aliases:    []string{"docker.io", "www.docker.io", "hub.docker.com", "registry.hub.docker.com"},
		Access:     Token,
		TokenHosts: []string{"auth.docker.io"},
		BlobHosts: []string{
			"production.cloudflare.docker.com", "production.cloudfront.docker.com",
			"docker-images-prod.*.r2.cloudflarestorage.com", "docker-images-prod.s3.dualstack.us-east-1.amazonaws.com",
		},
		Library:   true,
		TagMaxAge: 15 * time.Minute,
		Rate:      1,
		Limits:    "100 manifests in 6 hours per address, without a login",
		Sources:   []string{"https://docs.docker.com/docker-hub/usage/pulls/", "https://docs.docker.com/desktop/setup/allow-list/"},
	}
	Quay = &Registry{
		Name:     "Quay",
		Endpoint: "https://quay.io",
		Hosts:    []string{"quay.io"},
		Access:   Token,
		// Clients in us-east-1 are redirected to S3 instead of the CDN.
		BlobHosts: []string{"*.quay.io", "quayio-production-s3.s3.amazonaws.com", "quayio-production-s3.s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"},
		TagMaxAge: DefaultTagMaxAge,
		Rate:      DefaultRate,
		Limits:    "429 responses",
		Sources:   []string{"https://access.redhat.com/articles/7001746", "https://docs.quay.io/issues/429.html"},
	}
	ECRPublic = &Registry{
		Name:      "Amazon ECR Public",
		Endpoint:  "https://public.ecr.aws",
		Hosts:     []string{"public.ecr.aws"},
		Access:    Token,
		BlobHosts: []string{"*.cloudfront.net"},
		TagMaxAge: DefaultTagMaxAge,
		Rate:      1,
		Limits:    "one pull per second without a login",
		Sources:   []string{"https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html"},
	}
	GitLab = &Registry{
		Name:       "GitLab",
		Endpoint:   "https://registry.gitlab.com",
		Hosts:      []string{"registry.gitlab.com"},
		Access:     Token,
		TokenHosts: []string{"gitlab.com"},
		BlobHosts:  []string{"cdn.registry.gitlab-static.net", "storage.googleapis.com"},
		TagMaxAge:  DefaultTagMaxAge,
		Rate:       DefaultRate,
		Limits:     "by plan",
		Sources:    []string{"https://runbooks.gitlab-static.net/registry/cdn/", "https://docs.gitlab.com/security/rate_limits/"},
	}
	ECR = &Registry{
		Name:     "Amazon ECR",
		Endpoint: "https://ACCOUNT.dkr.ecr.REGION.amazonaws.com",
		Hosts:    []string{"*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"},
		Access:   Login,
		Limits:   "API quotas of the account",
		Sources:  []string{"https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html"},
	}
)

// Known are the known registries, in the order in which they are documented.
var Known = []*Registry{ArtifactRegistry, GHCR, DockerHub, Quay, ECR, ECRPublic, GitLab}

// Find returns the registry that a host, without a port, belongs to, by its API or by
// one of its aliases; nil if it is not known.
func Find(host string) *Registry {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, r := range Known {
		if MatchAny(r.Hosts, host) || r.Alias(host) {
			return r
		}
	}
	return nil
}

// Alias reports whether a host in lower case is one that users write for the registry
// and that does not serve its API.
func (r *Registry) Alias(host string) bool { return MatchAny(r.Aliases, host) }

// MatchAny reports whether a host matches one of several patterns.
func MatchAny(patterns []string, host string) bool {
	for _, p := range patterns {
		if Match(p, host) {
			return true
		}
	}
	return false
}

// Match reports whether a host in lower case matches a pattern: a label "*" stands for
// exactly one label, as in a certificate (RFC 6125, section 6.4.3).
func Match(pattern, host string) bool {
	for {
		p, restOfPattern, more := strings.Cut(pattern, ".")
		h, restOfHost, found := strings.Cut(host, ".")
		if more != found || h == "" || p != h && p != "*" {
			return false
		}
		if !more {
			return true
		}
		pattern, host = restOfPattern, restOfHost
	}
}
