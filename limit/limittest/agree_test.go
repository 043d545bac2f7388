package limittest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// policies draws a policy of each algorithm with equal chance, whose figures
// are small enough for borders to be met often.
func policies(t *rapid.T, algorithms ...limit.Algorithm) limit.Policy {
	p := limit.Policy{
		Algorithm: rapid.SampledFrom(algorithms).Draw(t, "algorithm"),
		Limit:     rapid.Int64Range(1, 12).Draw(t, "limit"),
		WarnAt:    rapid.SampledFrom([]float64{0, 0.07, 0.5, 0.8, 1}).Draw(t, "warn"),
	}
	windows := []time.Duration{1, 2, 7, 10, 97, 1000, time.Millisecond, 999_999_937, time.Second, time.Minute}
	window := rapid.SampledFrom(windows).Draw(t, "window")
	switch p.Algorithm {
	case limit.Concurrency:
	case limit.Quota:
		if rapid.Bool().Draw(t, "calendar") {
			p.Period = rapid.SampledFrom([]limit.Period{limit.PerHour, limit.PerDay, limit.PerWeek, limit.PerMonth, limit.PerYear}).Draw(t, "period")
			p.Location = rapid.SampledFrom(places).Draw(t, "location")
			break
		}
		p.Window = window
		if rapid.Bool().Draw(t, "started") {
			p.Start = origin.Add(time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "start")))
		}
	default:
		p.Window = window
	}
	switch p.Algorithm {
	case limit.TokenBucket, limit.RefillBucket:
		p.Burst = rapid.Int64Range(0, 15).Draw(t, "burst")
	case limit.LeakyBucket:
		p.Burst = rapid.Int64Range(0, 8).Draw(t, "burst")
		p.Undelayed = rapid.Int64Range(0, p.Burst).Draw(t, "undelayed")
		if rapid.Bool().Draw(t, "bounded") {
			p.MaxDelay = time.Duration(rapid.Int64Range(1, int64(window)).Draw(t, "maxdelay"))
		}
	case limit.FixedWindow:
		p.Align = rapid.SampledFrom([]limit.Align{limit.AlignClock, limit.AlignFirst, limit.AlignLast}).Draw(t, "align")
	}
	switch p.Algorithm {
	case limit.FixedWindow, limit.SlidingWindow, limit.RefillBucket:
		if p.Align == limit.AlignClock {
			p.Phase = time.Duration(rapid.Int64Range(0, int64(window)-1).Draw(t, "phase"))
		}
	}
	if p.Algorithm != limit.LeakyBucket && p.Algorithm != limit.Concurrency {
		p.CountDenied = rapid.Bool().Draw(t, "count denied")
	}
	switch p.Algorithm {
	case limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow:
		if rapid.IntRange(0, 3).Draw(t, "bans") == 0 {
			p.Ban = time.Duration(rapid.Int64Range(int64(window), 4*int64(window)).Draw(t, "ban"))
		}
	}
	return p
}

// origin lies in a week in which summer time begins in Europe.
var origin = time.Date(2026, 3, 27, 21, 13, 7, 123_456_789, time.UTC)

// places have summer time at night, at midnight, of half an hour, and none.
var places = []*time.Location{nil, place("Europe/Berlin"), place("America/Havana"), place("Australia/Lord_Howe"), place("Asia/Beirut"), place("Asia/Kolkata")}

func place(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return l
}

// step draws how far the clock moves: often not at all, or to within a
// nanosecond of a multiple of what matters.
func step(t *rapid.T, p limit.Policy) time.Duration {
	unit := p.Window
	if p.Period != limit.NoPeriod {
		unit = 30 * time.Minute * []time.Duration{1, 2, 48, 48 * 7, 48 * 28, 48 * 300}[p.Period]
	}
	if unit == 0 {
		unit = time.Second
	}
	off := time.Duration(rapid.Int64Range(-1, 1).Draw(t, "off by"))
	switch rapid.IntRange(0, 6).Draw(t, "step") {
	case 0, 1:
		return 0
	case 2:
		return unit/time.Duration(p.Limit) + off
	case 3:
		return unit*time.Duration(rapid.IntRange(1, 3).Draw(t, "windows")) + off
	case 4:
		return time.Duration(rapid.Int64Range(0, int64(unit)).Draw(t, "within"))
	case 5:
		return -time.Duration(rapid.Int64Range(1, int64(unit)).Draw(t, "back"))
	}
	return unit/2 + off
}

// pair is the model and the twin of a setup.
type pair struct{ model, twin Subject }

func newPair(t *rapid.T, s Setup) pair {
	model, err := Model(s)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := Twins(s)
	if err != nil {
		t.Fatal(err)
	}
	return pair{model, twin}
}

func (p pair) take(t *rapid.T, r Request) {
	got, err := p.model.Take(r)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.twin.Take(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Take(%v, %d) of %q (-twin +model):\n%s", r.At.Sub(origin), r.Cost, r.Key, diff)
	}
}

func (p pair) release(t *rapid.T, r Request) {
	for _, s := range []Subject{p.model, p.twin} {
		if err := s.(Releaser).Release(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestModelAgreesWithTwin holds every algorithm to its slow twin, field by
// field, over random policies and traffic.
func TestModelAgreesWithTwin(t *testing.T) {
	for _, a := range limit.Algorithms() {
		t.Run(a.String(), func(t *testing.T) {
			compared := 0
			rapid.Check(t, func(t *rapid.T) {
				p := policies(t, a)
				if err := p.Validate(); err != nil {
					t.Fatalf("%v: %v", p, err)
				}
				both := newPair(t, Setup{Start: origin, Rules: []Rule{{Policy: p}}})
				at := origin
				for range rapid.IntRange(1, 20).Draw(t, "requests") {
					at = at.Add(step(t, p))
					r := Request{At: at, Cost: rapid.SampledFrom([]int64{1, 1, 1, 2, 3, p.Limit, p.Limit + 1, 15, 16, 0, -1}).Draw(t, "cost")}
					if a == limit.Concurrency && rapid.IntRange(0, 3).Draw(t, "release") == 0 {
						both.release(t, r)
						continue
					}
					both.take(t, r)
					compared++
				}
			})
			if compared == 0 {
				t.Fatal("nothing was compared")
			}
		})
	}
}

// TestCombinationsAgreeWithTwins does the same for All, Chain and Counter.
func TestCombinationsAgreeWithTwins(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		s := Setup{Start: origin, Chain: rapid.Bool().Draw(t, "chain")}
		for range rapid.IntRange(1, 3).Draw(t, "policies") {
			s.Rules = append(s.Rules, Rule{Policy: policies(t, limit.Algorithms()...)})
		}
		if rapid.Bool().Draw(t, "shared") {
			p := policies(t, limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow, limit.Quota, limit.Concurrency)
			p.Ban = 0
			for _, route := range []string{"a", "b"} {
				p.Limit = rapid.Int64Range(1, 8).Draw(t, "shared limit")
				s.Rules = append(s.Rules, Rule{Policy: p, Route: route, Counter: "c"})
			}
		}
		both := newPair(t, s)
		at := origin
		for range rapid.IntRange(1, 14).Draw(t, "requests") {
			at = at.Add(step(t, s.Rules[rapid.IntRange(0, len(s.Rules)-1).Draw(t, "whose step")].Policy))
			r := Request{At: at, Route: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "route"), Key: "k", Cost: rapid.Int64Range(-1, 5).Draw(t, "cost")}
			if rapid.IntRange(0, 5).Draw(t, "release") == 0 {
				both.release(t, r)
				continue
			}
			both.take(t, r)
			compared++
		}
	})
	if compared == 0 {
		t.Fatal("nothing was compared")
	}
}
