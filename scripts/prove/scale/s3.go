package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"archeio/lambda/config"
)

// storage is an S3 server: a bucket for the state, and mirrors. What is written is kept
// in memory; equal contents are kept once, as those of the blob index. Mirrors have all
// blobs of a generator without contents, and what was written of one with contents.
type storage struct {
	*generator
	counts *counts

	mu       sync.Mutex
	mirrors  map[string]blobSet            // by bucket
	removed  map[string]map[int]bool       // of a generator without contents, by bucket
	objects  map[string]map[string]*object // by bucket and key
	contents map[string]*object            // by ETag
}

type object struct {
	data []byte
	etag string
}

const (
	stateBucket = "state"
	// emptyBucket is the bucket of a mirror that has nothing.
	emptyBucket = "mirror-empty"
	listPage    = 1000
)

func mirrorName(i int) string { return fmt.Sprintf("mirror-%02d", i) }

func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.counts.begin()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	out := &counting{ResponseWriter: w}
	kind := stateRead
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Has("versions"):
		kind = s.versions(out, r, bucket)
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		kind = s.list(out, r, bucket)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.get(out, r, bucket, key)
		if bucket != stateBucket {
			kind = mirrorRead
		}
	case r.Method == http.MethodPut:
		kind = stateWrite
		if bucket != stateBucket {
			kind = mirrorWrite
		} else if key == "plan.json" || key == "status.json" {
			kind = progressWrite
		}
		out.bytes = s.put(w, r, bucket, key)
		if kind == mirrorWrite && bucket != mirrorName(0) {
			s.counts.wroteToReplica(out.bytes)
		}
	case r.Method == http.MethodDelete:
		kind = stateWrite
		if bucket != stateBucket {
			kind = mirrorWrite
		}
		s.remove(bucket, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusNotImplemented, "NotImplemented")
	}
	s.counts.add(kind, out.bytes)
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

func (s *storage) get(w http.ResponseWriter, r *http.Request, bucket, key string) {
	s.mu.Lock()
	o := s.objects[bucket][key]
	s.mu.Unlock()
	if o == nil {
		s.getBlob(w, r, bucket, key)
		return
	}
	data, status := o.data, http.StatusOK
	var first, last int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n > 0 {
		if n == 1 || last >= len(data) {
			last = len(data) - 1
		}
		if first > last {
			fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
		data, status = data[first:last+1], http.StatusPartialContent
	}
	w.Header().Set("Etag", o.etag)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		w.Write(data)
	}
}

// put stores an object if the conditions of the request hold, and returns its size.
func (s *storage) put(w http.ResponseWriter, r *http.Request, bucket, key string) int64 {
	if bucket != stateBucket && strings.HasPrefix(key, config.BlobPrefix+"sha256:") {
		return s.putBlob(w, r, bucket, key)
	}
	data, err := readBody(r)
	if err != nil {
		fail(w, http.StatusBadRequest, "IncompleteBody")
		return 0
	}
	sum := md5.Sum(data)
	o := &object{data, `"` + hex.EncodeToString(sum[:]) + `"`}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[bucket][key]
	match := r.Header.Get("If-Match")
	if match != "" && (old == nil || old.etag != match) || r.Header.Get("If-None-Match") == "*" && old != nil {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return 0
	}
	if known := s.contents[o.etag]; known != nil && bytes.Equal(known.data, data) {
		o = known
	} else if bucket != stateBucket {
		s.contents = map[string]*object{o.etag: o} // the last one
	}
	if s.objects[bucket] == nil {
		s.objects[bucket] = map[string]*object{}
	}
	s.objects[bucket][key] = o
	w.Header().Set("Etag", o.etag)
	return int64(len(data))
}

// readBody reads a body, without the chunk headers and trailers of aws-chunked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func readBody(r *http.Request) ([]byte, error) {
	if !strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		data := make([]byte, max(0, r.ContentLength))
		_, err := io.ReadFull(r.Body, data)
		return data, err
	}
	var out bytes.Buffer
	in := bufio.NewReader(r.Body)
	for {
		header, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		length, _, _ := strings.Cut(strings.TrimSpace(header), ";")
		n, err := strconv.ParseInt(length, 16, 64)
		if err != nil || n == 0 {
			io.Copy(io.Discard, in)
			return out.Bytes(), err
		}
		if _, err := io.CopyN(&out, in, n); err != nil {
			return nil, err
		}
		if _, err := in.Discard(2); err != nil {
			return nil, err
		}
	}
}

// unsentBytes is the size of the elements that S3 sends of each key and that nothing
// here reads. They are counted but not sent, to save the time of decoding them.
const unsentBytes = int64(len("<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>" +
	"<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><StorageClass>STANDARD</StorageClass>"))

// list lists a page of keys, as S3 encodes it.
func (s *storage) list(w *counting, r *http.Request, bucket string) kind {
	q := r.URL.Query()
	prefix, after := q.Get("prefix"), max(q.Get("start-after"), q.Get("continuation-token"))
	limit := listPage
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	page := fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%s</Name><Prefix>%s</Prefix>`, bucket, prefix)
	n, last := 0, ""
	add := func(key string, size int) {
		n, last = n+1, key
		page = append(page, "<Contents><Key>"...)
		page = append(page, key...)
		page = append(page, "</Key><Size>"...)
		page = strconv.AppendInt(page, int64(size), 10)
		page = append(page, "</Size></Contents>"...)
	}
	more := false
	if bucket == stateBucket {
		s.mu.Lock()
		var keys []string
		for key := range s.objects[bucket] {
			if strings.HasPrefix(key, prefix) && key > after {
				keys = append(keys, key)
			}
		}
		s.mu.Unlock()
		slices.Sort(keys)
		more = len(keys) > limit
		for _, key := range keys[:min(limit, len(keys))] {
			add(key, 0)
		}
	} else if strings.HasPrefix(prefix, config.BlobPrefix) || strings.HasPrefix(config.BlobPrefix, prefix) {
		i, end := s.from(max(prefix, after)), s.from(prefix+"\xff")
		if i < end && s.key(i) == after {
			i++
		}
		s.each(bucket, i, end, func(i int) bool {
			if more = n == limit; !more {
				add(s.key(i), s.size())
			}
			return !more
		})
	}
	page = fmt.Appendf(page, `<KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%t</IsTruncated>`, n, limit, more)
	if more {
		page = fmt.Appendf(page, `<NextContinuationToken>%s</NextContinuationToken>`, last)
	}
	page = append(page, "</ListBucketResult>"...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.Write(page)
	w.bytes += int64(n) * unsentBytes
	return listKind(bucket)
}

func listKind(bucket string) kind {
	switch bucket {
	case stateBucket:
		return stateList
	case mirrorName(0):
		return listPrimary
	}
	return listReplica
}
