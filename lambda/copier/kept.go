package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// keptPrefix is the prefix in a State of the uploads of runs from a shell. The functions
// have others, so that neither continues what the other is writing.
const keptPrefix = "shell-uploads/"

// keeps reports whether the upload of a blob is kept over a restart: it has at least two
// whole parts. The last attempt uploads the blob at once, without a size.
func (c *copying) keeps(b *Bucket, blob MissingBlob, attempt int) bool {
	return c.o.KeepUploads && c.o.State != nil && blob.Data == nil && blob.Size >= 2*b.partSize && attempt < copyAttempts
}

// uploadKept writes a blob of the source in parts, and saves after each part how far it
// is, so that another run continues from there.
func (c *copying) uploadKept(ctx context.Context, b *Bucket, blob MissingBlob) (done, string, error) {
	name := keptPrefix + b.Name + "/" + blob.Digest + ".json"
	keep := context.WithoutCancel(ctx)
	var u Upload
	data, err := c.o.State.Get(ctx, name)
	if err != nil {
		return done{}, "", err
	}
	if data != nil && json.Unmarshal(data, &u) != nil {
		u = Upload{} // damaged: it starts again
	}
	var failed error
	save := func() bool {
		data, err := json.Marshal(u)
		if err == nil {
			err = c.o.State.Put(keep, name, data)
		}
		failed = err
		return err != nil
	}
	open := func(from int64) (io.ReadCloser, int64, error) {
		content, size, err := openBlob(ctx, c.o.Source, blob, from)
		c.breaker.done(ctx, blob.Repository, err)
		if err != nil {
			return nil, 0, err
		}
		c.meter.began(blob.Digest, from)
		return struct {
			io.Reader
			io.Closer
		}{&metered{content, c.meter, blob.Digest}, content}, size, nil
	}
	complete, err := b.Resume(ctx, blob.Blob, &u, open, save)
	if errors.Is(err, ErrDamaged) { // it was aborted
		complete, err = b.Resume(ctx, blob.Blob, &u, open, save)
	}
	switch {
	case failed != nil:
		return done{}, "", fmt.Errorf("saving the upload of %s: %w", blob.Digest, failed)
	case complete:
		return done{bytes: u.Offset}, u.etag, c.o.State.Delete(keep, name)
	case errors.Is(err, ErrExists):
		_ = b.abort(keep, blob.Blob, &u, err) // another writer was first
	case code(err) != "NoSuchUpload" && u.ID != "":
		return done{}, "", err // another attempt or run continues
	}
	return done{}, "", errors.Join(err, c.o.State.Delete(keep, name))
}
