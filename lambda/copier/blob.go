package copier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/registry"
)

// blob copies one blob to all buckets that do not have it.
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
	blob := MissingBlob{Blob: *m.Blob, Repository: m.Repository, Image: m.Image}
	var unfinished bool
	if m.Requeues == 0 && blob.Size <= min(fitsInto(c.stop), f.Buckets[0].maxPutSize) {
		unfinished, err = f.copyWhole(ctx, c, blob)
	} else if unfinished, err = f.copyInParts(ctx, c, blob); err != nil {
		err = fmt.Errorf("%s: blob %s: %w", m.Image, m.Blob.Digest, err)
	}
	keep := context.WithoutCancel(ctx)
	switch {
	case absence(err): // the next run of the repository records it
		f.logAbsent(m.Repository, err)
		return nil
	case errors.Is(err, errTooLarge):
		f.Log.Error("blob is too large for S3", "repository", m.Repository, "image", m.Image, "digest", m.Blob.Digest, "error", err.Error())
		return nil
	case err != nil:
		return err
	case unfinished && m.Requeues >= maxRequeues:
		return f.giveUp(keep, m)
	case unfinished:
		m.Requeues++
		f.Log.Info("upload did not finish in time, re-queued", "repository", m.Repository, "image", m.Image, "digest", m.Blob.Digest, "size", m.Blob.Size, "requeues", m.Requeues)
		return f.Queue.Send(keep, m)
	}
	return nil
}

// copyWhole copies a blob within one invocation, as Copy does.
func (f *Filler) copyWhole(ctx context.Context, c clock, blob MissingBlob) (unfinished bool, err error) {
	plan := &Plan{Missing: make([][]MissingBlob, len(f.Buckets))}
	for i := range plan.Missing {
		plan.Missing[i] = []MissingBlob{blob}
	}
	until, cancel := context.WithDeadline(ctx, c.stop)
	defer cancel()
	result, _ := Copy(until, Options{Source: f.Source, Buckets: f.Buckets, CheckExisting: true, Now: f.Now}, plan)
	f.countCopied(result.Copied, result.Bytes)
	f.logWarnings(result.Warnings)
	unfinished = slices.ContainsFunc(result.Unfinished, func(b []MissingBlob) bool { return len(b) > 0 })
	return unfinished, errors.Join(append(result.Errors, result.Absent...)...)
}

// uploadName is the name in the state of the upload of a blob to a bucket.
func (f *Filler) uploadName(bucket int, digest string) string {
	return "uploads/" + f.Buckets[bucket].Name + "/" + digest + ".json"
}

// copyInParts copies a blob over several invocations.
func (f *Filler) copyInParts(ctx context.Context, c clock, blob MissingBlob) (unfinished bool, err error) {
	for i, b := range f.Buckets {
		if existing, err := b.Stat(ctx, blob.Digest); err != nil {
			return false, err
		} else if existing != nil {
			continue
		}
		if i > 0 {
			replicated, err := f.copyFromPrimary(ctx, b, blob)
			if err != nil {
				return false, err
			}
			if replicated {
				continue
			}
		}
		if unfinished, err := f.upload(ctx, c, i, blob); unfinished || err != nil {
			return unfinished, err
		}
	}
	return false, nil
}

// copyFromPrimary reports whether S3 will replicate a blob to a bucket, or has
// just copied it there.
func (f *Filler) copyFromPrimary(ctx context.Context, b *Bucket, blob MissingBlob) (bool, error) {
	existing, err := f.Buckets[0].Stat(ctx, blob.Digest)
	switch {
	case err != nil || existing == nil:
		return false, err
	case existing.Replication == types.ReplicationStatusPending:
		return true, nil
	case !existing.ChecksumVerified:
		return false, nil
	}
	err = b.Copy(ctx, registry.Blob{Digest: blob.Digest, Size: existing.Size}, f.Buckets[0], existing.ETag)
	return err == nil || errors.Is(err, ErrExists), nil // on other errors it is uploaded
}

func (f *Filler) upload(ctx context.Context, c clock, bucket int, blob MissingBlob) (unfinished bool, err error) {
	b, name := f.Buckets[bucket], f.uploadName(bucket, blob.Digest)
	var u Upload
	if _, err := f.read(ctx, name, &u); err != nil {
		return false, err
	}
	open := func(from int64) (io.ReadCloser, int64, error) { return openBlob(ctx, f.Source, blob, from) }
	complete, err := b.Resume(ctx, blob.Blob, &u, open, c.over)
	keep := context.WithoutCancel(ctx)
	switch {
	case complete && err == nil:
		f.countCopied(1, u.Offset)
		return false, f.State.Delete(keep, name)
	case errors.Is(err, ErrExists):
		_ = b.abort(keep, blob.Blob, &u, err) // another writer was first
		return false, f.State.Delete(keep, name)
	case code(err) == "NoSuchUpload": // expired, or aborted by another writer
		return false, errors.Join(err, f.State.Delete(keep, name))
	case err == nil || errors.Is(context.Cause(ctx), errTimeUp):
		return true, f.write(keep, name, u)
	}
	return false, errors.Join(err, f.write(keep, name, u))
}

// giveUp records a blob for archeio mirror copy and aborts its uploads.
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
	f.Log.Error("blob is too large for the functions, run archeio mirror copy", "repository", m.Repository, "image", m.Image, "digest", m.Blob.Digest, "size", m.Blob.Size)
	f.countNeedsCopy(1)
	return f.write(ctx, needsPrefix+m.Blob.Digest, m)
}

// needsPrefix is the prefix in the state of the blobs that only archeio mirror
// copy can copy.
const needsPrefix = "needs/"

// NeedsCopy returns the digests of the blobs that were too large or too slow for
// the functions.
func NeedsCopy(ctx context.Context, s State) ([]string, error) {
	names, err := s.Names(ctx, needsPrefix)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, needsPrefix)
	}
	return names, err
}

// ClearNeedsCopy removes the blobs from that list that the primary now has.
func ClearNeedsCopy(ctx context.Context, s State, primary *Bucket) error {
	needs, err := NeedsCopy(ctx, s)
	if err != nil {
		return err
	}
	for _, digest := range needs {
		existing, err := primary.Stat(ctx, digest)
		if err == nil && existing != nil {
			err = s.Delete(ctx, needsPrefix+digest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
