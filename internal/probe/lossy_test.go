package probe

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// forgetful is a bucket of whole portions that keeps the time of the latest request it let
// pass, as Varnish's vsthrottle does.
type forgetful struct {
	cap, portion, left int64
	width              time.Duration
	at                 time.Time
}

func (l *forgetful) Take(at time.Time, cost int64) (d limit.Decision) {
	if l.at.IsZero() {
		l.left = l.cap
	} else {
		l.left = min(l.cap, l.left+l.portion*int64(at.Sub(l.at)/l.width))
	}
	if d.Allowed = l.left >= cost; d.Allowed {
		l.left -= cost
		l.at = at
	}
	return d
}

func (l *forgetful) Clone() limit.Limiter { c := *l; return &c }

func newForgetfulWorld(l forgetful, network time.Duration, seed uint64) *world {
	w := newWorld(limit.Policy{Limit: 1, Window: time.Second}, network, seed)
	w.limiter = &l
	return w
}

// foreseen asks a limiter at random, and fails unless the truth leaves nothing unexplained, however
// it is asked, and its bounds of what is admitted hold. It returns how many were refused.
func foreseen(t *rapid.T, w *world, truth hypothesis, idle func() float64) int {
	p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
	for range 25 {
		pause, n := idle(), rapid.IntRange(1, 30).Draw(t, "n")
		q := &particle{hypothesis: truth}
		q.see(p.sights, 1e9)
		if _, err := p.wave(context.Background(), pause, n, ""); err != nil {
			t.Fatal(err)
		}
		last := &p.sights[len(p.sights)-1]
		if truth.since == SinceRest && len(p.nos) < 20 {
			continue // its portions come at even distances, and few answers tell too little of the network
		}
		if least, most := q.state.room(last.since, last.d); last.r > 0 && (float64(last.a) < min(least, float64(n)) || float64(last.a) > most) {
			t.Fatalf("%+v: %d of %d were admitted, foreseen %v to %v", truth, last.a, n, least, most)
		}
	}
	q := &particle{hypothesis: truth}
	if q.see(p.sights, 1e9); q.cost > 0 {
		t.Fatalf("%+v leaves %v unexplained", truth, q.cost)
	}
	return p.v.Refused
}

// TestLossyExplains: such a bucket leaves nothing unexplained, however it is asked, and
// the bounds of what is admitted hold.
func TestLossyExplains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		l := forgetful{cap: rapid.Int64Range(1, 30).Draw(t, "limit"), portion: 1, width: time.Duration(rapid.IntRange(50, 3000).Draw(t, "ms")) * time.Millisecond}
		l.portion = rapid.Int64Range(1, l.cap).Draw(t, "portion")
		width := l.width.Seconds()
		h := hypothesis{family: RefillBucket, anew: true, n: float64(l.cap), m: float64(l.portion), w: width}
		w := newForgetfulWorld(l, min(time.Duration(rapid.IntRange(2, 150).Draw(t, "network"))*time.Millisecond, l.width/12), rapid.Uint64().Draw(t, "seed"))
		refused += foreseen(t, w, h, func() float64 { return rapid.Float64Range(0, 4*width).Draw(t, "idle") })
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestLossy: such a bucket is named with its figures, or nothing is said for certain.
func TestLossy(t *testing.T) {
	ran, named := 0, 0
	for i, l := range []forgetful{
		{cap: 5, portion: 1, width: 200 * time.Millisecond},
		{cap: 15, portion: 1, width: time.Second / 3},
		{cap: 12, portion: 4, width: 2 * time.Second},
	} {
		ran++
		w := newForgetfulWorld(l, 2*time.Millisecond, uint64(i))
		v, err := New(w, w, Options{Seed: uint64(i + 1)}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == RefillBucket && v.Anew && v.Policies[0].Capacity() == l.cap && v.Policies[0].Limit == l.portion && (v.Policies[0].Window-l.width).Abs() < l.width/100
		if right {
			named++
		} else if v.Sure {
			t.Errorf("%+v: sure, and wrong: %v %v", l, v.Family, v.Policies)
		}
		t.Logf("%+v: %v %v anew %v, sure %v, %d requests, %d refused, %v", l, v.Family, v.Policies, v.Anew, v.Sure, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 3 || named < 2 {
		t.Errorf("%d of %d were named", named, ran)
	}
}

// TestOpen: what is cut short before all was asked of it is not sure.
func TestOpen(t *testing.T) {
	w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 9, Window: 2 * time.Second}, 2*time.Millisecond, 1)
	p := New(w, w, Options{Seed: 1})
	if v, err := p.Run(context.Background()); err != nil || !v.Sure || p.open() {
		t.Fatalf("%+v, %v: sure is wanted, and nothing open", v.Found, err)
	}
	if p.overlooks = None; !p.open() {
		t.Error("nobody asked what was overlooked")
	}
}
