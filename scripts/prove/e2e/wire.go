package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// wire is a connection of one client that stays open. It costs the machine less
// than a whole HTTP client, so that more of it is left for what is tried.
type wire struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

// answerWithin is how long a client of the load waits for an answer.
const answerWithin = 15 * time.Second

// do sends a request and reads the answer. After an error the next request
// opens a new connection.
func (w *wire) do(a *asked) (got want, err error) {
	if w.conn == nil {
		if w.conn, err = net.DialTimeout("tcp", w.address, answerWithin); err != nil {
			return got, err
		}
		w.in = bufio.NewReader(w.conn)
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err = w.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return got, err
	}
	if _, err = w.conn.Write(a.text); err != nil {
		return got, err
	}
	resp, err := http.ReadResponse(w.in, &http.Request{Method: a.method})
	if err != nil {
		return got, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.Close {
		w.close()
	}
	return want{resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("X-Redirect-Reason"), string(body)}, err
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn = nil
}
