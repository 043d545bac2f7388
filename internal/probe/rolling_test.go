package probe

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// twoCounts is a limiter as HAProxy's: two counts and when the window began, which
// goes on while there are requests and begins anew after a rest.
type twoCounts struct {
	limit, width int64
	denied       bool
	head         int64
	was, is      int64
}

func (l *twoCounts) Take(at time.Time, cost int64) (d limit.Decision) {
	now := at.UnixNano()
	switch past := now - l.head; {
	case past >= 2*l.width:
		l.head, l.was, l.is = now, 0, 0
	case past >= l.width:
		l.head, l.was, l.is = l.head+l.width, l.is, 0
	}
	share := l.was * (l.width - (now - l.head)) / l.width
	if d.Allowed = share+l.is+cost <= l.limit; d.Allowed || l.denied {
		l.is += cost
	}
	return d
}

func (l *twoCounts) Clone() limit.Limiter { c := *l; return &c }

func newRollingWorld(l twoCounts, network time.Duration, seed uint64) *world {
	w := newWorld(limit.Policy{Algorithm: limit.SlidingWindow, Limit: l.limit, Window: time.Duration(l.width)}, network, seed)
	w.limiter = &l
	return w
}

// TestRollingExplains: the windows that a request begins leave nothing unexplained,
// however it is asked, and its bounds of what is admitted hold.
func TestRollingExplains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		l := twoCounts{limit: rapid.Int64Range(1, 40).Draw(t, "limit"), width: int64(rapid.IntRange(400, 6000).Draw(t, "ms")) * 1e6, denied: rapid.Bool().Draw(t, "denied")}
		width := float64(l.width) / 1e9
		w := newRollingWorld(l, min(time.Duration(rapid.IntRange(2, 150).Draw(t, "network"))*time.Millisecond, time.Duration(l.width)/12), rapid.Uint64().Draw(t, "seed"))
		h := hypothesis{family: SlidingWindow, n: float64(l.limit), w: width, anew: true}
		if l.denied {
			h.family = SlidingWindowDenied
		}
		refused += foreseen(t, w, h, func() float64 {
			idle := rapid.Float64Range(0, 1.2*width).Draw(t, "idle")
			if rapid.IntRange(0, 5).Draw(t, "rest") == 0 {
				idle += 1.5 * width
			}
			return idle
		})
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestRolling: a sliding window whose windows begin with a request is named with its
// figures, and mostly for certain.
func TestRolling(t *testing.T) {
	ran, named, sure := 0, 0, 0
	for i, l := range []twoCounts{
		{limit: 5, width: 1e9, denied: true},
		{limit: 10, width: 3e9, denied: true},
		{limit: 8, width: 2e9},
	} {
		ran++
		w := newRollingWorld(l, 3*time.Millisecond, uint64(i))
		v, err := New(w, w, Options{Seed: uint64(i + 1)}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want := SlidingWindow
		if l.denied {
			want = SlidingWindowDenied
		}
		right := v.Family == want && v.Anew && v.Policies[0].Limit == l.limit && v.Policies[0].Window == time.Duration(l.width)
		switch {
		case right && v.Sure:
			named, sure = named+1, sure+1
		case right:
			named++
		case v.Sure:
			t.Errorf("%+v: sure, and wrong: %v %v", l, v.Family, v.Policies)
		}
		t.Logf("%+v: %v %v, sure %v, anew %v, %d requests, %d refused, %v", l, v.Family, v.Policies, v.Sure, v.Anew, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 3 || named < 3 || sure < 2 {
		t.Errorf("%d of %d were named, %d for certain", named, ran, sure)
	}
}
