package mirror

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"archeio/scripts/archeio/cli"
)

// TestConnections tests that connections to S3 are used again by as many requests at once
// as -parallel may allow.
func TestConnections(t *testing.T) {
	t.Parallel()
	const atOnce, rounds = 64, 4
	var opened atomic.Int64
	// The requests of a round are responded to when all have arrived.
	var mu sync.Mutex
	arrived, all := 0, make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		round := all
		if arrived++; arrived%atOnce == 0 {
			close(all)
			all = make(chan struct{})
		}
		mu.Unlock()
		select {
		case <-round:
		case <-t.Context().Done():
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := cli.LoadAWS(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	keepConnections(&c)
	client := s3.NewFromConfig(c, func(o *s3.Options) {
		o.Region, o.BaseEndpoint, o.UsePathStyle = "us-east-1", &server.URL, true
		o.Credentials = credentials.NewStaticCredentialsProvider("key", "secret", "")
	})
	for range rounds {
		var group errgroup.Group
		for range atOnce {
			group.Go(func() error {
				_, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("mirror"), Key: aws.String("key")})
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n > atOnce+8 { // a connection may break
		t.Errorf("%d connections for %d requests, want at most %d", n, atOnce*rounds, atOnce+8)
	}
}
