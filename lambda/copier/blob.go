package copier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/metrics"
)

// blob copies one blob to all buckets that lack it.
func (f *Filler) blob(ctx context.Context, m Message) error {
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return err
	}
	if _, gone := withdrawn[m.Blob.Digest]; gone {
		return nil
	}
	blob := MissingBlob{*m.Blob, m.Repository, m.Image}
	fits := int64(time.Until(c.stop).Seconds() * assumedRate / 2)
	var left bool
	if m.Requeues == 0 && blob.Size <= min(fits, f.Buckets[0].maxPutSize) {
		left, err = f.whole(ctx, c, blob)
	} else {
		left, err = f.inParts(ctx, c, blob)
	}
	keep := context.WithoutCancel(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: blob %s: %w", m.Image, m.Blob.Digest, err)
	case left && m.Requeues >= maxRequeues:
		return f.giveUp(keep, m)
	case left:
		m.Requeues++
		f.Log.Info("a blob goes on as a message", "digest", m.Blob.Digest, "size", m.Blob.Size, "rounds", m.Requeues)
		return f.Queue.Send(keep, m)
	}
	return nil
}

// whole copies a blob as Copy does.
func (f *Filler) whole(ctx context.Context, c clock, blob MissingBlob) (left bool, err error) {
	plan := &Plan{Missing: make([][]MissingBlob, len(f.Buckets))}
	for i := range plan.Missing {
		plan.Missing[i] = []MissingBlob{blob}
	}
	until, cancel := context.WithDeadline(ctx, c.stop)
	defer cancel()
	result, _ := Copy(until, Options{Source: f.Source, Buckets: f.Buckets, CheckExisting: true}, plan)
	f.copied(result.Copied, result.Bytes)
	left = slices.ContainsFunc(result.Unfinished, func(l []MissingBlob) bool { return len(l) > 0 })
	return left, errors.Join(result.Errors...)
}

// uploadName is where the upload of a blob to a bucket is kept.
func (f *Filler) uploadName(bucket int, digest string) string {
	return "uploads/" + f.Buckets[bucket].Name + "/" + digest + ".json"
}

// inParts copies a blob over several runs.
func (f *Filler) inParts(ctx context.Context, c clock, blob MissingBlob) (left bool, err error) {
	for i, b := range f.Buckets {
		if there, err := b.Stat(ctx, blob.Digest); err != nil {
			return false, err
		} else if there != nil {
			continue
		}
		if i > 0 {
			carried, err := f.fromPrimary(ctx, b, blob)
			if err != nil {
				return false, err
			}
			if carried {
				continue
			}
		}
		if left, err := f.upload(ctx, c, i, blob); left || err != nil {
			return left, err
		}
	}
	return false, nil
}

// fromPrimary tells that S3 carries a blob on to a bucket, or has copied it.
func (f *Filler) fromPrimary(ctx context.Context, b *Bucket, blob MissingBlob) (bool, error) {
	there, err := f.Buckets[0].Stat(ctx, blob.Digest)
	switch {
	case err != nil || there == nil:
		return false, err
	case there.Replication == types.ReplicationStatusPending:
		return true, nil
	case !there.ChecksumVerified:
		return false, nil
	}
	err = b.Copy(ctx, Blob{blob.Digest, there.Size}, f.Buckets[0], there.ETag)
	return err == nil || errors.Is(err, ErrExists), nil // else it is uploaded
}

func (f *Filler) upload(ctx context.Context, c clock, bucket int, blob MissingBlob) (left bool, err error) {
	b, name := f.Buckets[bucket], f.uploadName(bucket, blob.Digest)
	var u Upload
	if _, err := f.read(ctx, name, &u); err != nil {
		return false, err
	}
	size := blob.Size
	if size == unknown {
		content, n, err := f.Source.Blob(ctx, blob.Repository, blob.Blob, 0)
		if err != nil {
			return false, err
		}
		content.Close()
		if size = n; n < 0 {
			return false, errors.New("neither the manifest nor the registry says how long it is")
		}
	}
	open := func(from int64) (io.ReadCloser, error) {
		content, _, err := f.Source.Blob(ctx, blob.Repository, blob.Blob, from)
		return content, err
	}
	complete, err := b.Resume(ctx, Blob{blob.Digest, size}, &u, open, c.over)
	keep := context.WithoutCancel(ctx)
	switch {
	case complete && err == nil:
		f.copied(1, size)
		return false, f.State.Delete(keep, name)
	case errors.Is(err, ErrExists):
		_ = b.abort(keep, blob.Blob, &u, err) // another one was first
		return false, f.State.Delete(keep, name)
	case code(err) == "NoSuchUpload": // it was too old, or another one's
		return false, errors.Join(err, f.State.Delete(keep, name))
	case err == nil || errors.Is(context.Cause(ctx), errTimeUp): // cut off
		return true, f.write(keep, name, u)
	}
	return false, errors.Join(err, f.write(keep, name, u))
}

// needsPrefix begins the names of what only mirror copy can copy.
const needsPrefix = "needs/"

// NeedsCopy lists the digests that were too large or too slow for the functions.
func NeedsCopy(ctx context.Context, s State) ([]string, error) {
	names, err := s.Names(ctx, needsPrefix)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, needsPrefix)
	}
	return names, err
}

// ClearNeedsCopy takes off that list what the primary has by now.
func ClearNeedsCopy(ctx context.Context, s State, primary *Bucket) error {
	needs, err := NeedsCopy(ctx, s)
	if err != nil {
		return err
	}
	for _, digest := range needs {
		there, err := primary.Stat(ctx, digest)
		if err == nil && there != nil {
			err = s.Delete(ctx, needsPrefix+digest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Filler) giveUp(ctx context.Context, m Message) error {
	for i, b := range f.Buckets {
		var u Upload
		if known, err := f.read(ctx, f.uploadName(i, m.Blob.Digest), &u); err != nil || !known {
			continue
		}
		_ = b.abort(ctx, *m.Blob, &u, errTimeUp)
		if err := f.State.Delete(ctx, f.uploadName(i, m.Blob.Digest)); err != nil {
			return err
		}
	}
	f.Log.Error("needs mirror copy: it did not come to an end in several runs", "digest", m.Blob.Digest, "size", m.Blob.Size, "image", m.Image)
	f.needsCopy(1)
	return f.write(ctx, needsPrefix+m.Blob.Digest, m)
}

func (f *Filler) needsCopy(n int) {
	f.count("", "", metrics.Datum{Name: metrics.NeedsMirrorCopy, Unit: "Count", Value: n})
}
