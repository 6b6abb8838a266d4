package registry

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
)

// wire is between a client and a server, and can respond itself.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// respond returns a response that a wire sends itself.
func respond(r *http.Request, status int, header http.Header, body string) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// noise returns pseudo-random bytes and their descriptor.
func noise(seed byte, size int) ([]byte, Blob) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data, Blob{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(data)), Size: int64(size)}
}
