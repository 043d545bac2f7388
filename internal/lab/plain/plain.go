// Package plain is Server: a stand-in without a service behind it, which does
// what the path says. It is there to test clients and reports, and `weir run`
// itself, against answers whose status, size and time are known.
//
// The path is a row of steps, done from left to right:
//
//	/status/503            answer with status 503
//	/delay/200ms           wait 200 ms first
//	/bytes/1000            answer with a body of 1000 bytes
//	/header/Retry-After/2  answer with this header
//	/delay/1ms/status/429/header/Retry-After/2
//
// Without steps ("/") it answers 200 with "ok". The method does not matter, and
// a request body is read and thrown away.
package plain

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// Config says how the server misbehaves. The zero value does only what paths say.
type Config struct {
	// Quota is enforced over all requests together; nil refuses none. A refusal
	// is 429 with Retry-After in whole seconds.
	Quota *limit.Policy

	// Latency, Faults, Seed, History and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

// Bounds of what a path may ask for.
const (
	maxDelay = 10 * time.Minute
	maxBytes = 64 << 20
)

// Server is the stand-in: an http.Handler, safe for concurrent use.
type Server struct {
	stand *stand.Stand
}

// New builds a server. The error names the field that is wrong.
func New(cfg Config) (*Server, error) {
	s, err := stand.New(stand.Config{
		Quotas:  []stand.Quota{{Category: "Requests", Policy: cfg.Quota}},
		Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, History: cfg.History, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("plain stand-in: %w", err)
	}
	return &Server{stand: s}, nil
}

// Stand is the machinery below: counts, quota, faults.
func (s *Server) Stand() *stand.Stand { return s.stand }

// Commands are shell lines to try, a title and a line each.
func (s *Server) Commands(base string) [][2]string {
	return [][2]string{
		{"one answer", "curl -sS -i " + base + "/delay/50ms/bytes/100"},
		{"some load", "weir run " + base + "/delay/50ms -u 10 -t 10s"},
	}
}

// ServeHTTP does what the path says.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.stand.Begin()
	// Read first: a connection with an unread body cannot be used again, and its
	// going away cannot be noticed. A body that breaks off is not our subject.
	_, _ = io.Copy(io.Discard, r.Body)

	d := s.stand.Take(0, 1)
	if !d.Allowed {
		if after := stand.RetryAfter(d); after != "" {
			w.Header().Set("Retry-After", after)
		}
		s.text(w, r, stand.None, http.StatusTooManyRequests, "rate limit exceeded\n")
		return
	}
	defer s.stand.Release(0, 1)
	a, err := parse(r.URL.EscapedPath())
	if err != nil {
		s.text(w, r, stand.None, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	if !stand.Wait(r.Context(), d.Delay+a.delay) {
		s.stand.Abort()
	}
	fault := s.stand.Disturb(w, r)
	switch fault {
	case stand.Reset, stand.Hang:
		return
	case stand.Error:
		s.text(w, r, stand.None, http.StatusInternalServerError, "internal error\n")
		return
	}
	for _, h := range a.headers {
		w.Header().Add(h[0], h[1])
	}
	if !bodyAllowed(a.status) {
		s.stand.Count(a.status)
		w.WriteHeader(a.status)
		return
	}
	if a.bytes < 0 {
		body := "ok\n"
		if a.status != http.StatusOK {
			body = strings.TrimSpace(strconv.Itoa(a.status)+" "+http.StatusText(a.status)) + "\n"
		}
		s.text(w, r, fault, a.status, body)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	s.stand.Answer(w, r, fault, a.status, bytes.Repeat([]byte{'w'}, a.bytes))
}

func (s *Server) text(w http.ResponseWriter, r *http.Request, fault stand.Fault, status int, body string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	s.stand.Answer(w, r, fault, status, []byte(body))
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// asked is what a path asks for.
type asked struct {
	status  int
	delay   time.Duration
	bytes   int // negative: the default body
	headers [][2]string
}

// parse reads an escaped path. Its errors say what was understood instead.
func parse(path string) (asked, error) {
	a := asked{status: http.StatusOK, bytes: -1}
	rest := strings.Split(strings.Trim(path, "/"), "/")
	if len(rest) == 1 && rest[0] == "" {
		return a, nil
	}
	for i := range rest {
		word, err := url.PathUnescape(rest[i])
		if err != nil {
			return a, fmt.Errorf("path: %q: broken %%-escape", rest[i])
		}
		rest[i] = word
	}
	for len(rest) > 0 {
		step, args := rest[0], rest[1:]
		if len(args) == 0 || step == "header" && len(args) < 2 {
			return a, fmt.Errorf("path: %q needs a value, as in /status/503, /delay/200ms, /bytes/1000, /header/Retry-After/2", step)
		}
		n := 1
		switch step {
		case "status":
			code, err := strconv.Atoi(args[0])
			if err != nil || code < 200 || code > 599 {
				return a, fmt.Errorf("path: status %q: want a number from 200 to 599", args[0])
			}
			a.status = code
		case "delay":
			d, err := time.ParseDuration(args[0])
			if err != nil || d < 0 || a.delay+d > maxDelay {
				return a, fmt.Errorf("path: delay %q: want a duration such as 200ms, at most %v", args[0], maxDelay)
			}
			a.delay += d
		case "bytes":
			size, err := strconv.Atoi(args[0])
			if err != nil || size < 0 || size > maxBytes {
				return a, fmt.Errorf("path: bytes %q: want a number from 0 to %d", args[0], maxBytes)
			}
			a.bytes = size
		case "header":
			if !token(args[0]) || strings.ContainsFunc(args[1], func(r rune) bool { return r < ' ' || r == 0x7f }) ||
				strings.EqualFold(args[0], "Content-Length") || strings.EqualFold(args[0], "Transfer-Encoding") {
				return a, fmt.Errorf("path: header %q: not one that can be set from here", args[0])
			}
			a.headers = append(a.headers, [2]string{args[0], args[1]})
			n = 2
		default:
			return a, fmt.Errorf("path: unknown step %q: want status, delay, bytes or header", step)
		}
		rest = args[n:]
	}
	return a, nil
}

// token says whether s is a header name (RFC 9110 §5.6.2).
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
