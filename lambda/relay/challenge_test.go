package relay

import (
	"net/http"
	"testing"
)

// TestChoose tests which token is requested for challenges in all their forms. A want
// that is not a URL is the outcome.
func TestChoose(t *testing.T) {
	t.Parallel()
	const (
		own   = "scope=repository%3Aa%2Fb%3Apull"
		token = "https://auth.example.com/token?" + own
		full  = token + "&service=registry"
	)
	h := hosts{own: "https://" + registryHost, patterns: []string{tokenHost}}
	for _, tt := range []struct {
		name   string
		header []string
		want   string
	}{
		{"usual", []string{`Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull"`}, full},
		{"spaces-case-and-order", []string{`bEARER  scope = "repository:a/b:pull" ,	SERVICE=registry, Realm="https://auth.example.com/token"`}, full},
		{"quotes", []string{`Bearer realm="https:\/\/auth.example.com/token",service="a \"b\""`}, token + "&service=a+%22b%22"},
		{"no-service", []string{`Bearer realm="https://auth.example.com/token"`}, token},
		{"no-quotes", []string{`Bearer realm=https://auth.example.com/token,service=registry`}, full},
		{"basic-before", []string{`Basic realm="https://auth.example.com/basic", Bearer realm="https://auth.example.com/token"`}, token},
		{"basic-after", []string{`Bearer realm="https://auth.example.com/token", Basic realm="https://auth.example.com/basic"`}, token},
		{"several-fields", []string{`Negotiate`, `Basic realm="x"`, `Bearer realm="https://auth.example.com/token"`}, token},
		{"token68-before", []string{`Negotiate YWJj==, Bearer realm="https://auth.example.com/token"`}, token},
		{"foreign-before", []string{`Bearer realm="https://evil.example/token", Bearer realm="https://auth.example.com/token"`}, token},
		{"realm-with-a-query", []string{`Bearer realm="https://auth.example.com/token?account=x&scope=repository:other:push"`}, "https://auth.example.com/token?account=x&" + own},
		{"realm-at-the-registry", []string{`Bearer realm="https://registry.example.com/v2/auth"`}, "https://registry.example.com/v2/auth?" + own},
		{"default-port", []string{`Bearer realm="https://auth.example.com:443/token"`}, "https://auth.example.com:443/token?" + own},
		{"scope-of-another-repository", []string{`Bearer realm="https://auth.example.com/token",scope="repository:other/x:pull"`}, token},
		{"scope-to-push", []string{`Bearer realm="https://auth.example.com/token",scope="repository:a/b:pull,push,delete"`}, token},
		{"scope-of-the-catalog", []string{`Bearer realm="https://auth.example.com/token",scope="registry:catalog:*"`}, token},
		{"scope-of-ecr-public", []string{`Bearer realm="https://auth.example.com/token",scope="aws"`}, "https://auth.example.com/token?scope=aws"},
		{"scope-with-a-line-break", []string{"Bearer realm=\"https://auth.example.com/token\",scope=\"aws\r\n\""}, token},
		{"realm-twice", []string{`Bearer realm="https://evil.example/", realm="https://auth.example.com/token"`}, "invalid"},
		{"realm-empty", []string{`Bearer realm=""`}, "invalid"},
		{"no-realm", []string{`Bearer service="registry"`}, "invalid"},
		{"foreign", []string{`Bearer realm="https://auth.example.com.evil.example/token"`}, "invalid"},
		{"user-info", []string{`Bearer realm="https://user:password@auth.example.com/token"`}, "invalid"},
		{"fragment", []string{`Bearer realm="https://auth.example.com/token#x"`}, "invalid"},
		{"http", []string{`Bearer realm="http://auth.example.com/token"`}, "invalid"},
		{"private-address", []string{`Bearer realm="https://[fd00::1]/token"`}, "invalid"},
		{"basic-only", []string{`Basic realm="https://auth.example.com/token"`}, "denied"},
		{"bearer-as-a-value", []string{`Digest realm="Bearer realm=https://auth.example.com/token"`}, "denied"},
		{"none", nil, "denied"},
	} {
		c, failure := h.choose(http.Header{"Www-Authenticate": tt.header}, "a/b")
		got := ""
		if failure == nil {
			got = c.url()
		} else {
			got = failure.Outcome.String()
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const now = "Thu, 26 Nov 2026 12:00:00 GMT"
	for _, tt := range []struct {
		text, date string
		want       int
	}{
		{"7", "", 7},
		{"", "", 0},
		{"-1", "", 0},
		{"99999999", "", maxRetryAfter},
		{"soon", now, 0},
		{"Thu, 26 Nov 2026 12:01:30 GMT", now, 90},
		{"Thu, 26 Nov 2026 11:00:00 GMT", now, 0},
		{"Thu, 26 Nov 9026 12:00:00 GMT", now, maxRetryAfter},
		{"Thu, 26 Nov 2026 12:01:30 GMT", "", 0}, // by an unknown clock
	} {
		if got := retryAfter(http.Header{"Retry-After": {tt.text}, "Date": {tt.date}}); got != tt.want {
			t.Errorf("%q at %q: %d, want %d", tt.text, tt.date, got, tt.want)
		}
	}
}
