package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/limit"
)

// limited is an in-memory service with a limit, which it tells.
type limited struct {
	policy  limit.Policy
	dialect header.Dialect // "" tells nothing
	jitter  time.Duration  // most that a request takes to reach it
	lie     func(d *limit.Decision)
	own     bool // each user has a count of its own

	mu       sync.Mutex
	limiters map[int]limit.Limiter
	rng      *rand.Rand
	sent     []time.Duration
	start    time.Time
	admitted []time.Duration
}

type limitedSender struct {
	s    *limited
	user int
}

func (f *limitedSender) Send(ctx context.Context, _ *hit.Request, ans *hit.Answer) {
	s := f.s
	if ctx.Err() != nil {
		ans.Failure, ans.Done = hit.Interrupted, time.Now()
		return
	}
	ans.Sent = time.Now()
	ans.OnSent(ans.Sent)
	s.mu.Lock()
	s.sent = append(s.sent, ans.Sent.Sub(s.start))
	there, back := s.way(), s.way()
	s.mu.Unlock()
	time.Sleep(there)
	s.mu.Lock()
	key := 0
	if s.own {
		key = f.user
	}
	if s.limiters == nil {
		s.limiters = map[int]limit.Limiter{}
	}
	if s.limiters[key] == nil {
		l, err := s.policy.New(s.start)
		if err != nil {
			panic(err)
		}
		s.limiters[key] = l
	}
	now := time.Now()
	d := s.limiters[key].Take(now, 1)
	if d.Allowed {
		s.admitted = append(s.admitted, now.Sub(s.start))
	}
	s.mu.Unlock()
	ans.Status = 429
	if d.Allowed {
		ans.Status = 200
	}
	if s.lie != nil {
		s.lie(&d)
	}
	if s.dialect != "" {
		h := http.Header{}
		if err := header.Write(s.dialect, header.FromDecision(s.policy, d), now, h.Set); err != nil {
			panic(err)
		}
		ans.Fields = hit.Fields("Content-Type: text/plain\r\n")
		for name, value := range (header.Map(h)).All() {
			ans.Fields = ans.Fields.Append(name, value)
		}
	}
	time.Sleep(back)
	ans.BytesIn, ans.BytesOut = 100, 50
	ans.Done = time.Now()
}

// way is how long one way takes. The caller holds mu.
func (s *limited) way() time.Duration {
	if s.jitter == 0 {
		return time.Millisecond
	}
	return time.Duration(s.rng.Int64N(int64(s.jitter)))
}

// playLimited runs a plan against a limited service, in virtual time.
func playLimited(t *testing.T, s *limited, p Plan) *run {
	t.Helper()
	s.rng = rand.New(rand.NewPCG(1, 2))
	p.NewSender = func(user int) (Sender, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.start.IsZero() {
			s.start = time.Now()
		}
		return &limitedSender{s, user}, nil
	}
	r := &run{}
	synctest.Test(t, func(t *testing.T) {
		if p.Scenario == nil {
			p.Scenario = Repeat(&hit.Request{URL: "http://test/path"}, 0)
		}
		e, err := New(p)
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		r.Result, r.err = e.Run(t.Context(), func(k *tally.Tick) { r.ticks = append(r.ticks, k) })
		r.sent = s.sent
	})
	for _, problem := range r.check() {
		t.Error(problem)
	}
	return r
}

func tokens(limitPerSecond, burst int64) limit.Policy {
	return limit.Policy{Limit: limitPerSecond, Window: time.Second, Burst: burst}
}

func TestReadingsInTicks(t *testing.T) {
	s := &limited{policy: tokens(20, 100), dialect: header.XRateLimit}
	r := playLimited(t, s, Plan{Arrivals: pace.Constant(mustRate(t, "30/s"), 15*time.Second), MaxUsers: 50, RunTime: 15 * time.Second, StopTimeout: time.Second})
	if r.totals.Onset == nil {
		t.Fatal("nothing was throttled")
	}
	onset := r.totals.Onset.At
	foretold := 0
	for _, k := range r.ticks {
		end := k.Start + k.Length
		if k.Limits.Empty() {
			t.Fatalf("tick %d tells nothing of limits", k.Index)
		}
		told := k.Limits.Told[0]
		if told.Quota != 100 || told.Dialect != string(header.XRateLimit) || !told.Binds || told.Read > 41 || told.Name != "/path" || told.Method != "GET" {
			t.Fatalf("tick %d: %+v", k.Index, told)
		}
		if end >= 3*time.Second && end < onset {
			foretold++
			left := onset - end
			if told.Forecast != "within" || left < told.Soonest-time.Second || told.Latest > 0 && left > told.Latest+time.Second {
				t.Errorf("at %v: refused in %v, foretold %s %v to %v", end, left, told.Forecast, told.Soonest, told.Latest)
			}
			if told.Used < 27 || told.Used > 33 {
				t.Errorf("at %v: %.1f/s used", end, told.Used)
			}
		}
	}
	if foretold < 4 {
		t.Errorf("%d ticks with a forecast", foretold)
	}
	w := r.totals.Waits()
	if len(w) != 1 || w[0].Told == 0 || w[0].Untold != 0 {
		t.Errorf("waits %+v", w)
	}
	if c := r.totals.Clashes(); len(c) != 0 {
		t.Errorf("contradictions: %+v", c)
	}
}

func TestReadingsThatDiffer(t *testing.T) {
	s := &limited{policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 1000, Window: time.Minute}, dialect: header.XRateLimit, own: true}
	// Users with paces of their own use their counts up at different times.
	sc := scenario(func(s *Session) (time.Duration, error) {
		s.Send(get)
		return time.Duration(s.ID()+1) * 20 * time.Millisecond, nil
	})
	r := playLimited(t, s, Plan{Scenario: sc, Users: pace.Users(5, pace.Rate{}), RunTime: 20 * time.Second, StopTimeout: time.Second})
	told := r.totals.Told()
	if len(told) != 1 || !told[0].Differs || told[0].Forecast != "unknown" || !strings.Contains(told[0].Why, "differs by user") {
		t.Errorf("%+v", told)
	}
}

func TestContradictions(t *testing.T) {
	fixed := limit.Policy{Algorithm: limit.FixedWindow, Limit: 20, Window: 10 * time.Second}
	for kind, s := range map[string]*limited{
		"refused-with-left": {policy: fixed, dialect: header.XRateLimit, lie: func(d *limit.Decision) { d.Remaining = max(d.Remaining, 5) }},
		"limit-changed": {policy: fixed, dialect: header.XRateLimit, lie: func(d *limit.Decision) {
			if d.Remaining < 10 {
				d.Limit = 15
			}
		}},
		"untrue": {policy: fixed, dialect: header.XRateLimit, lie: func(d *limit.Decision) { d.Remaining += 30 }},
		"admitted-at-zero": {policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 200, Window: 10 * time.Second}, dialect: header.XRateLimit,
			lie: func(d *limit.Decision) { d.Remaining = max(0, d.Remaining-190) }},
	} {
		t.Run(kind, func(t *testing.T) {
			r := playLimited(t, s, Plan{Users: pace.Users(1, pace.Rate{}), Scenario: Repeat(get, 100*time.Millisecond), RunTime: 25 * time.Second, StopTimeout: time.Second})
			found := tally.Clash{}
			for _, c := range r.totals.Clashes() {
				if c.Kind == kind {
					found = c
				}
			}
			if found.Count == 0 || found.Text == "" {
				t.Errorf("not found in %+v", r.totals.Clashes())
			}
		})
	}
}

// TestWaitsKept: users that wait as told are admitted by a service that tells the
// truth, users of one that tells too little are not, and a wait that is too long shows.
func TestWaitsKept(t *testing.T) {
	for _, c := range []struct {
		name  string
		lie   func(*limit.Decision)
		pause time.Duration // beyond what was told; negative: before
		want  func(w tally.Waits) bool
	}{
		{"true", nil, 0, func(w tally.Waits) bool { return w.KeptPassed >= 3 && w.KeptRefused+w.EarlyPassed+w.EarlyRefused == 0 }},
		{"too short", func(d *limit.Decision) { d.RetryAfter = min(d.RetryAfter, time.Second) }, 0, func(w tally.Waits) bool { return w.KeptRefused >= 3 }},
		{"too long", func(d *limit.Decision) { d.RetryAfter += 5 * time.Second }, -3 * time.Second, func(w tally.Waits) bool { return w.EarlyPassed >= 2 && w.KeptRefused == 0 }},
		{"impatient", nil, -3 * time.Second, func(w tally.Waits) bool { return w.EarlyRefused >= 2 && w.EarlyPassed == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &limited{policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 20, Window: 10 * time.Second}, dialect: header.RetryAfterOnly}
			s.lie = func(d *limit.Decision) {
				if !d.Allowed && c.lie != nil {
					c.lie(d)
				}
			}
			sc := scenario(func(s *Session) (time.Duration, error) {
				a := s.Send(get)
				if s.Outcome() == hit.Throttled {
					r := header.Parse(a.Fields, a.Done)
					return max(r.RetryAfter+c.pause, 200*time.Millisecond), nil
				}
				return 200 * time.Millisecond, nil
			})
			r := playLimited(t, s, Plan{Scenario: sc, Users: pace.Users(1, pace.Rate{}), RunTime: 60 * time.Second, StopTimeout: time.Second})
			if w := r.totals.Waits(); len(w) != 1 || !c.want(w[0]) {
				t.Errorf("%+v", w)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	s := &limited{policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: 10 * time.Second}, dialect: header.XRateLimit}
	rule, err := retry.Parse("retry-after:attempts=3")
	if err != nil {
		t.Fatal(err)
	}
	r := playLimited(t, s, Plan{
		Arrivals: pace.Constant(mustRate(t, "15/s"), 20*time.Second), MaxUsers: 500, RunTime: 20 * time.Second,
		StopTimeout: time.Minute, Retry: rule,
	})
	w := r.totals.Work()
	if len(w) != 1 {
		t.Fatalf("%+v", w)
	}
	x := w[0]
	answers := r.totals.Answers()
	if x.Done+x.GaveUp+x.Failed+x.Cut != 300 || x.Requests != answers || x.Done != r.count(hit.Admitted) || int64(x.Total.Count()) != x.Done {
		t.Errorf("%d answers, %d admitted, work %+v", answers, r.count(hit.Admitted), x)
	}
	if x.Again == 0 || x.Requests <= 300 || x.Waiting != 0 {
		t.Errorf("nothing came again: %+v", x)
	}
	// A retry's own latency is that of one request; the work has the waits in it.
	if max := r.totals.Outcome(hit.Admitted).Response.Max(); max > 100*time.Millisecond {
		t.Errorf("a request took %v: the wait before it is in it", max)
	}
	if x.Total.Max() < time.Second {
		t.Errorf("the work took at most %v: the waits are not in it", x.Total.Max())
	}
	if r.totals.Recovery() < 0 || x.Last == 0 {
		t.Errorf("recovery %v, last %v", r.totals.Recovery(), x.Last)
	}
}

// The scenario sees the last answer only, and may still mark it.
func TestRetryBelowTheScenario(t *testing.T) {
	s := &limited{policy: tokens(2, 1), dialect: header.RetryAfterOnly}
	seen := map[hit.Outcome]int{}
	sc := scenario(func(s *Session) (time.Duration, error) {
		a := s.Send(get)
		seen[s.Outcome()]++
		if a.Status == 200 && seen[hit.Admitted] == 3 {
			s.Mark(hit.Failed, "a check of the scenario")
		}
		return 0, nil
	})
	r := playLimited(t, s, Plan{Scenario: sc, Users: pace.Users(1, pace.Rate{}), RunTime: 10 * time.Second, StopTimeout: 5 * time.Second, Retry: retry.Rule{Attempts: 10, Obey: true}})
	x := r.totals.Work()[0]
	if seen[hit.Throttled] != 0 || seen[hit.Admitted] < 5 || r.count(hit.Throttled) < 5 {
		t.Errorf("the scenario saw %v; throttled %d", seen, r.count(hit.Throttled))
	}
	if x.Failed != 1 || x.Done != r.count(hit.Admitted) {
		t.Errorf("work %+v, admitted %d", x, r.count(hit.Admitted))
	}
}

// TestRespectHeaders offers twice the limit to services of each kind, which take
// up to 50 ms each way: what is used of the limit, and what is refused.
func TestRespectHeaders(t *testing.T) {
	const length = 60 * time.Second
	n := 0
	least := map[string]float64{"refill bucket": 0.85, "sliding log": 0.8, "sliding window": 0.7} // what nobody takes while a told 0 is waited out
	for name, p := range map[string]limit.Policy{
		"token bucket": tokens(50, 100), "small bucket": tokens(20, 10),
		"fixed window":   {Algorithm: limit.FixedWindow, Limit: 200, Window: 10 * time.Second},
		"sliding log":    {Algorithm: limit.SlidingLog, Limit: 200, Window: 10 * time.Second},
		"sliding window": {Algorithm: limit.SlidingWindow, Limit: 200, Window: 10 * time.Second},
		"refill bucket":  {Algorithm: limit.RefillBucket, Limit: 100, Window: 5 * time.Second, Burst: 150},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			per := float64(p.Limit) / p.Window.Seconds()
			s := &limited{policy: p, dialect: header.XRateLimit, jitter: 50 * time.Millisecond}
			r := playLimited(t, s, Plan{
				Arrivals: pace.Constant(mustRate(t, fmt.Sprintf("%g/s", 2*per)), length), MaxUsers: 5000, RunTime: length,
				StopTimeout: 5 * time.Second, Respect: Respect{Headers: true},
			})
			x := r.totals.Work()[0]
			used := float64(r.count(hit.Admitted)) / (per * length.Seconds())
			refused := float64(r.count(hit.Throttled)) / float64(r.totals.Sent)
			t.Logf("%.3f of the limit used, %.3f of the requests refused; held %d, to the end %d", used, refused, x.Held, x.Unsent)
			due := r.count(hit.Admitted) + r.count(hit.Throttled) + r.count(hit.Failed) + r.totals.Missed + x.Unsent + r.Unfinished
			if r.totals.Due != due || r.totals.Missed > 0 {
				t.Errorf("%d due, %d accounted for, %d missed", r.totals.Due, due, r.totals.Missed)
			}
			want := 0.95
			if w, ok := least[name]; ok {
				want = w
			}
			if used < want || refused > 0.01 {
				t.Errorf("%.3f of the limit used, %.3f refused", used, refused)
			}
			if x.Held == 0 || x.Unsent == 0 || r.totals.Outcome(hit.Admitted).Response.Max() < time.Second {
				t.Errorf("what was held is not told: %+v", x)
			}
		})
	}
	if n != 6 {
		t.Fatalf("%d kinds", n)
	}
}

// What a user asks for in the middle of an iteration was due when it asked: the time
// for which it is held back is in its response time as in that of a first request.
func TestHeldInTheMiddle(t *testing.T) {
	s := &limited{policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: 10 * time.Second}, dialect: header.XRateLimit}
	sc := scenario(func(s *Session) (time.Duration, error) {
		for range 20 {
			s.Send(get)
		}
		return 0, nil
	})
	r := playLimited(t, s, Plan{Scenario: sc, Users: pace.Users(1, pace.Rate{}), RunTime: 30 * time.Second, StopTimeout: time.Second, Respect: Respect{Headers: true}})
	x := r.totals.Work()[0]
	h := r.totals.Outcome(hit.Admitted)
	if x.Held == 0 || h.Response.Max() < time.Second {
		t.Errorf("held %d, yet no response took more than %v", x.Held, h.Response.Max())
	}
	if h.Service.Max() > time.Second {
		t.Errorf("the service is said to have taken %v", h.Service.Max())
	}
}

// TestReadingCost: answers without limit headers cost nothing to look at.
func TestReadingCost(t *testing.T) {
	plain := hit.Fields("Content-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Length: 11\r\nServer: nginx\r\n")
	if tells(plain) {
		t.Error("there is no limit in these headers")
	}
	if n := testing.AllocsPerRun(100, func() { tells(plain) }); n != 0 {
		t.Errorf("%v allocations to find that out", n)
	}
	for _, block := range []string{"x-RateLimit-remaining: 5\r\n", "A: b\r\nRetry-After: 3\r\n", "X-Shopify-Shop-Api-Call-Limit: 1/40\r\n", "retry-after-ms: 5"} {
		if !tells(hit.Fields(block)) {
			t.Errorf("%q was not seen", block)
		}
	}
}

// answering is a sender whose answers take no time.
type answering struct{ fields hit.Fields }

func (f *answering) Send(_ context.Context, _ *hit.Request, ans *hit.Answer) {
	ans.Sent = time.Now()
	ans.OnSent(ans.Sent)
	ans.Status, ans.BytesIn, ans.BytesOut = 200, 100, 50
	ans.Fields = append(ans.Fields[:0], f.fields...)
	ans.Done = time.Now()
}

var (
	plainFields   = hit.Fields("Content-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Length: 11\r\nServer: nginx\r\n")
	tellingFields = hit.Fields("Content-Type: application/json\r\nX-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\nX-RateLimit-Reset: 60\r\n")
)

// A sample of the answers is read, so those with limit headers cost hardly more
// than others: in a second of any number of requests, at most twenty are read.
func TestReadingIsSampled(t *testing.T) {
	for _, fields := range []hit.Fields{plainFields, tellingFields} {
		e := engine(t, Plan{Scenario: Repeat(get, 0), Users: one, NewSender: func(int) (Sender, error) { return &answering{fields}, nil }})
		e.start = time.Now()
		e.makeParts(t.Context(), t.Context())
		s, u, err := e.parts[0].hire(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		do := func() {
			if _, err := s.iterate(u, 0, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		const n = 20_000
		start := time.Now()
		per := testing.AllocsPerRun(n, do)
		l := e.told.drain(e.names, e.since())
		read := int64(0)
		if l != nil {
			read = l.Told[0].Read
		}
		if most := int64(time.Since(start)/readGap) + 2; read > most || (read > 0) != tells(fields) {
			t.Errorf("%d of %d answers were read, want %d at most", read, n, most)
		}
		if ceiling := 0.01 + 60*float64(read)/n; per > ceiling {
			t.Errorf("%.3f allocations per request, want %.3f at most", per, ceiling)
		}
	}
}

func BenchmarkReading(b *testing.B) {
	for name, fields := range map[string]hit.Fields{"plain": plainFields, "telling": tellingFields} {
		b.Run(name, func(b *testing.B) {
			e, err := New(Plan{Scenario: Repeat(get, 0), Users: one, NewSender: func(int) (Sender, error) { return &answering{fields}, nil }})
			if err != nil {
				b.Fatal(err)
			}
			e.start = time.Now()
			e.makeParts(b.Context(), b.Context())
			s, u, err := e.parts[0].hire(0, 0)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.iterate(u, 0, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
