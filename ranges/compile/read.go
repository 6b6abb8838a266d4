package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// largest is far above the documents, of which none has 10 MB.
	largest  = 64 << 20
	patience = 2 * time.Minute
)

// read gets a provider's document from a file or an https address.
func (p provider) read(ctx context.Context, from string) (document, error) {
	data, err := fetch(ctx, from)
	if err != nil {
		return document{}, err
	}
	if p.link != nil && from == p.official {
		link := p.link.Find(data)
		if link == nil {
			return document{}, fmt.Errorf("the page does not link to the document; download it by hand and name the file with -%s", p.flag)
		}
		if data, err = fetch(ctx, string(link)); err != nil {
			return document{}, err
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return document{}, errors.New("it is empty")
	}
	d, err := p.parse(data)
	if err != nil {
		return document{}, fmt.Errorf("it is not a document of %s IP ranges: %w", p.cloud, err)
	}
	return d, nil
}

func fetch(ctx context.Context, from string) ([]byte, error) {
	if !strings.Contains(from, "://") {
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readAll(f)
	}
	if !strings.HasPrefix(from, "https://") {
		return nil, errors.New("only https addresses and files are read")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	return readAll(resp.Body)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, largest+1))
	if err == nil && len(data) > largest {
		err = fmt.Errorf("it is larger than %d MiB", largest>>20)
	}
	return data, err
}
