package copier

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// closedPort returns an address of loopback that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// notices records messages, and cancels a context at the first.
type notices struct {
	first context.CancelFunc

	mu       sync.Mutex
	messages []string
}

func (n *notices) notify(message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages = append(n.messages, message)
	if n.first != nil {
		n.first()
	}
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.messages)
}

// TestUnreachable tests that a registry or bucket that refuses connections is
// reported at once, and once.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		start func(t *testing.T, address string, notify func(string)) func(context.Context) error
		want  string
	}{
		{"registry", func(t *testing.T, address string, notify func(string)) func(context.Context) error {
			s, err := NewSource(address, SourceOptions{Notify: notify})
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context) error { _, err := s.List(ctx, "app"); return err }
		}, "up to 5 times"},
		{"bucket", func(t *testing.T, address string, notify func(string)) func(context.Context) error {
			c := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://" + address), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
			NotifyOutages(&c, notify)
			b := NewBucket("bucket", NewS3Client(c, "us-east-1"))
			return func(ctx context.Context) error { _, err := b.List(ctx); return err }
		}, "up to 2 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			n := &notices{first: cancel}
			address := closedPort(t)
			err := tt.start(t, address, n.notify)(ctx)
			messages := n.all()
			if err == nil || ctx.Err() != context.Canceled || len(messages) != 1 {
				t.Fatalf("messages %q, error %v", messages, err)
			}
			m := messages[0]
			if !strings.HasPrefix(m, "cannot reach "+address+": dial tcp "+address+": ") || !strings.Contains(m, "connection refused: retrying each request "+tt.want) {
				t.Errorf("message %q", m)
			}
		})
	}
}

// TestOutages tests which errors are reported, and when.
func TestOutages(t *testing.T) {
	t.Parallel()
	reset := func(*http.Request) (*http.Response, error) { return nil, errReset }
	ok := func(r *http.Request) (*http.Response, error) { return respond(r, http.StatusNotFound, nil, "") }
	connect := func(d time.Duration) wire {
		return func(r *http.Request) (*http.Response, error) {
			if err := sleep(r.Context(), d); err != nil {
				return nil, err
			}
			return ok(r)
		}
	}
	const after = ": retrying each request up to 5 times"
	for _, tt := range []struct {
		name     string
		requests []wire
		pause    time.Duration // after each
		want     []string
	}{
		{"reachable", []wire{ok, ok}, 0, nil},
		{"slow", []wire{connect(2 * time.Second)}, 0, nil},
		{"no-connection", []wire{connect(30 * time.Second)}, 0, []string{"no connection after 3s" + after}},
		{"refused-repeatedly", []wire{reset, reset, reset}, 2 * noticeInterval, []string{errReset.Error() + after}},
		{"second-outage", []wire{reset, ok, reset}, noticeInterval, []string{errReset.Error() + after, errReset.Error() + after}},
		{"flapping", []wire{reset, ok, reset, ok, reset}, time.Second, []string{errReset.Error() + after}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &notices{}
				o := newOutages(n.notify, maxAttempts)
				for _, w := range tt.requests {
					o.watch(request(t.Context(), t, http.MethodGet, "https://example.com/v2/app/tags/list", ""), w)
					sleep(t.Context(), tt.pause)
				}
				messages := n.all()
				for i, want := range tt.want {
					if len(messages) != len(tt.want) || messages[i] != "cannot reach example.com: "+want {
						t.Fatalf("messages %q, want %q", messages, tt.want)
					}
				}
				if len(messages) != len(tt.want) {
					t.Errorf("messages %q, want none", messages)
				}
			})
		})
	}
}
