package main

import (
	"context"
	"net"
	"time"
)

// distantProxy forwards TCP connections to a server as if it were far away: data
// arrives half a round trip later, and the first bytes of a connection wait for the
// round trip of the handshake.
type distantProxy struct {
	listener  net.Listener
	to        string
	roundTrip time.Duration
	ctx       context.Context
	cancel    context.CancelFunc
}

func newDistantProxy(to string, roundTrip time.Duration) (*distantProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &distantProxy{listener: l, to: to, roundTrip: roundTrip}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	go d.serve()
	return d, nil
}

// address returns where the proxy listens.
func (d *distantProxy) address() string { return d.listener.Addr().String() }

func (d *distantProxy) close() {
	d.cancel()
	d.listener.Close()
}

func (d *distantProxy) serve() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", d.to)
		if err != nil {
			near.Close()
			continue
		}
		opened := time.Now().Add(d.roundTrip)
		context.AfterFunc(d.ctx, func() { near.Close(); far.Close() })
		go d.forward(far, near, opened)
		go d.forward(near, far, opened)
	}
}

// segment is data that must not arrive before due.
type segment struct {
	due  time.Time
	data []byte
}

// forward forwards what one end sends to the other, in order.
func (d *distantProxy) forward(to, from net.Conn, opened time.Time) {
	segments := make(chan segment, 1024)
	go func() {
		defer to.Close()
		for s := range segments {
			time.Sleep(time.Until(s.due))
			if _, err := to.Write(s.data); err != nil {
				from.Close()
			}
		}
	}()
	defer close(segments)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			sent := time.Now()
			if sent.Before(opened) {
				sent = opened
			}
			segments <- segment{sent.Add(d.roundTrip / 2), buffer[:n]}
		}
		if err != nil {
			return
		}
	}
}
