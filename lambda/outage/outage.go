// Package outage reports hosts that cannot be reached while requests to them are
// still retried.
package outage

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

// connectNotice is how long a connection may take to establish before its host
// is reported as unreachable. Dialing itself times out much later.
const connectNotice = 3 * time.Second

// noticeInterval is the shortest time between two reports of a host that is
// unreachable again and again.
const noticeInterval = time.Minute

// Watcher reports hosts that no connection can be established to, each once
// until it is reachable again. It is safe for concurrent use.
type Watcher struct {
	notify   func(message string)
	attempts int // at each request

	mu    sync.Mutex
	hosts map[string]outage
}

// outage is the state of a host that has been unreachable.
type outage struct {
	down     bool
	reported time.Time
}

// New returns nil, which reports nothing, if notify is nil.
func New(notify func(message string), attempts int) *Watcher {
	if notify == nil {
		return nil
	}
	return &Watcher{notify: notify, attempts: attempts, hosts: map[string]outage{}}
}

// Watch sends a request and reports its host if that cannot be reached.
func (o *Watcher) Watch(r *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	if o == nil {
		return send(r)
	}
	host := r.URL.Host
	timer := time.AfterFunc(connectNotice, func() { o.unreachable(host, fmt.Sprintf("no connection after %v", connectNotice)) })
	defer timer.Stop()
	connected := false
	resp, err := send(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		// Called before send returns, by the same goroutine.
		GotConn: func(httptrace.GotConnInfo) {
			timer.Stop()
			connected = true
			o.reachable(host)
		},
	})))
	switch {
	case err == nil:
		o.reachable(host)
	case connected || otherScheme(err) || r.Context().Err() != nil:
	default:
		o.unreachable(host, connectError(err))
	}
	return resp, err
}

// connectError returns the first line of an error without the request, which
// the message already names.
func connectError(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

func (o *Watcher) reachable(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h, ok := o.hosts[host]; ok {
		h.down = false
		o.hosts[host] = h
	}
}

func (o *Watcher) unreachable(host, reason string) {
	o.mu.Lock()
	h := o.hosts[host]
	report := !h.down && time.Since(h.reported) > noticeInterval
	if h.down = true; report {
		h.reported = time.Now()
	}
	o.hosts[host] = h
	o.mu.Unlock()
	if report {
		o.notify(fmt.Sprintf("cannot reach %s: %s: retrying each request up to %d times", host, reason, o.attempts-1))
	}
}

// otherScheme reports whether a server does not use TLS.
func otherScheme(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}
