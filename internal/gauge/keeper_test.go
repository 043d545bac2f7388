package gauge

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// TestKeeperIsNeverRefused sends as fast as a keeper allows, over a way whose
// length nobody knows, to a service with a clock of its own.
func TestKeeperIsNeverRefused(t *testing.T) {
	const slack = 50 * time.Millisecond
	type sum struct {
		cases, refused int
		used           []float64
	}
	sums := map[limit.Algorithm]*sum{}
	cases := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		a := []limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.RefillBucket, limit.SlidingLog, limit.SlidingWindow, limit.LeakyBucket}[seed%6]
		p := limit.Policy{Algorithm: a, Window: []time.Duration{time.Second, 5 * time.Second, time.Minute}[r.IntN(3)], Limit: 20 + r.Int64N(600)}
		switch a {
		case limit.FixedWindow:
			p.Align = []limit.Align{limit.AlignClock, limit.AlignFirst}[r.IntN(2)]
		case limit.TokenBucket, limit.RefillBucket:
			p.Burst = p.Limit/4 + r.Int64N(p.Limit)
		case limit.LeakyBucket:
			p.Burst = p.Limit/4 + r.Int64N(p.Limit)
		}
		k, _, err := NewKeeper(&policy.File{Policies: []policy.Policy{{Policy: p}}}, slack)
		if err != nil {
			t.Fatal(err)
		}
		server, err := p.New(origin.Add(time.Duration(r.Int64N(int64(time.Minute)))))
		if err != nil {
			t.Fatal(err)
		}
		clock := time.Duration(r.Int64N(int64(time.Hour))) // what the service's clock is ahead
		length := 30*p.Window + p.Window/2
		var arrivals []time.Time
		now := origin
		for now.Before(origin.Add(length)) {
			at, ok, err := k.Leave(&expr.Subject{Method: "GET", Path: "/"}, now)
			if err != nil || !ok {
				t.Fatalf("%v: %v %v", p, ok, err)
			}
			now = at
			arrivals = append(arrivals, at.Add(clock+time.Duration(r.Int64N(int64(slack)))))
		}
		slices.SortFunc(arrivals, time.Time.Compare)
		x := sums[a]
		if x == nil {
			x = &sum{}
			sums[a] = x
		}
		x.cases++
		cases++
		admitted := 0
		for _, at := range arrivals {
			if server.Take(at, 1).Allowed {
				admitted++
			} else {
				x.refused++
			}
		}
		// The most that anybody could have had, without what the limit has saved up.
		most := p.Limit
		if a == limit.RefillBucket {
			most = min(p.Limit, p.Burst) // what one refill gives
		}
		x.used = append(x.used, float64(admitted)/(float64(most)*length.Seconds()/p.Window.Seconds()))
	}
	if cases != 60 {
		t.Fatalf("%d cases", cases)
	}
	for a, x := range sums {
		slices.Sort(x.used)
		t.Logf("%-15s %d cases, %d refused, used of the limit: least %.3f, median %.3f", a, x.cases, x.refused, x.used[0], x.used[len(x.used)/2])
		if x.refused > 0 {
			t.Errorf("%v: %d requests were refused", a, x.refused)
		}
		least := 0.945 // 1 s of limit in 1.05 s, and the end of the last window
		if a == limit.SlidingWindow {
			least = 0.85 // two units of twenty
		}
		if x.used[0] < least {
			t.Errorf("%v: only %.3f of the limit was used", a, x.used[0])
		}
	}
}

func TestKeeperSeveral(t *testing.T) {
	f := &policy.File{Policies: []policy.Policy{
		{Policy: limit.Policy{Name: "second", Algorithm: limit.FixedWindow, Limit: 10, Window: time.Second}},
		{Policy: limit.Policy{Name: "minute", Algorithm: limit.SlidingLog, Limit: 100, Window: time.Minute}},
	}}
	k, _, err := NewKeeper(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	last := origin
	for i := range 101 {
		at, ok, err := k.Leave(&expr.Subject{Method: "GET", Path: "/"}, origin)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if at.Before(last) {
			t.Fatalf("request %d leaves at %v, before the one that came first, %v", i, at, last)
		}
		last = at
	}
	if got := last.Sub(origin); got != time.Minute {
		t.Errorf("request 101 leaves after %v, want one minute", got)
	}
	f.Policies[1] = policy.Policy{Policy: limit.Policy{Name: "slots", Algorithm: limit.Concurrency, Limit: 4}}
	if _, _, err := NewKeeper(f, 0); err == nil || !strings.Contains(err.Error(), `policy 2 ("slots")`) || !strings.Contains(err.Error(), "--users") {
		t.Errorf("error %v", err)
	}
	f.Policies[0].Shadow, f.Policies[1].Shadow = true, true
	if _, _, err := NewKeeper(f, 0); err == nil {
		t.Error("no error without a policy that refuses")
	}
}
