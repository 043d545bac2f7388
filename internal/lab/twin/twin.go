// Package twin is Server: a stand-in that keeps the limits of any policy file,
// to test clients against limits before the service that has them exists, or
// without bothering it.
//
// What is admitted is answered with 200 and a small JSON body, what is not as
// the policy says. A request can ask for another answer, so that conditions and
// costs that read the response have something to read: X-Twin-Status: 401 gives
// that status, X-Twin-Bytes: 5000 a body of this size.
//
// Policies of Envoy's rate limit service are asked as the reference service lets
// them be asked over HTTP: POST /json with a domain and descriptors.
//
// X-Forwarded-For is believed from this machine, so that one client can be many.
// A subscription, for policies that count by one, is what
// Ocp-Apim-Subscription-Key or ?subscription-key= says.
package twin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Config says what a Server keeps, and how it misbehaves.
type Config struct {
	File *policy.File // nil: 10 requests a second for each client address

	// RequireKey is as in guard.Options: for files of Azure API Management.
	RequireKey bool

	// Latency, Faults, Seed, History and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

// maxBytes bounds what X-Twin-Bytes may ask for.
const maxBytes = 64 << 20

// Server is the stand-in: an http.Handler, safe for concurrent use.
type Server struct {
	stand   *stand.Stand
	guard   *guard.Guard
	service *rls.Service // nil without descriptors
	proxies guard.Proxies
	file    *policy.File
}

// New builds a server. The error names what is wrong.
func New(cfg Config) (*Server, error) {
	if cfg.File == nil {
		cfg.File = example()
	}
	quotas := make([]stand.Quota, len(cfg.File.Policies))
	envoy := false
	for i := range quotas {
		p := &cfg.File.Policies[i]
		name := p.Name
		if name == "" {
			name = "policy " + strconv.Itoa(i+1)
		}
		quotas[i] = stand.Quota{Category: name, Policy: &p.Policy}
		envoy = envoy || p.Descriptor != nil
	}
	s := &Server{file: cfg.File}
	var err error
	s.stand, err = stand.New(stand.Config{
		Quotas: quotas, Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, History: cfg.History, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("twin stand-in: %w", err)
	}
	o := guard.Options{Clock: s.stand.Now, RequireKey: cfg.RequireKey, Observe: s.observe}
	if s.guard, err = guard.New(cfg.File, o); err != nil {
		return nil, fmt.Errorf("twin stand-in: %w", err)
	}
	if envoy {
		if s.service, err = rls.New(cfg.File, rls.Options{Guard: o}); err != nil {
			return nil, fmt.Errorf("twin stand-in: %w", err)
		}
	}
	if s.proxies, err = guard.ParseProxies("127.0.0.0/8", "::1"); err != nil {
		return nil, err
	}
	return s, nil
}

// example is kept where there is no file.
func example() *policy.File {
	return &policy.File{Policies: []policy.Policy{{
		Policy: limit.Policy{Name: "example", Limit: 10, Window: time.Second},
		Key:    policy.Key{Kind: policy.IP}, Tell: policy.Tell{Dialect: header.Draft},
	}}}
}

// observe counts what the policies decide.
func (s *Server) observe(e *guard.Event) {
	switch e.Kind {
	case guard.Allowed, guard.ShadowRefused:
		s.stand.Note(e.Index, false)
	case guard.Refused:
		s.stand.Note(e.Index, true)
	}
}

// Stand is the machinery below: counts, latency, faults.
func (s *Server) Stand() *stand.Stand { return s.stand }

// Close ends what is left of the service.
func (s *Server) Close() error {
	s.guard.Close()
	if s.service != nil {
		s.service.Close()
	}
	return nil
}

// Commands are shell lines to try, a title and a line each.
func (s *Server) Commands(base string) [][2]string {
	if s.service != nil {
		for i := range s.file.Policies {
			if d := s.file.Policies[i].Descriptor; d != nil {
				return [][2]string{{"one descriptor", "curl -sS -i " + base + "/json -d '" + descriptor(d) + "'"}}
			}
		}
	}
	method, path := s.tried()
	curl, run := "", ""
	if method != "GET" {
		curl, run = "-X "+method+" ", " -X "+method
	}
	return [][2]string{
		{"one request", "curl -sS -i " + curl + base + path},
		{"another client", "curl -sS -i " + curl + "-H 'X-Forwarded-For: 203.0.113.7' " + base + path},
		{"some load", "weir run " + base + path + run + " --rate 20/s -t 10s"},
	}
}

// ServeHTTP decides and answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.stand.Begin()
	if s.service != nil && r.URL.Path == "/json" {
		s.descriptors(w, r)
		return
	}
	// Read first: a connection with an unread body cannot be used again, and its
	// going away cannot be noticed. A body that breaks off is not our subject.
	_, _ = io.Copy(io.Discard, r.Body)

	v := s.guard.Check(r.Context(), s.subject(r))
	v.Tell(w.Header().Set)
	if !v.Allowed {
		status, fields, body := v.Answer()
		for _, f := range fields {
			w.Header().Set(f.Name, f.Value)
		}
		s.stand.Answer(w, r, stand.None, status, []byte(body))
		return
	}
	res := expr.Response{Header: expr.Fields(w.Header())}
	// Deferred, since a fault may end in a panic: then there was no answer.
	defer func() { v.Done(res) }()
	if !stand.Wait(r.Context(), v.Decision.Delay) {
		s.stand.Abort()
	}
	status, body, err := asked(r)
	fault := s.stand.Disturb(w, r)
	switch {
	case fault == stand.Reset || fault == stand.Hang:
		return
	case fault == stand.Error:
		status, body = http.StatusInternalServerError, []byte(`{"ok":false,"error":"internal error"}`+"\n")
	case err != nil:
		status, body = http.StatusBadRequest, fmt.Appendf(nil, `{"ok":false,"error":%q}`+"\n", err.Error())
	}
	res.Status, res.Bytes = status, int64(len(body))
	if status == http.StatusNoContent || status == http.StatusNotModified {
		res.Bytes = 0
		s.stand.Count(status)
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.stand.Answer(w, r, fault, status, body)
}

// subject is the request as policies see it.
func (s *Server) subject(r *http.Request) *expr.Subject {
	out := &expr.Subject{
		Method: r.Method, Scheme: "http", Host: r.Host, Path: guard.Path(r.URL.EscapedPath()), RawQuery: r.URL.RawQuery,
		Header: expr.Fields(r.Header), IP: s.proxies.Client(r.RemoteAddr, r.Header["X-Forwarded-For"]),
	}
	guard.Known{KeyHeader: guard.KeyHeader, KeyQuery: guard.KeyQuery}.Fill(out)
	return out
}

// asked is the answer that the request asks for.
func asked(r *http.Request) (status int, body []byte, err error) {
	status, body = http.StatusOK, []byte(`{"ok":true}`+"\n")
	if text := r.Header.Get("X-Twin-Status"); text != "" {
		if status, err = strconv.Atoi(text); err != nil || status < 200 || status > 599 {
			return 0, nil, errors.New("X-Twin-Status must be from 200 to 599")
		}
		body = fmt.Appendf(nil, `{"ok":%v}`+"\n", status < 400)
	}
	if text := r.Header.Get("X-Twin-Bytes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxBytes {
			return 0, nil, fmt.Errorf("X-Twin-Bytes must be from 0 to %d", maxBytes)
		}
		body = bytes.Repeat([]byte{' '}, n)
	}
	return status, body, nil
}
