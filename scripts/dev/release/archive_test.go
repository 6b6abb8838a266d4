package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// packed is a file of an archive.
type packed struct {
	name     string
	mode     fs.FileMode
	modified time.Time
	data     string
}

func TestArchives(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		pack func(dir string) ([]byte, error)
		read func(archive []byte) ([]packed, error)
	}{
		{"zip", zipped, readZip},
		{"tar", tarred, readTar},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			content := map[string]string{"b": "second", "a": "first", "bootstrap": "\x7fELF"}
			for name, text := range content {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			first, err := tt.pack(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(dir, "a"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			if second, err := tt.pack(dir); err != nil || !bytes.Equal(first, second) {
				t.Errorf("the archive depends on the time or the mode of a file, error %v", err)
			}
			files, err := tt.read(first)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range files {
				names = append(names, f.name)
				if f.mode != 0o755 || !f.modified.Equal(modified) || f.data != content[f.name] {
					t.Errorf("%s has mode %v, time %v, content %q; want %v, %v, %q", f.name, f.mode, f.modified, f.data, fs.FileMode(0o755), modified, content[f.name])
				}
			}
			if got := strings.Join(names, " "); got != "a b bootstrap" {
				t.Errorf("the archive has %s, want a b bootstrap", got)
			}
		})
	}
}

func readZip(archive []byte) ([]packed, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	var files []packed
	for _, f := range r.File {
		file, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(file)
		if err != nil {
			return nil, err
		}
		files = append(files, packed{f.Name, f.Mode(), f.Modified, string(data)})
	}
	return files, nil
}

func readTar(archive []byte) ([]packed, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	if !unzipped.ModTime.IsZero() || unzipped.Name != "" {
		return nil, fmt.Errorf("the gzip header has time %v, name %q; want none", unzipped.ModTime, unzipped.Name)
	}
	var files []packed
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			return nil, fmt.Errorf("%s has owner %d:%d %q, want 0:0", h.Name, h.Uid, h.Gid, h.Uname)
		}
		files = append(files, packed{h.Name, h.FileInfo().Mode(), h.ModTime, string(data)})
	}
}
