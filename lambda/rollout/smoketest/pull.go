package smoketest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"archeio/lambda/config"
	"archeio/lambda/route"
	"archeio/lambda/testpull"
)

// Pulls is the result of pulling through one version.
type Pulls struct {
	// Done has a line for each entry point through which the image was pulled, or
	// could be pulled through neither version.
	Done []string
	// Failures has a line for each entry point through which only the live version
	// serves the image.
	Failures []string
}

// Pull pulls an image through each entry point of a version, as a client in AWS does: the
// version responds to requests for the registry, and transport sends the others, to the
// mirrors and the upstream. A pull that fails through the live version too is not a
// failure: the upstream may be unavailable, or the image deleted.
func Pull(ctx context.Context, c *config.Config, entryPoints []EntryPoint, i testpull.Image, version, live Invoke, transport http.RoundTripper) Pulls {
	through := func(e EntryPoint, invoke Invoke) (*testpull.Pull, error) {
		ctx, cancel := context.WithTimeout(ctx, testpull.Timeout)
		defer cancel()
		return testpull.Client{Transport: invoked{c, e, invoke, transport}, Registry: "https://" + host, MaxBytes: testpull.MaxBytes(len(entryPoints))}.Pull(ctx, i)
	}
	var all Pulls
	for _, e := range entryPoints {
		what := fmt.Sprintf("%s, pull of %s", e, i)
		p, err := through(e, version)
		if err == nil {
			all.Done = append(all.Done, fmt.Sprintf("%s: %s", what, p))
			continue
		}
		if _, liveErr := through(e, live); liveErr != nil {
			all.Done = append(all.Done, fmt.Sprintf("%s: fails through the live version too: %v", what, err))
			continue
		}
		all.Failures = append(all.Failures, fmt.Sprintf("%s: %v; the live version serves it", what, err))
	}
	return all
}

// invoked is a transport that invokes a version for requests to the registry.
type invoked struct {
	c      *config.Config
	e      EntryPoint
	invoke Invoke
	others http.RoundTripper
}

func (t invoked) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sample{method: r.Method, path: r.URL.EscapedPath(), query: r.URL.RawQuery, client: clientOfAWS, headers: map[string]string{}}
	// The distribution may not lead to this version, or not exist yet: its default
	// mirror is read from where it is checked.
	for _, base := range basesOf(t.c, route.DefaultMirror, t.e.viewerHost(t.c, s)) {
		if base = strings.TrimSuffix(base, config.BlobPrefix); strings.HasPrefix(base, "/") {
			base = "https://" + host + base
		}
		if rest, ok := strings.CutPrefix(r.URL.String(), base+config.BlobPrefix); ok && t.c.DefaultMirrorCheck != "" {
			to, err := http.NewRequestWithContext(r.Context(), r.Method, t.c.DefaultMirrorCheck+"/"+config.BlobPrefix+rest, nil)
			if err != nil {
				return nil, err
			}
			return t.others.RoundTrip(to)
		}
	}
	if r.URL.Host != host {
		return t.others.RoundTrip(r)
	}
	for name := range r.Header {
		s.headers[strings.ToLower(name)] = r.Header.Get(name)
	}
	event, err := json.Marshal(t.e.event(t.c, s))
	if err != nil {
		return nil, err
	}
	out, err := t.invoke(r.Context(), event)
	if err != nil {
		return nil, err
	}
	got, err := t.e.parse(out)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: got.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(got.body)), Request: r}
	for name, value := range got.headers {
		resp.Header.Set(name, value)
	}
	return resp, nil
}
