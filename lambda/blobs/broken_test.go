package blobs

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestBrokenServers checks servers that violate the protocol in every way. Each of
// their writes fails in the end, because the client closes the connection.
func TestBrokenServers(t *testing.T) {
	endless := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 ")
			for {
				if _, err := io.WriteString(conn, text); err != nil {
					return
				}
			}
		}
	}
	// The transport logs unsolicited responses.
	defer log.SetOutput(log.Writer())
	log.SetOutput(io.Discard)
	body := strings.Repeat("x", 4096)
	for _, tt := range []struct {
		name  string
		serve func(net.Conn)
		want  Answer
	}{
		{"reset", func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) }, Unknown},
		{"reset-in-header", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-")
			conn.(*net.TCPConn).SetLinger(0)
		}, Unknown},
		{"closed", func(net.Conn) {}, Unknown},
		{"hang", func(conn net.Conn) { io.Copy(io.Discard, conn) }, Unknown},
		{"hang-in-header", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			io.Copy(io.Discard, conn)
		}, Unknown},
		{"not-http", func(conn net.Conn) { io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n") }, Unknown},
		{"huge-header", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Huge: "+strings.Repeat("x", 128<<10)+"\r\nContent-Length: 0\r\n\r\n")
		}, Unknown},
		{"endless-status", endless(body), Unknown},
		{"endless-header", endless("200 OK\r\nX: " + body + "\r\n"), Unknown},
		{"endless-interim", endless("103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 "), Unknown},
		// The headers of these are a complete response.
		{"endless-body", endless("200 OK\r\nContent-Length: 1000000000000\r\n\r\n" + body), Present},
		{"endless-chunks", endless("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + body), Present},
		{"endless-error", endless("503 Slow Down\r\n\r\n" + body), Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, served := listen(t, tt.serve)
			transport := NewTransport()
			defer transport.(*http.Transport).CloseIdleConnections()
			timeout := 250 * time.Millisecond
			if tt.want != Unknown {
				timeout = requestBudget // for a busy machine
			}
			c := New(Options{Timeout: timeout, HealthInterval: time.Hour, Transport: transport})
			has(t, c.Origin("broken", "http://"+address+"/", Mirror), "x", tt.want)
			<-served // the connection was closed
		})
	}
}

// listen accepts one connection and calls serve after its request.
func listen(t *testing.T, serve func(net.Conn)) (address string, served chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	served = make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
			return
		}
		serve(conn)
	}()
	return listener.Addr().String(), served
}

func TestUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	for _, tt := range []struct{ name, base string }{
		{"refused", "http://" + closed.Addr().String() + "/"},
		{"untrusted", untrusted.URL + "/"},
		{"no-scheme", "//127.0.0.1/"},
		{"not-a-url", "http://[::1/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(Options{Timeout: time.Second, HealthInterval: time.Hour})
			has(t, c.Origin("unreachable", tt.base, Mirror), "x", Unknown)
		})
	}
}

// The end of the invocation cancels a check and closes its connection.
func TestCancel(t *testing.T) {
	invocation, cancel := context.WithCancel(t.Context())
	address, served := listen(t, func(conn net.Conn) {
		cancel()
		io.Copy(io.Discard, conn)
	})
	c := New(Options{Timeout: 1500 * time.Millisecond, HealthInterval: time.Hour})
	o := c.Origin("hangs", "http://"+address+"/", Mirror)
	hasIn(invocation, t, o, "x", Unknown)
	<-served
	if o.failures != 0 {
		t.Errorf("%d failures, want 0", o.failures)
	}
}
