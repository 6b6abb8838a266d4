package copier

import (
	"bytes"
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
	if data != nil {
		if err := json.Unmarshal(data, &u); err != nil {
			u = Upload{ID: uploadID(data)}
			c.startsAgain(fmt.Errorf("bucket %q: resuming the upload of %s: reading the saved upload: %w", b.Name, blob.Digest, err))
			_ = b.abort(keep, blob.Blob, &u, nil)
		}
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
		c.meter.began(write{b, blob.Digest}, from)
		return struct {
			io.Reader
			io.Closer
		}{&metered{content, c.meter, write{b, blob.Digest}}, content}, size, nil
	}
	complete, err := b.Resume(ctx, blob.Blob, &u, open, save)
	if errors.Is(err, ErrDamaged) { // it was aborted
		c.startsAgain(err)
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

// startsAgain reports a saved upload that is damaged.
func (c *copying) startsAgain(err error) {
	warning := err.Error() + ": the upload starts again"
	c.mu.Lock()
	list(&c.result.Warnings, &c.result.Unlisted.Warnings, warning)
	c.mu.Unlock()
	c.o.Warn(warning)
}

// uploadID returns the ID in a damaged upload, empty if that is not whole: what S3 has of
// it is then deleted by a lifecycle rule.
func uploadID(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	for _, want := range []json.Token{json.Delim('{'), "id"} {
		if token, err := d.Token(); err != nil || token != want {
			return ""
		}
	}
	token, _ := d.Token()
	id, _ := token.(string)
	return id
}
