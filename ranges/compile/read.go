package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	readTimeout  = 2 * time.Minute
	maxRedirects = 3
)

// Read fetches and parses a document, see [Provider.Fetch] and [Provider.Parse].
func (p Provider) Read(ctx context.Context, client *http.Client, from string) (Document, error) {
	name, data, err := p.Fetch(ctx, client, from)
	if err != nil {
		return Document{}, err
	}
	d, err := p.Parse(name, data)
	if err != nil {
		return Document{}, fmt.Errorf("reading the %s document %q: %w", p.Cloud, from, err)
	}
	return d, nil
}

// Fetch reads the text of a document from a file or an https URL. If from is p.URL
// and that is a page, the page is read first. It returns the text and the name of
// its file or URL. Redirects must be to https on the same host. A nil client is
// http.DefaultClient. Fetch gives up after two minutes a request, and refuses more
// than 16 MiB, decompressed; it needs a small multiple of that in memory.
func (p Provider) Fetch(ctx context.Context, client *http.Client, from string) (name string, data []byte, err error) {
	name = from
	if data, err = fetch(ctx, client, name, maxSize); err == nil && p.find != nil && from == p.URL {
		if name, err = p.find(data); err == nil {
			data, err = fetch(ctx, client, name, maxSize)
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the %s document %q: %w", p.Cloud, from, err)
	}
	return name, data, nil
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
		data, err := fetch(context.Background(), nil, name, maxSize)
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

// fetch returns the content of a file or an https URL of at most limit bytes.
func fetch(ctx context.Context, client *http.Client, from string, limit int) ([]byte, error) {
	if !strings.Contains(from, "://") {
		f, err := os.Open(from)
		if err != nil {
			return nil, cause(err)
		}
		defer f.Close()
		return readAll(f, limit)
	}
	if u, err := url.Parse(from); err != nil || !trusted(u) {
		return nil, errors.New("want a file or an https URL")
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := onSameHost(client).Do(req)
	if err != nil {
		return nil, cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("server responded %.64q", resp.Status)
	}
	if resp.ContentLength > int64(limit) {
		return nil, tooLarge(limit)
	}
	return readAll(resp.Body, limit)
}

// onSameHost returns a copy of the client that follows redirects to https on the
// host of the first request only.
func onSameHost(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	c := *client
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case !trusted(req.URL):
			return errors.New("redirect to a URL that is not https")
		case req.URL.Host != via[0].URL.Host:
			return fmt.Errorf("redirect to another host, %.64q: name the URL that it leads to, if it is the provider's", req.URL.Host)
		case len(via) > maxRedirects:
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		case client.CheckRedirect != nil:
			return client.CheckRedirect(req, via)
		}
		return nil
	}
	return &c
}

// trusted reports whether a URL is https, or http to an address of this machine.
func trusted(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && addr.IsLoopback()
}

// readAll reads at most limit bytes; more is an error.
func readAll(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(data) > limit:
		return nil, tooLarge(limit)
	}
	return data, nil
}

func tooLarge(limit int) error { return fmt.Errorf("larger than %d bytes", limit) }

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
