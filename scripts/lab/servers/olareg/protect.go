package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/auth"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
)

// content matches the path of a request that reads from a repository: its name and the
// kind of content.
var content = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags|referrers)/[^/]+$`)

// protect makes a registry like most public ones for those who read. GET and HEAD
// requests need a token that permits to pull from the repository; the code of the
// distribution project verifies it. Blobs are redirected to URLs below /storage/ that
// are signed and valid for five minutes. Other methods need no token.
func protect(h http.Handler, realm, keys string) (http.Handler, error) {
	tokens, err := auth.GetAccessController("token", map[string]any{
		"realm": realm, "service": "archeio-test-registry", "issuer": "archeio-test", "jwks": keys,
	})
	if err != nil {
		return nil, err
	}
	storage := storage{key: []byte(rand.Text())}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		path, stored := strings.CutPrefix(r.URL.Path, "/storage")
		if stored {
			if !read || !storage.valid(r.URL) {
				http.Error(w, "the signature is not valid", http.StatusForbidden)
				return
			}
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, "", ""
			h.ServeHTTP(w, r)
			return
		}
		if !read {
			h.ServeHTTP(w, r)
			return
		}
		var access []auth.Access
		what := content.FindStringSubmatch(path)
		if what != nil {
			access = append(access, auth.Access{Resource: auth.Resource{Type: "repository", Name: what[1]}, Action: "pull"})
		}
		if _, err := tokens.Authorized(r, access...); err != nil {
			status := http.StatusBadRequest
			if c := auth.Challenge(nil); errors.As(err, &c) {
				c.SetHeaders(r, w)
				status = http.StatusUnauthorized
			}
			http.Error(w, err.Error(), status)
			return
		}
		if what != nil && what[2] == "blobs" {
			found := httptest.NewRecorder()
			if h.ServeHTTP(found, httptest.NewRequest(http.MethodHead, path, nil)); found.Code == http.StatusOK {
				http.Redirect(w, r, "http://"+r.Host+storage.address(path), http.StatusTemporaryRedirect)
				return
			}
		}
		h.ServeHTTP(w, r)
	}), nil
}

// storage signs URLs.
type storage struct{ key []byte }

func (s storage) address(path string) string {
	expires := strconv.FormatInt(time.Now().Add(5*time.Minute).Unix(), 10)
	return "/storage" + path + "?Expires=" + expires + "&Signature=" + s.sign(path, expires)
}

func (s storage) valid(u *url.URL) bool {
	q := u.Query()
	end, err := strconv.ParseInt(q.Get("Expires"), 10, 64)
	want := s.sign(strings.TrimPrefix(u.Path, "/storage"), q.Get("Expires"))
	return err == nil && time.Now().Unix() < end && hmac.Equal([]byte(want), []byte(q.Get("Signature")))
}

func (s storage) sign(path, expires string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(path + "?" + expires))
	return hex.EncodeToString(mac.Sum(nil))
}
