package main

import (
	"context"
	"net"
	"time"
)

// distance passes TCP connections on to a server as if it were far away: what
// is sent arrives half a round trip later, and the first bytes of a
// connection wait for the round trip that opening one takes.
type distance struct {
	listener  net.Listener
	to        string
	roundTrip time.Duration
	ctx       context.Context
	cancel    context.CancelFunc
}

func newDistance(to string, roundTrip time.Duration) (*distance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &distance{listener: l, to: to, roundTrip: roundTrip}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	go d.serve()
	return d, nil
}

// address is where the server seems to be.
func (d *distance) address() string { return d.listener.Addr().String() }

func (d *distance) close() {
	d.cancel()
	d.listener.Close()
}

func (d *distance) serve() {
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
		go d.carry(far, near, opened)
		go d.carry(near, far, opened)
	}
}

type parcel struct {
	due  time.Time
	data []byte
}

// carry brings what one end sends to the other, in order.
func (d *distance) carry(to, from net.Conn, opened time.Time) {
	way := make(chan parcel, 1024)
	go func() {
		defer to.Close()
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				from.Close()
			}
		}
	}()
	defer close(way)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			sent := time.Now()
			if sent.Before(opened) {
				sent = opened
			}
			way <- parcel{sent.Add(d.roundTrip / 2), buffer[:n]}
		}
		if err != nil {
			return
		}
	}
}
