package main

import (
	"net"
	"sync"
	"sync/atomic"
)

// tcpProxy forwards TCP connections to a server, and injects faults into those that
// are open. It is safe for concurrent use.
type tcpProxy struct {
	url      string
	listener net.Listener
	target   string

	mu    sync.Mutex
	links map[*link]struct{}
}

// link is a connection of a client with that to the server.
type link struct {
	client, server *net.TCPConn
	silent         atomic.Bool // nothing is forwarded any more, not even an end
}

// listenTCP starts a proxy on a free port. Its target must be set before the first
// connection.
func listenTCP() (*tcpProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &tcpProxy{url: "http://" + l.Addr().String(), listener: l, links: map[*link]struct{}{}}, nil
}

// forwardTo accepts connections and forwards them to an address.
func (p *tcpProxy) forwardTo(address string) {
	p.target = address
	go func() {
		for {
			c, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.serve(c.(*net.TCPConn))
		}
	}()
}

func (p *tcpProxy) serve(client *net.TCPConn) {
	defer client.Close()
	c, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	l := &link{client: client, server: c.(*net.TCPConn)}
	defer l.server.Close()
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	responses := make(chan struct{})
	go func() {
		defer close(responses)
		l.forward(l.client, l.server)
		if !l.silent.Load() {
			l.client.Close()
		}
	}()
	l.forward(l.server, l.client)
	l.server.Close()
	<-responses
}

// forward copies from one connection to another until one ends. Of a silent link, it
// discards what it reads.
func (l *link) forward(to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !l.silent.Load() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// inject injects a fault into the open connections and returns how many there were.
func (p *tcpProxy) inject(fault func(*link)) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		fault(l)
	}
	return len(p.links)
}

// reset ends the client's connection with a TCP reset.
func (l *link) reset() {
	l.client.SetLinger(0)
	l.client.Close()
}

// end closes the client's connection.
func (l *link) end() { l.client.Close() }

// silence makes a link silent: the client's connection stays open and gets no
// response, as if the packets were lost.
func (l *link) silence() { l.silent.Store(true) }

// close ends the proxy and all connections.
func (p *tcpProxy) close() {
	p.listener.Close()
	p.inject((*link).end)
}
