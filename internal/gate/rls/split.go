package rls

import (
	"errors"
	"net"
	"sync"
	"time"
)

// splitter gives the connections of a listener to one of two: those that begin
// as HTTP/2 does, which is how gRPC speaks, and all others.
//
// Subtle: a connection is given away only once its first bytes have come, so a
// client that says nothing holds a goroutine until sniffFor has passed, and
// never the listener.
type splitter struct {
	net.Listener
	http2, rest *half
	done        chan struct{}
	once        sync.Once
	busy        sync.WaitGroup

	mu     sync.Mutex // guards all below
	closed bool
	silent map[net.Conn]bool // those whose first bytes have not come
}

// half is one of the two, as a listener.
type half struct {
	*splitter
	conns chan net.Conn
}

// preface is how every HTTP/2 connection begins (RFC 9113 §3.4); three bytes
// tell it from every method of HTTP/1 but PRI, which is reserved for this.
const preface = "PRI"

// sniffFor is how long a connection may take to say so much.
const sniffFor = 10 * time.Second

func split(l net.Listener) *splitter {
	s := &splitter{Listener: l, done: make(chan struct{}), silent: map[net.Conn]bool{}}
	s.http2 = &half{s, make(chan net.Conn)}
	s.rest = &half{s, make(chan net.Conn)}
	return s
}

// run accepts until the listener ends, and returns why it did.
func (s *splitter) run() error {
	defer s.busy.Wait()
	defer s.Close()
	wait := 5 * time.Millisecond
	for {
		conn, err := s.Listener.Accept()
		var passing interface{ Temporary() bool }
		if errors.As(err, &passing) && passing.Temporary() { // such as too many open files
			select {
			case <-time.After(wait):
				wait = min(2*wait, time.Second)
				continue
			case <-s.done:
			}
		}
		if err != nil {
			return err
		}
		wait = 5 * time.Millisecond
		s.busy.Go(func() { s.sniff(conn) })
	}
}

// sniff reads the first bytes of a connection and gives it away.
func (s *splitter) sniff(conn net.Conn) {
	if !s.listen(conn) {
		conn.Close()
		return
	}
	defer s.heard(conn)
	head := make([]byte, 0, len(preface))
	conn.SetReadDeadline(time.Now().Add(sniffFor))
	to := s.http2
	for len(head) < len(preface) {
		n, err := conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if string(head) != preface[:len(head)] {
			to = s.rest
			break
		}
		if err != nil {
			conn.Close()
			return
		}
	}
	s.heard(conn)
	conn.SetReadDeadline(time.Time{})
	select {
	case to.conns <- &sniffed{conn, head}:
	case <-s.done:
		conn.Close()
	}
}

// Close ends the listener and both halves.
func (s *splitter) Close() (err error) {
	s.once.Do(func() {
		close(s.done)
		err = s.Listener.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		for conn := range s.silent {
			conn.Close()
		}
	})
	return err
}

// listen notes a connection whose first bytes have not come; false when there
// is nobody to give it to any more.
func (s *splitter) listen(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.silent[conn] = true
	return true
}

func (s *splitter) heard(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, conn)
}

// Accept returns the next connection of this half.
func (h *half) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// sniffed is a connection of which something has been read already.
type sniffed struct {
	net.Conn
	head []byte
}

func (c *sniffed) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}
