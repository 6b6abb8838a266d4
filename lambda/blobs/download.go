package blobs

import (
	"errors"
	"net/http"

	"archeio/lambda/download"
	"archeio/lambda/index"
)

// object returns the index as an object to download.
func (l *indexLoader) object(transport http.RoundTripper) download.Object {
	return download.Object{
		Transport: transport,
		URL:       l.options.URL,
		Name:      "blob index",
		Held:      func() string { return l.etag },
		Sink:      func(int64) download.Sink { return index.NewDecoder(l.admit) },
		Refuses:   func(err error) bool { return refusal(err) != "" },
	}
}

// refusal returns the outcome for an error about the content of an index, empty for
// other errors.
func refusal(err error) string {
	_, stale := errors.AsType[*staleError](err)
	switch {
	case stale:
		return IndexStale
	case errors.Is(err, index.ErrInvalid):
		return IndexCorrupt
	case errors.Is(err, errTooLarge):
		return IndexTooLarge
	}
	return ""
}

// fetch downloads the index, or the rest of it.
func (l *indexLoader) fetch() (x *index.Index, etag, outcome string, err error) {
	sink, etag, status, err := l.download.Fetch()
	switch status {
	case download.Complete:
		if x, err = sink.(*index.Decoder).Index(); err != nil {
			return nil, "", IndexCorrupt, err
		}
		return x, etag, IndexLoaded, nil
	case download.Unchanged:
		return nil, "", IndexUnchanged, nil
	case download.Missing:
		return nil, "", IndexMissing, err
	case download.Refused:
		return nil, "", refusal(err), err
	}
	return nil, "", IndexUnreachable, err
}
