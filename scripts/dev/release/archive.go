package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The ends of the names of archives.
const zipEnding, tarEnding = ".zip", ".tar.gz"

// modified is the time of all files in archives, the earliest that zip has.
var modified = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// mode is the mode of all files in archives, which are all executables.
const mode = 0o755

// zipped returns the files of a folder as a zip. It depends only on their names
// and contents.
func zipped(dir string) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	err := each(dir, func(name string, data []byte) error {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified}
		header.SetMode(mode)
		file, err := w.CreateHeader(header)
		if err == nil {
			_, err = file.Write(data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return out.Bytes(), nil
}

// tarred returns the files of a folder as a compressed tar. It depends only on
// their names and contents.
func tarred(dir string) ([]byte, error) {
	var out bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	w := tar.NewWriter(compressed)
	err = each(dir, func(name string, data []byte) error {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: modified, Format: tar.FormatUSTAR})
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return out.Bytes(), nil
}

// each calls add for each file of a folder, sorted by name.
func each(dir string, add func(name string, data []byte) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err == nil {
			err = add(entry.Name(), data)
		}
		if err != nil {
			return fmt.Errorf("packing %q: %w", entry.Name(), err)
		}
	}
	return nil
}
