package rude

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// listenLoopback listens on ports of this machine. The registry has another name
// than storage and token service, because clients treat them as other hosts only
// then; and theirs is no address, because clients follow redirects to addresses of
// private networks with caution.
func listenLoopback(s *Server) (map[service]net.Listener, error) {
	s.hosts = map[service]string{}
	listeners := map[service]net.Listener{}
	for _, name := range services {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners[name] = l
		port := l.Addr().(*net.TCPAddr).Port
		host := "localhost"
		if name == registry {
			host = "127.0.0.1"
		}
		s.hosts[name] = fmt.Sprintf("%s:%d", host, port)
	}
	var d net.Dialer
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return listeners, nil
}

// listenInMemory listens for pipes. With TLS, hosts have names without a port.
func listenInMemory(s *Server) (map[service]net.Listener, error) {
	s.hosts = map[service]string{registry: "127.0.0.1:5000", storage: "localhost:5001", auth: "localhost:5002", cleartext: "localhost:5003"}
	if s.TLS {
		s.hosts = map[service]string{registry: "registry.example.com", storage: "storage.example.net", auth: "auth.example.org", cleartext: "clear.example.net"}
	}
	if s.Scale == loopbackScale {
		s.Scale = 1
	}
	pipes := map[string]*pipeListener{}
	listeners := map[service]net.Listener{}
	for name, host := range s.hosts {
		l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		listeners[name], pipes[host] = l, l
	}
	s.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
		l := pipes[address]
		if l == nil {
			host, _, err := net.SplitHostPort(address)
			if l = pipes[host]; l == nil || err != nil {
				return nil, fmt.Errorf("rude registry: no host %q", address)
			}
		}
		client, server := net.Pipe()
		s.mu.Lock()
		s.pipes = append(s.pipes, server)
		s.mu.Unlock()
		select {
		case l.conns <- server:
			return client, nil
		case <-l.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return listeners, nil
}

// pipeListener is a listener for in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

type identity struct {
	pair tls.Certificate
	pool *x509.CertPool
	pem  []byte
}

// certificate is self-signed, for all hosts. It is valid for all times, because the
// clock of a bubble starts in 2000.
var certificate = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames:    []string{"localhost", "*.example.com", "*.example.net", "*.example.org"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
})
