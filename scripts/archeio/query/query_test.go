package query

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

func TestCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string // an error
	}{
		{"ok", 200, `<R><Value>1</Value></R>`, ""},
		{"not-xml", 200, `}`, "Describe: status 200: "},
		{"ec2", 403, `<Response><Errors><Error><Code>Denied</Code><Message>no permission</Message></Error></Errors></Response>`, "Describe: status 403: Denied: no permission"},
		{"other", 404, `<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>`, "Describe: status 404: NotFound: no topic"},
		{"html", 502, `bad gateway`, "Describe: status 502: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != "Action=Describe&Version=1" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/sns/aws4_request") {
					t.Errorf("body %q, Authorization %q", body, r.Header.Get("Authorization"))
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer s.Close()
			var out struct{ Value int }
			err := Call(t.Context(), aws.Config{BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")},
				"sns", "eu-west-1", url.Values{"Action": {"Describe"}, "Version": {"1"}}, &out)
			if tt.want == "" && (err != nil || out.Value != 1) || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %+v, %v, want error %q", out, err, tt.want)
			}
		})
	}
}

func TestCallJSON(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string // an error
	}{
		{"ok", 200, `{"Value": 1}`, ""},
		{"not-json", 200, `<`, "StartQuery: status 200: "},
		{"error", 400, `{"__type": "com.amazonaws.logs#LimitExceededException", "message": "too many"}`, "StartQuery: status 400: LimitExceededException: too many"},
		{"html", 502, `bad gateway`, "StartQuery: status 502: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != `{"limit":1}` || r.Header.Get("X-Amz-Target") != "Logs_20140328.StartQuery" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/logs/aws4_request") {
					t.Errorf("body %q, headers %q", body, r.Header)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer s.Close()
			var out struct{ Value int }
			err := CallJSON(t.Context(), aws.Config{BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", "")},
				"logs", "eu-west-1", "Logs_20140328.StartQuery", map[string]int{"limit": 1}, &out)
			if tt.want == "" && (err != nil || out.Value != 1) || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %+v, %v, want error %q", out, err, tt.want)
			}
		})
	}
}
