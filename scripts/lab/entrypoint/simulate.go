package entrypoint

import (
	"html/template"
	"net/http"
)

// SimulatePath is the path of the list of simulated clients.
const SimulatePath = "/simulate"

// simulatedClient is the cookie with the name of a browser's simulated client.
const simulatedClient = "simulated-client"

// SimulatedClient is a client that a browser can be treated as.
type SimulatedClient struct{ Name, Address string }

var simulateList = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Simulated clients</title>
<h1>Simulated clients</h1>
<p>Visit <a href="/">the page of the registry</a> as a client in:</p>
<ul>{{range .}}<li><a href="?client={{.Name}}">{{.Name}}</a> ({{.Address}}){{end}}
<li><a href="?client=">your own address</a></ul>
`))

// Simulate returns a handler that adds a list of clients to an entry point, for
// browsers, which cannot send ClientAddressHeader: what is selected there is kept in a
// cookie. Requests with the header are passed on unchanged.
func Simulate(clients []SimulatedClient, next http.Handler) http.Handler {
	address := func(name string) (string, bool) {
		for _, c := range clients {
			if c.Name == name {
				return c.Address, true
			}
		}
		return "", name == ""
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == SimulatePath {
			query := r.URL.Query()
			name := query.Get("client")
			if _, ok := address(name); !query.Has("client") || !ok {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_ = simulateList.Execute(w, clients)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: simulatedClient, Value: template.URLQueryEscaper(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		if r.Header.Get(ClientAddressHeader) == "" {
			if cookie, err := r.Cookie(simulatedClient); err == nil {
				for _, c := range clients {
					if template.URLQueryEscaper(c.Name) == cookie.Value {
						r = r.Clone(r.Context())
						r.Header.Set(ClientAddressHeader, c.Address)
					}
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}
