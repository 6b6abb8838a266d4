package copier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/registry"
)

// blob copies one blob to all buckets that do not have it.
func (f *Filler) blob(ctx context.Context, m Message) error {
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	blob := MissingBlob{Blob: *m.Blob, Repository: m.Repository, Image: m.Image}
	var unfinished bool
	var err error
	var x found
	if m.Requeues == 0 && blob.Size <= min(fitsInto(c.stop), f.Buckets[0].maxPutSize) {
		unfinished, err = f.copyWhole(ctx, c, blob, &x)
	} else if unfinished, err = f.copyInParts(ctx, c, blob, &x); err != nil {
		err = fmt.Errorf("%s: blob %s: %w", m.Image, m.Blob.Digest, err)
	}
	keep := context.WithoutCancel(ctx)
	if err := f.saveFound(keep, c, &x); err != nil {
		return err
	}
	switch {
	case errors.Is(err, ErrWithdrawn):
		return f.discardUploads(keep, m.Blob.Digest, ErrWithdrawn)
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
func (f *Filler) copyWhole(ctx context.Context, c clock, blob MissingBlob, x *found) (unfinished bool, err error) {
	plan := &Plan{Missing: make([][]MissingBlob, len(f.Buckets))}
	for i := range plan.Missing {
		plan.Missing[i] = []MissingBlob{blob}
	}
	until, cancel := context.WithDeadline(ctx, c.stop)
	defer cancel()
	result, _ := Copy(until, Options{Source: f.Source, Buckets: f.Buckets, State: f.State, CheckExisting: true, Found: x.add, Now: f.Now}, plan)
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
func (f *Filler) copyInParts(ctx context.Context, c clock, blob MissingBlob, x *found) (unfinished bool, err error) {
	var primary *Object
	for i, b := range f.Buckets {
		err := unlessWithdrawn(ctx, f.State, b, blob.Digest, func() error {
			existing, err := b.Stat(ctx, blob.Digest)
			if i == 0 {
				primary = existing
			}
			if existing != nil {
				x.add(i, blob.Digest)
			}
			if err != nil || existing != nil {
				return err
			}
			if i > 0 && primary == nil { // it was written by this invocation
				if primary, err = f.Buckets[0].Stat(ctx, blob.Digest); err != nil {
					return err
				}
			}
			unfinished, err = f.copyTo(ctx, c, i, blob, primary)
			if err == nil && !unfinished && (primary == nil || primary.Replication != types.ReplicationStatusPending) {
				x.add(i, blob.Digest)
			}
			return err
		})
		if unfinished || err != nil {
			return unfinished, err
		}
	}
	return false, nil
}

// copyTo copies a blob to a bucket that does not have it. primary is the object in the
// primary, nil for none.
func (f *Filler) copyTo(ctx context.Context, c clock, bucket int, blob MissingBlob, primary *Object) (unfinished bool, err error) {
	b := f.Buckets[bucket]
	if bucket > 0 && primary != nil {
		from := f.Buckets[0]
		there := registry.Blob{Digest: blob.Digest, Size: primary.Size}
		switch {
		case primary.Replication == types.ReplicationStatusPending:
			return false, nil
		case primary.hashed() && primary.Size <= b.maxPutSize:
			err = b.Copy(ctx, there, from, primary.ETag)
		case primary.hashed():
			unfinished, err = f.resume(ctx, bucket, blob, func(u *Upload) (bool, error) {
				return b.CopyParts(ctx, there, u, from, primary.ETag, c.over)
			})
		default:
			err = errNotHashed
		}
		if err == nil || errors.Is(err, ErrExists) || ctx.Err() != nil || primary.Size > b.maxPutSize && status(err)/100 != 4 && err != errNotHashed {
			return unfinished, ignore(err, ErrExists)
		}
		// S3 servers that are not AWS cannot copy from each other.
	}
	return f.resume(ctx, bucket, blob, func(u *Upload) (bool, error) {
		open := func(from int64) (io.ReadCloser, int64, error) { return openBlob(ctx, f.Source, blob, from) }
		return b.Resume(ctx, blob.Blob, u, open, c.over)
	})
}

// errNotHashed is the error for an object that is not known to match its digest.
var errNotHashed = errors.New("the object is not known to match its digest")

func ignore(err, ignored error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}

// resume continues the saved upload of a blob to a bucket, and saves how far it is.
func (f *Filler) resume(ctx context.Context, bucket int, blob MissingBlob, more func(*Upload) (complete bool, err error)) (unfinished bool, err error) {
	b, name := f.Buckets[bucket], f.uploadName(bucket, blob.Digest)
	var u Upload
	if _, err := f.read(ctx, name, &u); err != nil {
		return false, err
	}
	complete, err := more(&u)
	if errors.Is(err, ErrDamaged) {
		f.logDamaged(name, err)
		complete, err = more(&u)
	}
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

// discardUploads aborts the uploads of a blob and deletes their state.
func (f *Filler) discardUploads(ctx context.Context, digest string, why error) error {
	for i, b := range f.Buckets {
		var u Upload
		if known, err := f.read(ctx, f.uploadName(i, digest), &u); err != nil || !known {
			continue
		}
		_ = b.abort(ctx, registry.Blob{Digest: digest}, &u, why)
		if err := f.State.Delete(ctx, f.uploadName(i, digest)); err != nil {
			return err
		}
	}
	return nil
}

// giveUp records a blob for archeio mirror copy and aborts its uploads.
func (f *Filler) giveUp(ctx context.Context, m Message) error {
	if err := f.discardUploads(ctx, m.Blob.Digest, errTimeUp); err != nil {
		return err
	}
	f.Log.Error("blob is too large for the functions, run archeio mirror copy", "repository", m.Repository, "image", m.Image, "digest", m.Blob.Digest, "size", m.Blob.Size)
	f.countNeedsCopy(1)
	return f.write(ctx, needsPrefix+m.Blob.Digest, m)
}
