package rude

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// token is one that the token service issued.
type token struct {
	scopes []string
	uses   int
}

// Username is the account that Credentials returns the password of.
const Username = "robot"

// Credentials returns the user name and password that are valid now.
func (s *Server) Credentials() (username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Username, s.password()
}

func (s *Server) password() string {
	if s.Auth.RotateAfter > 0 && s.state.api > s.Auth.RotateAfter {
		return "second-secret"
	}
	return "first-secret"
}

// NeedsLogin reports whether the server refuses clients without Credentials.
func (s *Server) NeedsLogin() bool { return s.Auth.Login || s.Auth.Scheme == "basic" }

// authenticate returns the response for a request without valid credentials.
func (s *Server) authenticate(r *http.Request, q request) (response, bool) {
	a := s.Auth
	if a.Scheme == "" || q.kind == "ping" && a.NoPing || a.Kind != "" && q.kind != a.Kind {
		return response{}, false
	}
	scope := "repository:" + a.ScopePrefix + q.repository + ":pull"
	switch {
	case q.kind == "ping" || q.kind == "other":
		scope = ""
	case q.kind == "catalog":
		scope = "registry:catalog:*"
		if !a.CatalogScope {
			scope = ""
		}
	}
	header := r.Header.Get("Authorization")
	if a.Scheme == "basic" {
		user, password, _ := r.BasicAuth()
		s.mu.Lock()
		valid := user == Username && password == s.password()
		s.mu.Unlock()
		switch {
		case valid && !a.Refused:
			return response{}, false
		case a.ExpiredStatus != 0 && user != "":
			return failure(a.ExpiredStatus, "DENIED", "Your authorization token has expired. Reauthenticate and try again."), true
		}
		return s.challenge(http.StatusUnauthorized, `Basic realm="rude registry"`), true
	}
	realm := s.url(auth) + "/token"
	if a.ClearRealm {
		realm = s.url(cleartext) + "/token"
	}
	if a.RealmQuery {
		realm += "?account=mirror&x=%2F"
	}
	challenge := fmt.Sprintf(`Bearer realm="%s"`, realm)
	if !a.NoService {
		challenge += `,service="rude"`
	}
	if a.NoScope {
		scope = ""
	}
	if scope != "" {
		challenge += fmt.Sprintf(`,scope="%s"`, scope)
	}
	value, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return s.challenge(http.StatusUnauthorized, challenge), true
	}
	s.mu.Lock()
	issued := s.state.tokens[value]
	expired := false
	if issued != nil {
		issued.uses++
		expired = a.Uses > 0 && issued.uses > a.Uses
	}
	s.mu.Unlock()
	switch {
	case expired && a.ExpiredStatus != 0:
		return failure(a.ExpiredStatus, "DENIED", "Your authorization token has expired. Reauthenticate and try again."), true
	case expired && a.NoChallenge:
		return failure(http.StatusUnauthorized, "UNAUTHORIZED", "token expired"), true
	case issued == nil || expired:
		return s.challenge(http.StatusUnauthorized, challenge+`,error="invalid_token"`), true
	case scope != "" && !slices.Contains(issued.scopes, scope):
		return s.challenge(http.StatusUnauthorized, challenge+`,error="insufficient_scope"`), true
	}
	return response{}, false
}

// challenge returns a response with a WWW-Authenticate header in the form of
// Knobs.Auth.
func (s *Server) challenge(status int, challenge string) response {
	a := failure(status, "UNAUTHORIZED", "authentication required")
	switch s.Auth.Form {
	case "odd": // schemes and names are case-insensitive, and spaces are allowed
		scheme, rest, _ := strings.Cut(challenge, " ")
		rest = strings.ReplaceAll(rest, ",", " , ")
		rest = strings.Replace(rest, "realm=", "charset=UTF-8, REALM=", 1)
		a.header["Www-Authenticate"] = []string{strings.ToUpper(scheme) + "  " + rest}
	case "many":
		a.header["Www-Authenticate"] = []string{"Negotiate", `Digest realm="a, b", nonce="Bearer x"`, challenge}
	default:
		a.header["Www-Authenticate"] = []string{challenge}
	}
	return a
}

// token responds as the token service.
// https://distribution.github.io/distribution/spec/auth/token/
func (s *Server) token(r *http.Request) response {
	if r.Method != http.MethodGet {
		return failure(http.StatusMethodNotAllowed, "UNSUPPORTED", "use GET")
	}
	user, password, has := r.BasicAuth()
	s.mu.Lock()
	valid := user == Username && password == s.password()
	s.mu.Unlock()
	if s.Auth.RealmQuery && r.URL.Query().Get("account") != "mirror" {
		return failure(http.StatusBadRequest, "UNSUPPORTED", "missing account")
	}
	if s.Auth.Login && !valid || has && !valid || s.Auth.Refused {
		return failure(http.StatusUnauthorized, "UNAUTHORIZED", "incorrect username or password")
	}
	var scopes []string
	for _, scope := range r.URL.Query()["scope"] {
		scopes = append(scopes, strings.Fields(scope)...)
	}
	switch s.Auth.Response {
	case "html":
		return page(http.StatusOK, signIn)
	case "endless":
		return unended(`{"token":"`, "x")
	case "throttled":
		if s.count("token") < 2 {
			return failure(http.StatusTooManyRequests, "TOOMANYREQUESTS", "too many tokens")
		}
	}
	if s.Auth.Denied != "" && slices.Contains(scopes, "repository:"+s.Auth.Denied+":pull") {
		return failure(http.StatusForbidden, "DENIED", "requested access to the resource is denied")
	}
	var granted []string
	for _, scope := range scopes {
		if strings.HasSuffix(scope, ":pull") || scope == "registry:catalog:*" {
			granted = append(granted, scope)
		}
	}
	s.mu.Lock()
	name := fmt.Sprintf("token-%d", len(s.state.tokens)+1)
	s.state.tokens[name] = &token{scopes: granted}
	s.mu.Unlock()
	document := map[string]any{"token": name, "expires_in": 300}
	switch s.Auth.Response {
	case "access_token":
		document = map[string]any{"access_token": name, "expires_in": 300}
	case "no-expiry":
		delete(document, "expires_in")
	case "odd":
		document = map[string]any{"token": name, "access_token": name, "expires_in": "300", "issued_at": "2023-10-13 10:00:00 UTC", "expires_at": "soon"}
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}
