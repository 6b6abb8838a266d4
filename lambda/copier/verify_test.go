package copier

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// damaged are two buckets with all blobs of some images. In each one blob does not
// match its digest, in the second one of the right size, which has one more blob that no
// image has.
func damaged(t *testing.T) (s *servers, o VerifyOptions, wrong [2]string) {
	t.Helper()
	s = start(t)
	s.fill(t)
	c := s.options(t, nil)
	if _, result := planAndCopy(t.Context(), t, c); len(result.Errors) != 0 {
		t.Fatal(result.Errors)
	}
	i := 0
	for digest := range s.blobs {
		if i < 2 {
			wrong[i] = digest
		}
		i++
	}
	put(t, s.buckets[0], wrong[0], []byte("damaged"))
	put(t, s.buckets[1], wrong[1], make([]byte, len(content(t, s.buckets[1], wrong[1]))))
	put(t, s.buckets[1], a, []byte("of no image"))
	plan, err := NewPlan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s, VerifyOptions{Buckets: s.buckets, Source: c.Source, Plan: plan}, wrong
}

// TestVerify tests that mismatches are found, and replaced if there is a plan.
func TestVerify(t *testing.T) {
	t.Parallel()
	s, o, wrong := damaged(t)
	only := o
	only.Source, only.Plan = nil, nil
	var last Progress
	only.Progress = func(p Progress) { last = p }
	found, err := Verify(t.Context(), only)
	if err != nil || found.Of != 2*len(s.blobs)+1 || found.Checked != found.Of || len(found.Errors) != 0 || len(found.Mismatches) != 3 {
		t.Fatalf("%+v, error %v", found, err)
	}
	if last.Done != found.Of || last.Total != found.Of || last.Bytes != last.TotalBytes || last.Bytes != found.Bytes {
		t.Errorf("progress %+v of %+v", last, found)
	}
	at := map[string]bool{}
	for _, w := range found.Mismatches {
		at[w.Bucket+" "+w.Digest] = true
		if w.Replaced || w.ReplaceErr != nil || !errors.Is(w.Err, ErrContent) {
			t.Errorf("%+v", w)
		}
	}
	if !at[s.buckets[0].Name+" "+wrong[0]] || !at[s.buckets[1].Name+" "+wrong[1]] || !at[s.buckets[1].Name+" "+a] {
		t.Errorf("found %v", at)
	}
	if string(content(t, s.buckets[0], wrong[0])) != "damaged" {
		t.Error("it was changed")
	}

	found, err = Verify(t.Context(), o)
	if err != nil || len(found.Mismatches) != 3 || len(found.Errors) != 0 {
		t.Fatalf("%+v, error %v", found, err)
	}
	for _, w := range found.Mismatches {
		if w.Digest == a {
			oneLineOf(t, w.ReplaceErr, "the source does not have it")
		} else if !w.Replaced || w.ReplaceErr != nil {
			t.Errorf("%+v", w)
		}
	}
	if _, err := s.buckets[1].Remove(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	s.allWhole(t)
	if found, err = Verify(t.Context(), o); err != nil || len(found.Mismatches) != 0 {
		t.Errorf("%+v, error %v", found, err)
	}
}

// TestVerifyChanged tests that an object that has changed since it was hashed is
// not replaced.
func TestVerifyChanged(t *testing.T) {
	t.Parallel()
	s, o, wrong := damaged(t)
	b := s.buckets[0]
	o.Buckets = []*Bucket{through(b, wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut {
			put(t, b, wrong[0], []byte("changed"))
		}
		return http.DefaultTransport.RoundTrip(r)
	}))}
	found, err := Verify(t.Context(), o)
	if err != nil || len(found.Mismatches) != 1 || found.Mismatches[0].Replaced {
		t.Fatalf("%+v, error %v", found, err)
	}
	oneLineOf(t, found.Mismatches[0].ReplaceErr, "the object has changed since")
	if string(content(t, b, wrong[0])) != "changed" {
		t.Error("it was overwritten")
	}
}

// TestVerifyInvalidSource tests that nothing is replaced by invalid content.
func TestVerifyInvalidSource(t *testing.T) {
	t.Parallel()
	s, o, wrong := damaged(t)
	source, err := registry.New(s.source, registry.Options{Transport: wire(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && strings.Contains(r.URL.Path, "/blobs/") {
			resp.Body.Close()
			return respond(r, http.StatusOK, nil, "invalid")
		}
		return resp, err
	})})
	if err != nil {
		t.Fatal(err)
	}
	o.Source, o.Buckets = source, s.buckets[:1]
	found, err := Verify(t.Context(), o)
	if err != nil || len(found.Mismatches) != 1 || found.Mismatches[0].Replaced {
		t.Fatalf("%+v, error %v", found, err)
	}
	oneLineOf(t, found.Mismatches[0].ReplaceErr, wrong[0], "content does not match its digest")
	if string(content(t, s.buckets[0], wrong[0])) != "damaged" {
		t.Error("it was overwritten")
	}
}

// TestVerifySample tests that a sample is a fraction of all blobs.
func TestVerifySample(t *testing.T) {
	t.Parallel()
	b := largeBucket(t, start(t))
	all := len(held(t, b))
	found, err := Verify(t.Context(), VerifyOptions{Buckets: []*Bucket{b}, Sample: 0.1})
	// Fewer than one in a million runs are outside of these limits by chance.
	if err != nil || found.Of != all || found.Checked < all/20 || found.Checked > all/5 || len(found.Mismatches) > found.Checked {
		t.Errorf("checked %d of %d, %d wrong, error %v", found.Checked, found.Of, len(found.Mismatches), err)
	}
}

// TestVerifyErrors tests that an unreadable blob is one error, and that the others
// are verified.
func TestVerifyErrors(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.bucket(t, system.Regions[0])
	data, blob := noise(1, 1000)
	other, otherBlob := noise(2, 1000)
	put(t, b, blob.Digest, data)
	put(t, b, otherBlob.Digest, other)
	_, err := Verify(t.Context(), VerifyOptions{Buckets: []*Bucket{b, withLogin(b, aws.AnonymousCredentials{})}})
	oneLineOf(t, err, b.Name, "listing", "access denied")

	refused := through(b, wire(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, blob.Digest) {
			return refuse(r, http.StatusForbidden, "AccessDenied")
		}
		return http.DefaultTransport.RoundTrip(r)
	}))
	found, err := Verify(t.Context(), VerifyOptions{Buckets: []*Bucket{refused}})
	if err != nil || found.Checked != 2 || len(found.Mismatches) != 0 || len(found.Errors) != 1 {
		t.Fatalf("%+v, error %v", found, err)
	}
	oneLineOf(t, found.Errors[0], b.Name, blob.Digest, "access denied")

	// The connection ends while the blob is read.
	cut := through(b, wire(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && strings.Contains(r.URL.Path, blob.Digest) {
			resp.Body.Close()
			resp, err = respond(r, http.StatusOK, nil, "")
			resp.Body, resp.ContentLength = http.MaxBytesReader(nil, nopCloser{bytes.NewReader(data)}, 500), 1000
		}
		return resp, err
	}))
	if found, err = Verify(t.Context(), VerifyOptions{Buckets: []*Bucket{cut}}); err != nil || len(found.Mismatches) != 0 || len(found.Errors) != 1 {
		t.Fatalf("%+v, error %v", found, err)
	}
	oneLineOf(t, found.Errors[0], b.Name, "reading "+blob.Digest)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Verify(ctx, VerifyOptions{Buckets: []*Bucket{b}}); err == nil {
		t.Error("no error although it was interrupted")
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
