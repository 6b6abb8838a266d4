package main

import (
	"net/http"
	"sync"
)

// kind is a kind of request.
type kind int

const (
	listPrimary kind = iota
	listReplica
	mirrorRead  // GET and HEAD
	mirrorWrite // PUT and DELETE
	stateRead
	stateWrite
	progressWrite // of how far the planner is
	stateList
	sourceList
	sourceManifest
	sourceReferrers
	sourceBlob
	sourceOther
	kinds
)

// count is the number of requests, and the bytes of their responses, or of their
// bodies for writes.
type count struct{ requests, bytes int64 }

// counts counts requests by kind. It is safe for concurrent use.
type counts struct {
	active sync.WaitGroup // requests

	mu  sync.Mutex
	all [kinds]count
	// toReplicas are the bytes written to replicas.
	toReplicas int64
}

func (c *counts) add(k kind, bytes int64) {
	defer c.active.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[k].requests++
	c.all[k].bytes += bytes
}

// begin notes the begin of a request, which add ends.
func (c *counts) begin() { c.active.Add(1) }

func (c *counts) wroteToReplica(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.toReplicas += bytes
}

// take returns the counts since the last call. It waits for requests whose responses the
// client already has.
func (c *counts) take() (all [kinds]count, toReplicas int64) {
	c.active.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	all, toReplicas = c.all, c.toReplicas
	c.all, c.toReplicas = [kinds]count{}, 0
	return all, toReplicas
}

// counting counts the bytes of a response.
type counting struct {
	http.ResponseWriter
	bytes int64
}

func (c *counting) Write(data []byte) (int, error) {
	n, err := c.ResponseWriter.Write(data)
	c.bytes += int64(n)
	return n, err
}
