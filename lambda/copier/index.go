package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/lambda/pace"
)

var indexKey = aws.String(config.BlobPrefix + index.Name)

// indexSpace is the space in bytes for more entries of an index that is read.
const indexSpace = 64 << 10

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
	// Memory is allocated once, with space for more entries.
	size := min(aws.ToInt64(o.ContentLength), index.MaxSize)
	content := bytes.NewBuffer(make([]byte, 0, max(size, 0)+indexSpace))
	_, err = content.ReadFrom(io.LimitReader(o.Body, index.MaxSize+1))
	return content.Bytes(), aws.ToString(o.ETag), b.explain("reading its index", err)
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

// IndexOptions are the settings of an index.
type IndexOptions struct {
	// Buckets are those of all mirrors; the index is written into each.
	Buckets []*Bucket
	// Uncovered are the positions of buckets that are still being filled: the index
	// neither waits for them nor covers them.
	Uncovered []int
	// AllowFewer allows to replace an index that covers more mirrors.
	AllowFewer bool
	// Size is about the number of blobs, to allocate memory once.
	Size int
	// Warn is called with one line for what is wrong in the state; it may be nil.
	Warn func(string)
	// now is the clock, nil for time.Now.
	now func() time.Time
	// fresh is the time since when all blobs were listed in all buckets, zero if some were
	// listed before.
	fresh time.Time
}

func (o *IndexOptions) warn(text string) {
	if o.Warn != nil {
		o.Warn(text)
	}
}

// ErrFewerMirrors is in the chain of the error if the index in place covers a mirror
// that the new one would not cover.
var ErrFewerMirrors = errors.New("the index in place covers more mirrors")

// covered returns the regions of the mirrors that the index covers.
func (o *IndexOptions) covered() []string {
	var regions []string
	for i, b := range o.Buckets {
		if !slices.Contains(o.Uncovered, i) {
			regions = append(regions, b.region())
		}
	}
	return regions
}

// region is that of the bucket.
func (b *Bucket) region() string { return b.client.Options().Region }

// indexState is what is known of the index in a bucket before it is replaced.
type indexState struct {
	etag    string
	header  []byte
	older   bool // than the listing or as old, or invalid
	mirrors []string
}

func (b *Bucket) indexState(ctx context.Context, listed time.Time) (indexState, error) {
	data, etag, err := b.indexThere(ctx, true)
	if err != nil {
		return indexState{}, err
	}
	h, err := index.ParseHeader(data)
	if err != nil { // no redirector uses it
		return indexState{etag: etag, older: true}, nil
	}
	older := !h.Listed.After(listed) || h.Listed.After(time.Now().Add(index.Skew))
	return indexState{etag, data, older, h.Mirrors}, nil
}

// WriteIndex writes the index of the blobs that all covered mirrors had when they were
// listed into each bucket, unless the index in place is of a later listing or the same.
// It returns the number of blobs. If an index in place covers more mirrors, it writes
// none.
//
// blobs calls yield for each blob, at best in ascending order; after an error of it, no
// index is written. It is called again if another writer has replaced the index in place
// since it was called.
//
// Blobs that are withdrawn at the same time are not in the index afterwards: a withdrawal
// records the digest before it changes the index, and what was recorded since the list was
// read is taken out again after the index is written.
func WriteIndex(ctx context.Context, s State, o IndexOptions, listed time.Time, blobs func(yield func(Digest)) error) (n int, err error) {
	err = retryOvertaken(ctx, func() (err error) {
		n, err = tryWriteIndex(ctx, s, o, listed, blobs)
		return err
	})
	return n, err
}

// errOvertaken is the error for an index that another writer has replaced since it was
// read.
var errOvertaken = errors.New("the index in place has been replaced by another writer")

// retryOvertaken calls write until it was not overtaken, but not forever. The last error
// is then returned.
func retryOvertaken(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if !errors.Is(err, errOvertaken) || try == copyAttempts {
			return err
		}
		if err := pace.Sleep(ctx, pace.Backoff(try)); err != nil {
			return err
		}
	}
}

func tryWriteIndex(ctx context.Context, s State, o IndexOptions, listed time.Time, blobs func(yield func(Digest)) error) (n int, err error) {
	places := make([]indexState, len(o.Buckets))
	group, inner := errgroup.WithContext(ctx)
	for i, b := range o.Buckets {
		group.Go(func() (err error) {
			places[i], err = b.indexState(inner, listed)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	covered := o.covered()
	for i, place := range places {
		for _, region := range place.mirrors {
			if place.older && !o.AllowFewer && !slices.Contains(covered, region) {
				return 0, fmt.Errorf("writing the blob index: %w: the one in bucket %q covers %s too", ErrFewerMirrors, o.Buckets[i].Name, region)
			}
		}
	}
	now := time.Now
	if o.now != nil {
		now = o.now
	}
	gone, err := notInIndex(ctx, s, now(), o.fresh, o.warn)
	if err != nil {
		return 0, err
	}
	encoder := index.NewEncoder(o.Size)
	err = blobs(func(d Digest) {
		if !gone.has(d) {
			encoder.Add(index.Digest(d))
			n++
		}
	})
	if err != nil {
		return 0, err
	}
	data, err := encoder.Encode(listed, covered)
	if err != nil {
		return 0, err
	}
	var replaced []*Bucket
	var etags []string
	for i, b := range o.Buckets {
		if places[i].older && !bytes.Equal(places[i].header, data[:index.HeaderSize]) {
			replaced, etags = append(replaced, b), append(etags, places[i].etag)
		}
	}
	err = replaceIndexes(ctx, replaced, etags, data)
	return n, errors.Join(err, takeOutSince(ctx, s, now(), o.fresh, gone, replaced))
}

// replaceIndexes is replaceIndex in several buckets. An error in one does not end it.
func replaceIndexes(ctx context.Context, buckets []*Bucket, etags []string, data []byte) error {
	errs := make([]error, len(buckets))
	var group errgroup.Group
	group.SetLimit(bucketsAtOnce)
	for i, b := range buckets {
		group.Go(func() error {
			errs[i] = b.replaceIndex(ctx, data, etags[i])
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// replaceIndex is putIndex, with the error errOvertaken where there is another one by now.
func (b *Bucket) replaceIndex(ctx context.Context, data []byte, replaces string) error {
	err := b.putIndex(ctx, data, replaces)
	if errors.Is(err, ErrExists) || errors.Is(err, errConflict) {
		return fmt.Errorf("bucket %q: %w", b.Name, errOvertaken)
	}
	return err
}

// notInIndex returns the blobs that no index must have. It calls warn with one line for
// what is wrong in the state. fresh is that of IndexOptions.
func notInIndex(ctx context.Context, s State, now, fresh time.Time, warn func(string)) (*unindexed, error) {
	withdrawn, err := LoadWithdrawn(ctx, s)
	if err != nil {
		return nil, err
	}
	gone, err := beingPruned(ctx, s, now)
	if err != nil {
		return nil, err
	}
	for _, text := range gone.warnings {
		warn(text)
	}
	undone, err := undoneWithdrawals(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, u := range undone {
		if fresh.IsZero() || !u.at.Before(fresh) {
			withdrawn[u.digest] = true
		}
	}
	for digest := range withdrawn {
		if p, ok := index.Prefix(digest); ok {
			gone.entries = append(gone.entries, p)
		}
	}
	slices.Sort(gone.entries)
	return gone, nil
}

// takeOutSince removes what no index must have, but that was not known before, from the
// index of buckets that were just written. A withdrawal or a pruning at the same time may
// have found nothing to remove there.
func takeOutSince(ctx context.Context, s State, now, fresh time.Time, before *unindexed, written []*Bucket) error {
	if len(written) == 0 {
		return nil
	}
	gone, err := notInIndex(ctx, s, now, fresh, func(string) {})
	if err != nil {
		return err
	}
	added := slices.DeleteFunc(gone.entries, func(p uint64) bool {
		_, known := slices.BinarySearch(before.entries, p)
		return known
	})
	if len(added) == 0 {
		return nil
	}
	var errs []error
	for _, b := range written {
		errs = append(errs, b.takeOut(ctx, added))
	}
	return errors.Join(errs...)
}

// takeOut removes entries, in ascending order, from the index of a bucket.
func (b *Bucket) takeOut(ctx context.Context, gone []uint64) error {
	for try := 1; ; try++ {
		data, etag, err := b.indexThere(ctx, false)
		if err != nil || data == nil {
			return err
		}
		x, err := index.Parse(data)
		if err != nil {
			return nil // no redirector uses it either
		}
		data, err = x.Without(gone)
		if err != nil || data == nil {
			return err
		}
		err = b.putIndex(ctx, data, etag)
		if err == nil || try == copyAttempts || !errors.Is(err, ErrExists) && !errors.Is(err, errConflict) {
			return err
		}
	}
}

// ListIndex lists all buckets and writes the index of the blobs that all of them have.
// It returns the number of blobs.
func ListIndex(ctx context.Context, s State, o IndexOptions) (n int, err error) {
	listed := time.Now()
	o.fresh = listed
	digits, err := digits(ctx, o.Buckets, nil)
	if err != nil {
		return 0, err
	}
	parts := inventory{Digits: digits, Parts: make([]part, 1<<(4*digits))}
	return WriteIndex(ctx, s, o, listed, func(yield func(Digest)) error {
		for i := range parts.Parts {
			content, err := listSnapshot(ctx, o.Buckets, parts.prefix(i), nil)
			if err != nil {
				return err
			}
			for d, mask := range content.all {
				if mask == 1<<len(o.Buckets)-1 {
					yield(d)
				}
			}
		}
		return nil
	})
}
