package copier

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Memory keeps what manifests refer to, by their digest, so that none is
// fetched twice: a digest never means anything else. The zero value is an empty
// one. It is safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	held map[string]*Contents
}

// Get answers what a manifest refers to, nil if that is not remembered.
func (m *Memory) Get(digest string) *Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[digest]
}

// Put remembers what a manifest refers to.
func (m *Memory) Put(digest string, c *Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*Contents{}
	}
	m.held[digest] = c
}

// entry is a line of what is written.
type entry struct {
	Manifest string `json:"manifest"`
	*Contents
}

// Read adds what Write has written.
func (m *Memory) Read(r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	for d := json.NewDecoder(bufio.NewReader(z)); ; {
		var e entry
		if err := d.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if e.Contents != nil {
			m.Put(e.Manifest, e.Contents)
		}
	}
}

// Write writes everything, as gzipped lines of JSON.
func (m *Memory) Write(w io.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	z := gzip.NewWriter(w)
	e := json.NewEncoder(z)
	for digest, c := range m.held {
		if err := e.Encode(entry{digest, c}); err != nil {
			return err
		}
	}
	return z.Close()
}

// ReadFile is Read of a file. One that is not there is an empty one.
func (m *Memory) ReadFile(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := m.Read(f); err != nil {
		return fmt.Errorf("reading what is remembered from %q: %w; remove the file to begin anew", file, err)
	}
	return nil
}

// WriteFile is Write to a file, which is replaced as a whole or not at all.
func (m *Memory) WriteFile(file string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := errors.Join(m.Write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
