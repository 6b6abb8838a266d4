package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// part is a response with a part of a blob, and the connection breaks after some
// bytes if it has more.
func part(w http.ResponseWriter, r *http.Request, data []byte, most int) {
	from := 0
	if header := r.Header.Get("Range"); header != "" {
		fmt.Sscanf(header, "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(data[from:min(len(data), from+most)])
}

// TestBlob tests that a blob is read whole, from any byte on.
func TestBlob(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 400_000)
	const all = 1 << 30
	for _, tt := range []struct {
		name   string
		handle func(w http.ResponseWriter, r *http.Request, n int) // n counts requests
		size   int64
		err    error
		text   string
		// requests for the whole blob, at most.
		requests int
	}{
		{"ranges", func(w http.ResponseWriter, r *http.Request, _ int) { part(w, r, data, all) }, blob.Size, nil, "", 1},
		{"no-ranges", func(w http.ResponseWriter, _ *http.Request, _ int) { w.Write(data) }, blob.Size, nil, "", 1},
		{"unknown-size", func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Transfer-Encoding", "chunked")
			w.Write(data)
		}, blob.Size, nil, "", 1},
		{"connection-breaks", func(w http.ResponseWriter, r *http.Request, _ int) { part(w, r, data, 70_000) }, blob.Size, nil, "", 6},
		{"connection-breaks-without-ranges", func(w http.ResponseWriter, _ *http.Request, n int) {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:min(len(data), n*100_000)])
		}, blob.Size, nil, "", 4},
		{"range-refused", func(w http.ResponseWriter, r *http.Request, n int) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			w.Write(data[:min(len(data), n*150_000)])
		}, blob.Size, nil, "", 3},
		{"another-range", func(w http.ResponseWriter, r *http.Request, n int) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(data)-1, len(data)))
				w.WriteHeader(http.StatusPartialContent)
			} else {
				w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			}
			w.Write(data[:min(len(data), n*150_000)])
		}, blob.Size, nil, "", 3},
		{"no-progress", func(w http.ResponseWriter, r *http.Request, _ int) { part(w, r, data, 10) }, blob.Size, nil, "reading the response: unexpected EOF", 1 + blobAttempts},
		{"size-changes", func(w http.ResponseWriter, r *http.Request, n int) { part(w, r, data[:len(data)-n+1], 150_000) }, blob.Size, nil, "changed the size", 2},
		{"range-of-another-size", func(w http.ResponseWriter, r *http.Request, n int) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(http.StatusPartialContent)
		}, 0, nil, "", 1 + blobAttempts},
		{"absent", func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, 404, "BLOB_UNKNOWN") }, 0, ErrAbsent, "fetching blob app@" + blob.Digest + ": not in the registry", 1},
		{"absent-as-400", func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, 400, "BLOB_UNKNOWN") }, 0, ErrAbsent, "not in the registry", 1},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request, _ int) { fail(w, 401) }, 0, ErrUnauthorized, "log in", 1},
		{"unpacked-by-storage", func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("X-Goog-Stored-Content-Encoding", "gzip")
			if r.Header.Get("Accept-Encoding") == "gzip" {
				w.Header().Set("Content-Encoding", "gzip")
				part(w, r, data, all)
				return
			}
			fmt.Fprint(w, "unpacked")
		}, blob.Size, nil, "", 2},
	} {
		for _, from := range []int64{0, 1, 399_999} {
			// These rows are about a blob from its beginning.
			if from > 0 && (tt.text != "" && tt.err == nil || tt.name == "range-of-another-size" || tt.name == "range-refused" || tt.name == "another-range") {
				continue
			}
			t.Run(fmt.Sprint(tt.name, "-", from), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n := 0
					c, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) { n++; tt.handle(w, r, n) })
					body, size, err := c.Blob(t.Context(), "app", blob, from)
					var got []byte
					if err == nil {
						defer body.Close()
						got, err = io.ReadAll(body)
					}
					switch {
					case tt.text != "":
						checkError(t, err, tt.err, tt.text)
					case tt.size == 0:
						if err == nil {
							t.Error("no error")
						}
					case err != nil || !bytes.Equal(got, data[from:]) || size != tt.size:
						t.Errorf("%d bytes, size %d, error %v", len(got), size, err)
					}
					if got := len(log.take()); got > tt.requests || from == 0 && tt.size > 0 && got != tt.requests {
						t.Errorf("%d requests, want %d", got, tt.requests)
					}
				})
			})
		}
	}
}

// TestBlobEnd tests that there is nothing to read from the end of a blob on.
func TestBlobEnd(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 1000)
	for _, tt := range []struct {
		name   string
		header string // Content-Range
		full   bool   // without ranges
	}{
		{"size", "bytes */1000", false},
		{"unknown-size", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") != "" {
					w.Header().Set("Content-Range", tt.header)
					w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
					return
				}
				w.Write(data)
			})
			body, size, err := c.Blob(t.Context(), "app", Blob{Digest: blob.Digest, Size: SizeUnknown}, 1000)
			if err != nil || size != 1000 {
				t.Fatalf("size %d, error %v", size, err)
			}
			if got, err := io.ReadAll(body); len(got) > 0 || err != nil {
				t.Errorf("%d bytes, error %v", len(got), err)
			}
		})
	}
}

// TestBlobSize tests that the registry decides on the size, and then the manifest.
func TestBlobSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		manifest, want int64
		chunked        bool
	}{
		{"not-in-the-manifest", SizeUnknown, 4, false},
		{"another-in-the-manifest", 7, 4, false},
		{"in-the-manifest-only", 7, 7, true},
		{"unknown", SizeUnknown, SizeUnknown, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) {
				if tt.chunked {
					w.Header().Set("Transfer-Encoding", "chunked")
				}
				fmt.Fprint(w, "four")
			})
			body, size, err := c.Blob(t.Context(), "app", Blob{Digest: a, Size: tt.manifest}, 0)
			if err != nil || size != tt.want {
				t.Fatalf("size %d, error %v, want %d", size, err, tt.want)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || string(got) != "four" {
				t.Errorf("%q, error %v", got, err)
			}
		})
	}
}

// TestBlobWithoutRequest tests that inline content and blobs that registries do
// not store are not requested.
func TestBlobWithoutRequest(t *testing.T) {
	t.Parallel()
	c, log := served(t, "example.com", Options{}, func(w http.ResponseWriter, _ *http.Request) { fail(w, 404) })
	blobs := []Blob{{Digest: sha256Of([]byte("inline")), Size: 99, Data: []byte("inline")}}
	for digest, data := range wellKnown {
		if sha256Of(data) != digest {
			t.Errorf("%s is the digest of something else", digest)
		}
		blobs = append(blobs, Blob{Digest: digest, Size: 99})
	}
	for _, b := range blobs {
		for _, from := range []int64{0, 1} {
			body, size, err := c.Blob(t.Context(), "app", b, from)
			if b.Digest == emptyBlob && from > 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err != nil || int64(len(got)) != size-from || from == 0 && sha256Of(got) != b.Digest {
				t.Errorf("%s from %d: %q, size %d, error %v", b.Digest, from, got, size, err)
			}
		}
	}
	if all := log.take(); len(all) > 1 { // that of the empty blob from byte 1 on
		t.Errorf("requests %q", all)
	}
}

// TestBlobLeavesNothing tests that a closed blob leaves no context.
func TestBlobLeavesNothing(t *testing.T) {
	t.Parallel()
	var of context.Context
	c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) {
		of = r.Context()
		fmt.Fprint(w, "four")
	})
	body, _, err := c.Blob(t.Context(), "app", Blob{Digest: a, Size: 4}, 0)
	if err != nil || of.Err() != nil {
		t.Fatal(err, of.Err())
	}
	if body.Close(); of.Err() == nil {
		t.Error("the request's context outlives the blob")
	}
}

// TestInterrupted tests that the end of a context ends reading, with its cause.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data, blob := noise(1, 1000)
		c, _ := served(t, "example.com", Options{}, func(w http.ResponseWriter, r *http.Request) { part(w, r, data, 10) })
		over := errors.New("the time is up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, over)
		defer cancel()
		body, _, err := c.Blob(ctx, "app", blob, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if _, err := io.ReadAll(body); !errors.Is(err, over) {
			t.Errorf("error %v, want %v", err, over)
		}
	})
}

// TestRedirects tests that a blob may be on another host, which gets no
// credentials, but not with HTTP if the registry uses HTTPS; and that a signed URL
// that has expired is replaced.
func TestRedirects(t *testing.T) {
	t.Parallel()
	data, blob := noise(1, 400_000)
	redirect := func(to string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, n int) {
			w.Header().Set("Location", strings.ReplaceAll(to, "N", fmt.Sprint(n)))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}
	serve := func(w http.ResponseWriter, r *http.Request, _ int) { part(w, r, data, 1<<30) }
	for _, tt := range []struct {
		name     string
		registry func(w http.ResponseWriter, r *http.Request, n int)
		storage  func(w http.ResponseWriter, r *http.Request, n int)
		err      error
		text     string
		requests []string // nil does not check
	}{
		{"tls", redirect("https://storage.example/x?signature=N"), serve, nil, "", nil},
		{"clear", redirect("http://storage.example/x"), serve, nil, "redirect from https to http", nil},
		{"no-address", redirect("javascript:alert(1)"), serve, nil, "not an address", nil},
		{"terminal-escape", redirect("https://a\x1b[2J/"), serve, nil, `"https://a\x1b[2J/"`, nil},
		{"endless", redirect("/v2/app/blobs/again?N"), serve, nil, "too many redirects", nil},
		{"expired", redirect("https://storage.example/x?signature=N"), func(w http.ResponseWriter, r *http.Request, _ int) {
			if r.URL.RawQuery == "signature=1" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			part(w, r, data, 1<<30)
		}, nil, "", []string{"GET /v2/app/blobs/" + blob.Digest, "GET https://storage.example/x?signature=1", "GET /v2/app/blobs/" + blob.Digest, "GET https://storage.example/x?signature=2"}},
		{"expired-while-reading", redirect("https://storage.example/x?signature=N"), func(w http.ResponseWriter, r *http.Request, n int) {
			if n%2 == 0 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			part(w, r, data, 150_000)
		}, nil, "", nil},
		{"expired-always", redirect("https://storage.example/x?signature=N"), func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusForbidden) }, nil, `403 Forbidden from "storage.example"`, nil},
		{"not-stored", redirect("https://storage.example/x?signature=N"), func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNotFound) }, ErrAbsent, "not in the registry", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				atRegistry, atStorage := 0, 0
				c, log := served(t, "example.com", Options{Keychain: password{"u", "p"}}, func(w http.ResponseWriter, r *http.Request) {
					switch _, _, ok := r.BasicAuth(); {
					case r.URL.Host != "example.com":
						if r.Header.Get("Authorization") != "" || r.URL.Scheme != "https" {
							t.Errorf("request to %s with Authorization %q", r.URL, r.Header.Get("Authorization"))
						}
						atStorage++
						tt.storage(w, r, atStorage)
					case !ok:
						w.Header().Set("Www-Authenticate", `Basic realm="test"`)
						w.WriteHeader(http.StatusUnauthorized)
					default:
						atRegistry++
						tt.registry(w, r, atRegistry)
					}
				})
				body, _, err := c.Blob(t.Context(), "app", blob, 0)
				var got []byte
				if err == nil {
					defer body.Close()
					got, err = io.ReadAll(body)
				}
				if tt.text != "" {
					checkError(t, err, tt.err, tt.text)
				} else if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, error %v", len(got), err)
				}
				if all := log.take()[1:]; tt.requests != nil && !slices.Equal(all, tt.requests) {
					t.Errorf("requests %q, want %q", all, tt.requests)
				} else if len(all) > 20 {
					t.Errorf("%d requests", len(all))
				}
			})
		})
	}
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header       string
		start, total int64
		ok           bool
	}{
		{"bytes 5-9/10", 5, 10, true},
		{"BYTES  5-9/*", 5, SizeUnknown, true},
		{"bytes */10", 0, 10, true},
		{"bytes */*", 0, 0, false},
		{"items 5-9/10", 0, 0, false},
		{"bytes 5-9", 0, 0, false},
		{"bytes -5-9/10", 0, 0, false},
		{"bytes 5-9/-10", 0, 0, false},
		{"", 0, 0, false},
	} {
		start, total, ok := contentRange(tt.header)
		if ok != tt.ok || ok && (start != tt.start || total != tt.total) {
			t.Errorf("%q: %d, %d, %v", tt.header, start, total, ok)
		}
	}
}
