package copier

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/config"
	"archeio/scripts/lab/system"
)

func TestParseDigest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"right", a, true},
		{"other-algorithm", "sha512:" + strings.Repeat("a", 128), false},
		{"upper-case", "sha256:" + strings.Repeat("A", 64), false},
		{"short", a[:len(a)-1], false},
		{"long", a + "a", false},
		{"no-hexadecimal", "sha256:" + strings.Repeat("g", 64), false},
		{"bare", strings.Repeat("a", 64), false},
		{"empty", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d, ok := ParseDigest(tt.text); ok != tt.ok || ok && d.String() != tt.text {
				t.Errorf("%v, %v", d, ok)
			}
		})
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	s := start(t)
	region := system.Regions[0]
	t.Run("stat", func(t *testing.T) { stat(t, s.bucket(t, region)) })
	t.Run("pages", func(t *testing.T) { bucketPages(t, largeBucket(t, s)) })
	t.Run("remove", func(t *testing.T) { remove(t, s.bucket(t, region)) })
	t.Run("errors", func(t *testing.T) { bucketErrors(t, s.bucket(t, region)) })
}

// stat tests objects that match their digest, do not match, or do not exist.
func stat(t *testing.T, b *Bucket) {
	data, blob := noise(1, 1000)
	other, otherBlob := noise(2, 1000)
	sum := func(digest string) *string {
		d, _ := ParseDigest(digest)
		return aws.String(base64.StdEncoding.EncodeToString(d[:]))
	}
	if o, err := b.Stat(t.Context(), blob.Digest); o != nil || err != nil {
		t.Errorf("a missing blob is %+v, error %v", o, err)
	}
	for _, tt := range []struct {
		name    string
		content []byte
		sum     *string
		proven  bool
	}{
		{"proven", data, sum(blob.Digest), true},
		{"hash-of-another", other, sum(otherBlob.Digest), false},
		{"without-a-hash", data, nil, false},
	} {
		in := &s3.PutObjectInput{Bucket: &b.Name, Key: key(blob.Digest), Body: bytes.NewReader(tt.content), ChecksumSHA256: tt.sum}
		put, err := b.client.PutObject(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		o, err := b.Stat(t.Context(), blob.Digest)
		if err != nil || o.Size != 1000 || o.ChecksumVerified != tt.proven || o.ETag != aws.ToString(put.ETag) || o.Replication != "" {
			t.Errorf("%s: %+v, error %v", tt.name, o, err)
		}
	}
	for _, status := range []s3types.ReplicationStatus{s3types.ReplicationStatusPending, s3types.ReplicationStatusCompleted, s3types.ReplicationStatusFailed} {
		if o, err := replicating(b, status).Stat(t.Context(), blob.Digest); err != nil || o.Replication != status {
			t.Errorf("%+v, error %v, want %s", o, err, status)
		}
	}
}

// replicating is a bucket that reports a replication status for every object.
func replicating(b *Bucket, status s3types.ReplicationStatus) *Bucket {
	return through(b, wire(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && r.Method == http.MethodHead {
			resp.Header.Set("X-Amz-Replication-Status", string(status))
		}
		return resp, err
	}))
}

// bucketPages lists more than a page, in order and from any digest, and skips keys
// that are not digests.
func bucketPages(t *testing.T, b *Bucket) {
	for _, name := range []string{"not-a-digest", "sha256:" + strings.Repeat("A", 64), "sha256:zz"} {
		put(t, b, name, nil)
	}
	counted, requests := counted(b)
	all, err := counted.List(t.Context())
	if got := requests.take(); err != nil || len(all) < moreThanAPage || got != "list:2" {
		t.Fatalf("%d blobs by %s, error %v", len(all), got, err)
	}
	var listed []Digest
	take := func(d Digest, size int64) {
		if listed = append(listed, d); size != all[d] {
			t.Errorf("%s has size %d, want %d", d, size, all[d])
		}
	}
	last, err := b.Page(t.Context(), "", take)
	if err != nil || last == "" || len(listed) > 1000 {
		t.Fatalf("%d blobs, last %q, error %v", len(listed), last, err)
	}
	end, err := b.Page(t.Context(), last, take)
	if err != nil || end != "" || len(listed) != len(all) {
		t.Errorf("%d blobs, last %q, error %v", len(listed), end, err)
	}
	for i := 1; i < len(listed); i++ {
		if bytes.Compare(listed[i-1][:], listed[i][:]) >= 0 {
			t.Fatalf("%s is listed before %s", listed[i-1], listed[i])
		}
	}
}

// large is a bucket with more than a page of keys, which tests share.
var large struct {
	sync.Mutex
	bucket *Bucket
}

const moreThanAPage = 1100

func largeBucket(t *testing.T, s *servers) *Bucket {
	t.Helper()
	large.Lock()
	defer large.Unlock()
	if large.bucket == nil {
		b := s.bucket(t, system.Regions[0])
		many(t, b, moreThanAPage)
		large.bucket = b
	}
	return large.bucket
}

// many writes small objects that do not match their digests.
func many(t *testing.T, b *Bucket, n int) {
	t.Helper()
	todo := make(chan string)
	errs := make(chan error)
	for range 16 {
		go func() {
			var err error
			for digest := range todo {
				_, failed := b.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.Name, Key: key(digest), Body: strings.NewReader("not")})
				err = errors.Join(err, failed)
			}
			errs <- err
		}()
	}
	for i := range n {
		todo <- blobOf(fmt.Append(nil, i)).Digest
	}
	close(todo)
	for range 16 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

// remove tests that every version is deleted, and nothing else.
func remove(t *testing.T, b *Bucket) {
	_, blob := noise(1, 10)
	if n, err := b.Remove(t.Context(), blob.Digest); n != 0 || err != nil {
		t.Errorf("removed %d of nothing, error %v", n, err)
	}
	put(t, b, blob.Digest, []byte("1"))
	if n, err := b.Remove(t.Context(), blob.Digest); n != 1 || err != nil || content(t, b, blob.Digest) != nil {
		t.Errorf("removed %d without versions, error %v", n, err)
	}
	if _, err := b.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b.Name,
		VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	longer := blob.Digest + ".sig"
	for _, text := range []string{"1", "2", "3"} {
		put(t, b, blob.Digest, []byte(text))
		put(t, b, longer, []byte(text))
	}
	if _, err := b.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b.Name, Key: key(blob.Digest)}); err != nil {
		t.Fatal(err)
	}
	put(t, b, blob.Digest, []byte("4"))
	if n, err := b.Remove(t.Context(), blob.Digest); n != 5 || err != nil {
		t.Errorf("removed %d, error %v, want four versions and a marker", n, err)
	}
	left, err := b.client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &b.Name, Prefix: aws.String(config.BlobPrefix)})
	if err != nil || len(left.Versions) != 3 || len(left.DeleteMarkers) != 0 || aws.ToString(left.Versions[0].Key) != *key(longer) {
		t.Errorf("%d versions and %d markers are left, error %v", len(left.Versions), len(left.DeleteMarkers), err)
	}
}

// withLogin is a bucket that is accessed with other credentials.
func withLogin(b *Bucket, c aws.CredentialsProvider) *Bucket {
	o := b.client.Options()
	out := *b
	out.client = s3.New(s3.Options{Region: o.Region, BaseEndpoint: o.BaseEndpoint, UsePathStyle: true, Credentials: c})
	return &out
}

// refusing is a bucket that responds to every request with an error.
func refusing(b *Bucket, status int, code string) *Bucket {
	return through(b, wire(func(r *http.Request) (*http.Response, error) { return refuse(r, status, code) }))
}

// bucketErrors tests that errors of S3 are one line that says what to do, for
// every operation.
func bucketErrors(t *testing.T, b *Bucket) {
	data, blob := noise(1, 1000)
	put(t, b, blob.Digest, data)
	text, next := noise(2, 10)
	for _, tt := range []struct {
		name   string
		bucket *Bucket
		wrong  string
		final  bool
	}{
		{"missing", NewBucket("does-not-exist", b.client), "the bucket does not exist", true},
		{"anonymous", withLogin(b, aws.AnonymousCredentials{}), "access denied (AccessDenied)", true},
		{"wrong-secret", withLogin(b, credentials.NewStaticCredentialsProvider(system.AccessKey, "wrong", "")), "access denied (SignatureDoesNotMatch)", true},
		{"unknown-key", refusing(b, http.StatusForbidden, "InvalidAccessKeyId"), "access denied (InvalidAccessKeyId)", true},
		{"other-region", refusing(b, http.StatusMovedPermanently, "PermanentRedirect"), "the bucket is in another region: add its region, for example " + b.Name + "@eu-central-1", true},
		{"region-in-the-signature", refusing(b, http.StatusBadRequest, "AuthorizationHeaderMalformed"), "the bucket is in another region", true},
		{"another-error", refusing(b, http.StatusBadRequest, "InvalidRequest"), "InvalidRequest: refused by the test", false},
		{"broken", through(b, wire(func(r *http.Request) (*http.Response, error) { return nil, errReset })), "connection reset by peer", false},
	} {
		for does, do := range map[string]func() error{
			"listing":             func() error { _, err := tt.bucket.List(t.Context()); return err },
			"writing sha256:":     func() error { _, err := tt.bucket.Put(t.Context(), next, bytes.NewReader(text), ""); return err },
			"reading sha256:":     func() error { _, _, err := tt.bucket.Open(t.Context(), blob.Digest); return err },
			"copying sha256:":     func() error { return tt.bucket.Copy(t.Context(), next, b, "x") },
			"versions of sha256:": func() error { _, err := tt.bucket.Remove(t.Context(), blob.Digest); return err },
		} {
			word, _, _ := strings.Cut(does, " ")
			t.Run(tt.name+"-"+word, func(t *testing.T) {
				err := do()
				oneLineOf(t, err, fmt.Sprintf("bucket %q: ", tt.bucket.Name), does, tt.wrong)
				if permanent(err) != tt.final {
					t.Errorf("permanent is %v", !tt.final)
				}
			})
		}
	}
}

// TestOpen tests that Open returns the content without verifying it.
func TestOpen(t *testing.T) {
	t.Parallel()
	b := start(t).buckets[0]
	etag := put(t, b, a, []byte("wrong"))
	body, got, err := b.Open(t.Context(), a)
	if err != nil || got != etag {
		t.Fatalf("ETag %q, error %v, want %q", got, err, etag)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); string(data) != "wrong" || err != nil {
		t.Errorf("%q, error %v", data, err)
	}
}
