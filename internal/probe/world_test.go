package probe

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// world is a server with one limiter and a network that delays, in virtual time.
type world struct {
	limiter limit.Limiter
	hold    time.Duration // how long admitted requests are worked on
	network time.Duration // the longest way there or back
	now     time.Time
	rng     *rand.Rand
	sent    int
	ends    []time.Time                // of what a concurrency limit holds
	others  float64                    // requests a second of others
	came    []time.Time                // when these came, before the first request too
	other   time.Time                  // when the next of these comes
	lose    int                        // every so many answers is lost; 0: none
	tell    func(limit.Decision) *Told // headers; nil: none
}

func newWorld(p limit.Policy, network time.Duration, seed uint64) *world {
	start := time.Unix(1_700_000_000, 123456789)
	l, err := p.New(start.Add(-time.Hour))
	if err != nil {
		panic(err)
	}
	return &world{limiter: l, hold: 2 * time.Millisecond, network: network, now: start, rng: rand.New(rand.NewPCG(seed, 5))}
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Sleep(ctx context.Context, until time.Time) error {
	if until.After(w.now) {
		w.now = until
	}
	return ctx.Err()
}

func (w *world) Send(ctx context.Context, at []time.Duration) ([]Answer, error) {
	out := make([]Answer, len(at))
	type arrival struct {
		at time.Time
		i  int
	}
	var arrivals []arrival
	way := func() time.Duration { return w.network/2 + time.Duration(w.rng.Int64N(int64(w.network/2))) }
	for i, d := range at {
		out[i].Sent, out[i].Conn = w.now.Add(d), 1+i // as the sender does: the first of a wave has the first connection
		arrivals = append(arrivals, arrival{out[i].Sent.Add(way()), i})
	}
	slices.SortFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range arrivals {
		w.foreign(a.at)
		w.release(a.at)
		d := w.limiter.Take(a.at, 1)
		if w.tell != nil {
			out[a.i].Told = w.tell(d)
		}
		took := time.Duration(0)
		if d.Allowed {
			took = w.hold + d.Delay
			w.ends = append(w.ends, a.at.Add(took))
			slices.SortFunc(w.ends, time.Time.Compare)
		} else {
			out[a.i].Outcome = Refused
		}
		out[a.i].Done = a.at.Add(took + way())
		if w.sent++; w.lose > 0 && w.sent%w.lose == 0 {
			out[a.i].Outcome = Lost
		}
		if out[a.i].Done.After(w.now) {
			w.now = out[a.i].Done
		}
	}
	return out, ctx.Err()
}

// release gives back what has ended by an instant.
func (w *world) release(at time.Time) {
	r, ok := w.limiter.(limit.Releaser)
	for ok && len(w.ends) > 0 && !w.ends[0].After(at) {
		r.Release(w.ends[0], 1)
		w.ends = w.ends[1:]
	}
}

// foreign lets others send until an instant, at random times; they were there before
// the first request.
func (w *world) foreign(until time.Time) {
	if w.others == 0 {
		return
	}
	if w.other.IsZero() {
		w.other = w.now.Add(-10 * time.Minute)
	}
	for w.other.Before(until) {
		w.release(w.other)
		w.came = append(w.came, w.other)
		if d := w.limiter.Take(w.other, 1); d.Allowed {
			w.ends = append(w.ends, w.other.Add(w.hold+d.Delay))
			slices.SortFunc(w.ends, time.Time.Compare)
		}
		w.other = w.other.Add(time.Duration(w.rng.ExpFloat64() / w.others * 1e9))
	}
}
