package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/pace"
)

// State stores, by name, what must outlive a run: manifest caches, the progress
// of runs, withdrawn digests. It is private. All methods are safe for concurrent
// use.
type State interface {
	// Get returns nil for a name that does not exist.
	Get(ctx context.Context, name string) ([]byte, error)
	// Put is atomic.
	Put(ctx context.Context, name string, data []byte) error
	// Create is Put for a name that does not exist. Of several calls at the same time
	// one creates it; the others change nothing and return false.
	Create(ctx context.Context, name string, data []byte) (created bool, err error)
	// Delete returns no error for a name that does not exist.
	Delete(ctx context.Context, name string) error
	// Names returns all names with a prefix, sorted.
	Names(ctx context.Context, prefix string) ([]string, error)
}

// Folder is a State in a local folder, which Put creates.
type Folder string

func (f Folder) file(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

// Get implements State.
func (f Folder) Get(_ context.Context, name string) ([]byte, error) {
	data, err := os.ReadFile(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Put implements State.
func (f Folder) Put(_ context.Context, name string, data []byte) error {
	return f.write(name, data, os.Rename)
}

// Create implements State.
func (f Folder) Create(_ context.Context, name string, data []byte) (created bool, err error) {
	switch err := f.write(name, data, os.Link); {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	default:
		return err == nil, err
	}
}

// write writes a temporary file, and moves it to the name.
func (f Folder) write(name string, data []byte, move func(from, to string) error) error {
	file := f.file(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // there is none after a rename
	_, err = temp.Write(data)
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return move(temp.Name(), file)
}

// tempPrefix is the prefix of files that are still being written.
const tempPrefix = ".tmp-"

// Delete implements State.
func (f Folder) Delete(_ context.Context, name string) error {
	if err := os.Remove(f.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Names implements State.
func (f Folder) Names(_ context.Context, prefix string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), tempPrefix) {
			return err
		}
		name, err := filepath.Rel(string(f), path)
		if name = filepath.ToSlash(name); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// StateBucket is a State in a private S3 bucket.
type StateBucket struct {
	Name   string
	Client *s3.Client
}

// Get implements State.
func (b StateBucket) Get(ctx context.Context, name string) ([]byte, error) {
	o, err := b.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &name})
	if err != nil {
		if code(err) == "NoSuchKey" {
			return nil, nil
		}
		return nil, b.explain("reading "+name, err)
	}
	defer o.Body.Close()
	data := bytes.NewBuffer(make([]byte, 0, aws.ToInt64(o.ContentLength)+bytes.MinRead))
	if _, err := io.Copy(data, o.Body); err != nil {
		return nil, b.explain("reading "+name, err)
	}
	return data.Bytes(), nil
}

// Put implements State.
func (b StateBucket) Put(ctx context.Context, name string, data []byte) error {
	_, err := b.Client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.Name, Key: &name, Body: bytes.NewReader(data)})
	return b.explain("writing "+name, err)
}

// Create implements State.
func (b StateBucket) Create(ctx context.Context, name string, data []byte) (created bool, err error) {
	in := &s3.PutObjectInput{Bucket: &b.Name, Key: &name, Body: bytes.NewReader(data), IfNoneMatch: aws.String("*")}
	for try := 1; ; try++ {
		_, err := b.Client.PutObject(ctx, in)
		switch err = b.explain("writing "+name, err); {
		case errors.Is(err, ErrExists):
			return false, nil
		case errors.Is(err, errConflict) && try < copyAttempts: // of which one may still fail
			in.Body = bytes.NewReader(data)
			if err := pace.Sleep(ctx, pace.Backoff(try)); err != nil {
				return false, err
			}
		default:
			return err == nil, err
		}
	}
}

// Delete implements State.
func (b StateBucket) Delete(ctx context.Context, name string) error {
	_, err := b.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Name, Key: &name})
	return b.explain("deleting "+name, err)
}

// Names implements State.
func (b StateBucket) Names(ctx context.Context, prefix string) (names []string, err error) {
	pages := s3.NewListObjectsV2Paginator(b.Client, &s3.ListObjectsV2Input{Bucket: &b.Name, Prefix: &prefix})
	var token *string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.explain("listing", err)
		}
		for _, o := range page.Contents {
			names = append(names, aws.ToString(o.Key))
		}
		if _, err := continues(page.IsTruncated, token, page.NextContinuationToken); err != nil {
			return nil, b.explain("listing", err)
		}
		token = page.NextContinuationToken
	}
	return names, nil
}

func (b StateBucket) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("state: %w", (&Bucket{Name: b.Name}).explain(doing, err))
}
