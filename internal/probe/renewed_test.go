package probe

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

func newRenewingWorld(l renewing, network time.Duration, seed uint64) *world {
	w := newWorld(limit.Policy{Limit: 1, Window: time.Second}, network, seed)
	w.limiter = &l
	return w
}

// TestBegunAnewExplains: such a window leaves nothing unexplained, however it is asked, and
// the bounds of what is admitted hold.
func TestBegunAnewExplains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		l := renewing{n: rapid.Int64Range(1, 30).Draw(t, "limit"), wait: time.Duration(rapid.IntRange(400, 5000).Draw(t, "ms")) * time.Millisecond, denied: rapid.Bool().Draw(t, "denied")}
		width := l.wait.Seconds()
		h := hypothesis{family: FixedFirst, anew: true, n: float64(l.n), m: boolTo(l.denied, 1), w: width}
		w := newRenewingWorld(l, min(time.Duration(rapid.IntRange(2, 200).Draw(t, "network"))*time.Millisecond, l.wait/12), rapid.Uint64().Draw(t, "seed"))
		refused += foreseen(t, w, h, func() float64 { return rapid.Float64Range(0, 2*width).Draw(t, "idle") })
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestBegunAnew: such a window is named with its figures and with what begins it anew.
func TestBegunAnew(t *testing.T) {
	t.Parallel()
	ran, sure := 0, 0
	for i, l := range []renewing{
		{n: 4, wait: time.Second, denied: true},
		{n: 9, wait: 2 * time.Second},
		{n: 19, wait: 4 * time.Second, denied: true},
		{n: 14, wait: 3 * time.Second},
		{n: 10, wait: 5 * time.Second, ticks: true},
	} {
		if testing.Short() && i > 1 {
			continue
		}
		ran++
		w := newRenewingWorld(l, 2*time.Millisecond, uint64(i))
		v, err := New(w, w, Options{Seed: 1}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == FixedFirst && v.Anew && v.Kind() == "fixed window that each request begins anew" && v.Policies[0].Limit == l.n && v.Policies[0].Window == l.wait && v.Policies[0].CountDenied == l.denied && v.Tick > 0 == l.ticks
		switch {
		case !right:
			t.Errorf("%+v: %v, %v, sure %v", l, v.Kind(), v.Policies, v.Sure)
		case v.Sure:
			sure++
		}
		t.Logf("%+v: %v %v, sure %v, %d requests, %d refused, %v", l, v.Kind(), v.Policies, v.Sure, v.Requests, v.Refused, v.Elapsed)
	}
	if ran == 0 || sure < ran-1 {
		t.Errorf("%d of %d were certain", sure, ran)
	}
}
