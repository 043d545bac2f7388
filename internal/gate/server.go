package gate

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listeners are where a gate is reached. Those that are nil are not served; Serve
// closes the others.
type Listeners struct {
	Proxy net.Listener // the reverse proxy: HTTP/1.1, and HTTP/2 with and without TLS
	Check net.Listener // the forward-auth endpoint
	Admin net.Listener // metrics, health, figures
	ACME  net.Listener // the answers to http-01 questions of a certificate authority, and redirects to https
}

// Serve serves until ctx ends, and then until the requests under way have ended,
// DrainTimeout at most: new connections are refused from then on, and what is
// still under way after it is broken off. The error says what could not be
// served; nil is an orderly end.
func (g *Gate) Serve(ctx context.Context, l Listeners, certs *Certificates) error {
	// Requests do not end with ctx, or there would be nothing to drain.
	base, breakOff := context.WithCancel(context.WithoutCancel(ctx))
	defer breakOff()
	var running sync.WaitGroup // requests: http.Server does not know of those that became WebSockets
	counted := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			h.ServeHTTP(w, r)
		})
	}
	server := func(h http.Handler, h2c bool) *http.Server {
		s := &http.Server{
			Handler:           h,
			ReadHeaderTimeout: g.o.HeaderTimeout,
			IdleTimeout:       g.o.IdleTimeout,
			MaxHeaderBytes:    g.o.MaxHeaderBytes,
			BaseContext:       func(net.Listener) context.Context { return base },
			ErrorLog:          log.New(faults{g.o.Logf}, "", 0),
			Protocols:         new(http.Protocols),
			// No ReadTimeout and no WriteTimeout: they would end streams.
		}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetHTTP2(true)
		s.Protocols.SetUnencryptedHTTP2(h2c)
		return s
	}
	type serving struct {
		*http.Server
		l net.Listener
	}
	var public, private []serving
	if l.Proxy != nil {
		s := server(counted(g), certs == nil)
		if certs != nil {
			s.TLSConfig = certs.config()
		}
		public = append(public, serving{s, l.Proxy})
	}
	if l.Check != nil {
		public = append(public, serving{server(counted(g.Check()), true), l.Check})
	}
	if l.ACME != nil {
		public = append(public, serving{server(certs.challenges(), false), l.ACME})
	}
	if l.Admin != nil {
		private = append(private, serving{server(g.Admin(), false), l.Admin})
	}
	failed := make(chan error, 4)
	for _, s := range append(public[:len(public):len(public)], private...) {
		go func() {
			serve := s.Serve
			if s.TLSConfig != nil {
				serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
			}
			if err := serve(s.l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("gate: serving %s: %w", s.l.Addr(), err)
			}
		}()
	}
	probing, stopProbing := context.WithCancel(ctx)
	var probes sync.WaitGroup
	if g.o.HealthPath != "" {
		probes.Go(func() { g.pool.check(probing, g.o.HealthPath, g.o.HealthEvery) })
	}
	probes.Go(func() { g.sweep(probing) })
	if g.guard.Stats().Shared != nil {
		probes.Go(func() { g.watchStore(probing) })
	}
	var fault error
	select {
	case <-ctx.Done():
	case fault = <-failed:
	}
	g.draining.Store(true)
	patience, cancel := context.WithTimeout(context.Background(), g.o.DrainTimeout)
	defer cancel()
	var ending sync.WaitGroup
	for _, s := range public {
		ending.Go(func() {
			if s.Shutdown(patience) != nil {
				s.Close()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		ending.Wait()
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-patience.Done():
		g.o.Logf("%d requests were still under way after %v and are broken off", g.metrics.inFlight.Load(), g.o.DrainTimeout)
		breakOff()
		select {
		case <-ended:
		case <-time.After(time.Second): // a connection that nobody reads
		}
	}
	stopProbing()
	probes.Wait()
	for _, s := range private {
		s.Close()
	}
	return fault
}

// sweep lets a quiet guard forget keys.
func (g *Gate) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.guard.Sweep()
			if g.o.Envoy != nil {
				g.o.Envoy.Sweep()
			}
		case <-ctx.Done():
			return
		}
	}
}

// watchStore tells the operator when the store does not answer, and when it does
// again.
func (g *Gate) watchStore(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var since time.Time // zero while the store answers
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := g.guard.Stats().Shared
		if g.o.Envoy != nil {
			if e := g.o.Envoy.Stats().Guard.Shared; e != nil && e.Degraded && !s.Degraded {
				s = e
			}
		}
		switch {
		case s.Degraded && since.IsZero():
			since = s.Since
			g.o.Logf("the store does not answer, and each policy does what its on-store-error says: %s", s.LastError)
		case !s.Degraded && !since.IsZero():
			g.o.Logf("the store answers again, after %v", time.Since(since).Round(time.Second))
			since = time.Time{}
		}
	}
}
