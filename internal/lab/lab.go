// Package lab holds Server: a local stand-in of a service with rate limits, to
// test clients, tools and reports against without touching the real one.
//
// Catalogue lists the stand-ins. Each is a plain http.Handler (limit policy,
// dialect, quirks) in a folder of its own, built on package stand; Start puts one
// on a loopback socket, with an access log and an admin path beside it.
//
// # Adding a stand-in
//
// Write a folder with a type that has ServeHTTP, Stand and Commands, and add an
// entry to Catalogue. Nothing registers itself.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
)

// Config says which stand-in to start, and where.
type Config struct {
	// Standin is a name of the catalogue. Options are passed to it.
	Standin string
	Options Options

	// Addr is where to listen: "127.0.0.1:8080", "localhost:8080", ":8080" or
	// "8080" (both on 127.0.0.1), "[::1]:0". Empty means a free port of 127.0.0.1.
	Addr string

	// AllowRemote permits an Addr that other machines can reach. The stand-ins
	// hand out tokens to whoever asks: only on a network of one's own.
	AllowRemote bool

	// Listener is used instead of Addr when it is not nil. Close closes it, and
	// so does Start when it fails.
	Listener net.Listener

	// AccessLog receives one JSON line per request when it is not nil. Writes
	// are serialized. No header, query or body is ever in it.
	AccessLog io.Writer
}

// Server is a stand-in that is being served. Its methods are safe for
// concurrent use.
type Server struct {
	name    string
	base    string
	service Service
	access  *accessLog

	http   *http.Server
	abort  context.CancelFunc // ends the context of every request
	busy   sync.WaitGroup     // one per open connection, one per handler
	served chan struct{}      // closed when the accept loop has ended
	failed error              // why it ended, if not by Close; read after served
	detach func() bool        // lets go of the starting context

	closing sync.Once
	closed  chan struct{} // closed when nothing is left running
	result  error         // of Close; read after closed
}

// graceful is how long Close lets requests finish that are in progress.
const graceful = time.Second

// Start starts a stand-in and returns when it can be reached. It is closed by
// Close or when ctx ends, whichever comes first.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	found, err := Find(cfg.Standin)
	ln := cfg.Listener
	if ln == nil && err == nil {
		ln, err = listen(ctx, cfg.Addr, cfg.AllowRemote)
	}
	if err != nil {
		if cfg.Listener != nil {
			err = errors.Join(err, cfg.Listener.Close())
		}
		return nil, err
	}
	if cfg.Options.Base == "" {
		cfg.Options.Base = "http://" + ln.Addr().String()
	}
	service, err := found.New(cfg.Options)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	s := &Server{
		name: found.Name, base: cfg.Options.Base, service: service,
		served: make(chan struct{}), closed: make(chan struct{}),
	}
	if cfg.AccessLog != nil {
		s.access = newAccessLog(cfg.AccessLog, service.Stand().Now)
	}
	requests, abort := context.WithCancel(context.WithoutCancel(ctx))
	s.abort = abort
	s.http = &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnState:         s.track,
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    64 << 10,
		// What goes wrong with a connection is the client's to report.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed = err
		}
	}()
	// Subtle: not Close, which reads detach: ctx may have ended already.
	s.detach = context.AfterFunc(ctx, s.shut)
	return s, nil
}

// track counts open connections, so that Close can wait for them.
//
// Subtle: handlers are counted besides, in handler, because a handler that has
// taken its connection over outlives what net/http calls the connection. A
// WaitGroup may grow while it is waited for only if it is not at zero: StateNew
// comes from the accept loop, which has ended before Close waits, and a handler
// starts while its connection is still counted.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.busy.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.busy.Done()
	}
}

// Name is the stand-in's name in the catalogue.
func (s *Server) Name() string { return s.name }

// URL is where the stand-in is reached, without a trailing slash.
func (s *Server) URL() string { return s.base }

// StatsURL is where the counts are served in JSON; ?minutes=N asks for the
// latest N minutes (60 without it).
func (s *Server) StatsURL() string { return s.base + statsPath }

// Commands are shell lines to try, a title and a line each.
func (s *Server) Commands() [][2]string { return s.service.Commands(s.base) }

// Service is the stand-in behind the server.
func (s *Server) Service() Service { return s.service }

// Stats returns the counts so far, with at most last minutes per category; a
// negative last means all that are kept. It works after Close as well.
func (s *Server) Stats(last int) stand.Stats {
	var st stand.Stats
	if more, ok := s.service.(interface{ Stats(last int) stand.Stats }); ok {
		st = more.Stats(last) // of several machineries
	} else {
		st = s.service.Stand().Stats(last)
	}
	st.Standin = s.name
	return st
}

// Done is closed when the server has stopped and nothing of it is left.
func (s *Server) Done() <-chan struct{} { return s.closed }

// Close stops listening, gives requests in progress a second to finish, cuts the
// rest, and returns when nothing is left running. It is idempotent. The error is
// that of the accept loop, of closing the stand-in, or of the first access log line
// that could not be written, if any.
func (s *Server) Close() error {
	s.detach()
	s.shut()
	<-s.closed
	return s.result
}

func (s *Server) shut() {
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), graceful)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.abort()
			_ = s.http.Close() // only what Shutdown could not close is left
		}
		<-s.served
		s.busy.Wait()
		s.abort()
		s.result = s.failed
		if c, ok := s.service.(io.Closer); ok {
			s.result = errors.Join(s.result, c.Close())
		}
		if s.access != nil {
			s.result = errors.Join(s.result, s.access.err())
		}
		close(s.closed)
	})
}

// listen opens the address, with errors that say what to do.
func listen(ctx context.Context, addr string, allowRemote bool) (net.Listener, error) {
	full, host, port, err := resolve(addr)
	if err != nil {
		return nil, err
	}
	if !allowRemote && !loopback(host) {
		return nil, fmt.Errorf("lab: address %s can be reached from other machines: use 127.0.0.1:%s, or allow it explicitly", addr, port)
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", full)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("lab: port %s of %s is in use by another program: choose another port, or 0 for a free one", port, host)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("lab: no permission to listen on port %s of %s: choose a port from 1024 up, or 0 for a free one", port, host)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("lab: %s is not an address of this machine: use 127.0.0.1:%s", host, port)
	}
	return nil, fmt.Errorf("lab: cannot listen on %s: %w", full, err)
}

// resolve completes an address: what is missing is 127.0.0.1 and a free port.
func resolve(addr string) (full, host, port string, err error) {
	switch {
	case addr == "":
		host, port = "127.0.0.1", "0"
	case digits(addr):
		host, port = "127.0.0.1", addr
	default:
		if host, port, err = net.SplitHostPort(addr); err != nil {
			return "", "", "", fmt.Errorf("lab: address %q: want HOST:PORT such as 127.0.0.1:8080, or a port alone", addr)
		}
		if host == "" {
			host = "127.0.0.1"
		}
		if port == "" {
			port = "0"
		}
	}
	if n, err := strconv.Atoi(port); err != nil || !digits(port) || n > 65535 {
		return "", "", "", fmt.Errorf("lab: address %q: the port must be a number from 0 to 65535", addr)
	}
	return net.JoinHostPort(host, port), host, port, nil
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
