package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// maxSize is in bytes. No document is larger than 10 MB.
	maxSize     = 64 << 20
	readTimeout = 2 * time.Minute
)

// Read reads a document from a file or an https URL. If from is p.URL and that is
// a page, the page is read first. Redirects must be https as well. A nil client is
// http.DefaultClient. Read gives up after two minutes a request, and refuses more
// than 64 MiB, decompressed.
func (p Provider) Read(ctx context.Context, client *http.Client, from string) (Document, error) {
	d, err := p.read(ctx, client, from)
	if err != nil {
		return Document{}, fmt.Errorf("reading the %s document %q: %w", p.Cloud, from, err)
	}
	return d, nil
}

func (p Provider) read(ctx context.Context, client *http.Client, from string) (Document, error) {
	data, err := fetch(ctx, client, from)
	if err != nil {
		return Document{}, err
	}
	if p.link != nil && from == p.URL {
		link := p.link.Find(data)
		if link == nil {
			return Document{}, errors.New("the page has no link to the document: download it in a browser and name the file")
		}
		from = string(link)
		if data, err = fetch(ctx, client, from); err != nil {
			return Document{}, err
		}
	}
	return p.Parse(from, data)
}

// ReadFolder reads the documents of all clouds from the JSON files in a folder, in
// the order of ranges.Clouds. It recognizes a document by its content. Each cloud
// must have one.
func ReadFolder(dir string) ([]Document, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the documents in %q: %w", dir, cause(err))
	}
	var found [len(Providers)]string
	documents := make([]Document, len(Providers))
	for _, f := range files {
		if path.Ext(f.Name()) != ".json" {
			continue
		}
		name := filepath.Join(dir, f.Name())
		data, err := fetch(context.Background(), nil, name)
		if err != nil {
			return nil, fmt.Errorf("reading the document %q: %w", name, err)
		}
		i := slices.IndexFunc(Providers[:], func(p Provider) bool { return bytes.Contains(data, []byte(p.mark)) })
		switch {
		case i < 0:
			return nil, fmt.Errorf("reading the document %q: not a document of any known cloud: remove it", name)
		case found[i] != "":
			return nil, fmt.Errorf("reading the documents in %q: %q and %q are both of %s: remove one", dir, found[i], f.Name(), Providers[i].Cloud)
		}
		found[i] = f.Name()
		if documents[i], err = Providers[i].Parse(name, data); err != nil {
			return nil, fmt.Errorf("reading the document %q: %w", name, err)
		}
	}
	for i, p := range Providers {
		if found[i] == "" {
			return nil, fmt.Errorf("reading the documents in %q: no document of %s: download %s", dir, p.Cloud, p.URL)
		}
	}
	return documents, nil
}

func fetch(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	if !strings.Contains(from, "://") {
		f, err := os.Open(from)
		if err != nil {
			return nil, cause(err)
		}
		defer f.Close()
		return readAll(f)
	}
	if !strings.HasPrefix(from, "https://") {
		return nil, errors.New("want a file or an https URL")
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := onlyHTTPS(client).Do(req)
	if err != nil {
		return nil, cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("server responded %q", resp.Status)
	}
	return readAll(resp.Body)
}

// onlyHTTPS returns a copy of the client that follows redirects to https only.
func onlyHTTPS(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	c := *client
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case req.URL.Scheme != "https":
			return errors.New("redirect to a URL that is not https")
		case len(via) >= 10:
			return errors.New("stopped after 10 redirects")
		case client.CheckRedirect != nil:
			return client.CheckRedirect(req, via)
		}
		return nil
	}
	return &c
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(data) > maxSize:
		return nil, fmt.Errorf("larger than %d MiB", maxSize>>20)
	}
	return data, nil
}

// cause returns what is wrong with a file or a request, for messages that quote
// its name themselves.
func cause(err error) error {
	var file *fs.PathError
	var request *url.Error
	switch {
	case errors.As(err, &file):
		return file.Err
	case errors.As(err, &request):
		return request.Err
	}
	return err
}
