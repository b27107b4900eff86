/*
Copyright 2026 The Sluice Authors.
SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// answerLimit is how long a sender waits for an answer. A replica takes up to --read-timeout
	// and --accept-deadline together, and is stopped for a while now and then.
	answerLimit = 40 * time.Second
	// idleLimit is how long a connection is used again; the server keeps it for 60 s.
	idleLimit = 20 * time.Second
	// largeBody is from what length on a body may not fit into the socket's buffer.
	largeBody = 32 << 10
)

// errNotSent means that there was no connection, so nothing was sent.
var errNotSent = errors.New("not sent")

// A backend is where requests are sent: a replica of ingest, or a balancer. It speaks HTTP/1.1 on
// connections that it keeps, with as little work as that takes: it shares the machine with what it
// loads. (net/http's client would send a request again by itself, too, if the connection broke.)
type backend struct {
	name    string
	address string

	ready atomic.Bool // whether requests are to be sent there
	// kills counts up when a SIGKILL is about to be sent, and again when the process is gone: it is
	// odd in between.
	kills atomic.Int64

	mu   sync.Mutex
	idle []*connection
}

type connection struct {
	net.Conn
	reader *bufio.Reader
	used   time.Time
}

// A message is a request on the wire.
type message struct {
	head    []byte // request line and headers
	body    []byte
	chunked bool
	// pace is how the body is sent: after each part of it comes a pause. Nil means all at once.
	pace *pace
}

// pace is how a slow sender sends.
type pace struct {
	parts int
	pause time.Duration
	// send is how many of the parts are sent.
	send int
	// leave closes the connection after that.
	leave bool
}

// reply is an answer on the wire.
type reply struct {
	status     int
	retryAfter time.Duration
	body       []byte
}

// do sends a message and waits for the answer.
func (b *backend) do(ctx context.Context, m *message) (reply, fate, error) {
	kills := b.kills.Load()
	r, err := b.roundTrip(ctx, m)
	switch {
	case err == nil:
		return r, answered, nil
	case errors.Is(err, errNotSent):
		return r, unanswered, err
	case errors.Is(err, errLeft):
		return r, abandoned, nil
	case kills%2 == 1 || kills != b.kills.Load():
		return r, cut, err
	}
	return r, unanswered, err
}

// errLeft means that the sender broke the request off, as the pace says.
var errLeft = errors.New("the sender left")

func (b *backend) roundTrip(ctx context.Context, m *message) (reply, error) {
	c, err := b.take(ctx)
	if err != nil {
		return reply{}, errNotSent
	}
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		_ = c.Close()
		return reply{}, err
	}
	wrote := make(chan error, 1)
	if m.pace != nil || m.chunked || len(m.body) > largeBody {
		// The answer may come before the end of the body.
		go func() { wrote <- c.send(ctx, m) }()
	} else {
		wrote <- c.send(ctx, m)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		_ = c.Close()
		if writeErr := <-wrote; errors.Is(writeErr, errLeft) {
			return reply{}, errLeft
		}
		return reply{}, err
	}
	defer response.Body.Close()
	r := reply{status: response.StatusCode}
	if r.body, err = io.ReadAll(response.Body); err != nil {
		_ = c.Close()
		return reply{}, err
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		r.retryAfter = time.Duration(seconds) * time.Second
	}
	select {
	case err := <-wrote:
		if err != nil || response.Close {
			_ = c.Close()
			return r, nil
		}
		b.give(c)
	default: // it was answered without being read to the end
		_ = c.Close()
		<-wrote //nolint:errcheck // the connection was closed under it
	}
	return r, nil
}

// send writes a message at its pace.
func (c *connection) send(ctx context.Context, m *message) error {
	if m.pace == nil && !m.chunked {
		buffers := net.Buffers{m.head, m.body}
		_, err := buffers.WriteTo(c.Conn)
		return err
	}
	if _, err := c.Write(m.head); err != nil {
		return err
	}
	parts, total := 8, 8
	pause := time.Duration(0)
	if m.pace != nil {
		parts, total, pause = m.pace.send, m.pace.parts, m.pace.pause
	}
	for i := range parts {
		part := m.body[len(m.body)*i/total : len(m.body)*(i+1)/total]
		var err error
		switch {
		case !m.chunked:
			_, err = c.Write(part)
		case len(part) > 0:
			buffers := net.Buffers{[]byte(strconv.FormatInt(int64(len(part)), 16) + "\r\n"), part, []byte("\r\n")}
			_, err = buffers.WriteTo(c.Conn)
		}
		if err != nil {
			return err
		}
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}
	if m.pace != nil && m.pace.leave {
		_ = c.Close()
		return errLeft
	}
	if m.chunked {
		_, err := c.Write([]byte("0\r\n\r\n"))
		return err
	}
	return nil
}

// take returns an idle connection or a new one.
func (b *backend) take(ctx context.Context) (*connection, error) {
	b.mu.Lock()
	for len(b.idle) > 0 {
		c := b.idle[len(b.idle)-1]
		b.idle = b.idle[:len(b.idle)-1]
		if time.Since(c.used) < idleLimit {
			b.mu.Unlock()
			return c, nil
		}
		_ = c.Close()
	}
	b.mu.Unlock()
	dialed, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", b.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: dialed, reader: bufio.NewReaderSize(dialed, 1<<10)}, nil
}

// give keeps a connection for the next request, unless the backend is not to be used.
func (b *backend) give(c *connection) {
	c.used = time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ready.Load() {
		_ = c.Close()
		return
	}
	b.idle = append(b.idle, c)
}

// setReady says whether requests are to be sent there. If not, idle connections are closed: the
// replica will close them soon, and a request that crossed that on its way would get no answer.
func (b *backend) setReady(ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready.Store(ready)
	if ready {
		return
	}
	for _, c := range b.idle {
		_ = c.Close()
	}
	b.idle = nil
}

// flowRun returns the name, as namespace/name, that the answer of an accepted request has.
func (r reply) flowRun() string {
	var accepted struct {
		FlowRun struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"flowRun"`
	}
	if err := json.Unmarshal(r.body, &accepted); err != nil || accepted.FlowRun.Name == "" {
		return ""
	}
	return accepted.FlowRun.Namespace + "/" + accepted.FlowRun.Name
}

// head is the head of a request. length is that of the body; -1 means chunks.
func head(path string, length int, headers ...string) []byte {
	var text strings.Builder
	text.WriteString("POST " + path + " HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\n")
	if length < 0 {
		text.WriteString("Transfer-Encoding: chunked\r\n")
	} else {
		text.WriteString("Content-Length: " + strconv.Itoa(length) + "\r\n")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		text.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	text.WriteString("\r\n")
	return []byte(text.String())
}
