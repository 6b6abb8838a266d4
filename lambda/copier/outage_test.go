package copier

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"archeio/lambda/registry"
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
			s, err := registry.New(address, registry.Options{Notify: notify})
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
