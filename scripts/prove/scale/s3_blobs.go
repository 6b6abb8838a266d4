package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"archeio/lambda/config"
)

// blobSet is the set of the blobs of a generator that a mirror has, one bit each.
type blobSet []uint64

func (b blobSet) has(i int) bool { return len(b) > 0 && b[i/64]&(1<<(i%64)) != 0 }

func (b blobSet) count() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// holds reports whether a mirror has a blob. The caller holds the lock.
func (s *storage) holds(bucket string, i int) bool {
	if s.seeds == nil {
		return bucket != stateBucket && bucket != emptyBucket && !s.removed[bucket][i]
	}
	return s.mirrors[bucket].has(i)
}

// held returns how many blobs a mirror has.
func (s *storage) held(bucket string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mirrors[bucket].count()
}

// each calls yield with the blobs from i up to end that a mirror has, until it returns
// false.
func (s *storage) each(bucket string, i, end int, yield func(i int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; i < end; i++ {
		if s.holds(bucket, i) && !yield(i) {
			return
		}
	}
}

// checksum returns the x-amz-checksum-sha256 of the object with the key of a blob.
func (s *storage) checksum(i int) string {
	sum := sha256.Sum256(content(s.seeds[i]))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func blobETag(i int) string { return fmt.Sprintf(`"%032x"`, i) }

// getBlob responds to GET and HEAD of a blob.
func (s *storage) getBlob(w http.ResponseWriter, r *http.Request, bucket, key string) {
	i, known := s.find(key)
	s.mu.Lock()
	known = known && s.holds(bucket, i)
	s.mu.Unlock()
	if !known {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("Etag", blobETag(i))
	w.Header().Set("Content-Length", strconv.Itoa(s.size()))
	switch {
	case s.seeds == nil:
		w.Header().Set("X-Amz-Replication-Status", "COMPLETED")
		if r.Method == http.MethodGet { // no run without changes reads a blob
			fail(w, http.StatusNotImplemented, "NotImplemented")
		}
		return
	case r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED":
		w.Header().Set("X-Amz-Checksum-Sha256", s.checksum(i))
	}
	if r.Method == http.MethodGet {
		w.Write(content(s.seeds[i]))
	}
}

// putBlob stores a blob, or copies it from another bucket, if its digest matches its key
// and the conditions of the request hold. It returns its size in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
func (s *storage) putBlob(w http.ResponseWriter, r *http.Request, bucket, key string) int64 {
	i, known := s.find(key)
	from, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
	if !known || s.seeds == nil || err != nil {
		fail(w, http.StatusBadRequest, "InvalidRequest")
		return 0
	}
	if from == "" {
		var body [contentSize + 1]byte
		n, _ := io.ReadFull(r.Body, body[:])
		if r.Header.Get("X-Amz-Checksum-Sha256") != s.checksum(i) || string(body[:n]) != string(content(s.seeds[i])) {
			fail(w, http.StatusBadRequest, "BadDigest")
			return 0
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if from != "" {
		source, sourceKey, _ := strings.Cut(from, "/")
		if sourceKey != key || !s.holds(source, i) {
			fail(w, http.StatusNotFound, "NoSuchKey")
			return 0
		}
		if r.Header.Get("X-Amz-Copy-Source-If-Match") != blobETag(i) {
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return 0
		}
	}
	if r.Header.Get("If-None-Match") == "*" && s.holds(bucket, i) {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return 0
	}
	if s.mirrors[bucket] == nil {
		if s.mirrors == nil {
			s.mirrors = map[string]blobSet{}
		}
		s.mirrors[bucket] = make(blobSet, (s.blobs+63)/64)
	}
	s.mirrors[bucket][i/64] |= 1 << (i % 64)
	w.Header().Set("Etag", blobETag(i))
	if from != "" {
		fmt.Fprintf(w, "<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>", blobETag(i))
	}
	return contentSize
}

// remove deletes an object, if it exists.
func (s *storage) remove(bucket, key string) {
	i, known := 0, false
	if bucket != stateBucket {
		i, known = s.find(key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects[bucket], key)
	switch {
	case !known:
	case s.mirrors[bucket].has(i):
		s.mirrors[bucket][i/64] &^= 1 << (i % 64)
	case s.seeds == nil:
		if s.removed == nil {
			s.removed = map[string]map[int]bool{}
		}
		if s.removed[bucket] == nil {
			s.removed[bucket] = map[int]bool{}
		}
		s.removed[bucket][i] = true
	}
}

// versions lists the only version of a blob.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
func (s *storage) versions(w http.ResponseWriter, r *http.Request, bucket string) kind {
	key := r.URL.Query().Get("prefix")
	i, known := s.find(key)
	s.mu.Lock()
	known = known && s.holds(bucket, i)
	s.mu.Unlock()
	version := ""
	if known {
		version = "<Version><Key>" + config.BlobPrefix + s.blob(i) + "</Key><VersionId>null</VersionId></Version>"
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, "<ListVersionsResult><IsTruncated>false</IsTruncated>%s</ListVersionsResult>", version)
	return listKind(bucket)
}
