package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/oci"
)

// relayed is the response to one request, whose redirect was not followed.
type relayed struct {
	Status     int      `json:"status"`
	Reason     string   `json:"reason"`
	RetryAfter string   `json:"retryAfter,omitempty"`
	Code       oci.Code `json:"code,omitempty"`
	Message    string   `json:"message,omitempty"`
	// Seconds is how long the client waited.
	Seconds float64 `json:"seconds"`

	// invalid is what is wrong with the response, whatever was expected.
	invalid error
}

// String returns the status, the reason and Retry-After.
func (r *relayed) String() string {
	text := fmt.Sprintf("%d %s", r.Status, r.Reason)
	if r.RetryAfter != "" {
		text += ", Retry-After " + r.RetryAfter
	}
	return text
}

// cell returns the response for a table, with its time if that was long.
func (r *relayed) cell() string {
	switch {
	case r == nil:
		return "-"
	case r.Seconds < 0.5:
		return r.String()
	}
	return fmt.Sprintf("%s, %.1fs", r, r.Seconds)
}

func (r *relayed) took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// sound returns an error if the response is not valid, or if it is an error whose message
// is another one.
func (r *relayed) sound(message string) error {
	if r.invalid == nil && r.Status >= 400 && !strings.Contains(r.Message, message) {
		return fmt.Errorf("the error is %q, want %q", r.Message, message)
	}
	return r.invalid
}

// manifest requests a manifest of the single image, by tag or digest.
func (t *testbed) manifest(ctx context.Context, reference string) (*relayed, error) {
	return t.relay(ctx, "/manifests/"+reference)
}

// relay requests a path of the single image's repository from the entry point.
func (t *testbed) relay(ctx context.Context, path string) (*relayed, error) {
	began := time.Now()
	resp, err := t.request(ctx, t.entryPoint.url+"/v2/"+singleRepository+path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	r := &relayed{Status: resp.StatusCode, Reason: resp.Header.Get("X-Redirect-Reason"), RetryAfter: resp.Header.Get("Retry-After"), Seconds: time.Since(began).Seconds()}
	switch {
	case resp.Header.Get("WWW-Authenticate") != "":
		r.invalid = errors.New("the client was asked for credentials")
	case r.Status >= 400:
		r.invalid = r.parse(resp.Header, body)
	case strings.Contains(path, "/manifests/"):
		r.invalid = checkDigest(body, t.image.String())
	case !t.ownLocation(resp):
		r.invalid = fmt.Errorf("the blob is redirected to %s", resp.Header.Get("Location"))
	}
	return r, nil
}

// ownLocation reports whether a response redirects to the storage of the upstream.
func (t *testbed) ownLocation(resp *http.Response) bool {
	to, err := resp.Location()
	return err == nil && to.Host == t.storage
}

// parse reads the error of a response, and returns an error if it is not one of the OCI
// specification or has the code of another status.
func (r *relayed) parse(header http.Header, body []byte) error {
	var parsed struct {
		Errors []struct {
			Code    oci.Code `json:"code"`
			Message string   `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil || len(parsed.Errors) != 1 || header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("the body of the error, %s, is not that of the OCI specification: %.100q", header.Get("Content-Type"), body)
	}
	r.Code, r.Message = parsed.Errors[0].Code, parsed.Errors[0].Message
	want := oci.Unavailable
	if r.Status == http.StatusTooManyRequests {
		want = oci.TooManyRequests
	}
	if r.Code != want || header.Get("Cache-Control") != "no-store" {
		return fmt.Errorf("the error has the code %s and Cache-Control %q, want %s and no-store", r.Code, header.Get("Cache-Control"), want)
	}
	return nil
}
