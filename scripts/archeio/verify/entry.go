package verify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"archeio/lambda/oci"
	"archeio/lambda/route"
	"archeio/lambda/testpull"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
)

func (d *deployment) ipv4(ctx context.Context, place string) outcome {
	return d.family(ctx, d.entry(place), "IPv4", "tcp4")
}

func (d *deployment) ipv6(ctx context.Context, place string) outcome {
	e := d.entry(place)
	if !e.ipv6 {
		return skip("the stage's network has no IPv6 addresses")
	}
	return d.family(ctx, e, "IPv6", "tcp6")
}

// family sends a request over one version of IP.
func (d *deployment) family(ctx context.Context, e entry, version, network string) outcome {
	r, err := d.send(ctx, request{url: "https://" + e.host + "/v2/", connect: e.connect, network: network})
	var noAddress *net.AddrError
	switch {
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return skip("this machine has no route for %s", version)
	case errors.As(err, &noAddress):
		return fail("the host has no %s address; check its records", version)
	case err != nil:
		return noResponse(err)
	case r.status != http.StatusOK:
		return fail("status %d for /v2/, want 200", r.status)
	}
	return pass("/v2/ is served")
}

func (d *deployment) http2(ctx context.Context, place string) outcome {
	e := d.entry(place)
	r, err := d.send(ctx, request{url: "https://" + e.host + "/v2/", connect: e.connect})
	switch {
	case err != nil:
		return noResponse(err)
	case r.proto != 2:
		return fail("HTTP/%d was negotiated, want HTTP/2", r.proto)
	}
	return pass("HTTP/2 was negotiated")
}

func (d *deployment) http3(ctx context.Context, place string) outcome {
	e := d.entry(place)
	if !e.edge {
		return skip("load balancers do not support HTTP/3")
	}
	r, err := d.send(ctx, request{url: "https://" + e.host + "/v2/"})
	if err != nil {
		return noResponse(err)
	}
	if got := r.header.Get("Alt-Svc"); !strings.Contains(got, "h3=") {
		return fail("Alt-Svc %q, want h3; check HttpVersion of the distribution", got)
	}
	return pass("HTTP/3 is announced")
}

// handshake connects to an entry point with TLS versions between two.
func (d *deployment) handshake(ctx context.Context, e entry, from, to uint16) (*tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := d.dialFor(ctx, "tcp", net.JoinHostPort(e.host, "443"), e.connect)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	c := tls.Client(raw, &tls.Config{ServerName: e.host, RootCAs: d.roots, MinVersion: from, MaxVersion: to})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	s := c.ConnectionState()
	return &s, nil
}

func (d *deployment) tls(ctx context.Context, place string) outcome {
	e := d.entry(place)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if _, err := d.handshake(ctx, e, version, version); err != nil {
			return fail("%s: %s", tls.VersionName(version), cli.OneLine(err))
		}
	}
	if !e.certificate {
		return pass("TLS 1.2 and 1.3 are accepted")
	}
	if _, err := d.handshake(ctx, e, tls.VersionTLS10, tls.VersionTLS11); err == nil {
		return fail("TLS 1.1 or older is accepted; check the security policy")
	}
	return pass("TLS 1.2 and 1.3 are accepted, older versions are not")
}

// minValidity is how long a certificate must be valid. ACM renews it 60 days before it
// expires.
// https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
const minValidity = 30 * 24 * time.Hour

func (d *deployment) certificate(ctx context.Context, place string) outcome {
	s, err := d.handshake(ctx, d.entry(place), tls.VersionTLS12, 0)
	if err != nil {
		return fail("no trusted certificate: %s", cli.OneLine(err))
	}
	expires := s.PeerCertificates[0].NotAfter
	if expires.Sub(d.now()) < minValidity {
		return fail("the certificate expires on %s and has not been renewed; check its status in ACM, and its validation records", expires.Format(time.DateOnly))
	}
	return pass("trusted until %s", expires.Format(time.DateOnly))
}

// records checks that the names of the stage resolve, and to what they lead. CloudFront
// adds a header to each response.
func (d *deployment) records(ctx context.Context, place string) outcome {
	e := d.entry(place)
	var families []string
	for _, network := range []string{"ip4", "ip6"} {
		found, err := d.lookup(ctx, network, e.host)
		var missing *net.DNSError
		switch {
		case err != nil && !(errors.As(err, &missing) && missing.IsNotFound):
			return unknown(err)
		case len(found) > 0:
			families = append(families, map[string]string{"ip4": "A", "ip6": "AAAA"}[network])
		case network == "ip4" || e.ipv6:
			return fail("%s has no %s record; check the domain stack and the delegation of the zone, or wait for DNS caches", e.host, map[string]string{"ip4": "A", "ip6": "AAAA"}[network])
		}
	}
	r, err := d.send(ctx, request{url: "https://" + e.host + "/v2/"})
	if err != nil {
		return noResponse(err)
	}
	if edge := r.header.Get("X-Amz-Cf-Id") != ""; edge != e.edge {
		to := map[bool]string{true: "a distribution", false: "no distribution"}
		if d.stage.DomainPending {
			return pending("%s leads to %s; domainPending is set", e.host, to[edge])
		}
		return fail("%s leads to %s, want %s; check its records, or wait for DNS caches", e.host, to[edge], to[e.edge])
	}
	return pass("%s", strings.Join(families, " and "))
}

func (d *deployment) balancerPath(ctx context.Context, place string) outcome {
	e := d.entry(place)
	if e.edge {
		return skip("not a load balancer")
	}
	return d.sameEscaped(ctx, e.host, e.connect)
}

// maxPull is how many bytes a pull of the image in -image may download. The canary's
// image has the limit of the canary.
const maxPull = 16 << 20

func (d *deployment) pull(ctx context.Context, place string) outcome {
	switch {
	case d.imageErr != nil:
		return unknown(d.imageErr)
	case d.image.Name == "" && d.stage.Canary != nil:
		return pending("the mirror functions have not recorded an image yet; pass -image to pull one")
	case d.image.Name == "":
		return skip("the stage has no canary; pass -image to pull an image")
	}
	limit := int64(maxPull)
	if d.ofCanary {
		limit = testpull.MaxBytes(len(d.stage.EntryPoints()))
	}
	e := d.entry(place)
	ctx, cancel := context.WithTimeout(ctx, 4*requestTimeout)
	defer cancel()
	transport := perHost{e.host, d.transport(e.connect, ""), d.transport("", "")}
	p, err := testpull.Client{Registry: "https://" + e.host, MaxBytes: limit, Transport: transport}.Pull(ctx, d.image)
	switch {
	case errors.Is(err, testpull.ErrTooLarge) && d.ofCanary:
		return fail("%s, and set it as canary.image in the stage; until then each run of the canary fails", cli.OneLine(err))
	case err != nil:
		return fail("%s", cli.OneLine(err))
	}
	return pass("%s", p)
}

// perHost is a transport that sends the requests for one host with another transport.
type perHost struct {
	host            string
	through, others http.RoundTripper
}

func (p perHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == p.host {
		return p.through.RoundTrip(r)
	}
	return p.others.RoundTrip(r)
}

// place compares the redirect of a blob with those that the stage's functions decide on
// for the address of this machine.
func (d *deployment) place(ctx context.Context, place string) outcome {
	if !d.client.IsValid() {
		return skip("pass -ip with the public address of this machine")
	}
	b, none := d.anyBlob(d.stage.Primary)
	if none != nil {
		return *none
	}
	e := d.entry(place)
	path := "/v2/" + name + "/blobs/" + b.digest
	parsed, invalid := oci.Parse(path)
	if invalid != nil {
		return unknown(invalid)
	}
	at, _ := ranges.Lookup(d.client)
	var want []string
	for _, region := range d.stage.Redirectors {
		c, err := d.stage.Config(region)
		if err != nil {
			return unknown(err)
		}
		decision := route.New(c).Decide(&route.Request{Path: parsed, Place: at, NoDistribution: !e.edge})
		to := decision.Reason.String()
		if first := decision.Candidates()[0]; first.Target == route.Regional {
			to += " to " + c.Mirrors[first.Mirror].Region
		}
		if !slices.Contains(want, to) {
			want = append(want, to)
		}
	}
	r, err := d.send(ctx, request{url: "https://" + e.host + path, connect: e.connect})
	if err != nil {
		return noResponse(err)
	}
	got := reason(r)
	for _, region := range d.stage.Routed() {
		if strings.HasPrefix(r.header.Get("Location"), d.stage.MirrorURL(region)+"/") {
			got += " to " + region
		}
	}
	taken := "a client outside of all clouds"
	if at.Cloud != "" {
		taken = strings.TrimSpace(fmt.Sprintf("a client in %s %s", at.Cloud, at.Region))
	}
	if !slices.Contains(want, got) {
		return fail("%s is %s, so the blob must be redirected for the reason %s, but it is %s; check the client address header, the range data, and whether the mirror has %s",
			d.client, taken, strings.Join(want, " or "), got, b.digest)
	}
	return pass("%s is %s: %s", d.client, taken, got)
}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}
