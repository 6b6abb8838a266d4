// Package rude is a registry with bad habits, for tests of clients that read
// registries. Each habit is a row of Habits, with the public report that it comes
// from; a server has any number of them, at most one of each group:
//
//	s, err := rude.New(rude.Base(1), "google-tags", "cut-ranges")
//	if err != nil { … }
//	defer s.Close()
//	run(s.Source(), s.Transport(), s.Credentials)
//	want := s.Want(rude.Run{Referrers: true})
//	// The run must end with one of want.Outcomes, hold all of want.Blobs and send
//	// at most want.Requests (compare s.Total()), and s.Violations() must be empty.
//	// What is reported as full must hold want.Blobs, whatever the outcomes say.
//
// A server has an oracle, Want, which is derived from its content and habits. Pairs
// returns random combinations of habits for a seed.
//
// New listens on loopback addresses. NewInMemory has the same servers behind
// pipes, so that everything runs in a bubble of testing/synctest: minutes of silence
// and of Retry-After then pass in microseconds. On loopback addresses, times are
// multiplied by Knobs.Scale instead.
package rude

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"archeio/lambda/spelling"
)

// Server is a registry with habits: the registry, the storage that its redirects
// lead to, and its token service are three hosts. It is safe for concurrent use.
type Server struct {
	setup
	habits []string

	hosts   map[service]string
	servers []*http.Server
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	pipes   []net.Conn    // in memory, protected by mu
	done    chan struct{} // closed by Close
	closing sync.Once

	// fuse is the number of requests after which all others are dropped, so that a
	// client in a loop ends.
	fuse int

	mu         sync.Mutex
	requests   map[string]int // by kind and path
	total      int
	violations []string
	state      state
}

// service is one of the hosts of a Server.
type service string

const (
	registry service = "registry"
	storage  service = "storage"
	auth     service = "auth"
	// cleartext is storage without TLS, for redirects that a client must not follow.
	cleartext service = "cleartext"
)

var services = []service{registry, storage, auth, cleartext}

// New starts a server with content and habits, by their names, on loopback
// addresses. It changes a copy of the content.
func New(content *Content, habits ...string) (*Server, error) {
	return start(content, habits, nil, listenLoopback)
}

// NewWith is New with a function that changes the knobs after all habits did.
func NewWith(content *Content, change func(*Knobs), habits ...string) (*Server, error) {
	return start(content, habits, change, listenLoopback)
}

// NewInMemory is New without network: only Transport reaches the server. It works
// in a bubble of testing/synctest; Close must then be called in the same bubble.
func NewInMemory(content *Content, habits ...string) (*Server, error) {
	return start(content, habits, nil, listenInMemory)
}

func start(content *Content, habits []string, change func(*Knobs), listen func(*Server) (map[service]net.Listener, error)) (*Server, error) {
	s := &Server{habits: habits, done: make(chan struct{}), requests: map[string]int{}}
	if err := s.apply(content, habits); err != nil {
		return nil, err
	}
	if change != nil {
		change(&s.Knobs)
	}
	for _, r := range s.content.Repositories {
		r.index()
	}
	s.state = newState()
	s.fuse = 2 * s.Want(Run{Referrers: true}).Requests
	listeners, err := listen(s)
	if err != nil {
		return nil, err
	}
	for _, name := range services {
		l := listeners[name]
		if s.TLS && name != cleartext {
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate().pair}, NextProtos: []string{"http/1.1"}})
		}
		server := &http.Server{
			Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(name, w, r) }),
			ErrorLog: log.New(io.Discard, "", 0),
		}
		s.servers = append(s.servers, server)
		go func() { _ = server.Serve(l) }() // ends with Close
	}
	return s, nil
}

// Close stops the server and drops all connections.
func (s *Server) Close() {
	s.closing.Do(func() {
		close(s.done)
		s.mu.Lock()
		pipes := s.pipes
		s.mu.Unlock()
		for _, pipe := range pipes { // TLS would wait for the other end
			_ = pipe.Close()
		}
		for _, server := range s.servers {
			_ = server.Close()
		}
	})
}

// Host returns the host of the registry, with its port.
func (s *Server) Host() string { return s.hosts[registry] }

// Source returns what a mirror is filled from: the host and Prefix.
func (s *Server) Source() string { return s.Host() + "/" + Prefix }

// URL returns the base URL of the registry, without a slash at its end.
func (s *Server) URL() string { return s.url(registry) }

// HabitNames returns the names of the habits that the server was made with.
func (s *Server) HabitNames() []string { return slices.Clone(s.habits) }

func (s *Server) url(name service) string {
	scheme := "http"
	if s.TLS && name != cleartext {
		scheme = "https"
	}
	return scheme + "://" + s.hosts[name]
}

// Transport returns a new transport that reaches the server and trusts its
// certificate. It refuses all other hosts, and reports requests for them as a
// violation.
func (s *Server) Transport() *http.Transport {
	return &http.Transport{
		DialContext:         s.dialKnown,
		TLSClientConfig:     &tls.Config{RootCAs: certificate().pool},
		MaxIdleConnsPerHost: 64,
	}
}

// CertPool returns the certificates that a client must trust.
func (s *Server) CertPool() *x509.CertPool { return certificate().pool }

// Certificate returns the certificate of the server in PEM.
func (s *Server) Certificate() []byte { return certificate().pem }

func (s *Server) dialKnown(ctx context.Context, network, address string) (net.Conn, error) {
	known := strings.ToLower(address)
	for _, host := range s.hosts {
		if known == host || known == host+":443" || known == host+":80" {
			return s.dial(ctx, network, known)
		}
	}
	s.violate("connection to another host: " + address)
	return nil, fmt.Errorf("rude registry: %q is not one of its hosts", address)
}

// Requests returns the number of requests by kind and path, for example "tags
// /v2/team/app/tags/list". Kinds are ping, catalog, tags, manifest, blob,
// referrers, storage, token, and other.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// Count returns the number of requests of a kind.
func (s *Server) Count(kind string) int {
	n := 0
	for key, count := range s.Requests() {
		if before, _, _ := strings.Cut(key, " "); before == kind {
			n += count
		}
	}
	return n
}

// Total returns the number of all requests.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Violations returns what a client did that it must never do, one line each:
// credentials for other hosts, requests in the clear after TLS.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

func (s *Server) violate(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.violations) < 20 {
		s.violations = append(s.violations, text)
	}
}

// sleep waits for a duration, scaled, and reports whether it has passed; the
// request and the server may end before.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(time.Duration(float64(d) * s.Scale))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}

// find returns the habit of a name.
func find(name string) (*Habit, error) {
	for i := range Habits {
		if Habits[i].Name == name {
			return &Habits[i], nil
		}
	}
	return nil, fmt.Errorf("unknown habit %q%s", name, spelling.DidYouMean(name, slices.Values(Names())))
}

// apply changes a copy of the content and the knobs as habits say.
func (s *Server) apply(content *Content, names []string) error {
	if content == nil {
		return errors.New("rude registry: missing content")
	}
	s.setup = newSetup(content.Clone())
	chosen := make([]*Habit, len(names))
	groups := map[string]string{}
	for i, name := range names {
		h, err := find(name)
		if err != nil {
			return err
		}
		for _, group := range h.Groups {
			if other, taken := groups[group]; taken {
				return fmt.Errorf("habits %q and %q exclude each other: both are of the group %q", other, name, group)
			}
			groups[group] = name
		}
		chosen[i] = h
	}
	// Those that empty the registry come last.
	slices.SortStableFunc(chosen, func(a, b *Habit) int { return a.order - b.order })
	for _, h := range chosen {
		h.Apply(&s.setup)
	}
	return nil
}
