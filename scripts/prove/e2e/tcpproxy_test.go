package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestTCPProxyFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault func(*link)
		want  error
	}{
		{"reset", (*link).reset, syscall.ECONNRESET},
		{"end", (*link).end, io.EOF},
		{"silence", (*link).silence, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startEcho(t)
			c := dialEcho(t, p)
			if err := echo(c); err != nil {
				t.Fatal(err)
			}
			if n := p.inject(tt.fault); n != 1 {
				t.Fatalf("%d connections, want 1", n)
			}
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tt.want) {
				t.Errorf("the open connection: error %v, want %v", err, tt.want)
			}
			if err := echo(dialEcho(t, p)); err != nil {
				t.Errorf("a new connection: %v", err)
			}
			if tt.want != os.ErrDeadlineExceeded {
				return
			}
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if err := echo(c); !errors.Is(err, tt.want) {
				t.Errorf("a request on the silent connection: error %v, want %v", err, tt.want)
			}
		})
	}
}

// startEcho starts a proxy in front of a server that sends back what it gets.
func startEcho(t *testing.T) *tcpProxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	p, err := listenTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.forwardTo(l.Addr().String())
	return p
}

func dialEcho(t *testing.T, p *tcpProxy) net.Conn {
	c, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func echo(c net.Conn) error {
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}
