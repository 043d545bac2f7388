// Package verifytest is Server: a service that keeps a policy file in virtual
// time, behind a network that delays, and one that deviates from it in a way that
// is planted. It measures what package verify finds, and what it accuses falsely.
package verifytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/verify"
)

// Server is a verify.World: a guard that keeps a file, a network of random delay,
// and a clock that moves only when somebody sleeps or waits for an answer.
type Server struct {
	guard     *guard.Guard
	now       time.Time // of the client
	at        time.Time // at which the server decides
	offset    time.Duration
	low, high time.Duration
	rnd       *rand.Rand
	lie       func(*hit.Field)
	refused   map[int]bool
	Requests  int
}

// Network is how long requests are under way, and how far the server's clock is off.
type Network struct {
	Low, High time.Duration
	Offset    time.Duration
	Lie       func(*hit.Field) // changes header fields of answers; nil for the truth
}

// New returns a server that keeps the file.
func New(f *policy.File, n Network, seed uint64) (*Server, error) {
	s := &Server{now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), low: n.Low, high: n.High, offset: n.Offset, lie: n.Lie, rnd: rand.New(rand.NewPCG(seed, 7))}
	s.now = s.now.Add(time.Duration(s.rnd.Int64N(int64(time.Hour))))
	s.refused = map[int]bool{http.StatusTooManyRequests: true}
	for i := range f.Policies {
		if a, ok := f.Policies[i].Answer.Spelled(); ok && a.Status != 0 {
			s.refused[a.Status] = true
		}
	}
	var err error
	s.guard, err = guard.New(f, guard.Options{Clock: func() time.Time { return s.at }})
	return s, err
}

// Now is the client's clock.
func (s *Server) Now() time.Time { return s.now }

// Sleep moves it.
func (s *Server) Sleep(_ context.Context, d time.Duration) {
	if d > 0 {
		s.now = s.now.Add(d)
	}
}

// underway is a request of a wave.
type underway struct {
	answer  verify.Answer
	arrives time.Time
	verdict *guard.Verdict
}

// Send makes n requests at once.
func (s *Server) Send(ctx context.Context, c *verify.Call, n int) []verify.Answer {
	s.Requests += n
	path, query, _ := strings.Cut(c.Path, "?")
	h := http.Header{}
	for _, f := range c.Header {
		h.Add(f.Name, f.Value)
	}
	all := make([]underway, n)
	type moment struct {
		at  time.Time
		i   int
		end bool
	}
	var line []moment
	for i := range all {
		u := &all[i]
		u.answer.Sent = s.now.Add(time.Duration(s.rnd.Int64N(int64(200*time.Microsecond) + 1)))
		trip := s.low + time.Duration(s.rnd.Int64N(int64(s.high-s.low)+1))
		u.arrives = u.answer.Sent.Add(time.Duration(s.rnd.Int64N(int64(trip) + 1)))
		u.answer.Done = u.answer.Sent.Add(trip)
		line = append(line, moment{u.arrives, i, false}, moment{u.answer.Done, i, true})
	}
	slices.SortStableFunc(line, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range line {
		u := &all[m.i]
		s.at = m.at.Add(s.offset)
		if m.end {
			u.verdict.Done(expr.Response{Status: u.answer.Status})
			continue
		}
		subject := &expr.Subject{Method: c.Method, Scheme: "http", Host: "target", Path: path, RawQuery: query, Header: expr.Fields(h), IP: "192.0.2.1", API: expr.Named{ID: c.API}}
		v := s.guard.Check(ctx, subject)
		u.verdict = v
		u.answer.Outcome, u.answer.Status = verify.Admitted, 200
		v.Tell(func(name, value string) {
			f := hit.Field{Name: name, Value: value}
			if s.lie != nil {
				s.lie(&f)
			}
			u.answer.Fields = append(u.answer.Fields, f)
		})
		u.answer.Fields = append(u.answer.Fields, hit.Field{Name: "Date", Value: s.at.UTC().Format(http.TimeFormat)})
		if !v.Allowed {
			u.answer.Status, _, _ = v.Answer()
			u.answer.Outcome = verify.Refused
			if !s.refused[u.answer.Status] {
				u.answer.Outcome = verify.Unknown
			}
		}
		if d := v.Decision.Delay; d > 0 {
			u.answer.Done = u.answer.Done.Add(d)
		}
	}
	out := make([]verify.Answer, n)
	for i, u := range all {
		out[i] = u.answer
		if u.answer.Done.After(s.now) {
			s.now = u.answer.Done
		}
	}
	return out
}

// Try verifies a file against a server.
func Try(f *policy.File, s *Server, o verify.PlanOptions, set verify.Settings) (*verify.Report, *verify.Recording, error) {
	o.Gap = 2*set.Grain + time.Millisecond
	plan, err := verify.NewPlan(f, o)
	if err != nil {
		return nil, nil, err
	}
	rec := verify.Run(context.Background(), plan, s, verify.RunOptions{Target: "virtual", Budget: o.Budget, Gap: o.Gap, Rested: o.Rested})
	rep, err := verify.Judge(f, rec, set)
	if err != nil {
		return nil, nil, fmt.Errorf("judging: %w", err)
	}
	return rep, rec, nil
}
