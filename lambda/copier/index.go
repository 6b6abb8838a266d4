package copier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
	"archeio/lambda/index"
)

var indexKey = aws.String(config.BlobPrefix + index.Name)

// indexThere reads the index of a bucket, or only its header; nil if there is
// none. etag is that of what was read.
func (b *Bucket) indexThere(ctx context.Context, headerOnly bool) (data []byte, etag string, err error) {
	in := &s3.GetObjectInput{Bucket: &b.Name, Key: indexKey}
	if headerOnly {
		in.Range = aws.String(fmt.Sprintf("bytes=0-%d", index.HeaderSize-1))
	}
	o, err := b.client.GetObject(ctx, in)
	switch {
	case code(err) == "NoSuchKey" || status(err) == http.StatusNotFound || code(err) == "InvalidRange":
		return nil, "", nil
	case err != nil:
		return nil, "", b.explain("reading its index", err)
	}
	defer o.Body.Close()
	data, err = io.ReadAll(io.LimitReader(o.Body, index.MaxSize+1))
	return data, aws.ToString(o.ETag), b.explain("reading its index", err)
}

// putIndex writes an index over the one with an ETag; empty where there is none
// yet. It is ErrExists where there is another one by now.
func (b *Bucket) putIndex(ctx context.Context, data []byte, replaces string) error {
	in := &s3.PutObjectInput{
		Bucket: &b.Name, Key: indexKey, Body: bytes.NewReader(data),
		CacheControl: aws.String("no-cache"), ContentType: aws.String(contentType),
	}
	in.IfMatch, in.IfNoneMatch = conditions(replaces)
	_, err := b.client.PutObject(ctx, in)
	return b.explain("writing its index", err)
}

// WriteIndex writes the index of what all buckets hold into each of them, where
// the one in place is of an earlier listing. The buckets must be all mirrors.
// prefixes are the entries of what all of them held when they were listed, from
// began on.
//
// What is withdrawn meanwhile is in none: the list is read after the index in
// place, and a withdrawal lists first and changes the index then.
func WriteIndex(ctx context.Context, s State, buckets []*Bucket, began time.Time, prefixes []uint64) error {
	places := make([]string, len(buckets)) // ETags
	older := make([]bool, len(buckets))
	group, inner := errgroup.WithContext(ctx)
	for i, b := range buckets {
		group.Go(func() error {
			header, etag, err := b.indexThere(inner, true)
			if err != nil {
				return err
			}
			listed, _, broken := index.ParseHeader(header)
			places[i] = etag
			older[i] = broken != nil || listed.Before(began.Truncate(time.Millisecond)) || listed.After(time.Now().Add(index.Skew))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	withdrawn := Withdrawn{}
	if s != nil {
		var err error
		if withdrawn, err = LoadWithdrawn(ctx, s); err != nil {
			return err
		}
	}
	gone := map[uint64]bool{}
	for digest := range withdrawn {
		if p, ok := index.Prefix(digest); ok {
			gone[p] = true
		}
	}
	kept := prefixes[:0:0]
	for _, p := range prefixes {
		if !gone[p] {
			kept = append(kept, p)
		}
	}
	data, err := index.Encode(began, kept)
	if err != nil {
		return err
	}
	var errs []error
	for i, b := range buckets {
		if !older[i] {
			continue
		}
		// Another run was first: its index is as good.
		if err := b.putIndex(ctx, data, places[i]); err != nil && !errors.Is(err, ErrExists) && !errors.Is(err, errConflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takeOut takes a digest out of the index of a bucket.
func (b *Bucket) takeOut(ctx context.Context, digest string) error {
	for try := 1; ; try++ {
		data, etag, err := b.indexThere(ctx, false)
		if err != nil || data == nil {
			return err
		}
		x, err := index.Parse(data)
		if err != nil {
			return nil // no redirector uses it either
		}
		if !x.Has(digest) {
			return nil
		}
		if data, err = x.Without(digest); err != nil {
			return err
		}
		err = b.putIndex(ctx, data, etag)
		if err == nil || try == copyAttempts || !errors.Is(err, ErrExists) && !errors.Is(err, errConflict) {
			return err
		}
	}
}

// prefixesOf are the index entries of what all buckets of a mask held.
func (s snapshot) prefixesOf(all uint64) []uint64 {
	var out []uint64
	for i := range len(s) / entrySize {
		entry := s.entry(i)
		if binary.BigEndian.Uint64(entry[digestSize:])&all == all {
			out = append(out, binary.BigEndian.Uint64(entry))
		}
	}
	return out
}

// ListIndex lists all mirrors and writes the index of what all of them hold.
func ListIndex(ctx context.Context, s State, buckets []*Bucket) (entries int, err error) {
	began := time.Now()
	o := Options{Buckets: buckets}
	o.fill()
	held, err := o.list(ctx)
	if err != nil {
		return 0, err
	}
	var prefixes []uint64
	for d := range held[0] {
		everywhere := true
		for _, h := range held[1:] {
			_, ok := h[d]
			everywhere = everywhere && ok
		}
		if everywhere {
			prefixes = append(prefixes, binary.BigEndian.Uint64(d[:]))
		}
	}
	return len(prefixes), WriteIndex(ctx, s, buckets, began, prefixes)
}
