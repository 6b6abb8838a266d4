package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// loadTimeout is how long a client of the load waits for a response.
const loadTimeout = 15 * time.Second

// conn is a persistent connection of one client of the load. It needs less CPU
// than an http.Client, which leaves more to the function.
type conn struct {
	address string
	net.Conn
	in *bufio.Reader
}

// do sends a request and reads the response. After an error, the next request
// opens a new connection.
func (c *conn) do(r *loadRequest) (got response, err error) {
	if c.Conn == nil {
		if c.Conn, err = net.DialTimeout("tcp", c.address, loadTimeout); err != nil {
			return got, err
		}
		c.in = bufio.NewReader(c.Conn)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err = c.SetDeadline(time.Now().Add(loadTimeout)); err != nil {
		return got, err
	}
	if _, err = c.Write(r.text); err != nil {
		return got, err
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: r.method})
	if err != nil {
		return got, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.Close {
		c.close()
	}
	return response{resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("X-Redirect-Reason"), string(body)}, err
}

func (c *conn) close() {
	if c.Conn != nil {
		c.Conn.Close()
	}
	c.Conn = nil
}
