package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// line is a server that refuses nothing: of all that come it answers so many each turn, one
// after the other. The sender has so many slots, and gives an answer up after 30 s.
type line struct {
	each  int
	turn  time.Duration
	slots int
	now   time.Time
	next  time.Time // when the turn begins that has room
	used  int       // of that one
}

func (l *line) Now() time.Time { return l.now }

func (l *line) Sleep(ctx context.Context, until time.Time) error {
	if until.After(l.now) {
		l.now = until
	}
	return ctx.Err()
}

func (l *line) Send(ctx context.Context, at []time.Duration) ([]Answer, error) {
	out := make([]Answer, len(at))
	for i, d := range at {
		sent := l.now.Add(d)
		if i >= l.slots && out[i-l.slots].Done.After(sent) {
			sent = out[i-l.slots].Done
		}
		if l.used == l.each {
			l.next, l.used = l.next.Add(l.turn), 0
		}
		if !l.next.Add(l.turn).After(sent) {
			l.next, l.used = sent, 0
		}
		l.used++
		out[i] = Answer{Sent: sent, Done: sent.Add(3 * time.Millisecond)}
		if l.next.After(sent) {
			out[i].Done = l.next.Add(3 * time.Millisecond)
		}
		if out[i].Done.Sub(sent) > 30*time.Second {
			out[i].Done, out[i].Outcome = sent.Add(30*time.Second), Lost
		}
	}
	for _, a := range out {
		if a.Done.After(l.now) {
			l.now = a.Done
		}
	}
	return out, ctx.Err()
}

// TestEndlessQueue: a queue that never refuses is told with its rate, and soon: nobody is
// let wait until the answer is given up, and not all is sent that may be.
func TestEndlessQueue(t *testing.T) {
	ran := 0
	for _, c := range []struct {
		each  int
		turn  time.Duration
		slots int
		most  int // requests
		long  time.Duration
	}{
		{1, 100 * time.Millisecond, 200, 700, 65 * time.Second},
		{5, time.Second, 200, 350, 65 * time.Second}, // p-throttle
		{1, 3 * time.Second, 200, 30, 95 * time.Second},
		{1, 25 * time.Millisecond, 200, 900, 25 * time.Second},
		{1, 100 * time.Millisecond, 50, 300, 30 * time.Second},
		{1, 5 * time.Millisecond, 200, 3000, 16 * time.Second}, // sent in full: it takes a quarter of a minute
	} {
		ran++
		l := &line{each: c.each, turn: c.turn, slots: c.slots, now: time.Unix(1_700_000_000, 0)}
		v, err := New(l, l, Options{Seed: 1, Patience: 30 * time.Second}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want := float64(c.each) / c.turn.Seconds()
		t.Logf("%.3g a second, %d slots: %.4g a second after %d requests in %v, %d lost, %d under way at once, waited for %v, endless %v", want, c.slots, v.Paced, v.Requests, v.Elapsed, v.Lost, v.Under, v.Slowest, v.Endless)
		if v.Family != None || math.Abs(v.Paced-want) > 0.05*want || v.Requests > c.most || v.Elapsed > c.long || v.Lost > 0 || v.Sure {
			t.Errorf("%.3g a second, %d slots: %v, sure %v, %.4g a second after %d requests in %v, %d lost (%s)", want, c.slots, v.Found, v.Sure, v.Paced, v.Requests, v.Elapsed, v.Lost, v.Stopped)
		}
		if v.Endless != (c.most < 3000) || v.Under == 0 || v.Under > c.slots {
			t.Errorf("%.3g a second, %d slots: it says it stopped for that: %v; %d under way at once", want, c.slots, v.Endless, v.Under)
		}
	}
	if ran != 6 {
		t.Fatal(ran)
	}
}

// TestLongQueueThatRefuses: a long queue refuses in the end, and is met before it is thought endless.
func TestLongQueueThatRefuses(t *testing.T) {
	for _, c := range []struct {
		rate  int64
		burst int64
	}{{10, 100}, {5, 60}, {10, 20}} {
		w := newWorld(limit.Policy{Algorithm: limit.LeakyBucket, Limit: c.rate, Window: time.Second, Burst: c.burst}, 8*time.Millisecond, 3)
		p := New(w, w, Options{Seed: 7, Patience: 30 * time.Second})
		if err := p.ramp(context.Background()); err != nil || p.v.Refused == 0 || p.endless {
			t.Errorf("%d a second, a queue of %d: %d refused of %d, endless: %v (%v)", c.rate, c.burst, p.v.Refused, p.v.Requests, p.endless, err)
		}
	}
}

// TestHeldUpByAnswers: of large waves the sender has too few connections, so that they are
// sent as fast as they are answered. That is the server's pace, where small waves have it too.
func TestHeldUpByAnswers(t *testing.T) {
	for _, c := range []struct{ small, want float64 }{{10, 10}, {50, 0}} {
		p := New(nil, nil, Options{})
		p.sights = []sight{
			{a: 40, queue: 2, s: 1, last: 1.01, quick: 1.1, ended: 1.1 + 39/c.small},
			{a: 64, queue: 3, s: 11, last: 11.01, quick: 11.1, ended: 11.1 + 63/c.small},
			{a: 768, queue: 4, s: 20, last: 77, quick: 20.1, ended: 20.1 + 76.7},
		}
		if got := p.pacedAnswers(); math.Abs(got-c.want) > 0.2 {
			t.Errorf("small waves at %v a second: %v, want %v", c.small, got, c.want)
		}
	}
}
