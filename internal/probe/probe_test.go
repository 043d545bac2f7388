package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// cases are one limit of each family that is a single limit.Policy.
var cases = []struct {
	family Family
	policy limit.Policy
	hold   time.Duration
}{
	{FixedClock, limit.Policy{Algorithm: limit.FixedWindow, Limit: 20, Window: 10 * time.Second, Phase: 3 * time.Second}, 0},
	{FixedFirst, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 23, Window: 7 * time.Second}, 0},
	{SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: 15, Window: 5 * time.Second}, 0},
	{SlidingLogDenied, limit.Policy{Algorithm: limit.SlidingLog, Limit: 12, Window: 6 * time.Second, CountDenied: true}, 0},
	{SlidingWindow, limit.Policy{Algorithm: limit.SlidingWindow, Limit: 40, Window: 10 * time.Second}, 0},
	{TokenBucket, limit.Policy{Limit: 10, Window: time.Second, Burst: 21}, 0},
	{RefillBucket, limit.Policy{Algorithm: limit.RefillBucket, Limit: 5, Window: 2 * time.Second, Burst: 25}, 0},
	{LeakyQueue, limit.Policy{Algorithm: limit.LeakyBucket, Limit: 5, Window: time.Second, Burst: 12}, 0},
	{Concurrency, limit.Policy{Algorithm: limit.Concurrency, Limit: 6}, 300 * time.Millisecond},
}

func TestNamesEachFamily(t *testing.T) {
	named, right, tried := 0, 0, 0
	for i, c := range cases {
		if testing.Short() && i%3 != 0 {
			continue
		}
		tried++
		w := newWorld(c.policy, 8*time.Millisecond, uint64(i))
		if c.hold > 0 {
			w.hold = c.hold
		}
		p := New(w, w, Options{Seed: 7})
		v, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if w.sent != v.Requests {
			t.Errorf("%v: %d requests were sent, the verdict says %d", c.family, w.sent, v.Requests)
		}
		if left := p.Explain(Found{Family: c.family, Policies: []limit.Policy{c.policy}}); left != 0 {
			t.Errorf("%v: the truth itself leaves %v unexplained", c.family, left)
		}
		if v.Family != c.family {
			t.Logf("%v was taken for %v", c.policy, v.Found)
			if v.Sure {
				t.Errorf("%v: sure, and wrong: %v", c.policy, v.Found)
			}
			continue
		}
		named++
		if got := v.Policies[0].Capacity(); got == c.policy.Capacity() {
			right++
		} else {
			t.Logf("%v: capacity %d", c.policy, got)
		}
	}
	if tried == 0 || named < tried-1 || right < named-1 {
		t.Errorf("%d of %d named, %d of them with their limit; want all but one at least", named, tried, right)
	}
}

// TestRandomPolicies is a small part of bench/probe, to notice when a change makes
// the probe worse: small limits of every kind at random.
func TestRandomPolicies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	r := rand.New(rand.NewPCG(9, 9))
	named, sure, tried := 0, 0, 0
	for i := range len(cases) {
		c := cases[i%len(cases)]
		pol := c.policy
		pol.Limit = 3 + r.Int64N(20)
		if pol.Window > 0 {
			pol.Window = time.Duration(10+r.IntN(60)) * 100 * time.Millisecond
			pol.Phase = time.Duration(r.Int64N(int64(pol.Window)))
		}
		if c.family != FixedClock && c.family != SlidingWindow && c.family != RefillBucket {
			pol.Phase = 0
		}
		if pol.Burst > 0 {
			pol.Burst = pol.Limit + 2 + r.Int64N(20)
		}
		w := newWorld(pol, time.Duration(1+r.IntN(20))*time.Millisecond, uint64(i))
		if c.hold > 0 {
			w.hold = c.hold
		}
		v, err := New(w, w, Options{Seed: uint64(i), MaxRequests: 1500}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		tried++
		switch {
		case v.Family == c.family:
			named++
			if v.Sure {
				sure++
				got := v.Policies[0]
				if n := pol.Capacity(); n < v.LimitLow || n > v.LimitHigh {
					t.Errorf("%v: sure that its limit is %d to %d", pol, v.LimitLow, v.LimitHigh)
				}
				if pol.Window > 0 {
					is, said := pol.Window.Seconds(), got.Window.Seconds()
					if pol.Algorithm == limit.TokenBucket || pol.Algorithm == limit.LeakyBucket {
						is, said = is/float64(pol.Limit), said/float64(got.Limit)
					}
					if math.Abs(said/is-1) > v.WindowOff+0.002 {
						t.Errorf("%v: sure of %v ± %.2f %%", pol, got, 100*v.WindowOff)
					}
				}
			}
		case v.Sure:
			t.Errorf("%v: sure, and wrong: %v %v", pol, v.Family, v.Policies)
		default:
			t.Logf("%v: %v %v", pol, v.Family, v.Policies)
		}
	}
	if named < tried-1 || sure < tried*6/10 {
		t.Errorf("%d of %d named, %d sure", named, tried, sure)
	}
}

// TestTruthExplainsEverything: whatever is sent, and however long the network
// takes, the policy that is enforced leaves nothing unexplained. A probe that
// breaks this drops the truth.
func TestTruthExplainsEverything(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(cases).Draw(t, "case")
		pol := c.policy
		pol.Limit = rapid.Int64Range(1, 60).Draw(t, "limit")
		if pol.Window > 0 {
			pol.Window = time.Duration(rapid.IntRange(500, 9000).Draw(t, "window")) * time.Millisecond
		}
		pol.Phase %= max(1, pol.Window)
		if pol.Burst > 0 {
			pol.Burst = pol.Limit + rapid.Int64Range(1, 30).Draw(t, "burst")
		}
		w := newWorld(pol, time.Duration(rapid.IntRange(1, 60).Draw(t, "network"))*time.Millisecond, rapid.Uint64().Draw(t, "seed"))
		if c.hold > 0 {
			w.hold = c.hold
		}
		if rapid.Bool().Draw(t, "lossy") {
			w.lose = 9
		}
		p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
		if _, err := p.wave(context.Background(), 0, 1, ""); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			idle := rapid.Float64Range(0, 1.5*max(0.3, pol.Window.Seconds())).Draw(t, "idle")
			if rapid.Bool().Draw(t, "soon") {
				idle /= 50
			}
			if _, err := p.wave(context.Background(), idle, rapid.IntRange(1, 40).Draw(t, "n"), ""); err != nil {
				t.Fatal(err)
			}
		}
		seen += p.v.Refused
		if left := p.Explain(Found{Family: c.family, Policies: []limit.Policy{pol}}); left > 0 {
			t.Fatalf("%v leaves %v unexplained", pol, left)
		}
	})
	if seen == 0 {
		t.Error("nothing was ever refused")
	}
}

func TestBounds(t *testing.T) {
	for _, c := range cases {
		w := newWorld(c.policy, 8*time.Millisecond, 3)
		v, err := New(w, w, Options{MaxRequests: 60, MaxRefused: 8, MaxTime: time.Minute}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if w.sent > 60 {
			t.Errorf("%v: %d requests, the bound is 60", c.family, w.sent)
		}
		if v.Elapsed > time.Minute+time.Second {
			t.Errorf("%v: took %v, the bound is a minute", c.family, v.Elapsed)
		}
	}
}

func TestSameSeedSameVerdict(t *testing.T) {
	run := func() *Verdict {
		w := newWorld(cases[5].policy, 20*time.Millisecond, 1)
		v, err := New(w, w, Options{Seed: 3}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if a, b := run(), run(); !reflect.DeepEqual(a, b) {
		t.Errorf("two verdicts of one seed:\n%+v\n%+v", a, b)
	}
}

type broken struct{ *world }

var errBroken = errors.New("the wire is cut")

func (b broken) Send(ctx context.Context, at []time.Duration) ([]Answer, error) {
	if b.sent > 20 {
		return nil, errBroken
	}
	return b.world.Send(ctx, at)
}

func TestSenderFails(t *testing.T) {
	w := newWorld(cases[0].policy, 8*time.Millisecond, 3)
	v, err := New(broken{w}, w, Options{}).Run(context.Background())
	if !errors.Is(err, errBroken) {
		t.Errorf("error is %v", err)
	}
	if v == nil || v.Requests == 0 || v.Sure {
		t.Errorf("the verdict of a broken probe is %+v", v)
	}
}

func TestNoLimit(t *testing.T) {
	w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Limit: 1e9, Window: time.Second}, 8*time.Millisecond, 3)
	v, err := New(w, w, Options{MaxRequests: 500}).Run(context.Background())
	if err != nil || v.Family != None || len(v.Policies) != 0 {
		t.Errorf("a limit of a billion: %+v, %v", v, err)
	}
}

func TestRateWithin(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{0.0999, 0.1001, "10/1s"},
		{0.66, 0.67, "90/1m0s"},
		{4.9, 5.1, "12/1m0s"},
		{59, 61, "1/1m0s"},
	} {
		n, w := rateWithin(span{c.lo, c.hi})
		if got := fmt.Sprintf("%d/%v", n, w); got != c.want {
			t.Errorf("%v to %v seconds per unit is %s, want %s", c.lo, c.hi, got, c.want)
		}
		per := w.Seconds() / float64(n)
		if per < c.lo-1e-9 || per > c.hi+1e-9 {
			t.Errorf("%v is outside %v to %v", per, c.lo, c.hi)
		}
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct{ lo, hi, want float64 }{
		{9.93, 10.04, 10}, {59, 61.5, 60}, {7.28, 7.32, 7.3}, {0.99, 1.01, 1}, {3.21, 3.2101, 3.21},
	} {
		if got := round(span{c.lo, c.hi}); got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("round(%v, %v) = %v, want %v", c.lo, c.hi, got, c.want)
		}
	}
}
