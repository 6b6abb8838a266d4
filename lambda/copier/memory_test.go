package copier

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// memory is S3 in memory, without network and goroutines, for tests in a bubble of
// testing/synctest. It has what this package uses.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte // by bucket and key
	hashed  map[string]bool   // those with a checksum of the whole
	meta    map[string]string // user-defined metadata of hashedKey, by bucket and key, or upload
	uploads map[string]map[int][]byte
	count   int
	// requests counts those of each method and path.
	requests map[string]int
}

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, hashed: map[string]bool{}, meta: map[string]string{}, uploads: map[string]map[int][]byte{}, requests: map[string]int{}}
}

// bucket returns a bucket in a region.
func (m *memory) bucket(name, region string) *Bucket {
	return NewBucket(name, s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String("http://s3.example.com"), UsePathStyle: true, HTTPClient: m,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}))
}

// blobs returns the contents of a bucket by digest.
func (m *memory) blobs(b *Bucket) map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string][]byte{}
	for name, content := range m.objects {
		if digest, ok := strings.CutPrefix(name, b.Name+"/"+*key("")); ok && strings.HasPrefix(digest, "sha256:") {
			out[digest] = content
		}
	}
	return out
}

// Do implements the HTTP client of the SDK.
func (m *memory) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: err}
		}
		if r.ContentLength >= 0 && int64(len(body)) != r.ContentLength {
			return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[r.Method+" "+r.URL.Path]++
	name := strings.TrimPrefix(r.URL.Path, "/")
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("versions"):
		return m.versions(r, strings.TrimSuffix(name, "/"), q.Get("prefix"))
	case r.Method == http.MethodGet && q.Has("list-type"):
		return m.list(r, strings.TrimSuffix(name, "/"), q)
	case r.Method == http.MethodPost && q.Has("uploads"):
		m.count++
		id := strconv.Itoa(m.count)
		m.uploads[id], m.meta[id] = map[int][]byte{}, r.Header.Get("X-Amz-Meta-"+hashedKey)
		return respond(r, 200, nil, "<InitiateMultipartUploadResult><UploadId>"+id+"</UploadId></InitiateMultipartUploadResult>")
	case q.Has("uploadId"):
		return m.upload(r, name, q, body)
	case r.Method == http.MethodPut:
		if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
			from, _ := url.PathUnescape(source)
			content, has := m.objects[from]
			if !has {
				return refuse(r, http.StatusNotFound, "NoSuchKey")
			}
			return m.put(r, name, content, true, m.meta[from], "<CopyObjectResult><ETag>"+etag(content)+"</ETag></CopyObjectResult>")
		}
		sum := sha256.Sum256(body)
		if want := r.Header.Get("X-Amz-Checksum-Sha256"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
			return refuse(r, http.StatusBadRequest, "BadDigest")
		}
		return m.put(r, name, body, r.Header.Get("X-Amz-Checksum-Sha256") != "", "", "")
	case r.Method == http.MethodDelete:
		delete(m.objects, name)
		return respond(r, http.StatusNoContent, nil, "")
	}
	content, has := m.objects[name]
	if !has {
		return refuse(r, http.StatusNotFound, "NoSuchKey")
	}
	header := http.Header{"Etag": {etag(content)}}
	if m.hashed[name] {
		sum := sha256.Sum256(content)
		header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
	}
	if m.meta[name] != "" {
		header.Set("X-Amz-Meta-"+hashedKey, m.meta[name])
	}
	resp, err := respond(r, 200, header, string(content))
	resp.Header.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp, err
}

func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func (m *memory) put(r *http.Request, name string, content []byte, hashed bool, meta, answer string) (*http.Response, error) {
	old, has := m.objects[name]
	if r.Header.Get("If-None-Match") == "*" && has || r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != etag(old) {
		return refuse(r, http.StatusPreconditionFailed, "PreconditionFailed")
	}
	m.objects[name], m.hashed[name], m.meta[name] = bytes.Clone(content), hashed, meta
	return respond(r, 200, http.Header{"Etag": {etag(content)}}, answer)
}

func (m *memory) upload(r *http.Request, name string, q url.Values, body []byte) (*http.Response, error) {
	parts := m.uploads[q.Get("uploadId")]
	switch {
	case parts == nil:
		return refuse(r, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodPut:
		n, _ := strconv.Atoi(q.Get("partNumber"))
		answer := ""
		if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
			from, _ := url.PathUnescape(source)
			var first, last int
			if _, err := fmt.Sscanf(r.Header.Get("X-Amz-Copy-Source-Range"), "bytes=%d-%d", &first, &last); err != nil || last >= len(m.objects[from]) {
				return refuse(r, http.StatusBadRequest, "InvalidRange")
			}
			body = m.objects[from][first : last+1]
			answer = "<CopyPartResult><ETag>" + etag(body) + "</ETag></CopyPartResult>"
		}
		parts[n] = body
		return respond(r, 200, http.Header{"Etag": {etag(body)}}, answer)
	case r.Method == http.MethodGet:
		text := "<ListPartsResult>"
		for _, n := range slices.Sorted(maps.Keys(parts)) {
			text += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size></Part>", n, etag(parts[n]), len(parts[n]))
		}
		return respond(r, 200, nil, text+"</ListPartsResult>")
	case r.Method == http.MethodDelete:
		delete(m.uploads, q.Get("uploadId"))
		return respond(r, http.StatusNoContent, nil, "")
	}
	var named struct {
		Part []struct{ PartNumber int }
	}
	if err := xml.Unmarshal(body, &named); err != nil {
		return refuse(r, http.StatusBadRequest, "MalformedXML")
	}
	var content []byte
	for _, part := range named.Part {
		content = append(content, parts[part.PartNumber]...)
	}
	if want := r.Header.Get("X-Amz-Mp-Object-Size"); want != strconv.Itoa(len(content)) {
		return refuse(r, http.StatusBadRequest, "InvalidRequest")
	}
	delete(m.uploads, q.Get("uploadId"))
	return m.put(r, name, content, false, m.meta[q.Get("uploadId")], "<CompleteMultipartUploadResult><ETag>"+etag(content)+"</ETag></CompleteMultipartUploadResult>")
}

// versions lists the only version of each object with a prefix.
func (m *memory) versions(r *http.Request, bucket, prefix string) (*http.Response, error) {
	text := "<ListVersionsResult><IsTruncated>false</IsTruncated>"
	for name := range m.objects {
		if key, ok := strings.CutPrefix(name, bucket+"/"); ok && strings.HasPrefix(key, prefix) {
			text += "<Version><Key>" + key + "</Key><VersionId>null</VersionId></Version>"
		}
	}
	return respond(r, 200, nil, text+"</ListVersionsResult>")
}

// list lists all keys of a bucket in one page.
func (m *memory) list(r *http.Request, bucket string, q url.Values) (*http.Response, error) {
	type object struct {
		Key  string
		Size int
	}
	var out struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		IsTruncated bool
		Contents    []object
	}
	for name, content := range m.objects {
		key, ok := strings.CutPrefix(name, bucket+"/")
		if ok && strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("start-after") {
			out.Contents = append(out.Contents, object{key, len(content)})
		}
	}
	slices.SortFunc(out.Contents, func(a, b object) int { return cmp.Compare(a.Key, b.Key) })
	text, err := xml.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	return respond(r, 200, nil, string(text))
}
