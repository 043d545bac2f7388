package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// truth is what stands behind the door.
type truth struct {
	family   probe.Family
	policies []limit.Policy
	ban      time.Duration // after a refusal, of a Ban
	replicas int
	routing  routing
	pairing  pairing
	paired   bool            // pairing is set
	phases   []time.Duration // of the windows of each replica; none: as the policy has
	hold     time.Duration   // how long an admitted request is worked on
	network  time.Duration   // the longest round trip; half of it at least is jitter
	foreign  float64         // requests a second from others
	burst    int             // how many of them come at a time; 0 is one
	lossy    float64         // share of answers that are lost
	headers  string          // honest, lie, or "" for none
	gap      time.Duration   // between two requests, at least
}

// world is a server with a limit, and the network before it, in virtual time. It
// is the Sender and the Clock of a probe.
type world struct {
	truth
	rng      *rand.Rand
	now      time.Time
	limiters []limit.Limiter // of each replica
	router   router
	until    time.Time // of a ban
	ends     []end     // of what is being worked on, soonest first
	other    time.Time // when the next request of others comes
	sent     int

	lie      int
	factor   float64
	decision limit.Decision // the latest
}

type end struct {
	at time.Time
	l  limit.Limiter
}

func newWorld(tr truth, seed uint64) *world {
	w := &world{truth: tr, rng: rand.New(rand.NewPCG(seed, 77))}
	w.now = time.Unix(1_800_000_000, 0).Add(time.Duration(w.rng.Int64N(int64(time.Hour))))
	for i := range max(1, tr.replicas) {
		w.limiters = append(w.limiters, w.limiter(i))
	}
	w.router = router{how: tr.routing, rng: w.rng, busy: make([]int, len(w.limiters))}
	w.other = w.now.Add(-time.Duration(min(3000, max(60, 3*period(tr))) * float64(time.Second))) // they were there before
	w.nextOther()
	w.liar(rand.New(rand.NewPCG(seed, 78)))
	return w
}

func (w *world) limiter(replica int) limit.Limiter {
	var ls []limit.Limiter
	for _, p := range w.policies {
		if replica < len(w.phases) {
			p.Phase = w.phases[replica]
		}
		l, err := p.New(w.now.Add(-time.Hour))
		if err != nil {
			panic(err) // the generator makes valid policies
		}
		ls = append(ls, l)
	}
	switch len(ls) {
	case 0:
		return nil
	case 1:
		return ls[0]
	}
	return limit.All(ls...)
}

func (w *world) nextOther() {
	if w.foreign > 0 {
		w.other = w.other.Add(time.Duration(w.rng.ExpFloat64() / w.foreign * float64(max(1, w.burst)) * float64(time.Second)))
	}
}

// take asks the limit at an instant, of a request over a connection.
func (w *world) take(at time.Time, connection int) (ok bool, delay time.Duration) {
	to := w.router.route(at, connection)
	l := w.limiters[to]
	defer func() {
		if took := delay; ok {
			w.router.works(to, at.Add(took+w.hold))
		}
	}()
	for len(w.ends) > 0 && !w.ends[0].at.After(at) {
		w.ends[0].l.(limit.Releaser).Release(w.ends[0].at, 1)
		w.ends = w.ends[1:]
	}
	w.decision = limit.Decision{Allowed: true}
	if l == nil {
		return true, 0
	}
	if w.ban > 0 && at.Before(w.until) {
		w.decision = limit.Decision{Limit: w.policies[0].Limit, RetryAfter: w.until.Sub(at), ResetAfter: w.until.Sub(at)}
		return false, 0
	}
	d := l.Take(at, 1)
	w.decision = d
	if !d.Allowed && w.ban > 0 {
		w.until = at.Add(w.ban)
		w.decision.RetryAfter, w.decision.ResetAfter = w.ban, w.ban
		w.limiters[0] = w.limiter(0)
	}
	if d.Allowed && w.family == probe.Concurrency {
		e := end{at.Add(w.hold), l}
		i, _ := slices.BinarySearchFunc(w.ends, e, func(a, b end) int { return a.at.Compare(b.at) })
		w.ends = slices.Insert(w.ends, i, e)
	}
	return d.Allowed, d.Delay
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Sleep(_ context.Context, until time.Time) error {
	if until.After(w.now) {
		w.now = until
	}
	return nil
}

// Send lets requests go at the times given, and at least gap apart.
func (w *world) Send(_ context.Context, at []time.Duration) ([]probe.Answer, error) {
	return w.send(at, func(i int) int { return 1 + i%connections })
}

// SendOver sends one over each of the connections.
func (w *world) SendOver(_ context.Context, conns []int) ([]probe.Answer, error) {
	return w.send(make([]time.Duration, len(conns)), func(i int) int { return conns[i] })
}

func (w *world) send(at []time.Duration, connection func(i int) int) ([]probe.Answer, error) {
	type arrival struct {
		at time.Time
		i  int
	}
	n := len(at)
	answers := make([]probe.Answer, n)
	arrivals := make([]arrival, n)
	way := func() time.Duration {
		return time.Duration(float64(w.network) * (0.25 + 0.25*w.rng.Float64()*w.rng.Float64()*2))
	}
	for i := range n {
		answers[i].Sent = w.now.Add(at[i] + time.Duration(i)*w.gap)
		arrivals[i] = arrival{answers[i].Sent.Add(way()), i}
	}
	slices.SortFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range arrivals {
		for w.foreign > 0 && w.other.Before(a.at) {
			for range max(1, w.burst) {
				w.take(w.other, 0)
			}
			w.nextOther()
		}
		ok, delay := w.take(a.at, connection(a.i))
		answers[a.i].Told, answers[a.i].Conn = w.tell(w.decision), connection(a.i)
		took := time.Duration(0)
		if ok {
			took = delay + w.hold
		} else {
			answers[a.i].Outcome = probe.Refused
		}
		answers[a.i].Done = a.at.Add(took + way())
		if w.lossy > 0 && w.rng.Float64() < w.lossy {
			answers[a.i].Outcome = probe.Lost
			answers[a.i].Done = answers[a.i].Sent.Add(w.network + took)
		}
	}
	for _, a := range answers {
		if a.Done.After(w.now) {
			w.now = a.Done
		}
	}
	w.sent += n
	return answers, nil
}

// generate draws a policy of a family, and a network.
func generate(f probe.Family, r *rand.Rand) (tr truth) {
	log := func(lo, hi float64) float64 { return lo * math.Exp(r.Float64()*math.Log(hi/lo)) }
	whole := func(lo, hi float64) int64 { return int64(math.Round(log(lo, hi))) }
	window := func(lo, hi float64) time.Duration {
		if r.IntN(2) == 0 {
			return time.Duration(math.Round(log(lo, hi)*10)) * 100 * time.Millisecond
		}
		for {
			w := []float64{1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60, 90, 120}[r.IntN(13)]
			if w >= lo && w <= hi {
				return time.Duration(w * float64(time.Second))
			}
		}
	}
	phase := func(p limit.Policy) limit.Policy {
		p.Phase = time.Duration(r.Int64N(int64(p.Window)))
		return p
	}
	tr = truth{family: f, hold: time.Duration(log(1, 10) * float64(time.Millisecond))}
	tr.network = time.Duration(log(1, 200) * float64(time.Millisecond))
	p := limit.Policy{Limit: whole(3, 1000), Window: window(1, 120)}
	rate := func(capacity int64, fill float64) (int64, time.Duration) {
		per := float64(capacity) / fill
		for _, w := range []float64{1, 60, 3600} {
			if n := math.Round(per * w); n >= 1 {
				return int64(n), time.Duration(w * float64(time.Second))
			}
		}
		return 1, time.Hour
	}
	switch f {
	case probe.None:
		return tr
	case probe.FixedClock:
		p.Algorithm = limit.FixedWindow
		p = phase(p)
	case probe.FixedFirst:
		p.Algorithm, p.Align = limit.FixedWindow, limit.AlignFirst
	case probe.SlidingLog, probe.SlidingLogDenied:
		p.Algorithm, p.CountDenied = limit.SlidingLog, f == probe.SlidingLogDenied
	case probe.SlidingWindow, probe.SlidingWindowDenied:
		p.Algorithm, p.CountDenied = limit.SlidingWindow, f == probe.SlidingWindowDenied
		p = phase(p)
	case probe.TokenBucket:
		p.Burst = whole(3, 1000)
		p.Limit, p.Window = rate(p.Burst, log(1, 120))
	case probe.RefillBucket:
		p.Algorithm, p.Burst = limit.RefillBucket, whole(3, 1000)
		p.Limit = 1 + int64(r.Float64()*float64(p.Burst)*0.6)
		p.Window = window(1, 60)
		p = phase(p)
	case probe.LeakyQueue:
		p.Algorithm, p.Burst = limit.LeakyBucket, whole(3, 300)
		p.Limit, p.Window = rate(p.Burst+1, log(1, 60))
		if r.IntN(3) == 0 {
			p.Undelayed = r.Int64N(p.Burst * 2 / 3)
		}
	case probe.Ban:
		p.Algorithm, p.Align, p.Window = limit.FixedWindow, limit.AlignFirst, window(1, 60)
		tr.ban = (time.Duration(float64(p.Window) * log(1.2, 5))).Round(100 * time.Millisecond)
	case probe.Concurrency:
		p = limit.Policy{Algorithm: limit.Concurrency, Limit: whole(3, 300)}
		tr.hold = time.Duration(log(100, 2000) * float64(time.Millisecond))
	case probe.Stacked:
		q := limit.Policy{Algorithm: limit.FixedWindow, Limit: whole(3, 200), Window: window(1, 20)}
		switch r.IntN(3) {
		case 0:
			q = phase(q)
		case 1:
			q.Align = limit.AlignFirst
		case 2:
			q.Algorithm = limit.SlidingLog
		}
		two := q
		times := 2 + 4*r.Float64()
		two.Limit = int64(math.Ceil(float64(q.Limit) * times))
		two.Window = time.Duration(float64(q.Window) * times * (1.5 + 3.5*r.Float64())).Round(100 * time.Millisecond)
		if q.Phase > 0 {
			two = phase(two)
		}
		tr.policies = []limit.Policy{q, two}
		return tr
	case probe.Replicas:
		tr.replicas = 2 + r.IntN(7)
		defer func() { tr.spread(r) }()
		p.Limit = whole(3, 200)
		switch r.IntN(3) {
		case 0:
			p.Algorithm, p.Align = limit.FixedWindow, limit.AlignFirst
		case 1:
			p.Algorithm = limit.FixedWindow
			p = phase(p)
		case 2:
			p.Burst = p.Limit
			p.Limit, p.Window = rate(p.Burst, log(2, 120))
		}
	}
	tr.policies = []limit.Policy{p}
	return tr
}

// others gives a tenth of what the limit allows to somebody else.
func (tr *truth) others(share float64) {
	if len(tr.policies) == 0 {
		return
	}
	p := tr.policies[len(tr.policies)-1]
	switch {
	case p.Algorithm == limit.Concurrency:
		tr.foreign = share * float64(p.Limit) / tr.hold.Seconds()
	default:
		tr.foreign = share * float64(p.Limit) / p.Window.Seconds()
	}
}
