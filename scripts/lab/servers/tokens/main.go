// Command tokens is a token server for the registry of this module, as the
// distribution project specifies it: it issues signed tokens that permit all clients to
// pull and to list the repositories. It creates its key and writes the public half to a
// file that the registry reads.
//
//	tokens -listen 127.0.0.1:5001 -keys FILE
//
// For tests, the query parameter clock is a duration by which its clock is wrong.
//
// https://distribution.github.io/distribution/spec/auth/token/
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is the issuer that the registry must expect.
const issuer = "archeio-test"

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on")
	keys := flag.String("keys", "", "`FILE` to write the public key to, as a JSON Web Key Set")
	lifetime := flag.Duration("lifetime", time.Minute, "how long a token is valid")
	flag.Parse()
	if err := serve(*listen, *keys, *lifetime); err != nil {
		fmt.Fprintln(os.Stderr, "tokens:", err)
		os.Exit(1)
	}
}

func serve(listen, keys string, lifetime time.Duration) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key := jose.JSONWebKey{Key: private, KeyID: "1", Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(keys, text, 0o600); err != nil {
		return err
	}
	http.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := time.ParseDuration(r.URL.Query().Get("clock"))
		now := time.Now().Add(offset)
		claims := jwt.Claims{
			Issuer:    issuer,
			Audience:  jwt.Audience{r.URL.Query().Get("service")},
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			Expiry:    jwt.NewNumericDate(now.Add(lifetime)),
		}
		token, err := jwt.Signed(signer).Claims(claims).Claims(map[string]any{"access": granted(r.URL.Query()["scope"])}).Serialize()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": int(lifetime.Seconds()), "issued_at": now.UTC()})
	})
	return http.ListenAndServe(listen, nil)
}

// access is what a token permits.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// granted returns what is permitted of scopes, TYPE:NAME:ACTIONS each: to pull from a
// repository, and to list the catalog.
func granted(scopes []string) []access {
	list := []access{}
	for _, scope := range scopes {
		part := strings.Split(scope, ":")
		if scope == "registry:catalog:*" {
			list = append(list, access{part[0], part[1], []string{"*"}})
		}
		if len(part) == 3 && part[0] == "repository" && strings.Contains(","+part[2]+",", ",pull,") {
			list = append(list, access{part[0], part[1], []string{"pull"}})
		}
	}
	return list
}
