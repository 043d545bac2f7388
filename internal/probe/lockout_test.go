package probe

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// jail is a limiter that refuses everything for a while once it is exceeded, and
// forgets then what it had counted.
type jail struct {
	policy limit.Policy
	inner  limit.Limiter
	ban    time.Duration
	until  time.Time
	renews bool // who asks meanwhile has to wait as long again
}

func (j *jail) Take(at time.Time, cost int64) limit.Decision {
	if at.Before(j.until) {
		if j.renews {
			j.until = at.Add(j.ban)
		}
		return limit.Decision{}
	}
	if j.inner == nil || !j.until.IsZero() {
		j.inner, _ = j.policy.New(time.Unix(1_700_000_000, 0))
		j.until = time.Time{}
	}
	d := j.inner.Take(at, cost)
	if !d.Allowed {
		j.until = at.Add(j.ban)
	}
	return d
}

func (j *jail) Clone() limit.Limiter { c := *j; return &c }

// newRenewing is a window from the first request, with a ban that goes on for as long as
// somebody asks.
func newRenewing(n int64, w, ban time.Duration) *jail {
	j := newJail(limit.FixedWindow, n, w, ban)
	j.policy.Align, j.renews = limit.AlignFirst, true
	return j
}

// newLogin is a window that each request begins anew, with a ban, as those who guess
// passwords meet.
func newLogin(n int64, w, ban time.Duration) *jail {
	j := newJail(limit.FixedWindow, n, w, ban)
	j.policy.Align = limit.AlignLast
	return j
}

func newJail(alg limit.Algorithm, n int64, w, ban time.Duration) *jail {
	return &jail{policy: limit.Policy{Algorithm: alg, Limit: n, Window: w}, ban: ban}
}

// pestered is a probe that has asked at random.
func pestered(t *rapid.T, j *jail) *Probe {
	w := newWorld(j.policy, 20*time.Millisecond, rapid.Uint64().Draw(t, "seed"))
	w.limiter = j
	p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
	for range 25 {
		idle := rapid.Float64Range(0, 1.5*j.policy.Window.Seconds()).Draw(t, "idle")
		if _, err := p.wave(context.Background(), idle, rapid.IntRange(1, 9).Draw(t, "n"), ""); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestLockoutExplains: a ban over a log or a window of the clock leaves nothing
// unexplained, however it is asked.
func TestLockoutExplains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Family{SlidingLog, FixedClock, FixedFirst}).Draw(t, "kind")
		alg := limit.SlidingLog
		if kind != SlidingLog {
			alg = limit.FixedWindow
		}
		j := newJail(alg, rapid.Int64Range(2, 20).Draw(t, "limit"), time.Duration(rapid.IntRange(600, 4000).Draw(t, "ms"))*time.Millisecond, time.Duration(rapid.IntRange(1000, 6000).Draw(t, "ban"))*time.Millisecond)
		if kind == FixedFirst {
			j.policy.Align = limit.AlignLast
		}
		p := pestered(t, j)
		refused += p.v.Refused
		found := Found{Family: Ban, Ban: j.ban, Policies: []limit.Policy{j.policy}}
		if left := p.Explain(found); left > 0 || p.given(found).kind != kind {
			t.Fatalf("%+v leaves %v unexplained", p.given(found), left)
		}
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestRenewedExplains: a ban that each refused request begins anew leaves nothing
// unexplained, however it is asked, and one that does not is told from it.
func TestRenewedExplains(t *testing.T) {
	refused, told := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		j := newRenewing(rapid.Int64Range(2, 20).Draw(t, "limit"), time.Duration(rapid.IntRange(600, 4000).Draw(t, "ms"))*time.Millisecond, time.Duration(rapid.IntRange(2000, 6000).Draw(t, "ban"))*time.Millisecond)
		p := pestered(t, j)
		refused += p.v.Refused
		found := Found{Family: Ban, Ban: j.ban, Anew: true, Policies: []limit.Policy{j.policy}}
		if left := p.Explain(found); left > 0 {
			t.Fatalf("%+v leaves %v unexplained", p.given(found), left)
		}
		if found.Anew = false; p.Explain(found) > 0 {
			told++
		}
	})
	if refused == 0 || told < 10 {
		t.Errorf("%d were refused; told from a ban that is over at its time: %d", refused, told)
	}
}

// TestLockout: a ban over a log is not taken for one over a window for certain.
func TestLockout(t *testing.T) {
	t.Parallel()
	ran, named := 0, 0
	for i, j := range []*jail{
		newJail(limit.SlidingLog, 8, 3*time.Second, 3*time.Second),
		newJail(limit.SlidingLog, 5, time.Second, 4*time.Second),
		newJail(limit.FixedWindow, 6, 3*time.Second, 8*time.Second),
		newRenewing(8, 2*time.Second, 2*time.Second),
		newRenewing(20, 3*time.Second, 10*time.Second),
		newLogin(4, 6*time.Second, 6*time.Second),
		newLogin(5, 2*time.Second, 9*time.Second),
	} {
		ran++
		w := newWorld(j.policy, 3*time.Millisecond, uint64(i))
		w.limiter = j
		v, err := New(w, w, Options{Seed: uint64(i + 1)}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := limit.Policy{}
		if len(v.Policies) > 0 {
			got = v.Policies[0]
		}
		right := v.Family == Ban && v.Anew == j.renews && got.Algorithm == j.policy.Algorithm && got.Align == j.policy.Align && got.Limit == j.policy.Limit && near(got.Window, j.policy.Window) && near(v.Ban, j.ban)
		if right {
			named++
		} else if v.Sure {
			t.Errorf("%v, ban %v: sure, and wrong: %v %v ban %v", j.policy, j.ban, v.Family, v.Policies, v.Ban)
		}
		t.Logf("%v, ban %v: %v %v ban %v, sure %v, %d requests, %d refused, %v", j.policy, j.ban, v.Family, v.Policies, v.Ban, v.Sure, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 7 || named < 6 {
		t.Errorf("%d of %d were named", named, ran)
	}
}

func near(got, want time.Duration) bool { return (got - want).Abs() <= want/50 }
