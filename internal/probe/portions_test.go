package probe

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// restarting is a bucket of whole portions whose time its own requests begin: oxy's, where a
// request that finds a portion begins it, or one that is kept under a key that expires when
// it is full, or that much later.
type restarting struct {
	cap, portion, left int64
	width, linger      time.Duration
	since              Since
	at                 time.Time
}

func (l *restarting) Take(at time.Time, cost int64) (d limit.Decision) {
	full := at
	if l.since == SinceRest {
		full = l.at.Add(time.Duration((l.cap-l.left+l.portion-1)/l.portion)*l.width + l.linger)
	}
	if l.at.IsZero() || l.since == SinceRest && !at.Before(full) {
		l.at, l.left = at, l.cap
	}
	if n := int64(at.Sub(l.at) / l.width); n > 0 {
		l.left = min(l.cap, l.left+l.portion*n)
		if l.at = l.at.Add(time.Duration(n) * l.width); l.since == SincePortion {
			l.at = at
		}
	}
	if d.Allowed = l.left >= cost; d.Allowed {
		l.left -= cost
	}
	return d
}

func (l *restarting) Clone() limit.Limiter { c := *l; return &c }

func newRestartingWorld(l restarting, network time.Duration, seed uint64) *world {
	w := newWorld(limit.Policy{Limit: 1, Window: time.Second}, network, seed)
	w.limiter = &l
	return w
}

// TestPortionsExplain: such a bucket leaves nothing unexplained, however it is asked, and the
// bounds of what is admitted hold.
func TestPortionsExplain(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		l := restarting{cap: rapid.Int64Range(1, 30).Draw(t, "limit"), width: time.Duration(rapid.IntRange(50, 3000).Draw(t, "ms")) * time.Millisecond}
		l.since = rapid.SampledFrom([]Since{SincePortion, SinceRest}).Draw(t, "since")
		if l.portion = rapid.Int64Range(1, l.cap).Draw(t, "portion"); l.portion == 1 {
			l.since = SincePortion // the other is a token bucket
		}
		l.linger = time.Duration(rapid.IntRange(0, 2).Draw(t, "linger")) * l.width
		width := l.width.Seconds()
		h := hypothesis{family: RefillBucket, anew: true, since: l.since, n: float64(l.cap), m: float64(l.portion), w: width}
		w := newRestartingWorld(l, min(time.Duration(rapid.IntRange(2, 150).Draw(t, "network"))*time.Millisecond, l.width/12), rapid.Uint64().Draw(t, "seed"))
		refused += foreseen(t, w, h, func() float64 { return rapid.Float64Range(0, 4*width).Draw(t, "idle") })
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestPortions: such a bucket is named with its figures, or nothing is said for certain.
func TestPortions(t *testing.T) {
	t.Parallel()
	ran, named := 0, 0
	for i, l := range []restarting{
		{cap: 8, portion: 1, width: 500 * time.Millisecond, since: SincePortion},
		{cap: 15, portion: 1, width: 500 * time.Millisecond, since: SincePortion},
		{cap: 12, portion: 4, width: 2 * time.Second, since: SincePortion},
		{cap: 8, portion: 2, width: 2 * time.Second, since: SinceRest},
		{cap: 10, portion: 5, width: time.Second, since: SinceRest, linger: time.Second},
		{cap: 20, portion: 3, width: 3 * time.Second, since: SinceRest},
	} {
		ran++
		w := newRestartingWorld(l, 2*time.Millisecond, uint64(i))
		v, err := New(w, w, Options{Seed: uint64(i + 1)}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == RefillBucket && v.Anew && v.Since == l.since && v.Policies[0].Capacity() == l.cap && v.Policies[0].Limit == l.portion && (v.Policies[0].Window-l.width).Abs() < l.width/100
		if right {
			named++
		} else if v.Sure {
			t.Errorf("%+v: sure, and wrong: %v %v", l, v.Family, v.Policies)
		}
		t.Logf("%+v: %v %v anew %v since %v, sure %v %s, others %v, %d requests, %d refused, %v", l, v.Family, v.Policies, v.Anew, v.Since, v.Sure, v.Open, v.Others, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 6 || named < 4 {
		t.Errorf("%d of %d were named", named, ran)
	}
}
