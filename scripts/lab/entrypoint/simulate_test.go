package entrypoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	clients := []SimulatedClient{{"AWS eu-west-3", "35.180.1.1"}, {"home", "203.0.113.7"}}
	h := Simulate(clients, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("client " + r.Header.Get(ClientAddressHeader)))
	}))
	get := func(path, cookie, header string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		if header != "" {
			r.Header.Set(ClientAddressHeader, header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	selected := get(SimulatePath+"?client=AWS+eu-west-3", "", "")
	if selected.StatusCode != http.StatusSeeOther || selected.Header.Get("Location") != "/" {
		t.Fatalf("status %d, Location %q", selected.StatusCode, selected.Header.Get("Location"))
	}
	cookie, _, _ := strings.Cut(selected.Header.Get("Set-Cookie"), ";")
	none, _, _ := strings.Cut(get(SimulatePath+"?client=", "", "").Header.Get("Set-Cookie"), ";")
	for _, tt := range []struct{ name, path, cookie, header, want string }{
		{"no-client", "/", "", "", "client "},
		{"selected", "/where", cookie, "", "client 35.180.1.1"},
		{"header", "/", cookie, "192.0.2.1", "client 192.0.2.1"},
		{"own-address", "/", none, "", "client "},
		{"unknown-cookie", "/", "simulated-client=<b>", "", "client "},
		{"list", SimulatePath, "", "", `<a href="?client=AWS%20eu-west-3">AWS eu-west-3</a> (35.180.1.1)`},
		{"unknown-client", SimulatePath + "?client=%3Cb%3E", "", "", "<h1>Simulated clients</h1>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := make([]byte, 4096)
			n, _ := get(tt.path, tt.cookie, tt.header).Body.Read(body)
			if got := string(body[:n]); !strings.Contains(got, tt.want) || tt.path != SimulatePath && strings.Contains(got, "<b>") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
