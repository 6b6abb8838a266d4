package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-containerregistry/pkg/name"

	"archeio/lambda/copier"
)

// service simulates an AWS service with the JSON protocol that returns the same
// status and body for every request, and returns its URL.
func service(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

var anyKeys = credentials.NewStaticCredentialsProvider("key", "secret", "")

// A secret has logins in the format of a Docker configuration. Errors never quote
// it.
func TestSecret(t *testing.T) {
	t.Parallel()
	secret := func(text string) string {
		quoted, err := json.Marshal(map[string]string{"SecretString": text})
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		user   string // that of registry.example
		err    string
	}{
		{"password", 200, secret(`{"auths":{"registry.example":{"username":"bob","password":"hunter2"}}}`), "bob", ""},
		{"auth", 200, secret(`{"auths":{"https://registry.example/":{"auth":"Ym9iOmh1bnRlcjI="}}}`), "bob", ""},
		{"other-registry", 200, secret(`{"auths":{"other.example":{"username":"bob","password":"hunter2"}}}`), "", ""},
		{"empty", 200, secret(`{}`), "", "want a Docker configuration"},
		{"no-json", 200, secret(`bob:hunter2`), "", "want a Docker configuration"},
		{"binary", 200, `{"SecretBinary":"Ym9iOmh1bnRlcjI="}`, "", "want a Docker configuration"},
		{"not-there", 400, `{"__type":"ResourceNotFoundException","Message":"no such secret"}`, "", "ResourceNotFoundException"},
		{"not-allowed", 400, `{"__type":"AccessDeniedException","Message":"no"}`, "", "AccessDeniedException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := secretsmanager.New(secretsmanager.Options{Region: "us-east-1", BaseEndpoint: aws.String(service(t, tt.status, tt.body)), Credentials: anyKeys})
			l, unmatched, err := storedLogins(t.Context(), client, "logins", "registry.example/team")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), `"logins"`) ||
					strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.err)
				}
				return
			}
			if err != nil || (len(unmatched) == 0) != (tt.user != "") {
				t.Fatalf("error %v, unmatched keys %q", err, unmatched)
			}
			registry, err := name.NewRegistry("registry.example")
			if err != nil {
				t.Fatal(err)
			}
			login, err := l.Resolve(registry)
			if err != nil {
				t.Fatal(err)
			}
			c, err := login.Authorization()
			if err != nil || c.Username != tt.user || (tt.user != "" && c.Password != "hunter2") {
				t.Errorf("user %q, %v, want %q", c.Username, err, tt.user)
			}
		})
	}
}

// A private registry of Amazon ECR issues passwords to the role.
func TestECRPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		err    string // empty if there is a password
	}{
		{"issued", 200, `{"authorizationData":[{"authorizationToken":"QVdTOmh1bnRlcjI=","expiresAt":1.7E9,"proxyEndpoint":"https://1.dkr.ecr.us-east-1.amazonaws.com"}]}`, ""},
		{"denied", 400, `{"__type":"AccessDeniedException","message":"no"}`, "the function's role needs ecr:GetAuthorizationToken"},
		{"none", 200, `{"authorizationData":[]}`, "the response has none"},
		{"not-encoded", 200, `{"authorizationData":[{"authorizationToken":"!hunter2"}]}`, "cannot be decoded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := ecr.New(ecr.Options{Region: "us-east-1", BaseEndpoint: aws.String(service(t, tt.status, tt.body)), Credentials: anyKeys})
			got, err := issuePassword(client)(t.Context())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.err)
				}
				return
			}
			if err != nil || got.Username != "AWS" || got.Password != "hunter2" || got.Expires.Unix() != 1_700_000_000 {
				t.Errorf("user %q, expires %v, error %v", got.Username, got.Expires, err)
			}
		})
	}
}

// A message that the queue does not accept is an error, so that none is lost.
func TestQueueErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want string
		status           int
	}{
		{"refused", `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}`, "QueueDoesNotExist", 400},
		{"one-of-two", `{"Successful":[],"Failed":[{"Id":"1","Code":"InternalError","Message":"try again","SenderFault":false}]}`, "1 of 2 messages were not accepted: try again", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := service(t, tt.status, tt.body)
			q := &sqsQueue{sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &url, Credentials: anyKeys}), url + "/1/fill"}
			err := q.Send(t.Context(), copier.Message{Do: "plan", Run: "x"}, copier.Message{Do: "plan", Run: "y"})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if err := q.Send(t.Context()); err != nil {
				t.Errorf("sending no message: %v", err)
			}
		})
	}
}
