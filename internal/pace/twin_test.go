package pace

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The slow obvious twins: integrals as big rationals.

func rat(a int64) *big.Rat { return new(big.Rat).SetInt64(a) }

func (r Rate) rat() *big.Rat {
	if r.IsZero() {
		return new(big.Rat)
	}
	return big.NewRat(r.N, int64(r.Per)) // per nanosecond
}

// integral is the number of arrivals that s calls for up to t.
func (s Stages) integral(t time.Duration) *big.Rat {
	sum := new(big.Rat)
	for _, st := range s {
		if t <= 0 {
			break
		}
		if st.For <= 0 {
			continue
		}
		x := rat(int64(min(t, st.For)))
		// from·x + (to-from)·x²/(2·for)
		slope := new(big.Rat).Sub(st.To.rat(), st.From.rat())
		slope.Quo(slope, rat(int64(st.For))).Quo(slope, rat(2))
		sum.Add(sum, new(big.Rat).Mul(st.From.rat(), x))
		sum.Add(sum, slope.Mul(slope, x).Mul(slope, x))
		t -= st.For
	}
	return sum
}

// rounded is r rounded half up.
func rounded(r *big.Rat) int64 {
	r = new(big.Rat).Add(r, big.NewRat(1, 2))
	return new(big.Int).Div(r.Num(), r.Denom()).Int64()
}

func rates() *rapid.Generator[Rate] {
	return rapid.Custom(func(t *rapid.T) Rate {
		per := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, day, 100 * time.Millisecond, 7 * time.Second, 3}).Draw(t, "per")
		top := int64(2000)
		if per == 3 {
			top = 5
		}
		return Rate{rapid.Int64Range(0, top).Draw(t, "n"), per}
	})
}

func stages() *rapid.Generator[Stages] {
	return rapid.Custom(func(t *rapid.T) Stages {
		var s Stages
		for range rapid.IntRange(1, 5).Draw(t, "stages") {
			st := Stage{From: rates().Draw(t, "from")}
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				st.To = st.From
			case 1:
				if len(s) > 0 {
					st.From = s[len(s)-1].To
				}
				st.To = rates().Draw(t, "to")
			default:
				st.To = rates().Draw(t, "to")
			}
			st.For = time.Duration(rapid.Int64Range(-1, int64(20*time.Second)).Draw(t, "for"))
			if rapid.IntRange(0, 5).Draw(t, "short") == 0 {
				st.For = min(st.For, 50)
			}
			s = append(s, st)
		}
		return s
	})
}

func TestStagesAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stages().Draw(t, "stages")
		p := s.Pacer()
		length := s.Length()
		total := rounded(s.integral(length))
		if got := Count(p); got != total {
			t.Fatalf("%v: %d arrivals, want %d", s, got, total)
		}
		if got, want := s.Total(), s.integral(length); math.Abs(got-ratFloat(want)) > 1e-9*(1+got) {
			t.Fatalf("%v: Total() = %v, want %v", s, got, ratFloat(want))
		}
		for _, n := range []int64{-1, total, total + 1, math.MaxInt64} {
			if at, ok := p.Due(n); ok {
				t.Fatalf("%v: Due(%d) = %v beyond %d arrivals", s, n, at, total)
			}
		}
		if total == 0 {
			return
		}
		for range 20 {
			n := rapid.Int64Range(0, total-1).Draw(t, "n")
			at, ok := p.Due(n)
			if !ok || at < 0 || at >= length {
				t.Fatalf("%v: Due(%d) = %v, %v with %d arrivals in %v", s, n, at, ok, total, length)
			}
			// The last nanosecond at which at most n were called for.
			if s.integral(at).Cmp(rat(n)) > 0 || s.integral(at+1).Cmp(rat(n)) <= 0 {
				t.Fatalf("%v: Due(%d) = %d ns, where %v are called for, and %v a nanosecond later", s, n, at,
					ratFloat(s.integral(at)), ratFloat(s.integral(at+1)))
			}
			if n > 0 {
				if before, _ := p.Due(n - 1); before > at {
					t.Fatalf("%v: Due(%d) = %v comes after Due(%d) = %v", s, n-1, before, n, at)
				}
			}
		}
		for range 10 {
			at := time.Duration(rapid.Int64Range(0, int64(length)).Draw(t, "t"))
			d := rat(CountBefore(p, at))
			if d.Sub(d, s.integral(at)).Abs(d).Cmp(rat(1)) > 0 {
				t.Fatalf("%v: %d arrivals before %v, want %v ± 1", s, CountBefore(p, at), at, ratFloat(s.integral(at)))
			}
		}
	})
}

func ratFloat(r *big.Rat) float64 { f, _ := r.Float64(); return f }

func TestConstantAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{rapid.Int64Range(1, math.MaxInt64).Draw(t, "n"), time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "per"))}
		if rapid.Bool().Draw(t, "usual") {
			r = rates().Filter(func(r Rate) bool { return !r.IsZero() }).Draw(t, "rate")
		}
		d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "d"))
		p := Constant(r, d)
		total := int64(math.MaxInt64)
		if exact := new(big.Rat).Mul(r.rat(), rat(int64(d))); d > 0 && exact.Cmp(rat(math.MaxInt64)) < 0 {
			total = rounded(exact)
		}
		if got := Count(p); got != total {
			t.Fatalf("Constant(%v, %v) has %d arrivals, want %d", r, d, got, total)
		}
		if total == 0 {
			return
		}
		n := rapid.Int64Range(0, total-1).Draw(t, "n")
		at, ok := p.Due(n)
		want := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(r.Per)))
		want.Div(want, big.NewInt(r.N))
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if !ok || int64(at) != want.Int64() {
			t.Fatalf("Constant(%v, %v).Due(%d) = %d, %v, want %d", r, d, n, at, ok, want)
		}
	})
}

// A stage that holds one rate is Constant.
func TestFlatStageIsConstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates().Draw(t, "rate")
		d := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "d"))
		a, b := Constant(r, d), Stages{{r, r, d}}.Pacer()
		for range 10 {
			n := rapid.Int64Range(-1, max(Count(a), 1)).Draw(t, "n")
			x, okx := a.Due(n)
			y, oky := b.Due(n)
			if okx != oky || okx && x != y {
				t.Fatalf("%v for %v, arrival %d: Constant says %v, %v and Stages %v, %v", r, d, n, x, okx, y, oky)
			}
		}
	})
}

func TestStagesAtTheEdges(t *testing.T) {
	longest := time.Duration(math.MaxInt64)
	perSecond := func(n int64) Rate { return Rate{n, time.Second} }
	cases := []struct {
		name  string
		s     Stages
		total int64
	}{
		{"none", nil, 0},
		{"no time", Stages{{perSecond(1), perSecond(1), 0}, {perSecond(1), perSecond(1), -5}}, 0},
		{"a year up to 1e6/s", Stages{{Rate{}, perSecond(1e6), 365 * day}}, 365 * 86400 * 1e6 / 2},
		{"a year down from 1e6/s", Stages{{perSecond(1e6), Rate{}, 365 * day}}, 365 * 86400 * 1e6 / 2},
		{"292 years", Stages{{perSecond(1), perSecond(1), longest}}, 9223372037},
		{"longer than the longest", Stages{{perSecond(1), perSecond(1), longest}, {perSecond(1), perSecond(3), longest}}, 9223372037},
		{"an end beyond it", Stages{{Rate{}, perSecond(200), 2 * time.Second}, {Rate{}, perSecond(200), longest}, {Rate{}, perSecond(200), 2 * time.Second}}, 200},
		{"more than can be counted", Stages{{Rate{math.MaxInt64, 1}, Rate{math.MaxInt64, 1}, longest}}, math.MaxInt64},
		{"up to more than can be counted", Stages{{Rate{}, Rate{math.MaxInt64, 1}, longest}, {Rate{1, longest}, Rate{}, 5}}, math.MaxInt64},
	}
	for _, c := range cases {
		p := c.s.Pacer()
		if got := Count(p); got != c.total {
			t.Errorf("%s: %d arrivals, want %d", c.name, got, c.total)
		}
		last := time.Duration(-1)
		for _, n := range []int64{0, 1, 2, c.total / 3, c.total/3 + 1, c.total - 2, c.total - 1} {
			if n < 0 || n >= c.total {
				continue
			}
			at, ok := p.Due(n)
			if !ok || at < last || at >= c.s.Length() {
				t.Errorf("%s: Due(%d) = %v, %v after %v in %v", c.name, n, at, ok, last, c.s.Length())
			}
			last = at
			if c.s.Length() == longest {
				continue
			}
			if c.s.integral(at).Cmp(rat(n)) > 0 || c.s.integral(at+1).Cmp(rat(n)) <= 0 {
				t.Errorf("%s: Due(%d) = %d ns is not exact", c.name, n, at)
			}
		}
	}
	if len(cases) != 9 {
		t.Fatalf("%d cases, want 9", len(cases))
	}
}

// Periods without a common multiple are rounded, by next to nothing.
func TestStagesWithoutCommonUnit(t *testing.T) {
	s := Stages{
		{Rate{70, 999_999_937}, Rate{30, 999_999_893}, 10 * time.Second},
		{Rate{}, Rate{50, 999_999_883}, 20 * time.Second},
		{Rate{50, 999_999_883}, Rate{}, 20 * time.Second},
	}
	if s.unit() != 1<<62-1 {
		t.Fatalf("unit() = %d: the periods have a common multiple after all", s.unit())
	}
	if two := (Stages{{Rate{1, 2_999_999_929}, Rate{1, 2_999_999_953}, time.Hour}}); two.unit() != 1<<62-1 {
		t.Errorf("unit() = %d, want at most 2^62-1", two.unit())
	}
	p := s.Pacer()
	total := rounded(s.integral(s.Length()))
	if got := Count(p); got != total {
		t.Errorf("%d arrivals, want %d", got, total)
	}
	for n := range total {
		at, _ := p.Due(n)
		if s.integral(at-20).Cmp(rat(n)) > 0 || s.integral(at+21).Cmp(rat(n)) <= 0 {
			t.Fatalf("Due(%d) = %v is more than 20 ns off", n, at)
		}
	}
}

// words draws the numbers at which carries happen.
func words() *rapid.Generator[uint64] {
	return rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, math.MaxUint64, 1 << 63}), rapid.Uint64())
}

func bigOf(words ...uint64) *big.Int {
	sum := new(big.Int)
	for _, w := range words {
		sum.Lsh(sum, 64).Add(sum, new(big.Int).SetUint64(w))
	}
	return sum
}

func TestWideAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := wide{words().Draw(t, "a.hi") >> 1, words().Draw(t, "a.lo")}
		b := wide{words().Draw(t, "b.hi") >> 1, words().Draw(t, "b.lo")}
		m := words().Draw(t, "m")
		bigA, bigB := bigOf(a.hi, a.lo), bigOf(b.hi, b.lo)
		if got, want := a.add(b), new(big.Int).Add(bigA, bigB); bigOf(got.hi, got.lo).Cmp(want) != 0 {
			t.Fatalf("%v + %v = %v, want %v", a, b, got, want)
		}
		if a.less(b) != (bigA.Cmp(bigB) < 0) {
			t.Fatalf("%v < %v is %v", a, b, a.less(b))
		}
		if !a.less(b) {
			if got, want := a.sub(b), new(big.Int).Sub(bigA, bigB); bigOf(got.hi, got.lo).Cmp(want) != 0 {
				t.Fatalf("%v - %v = %v, want %v", a, b, got, want)
			}
		}
		got, want := a.times(m), new(big.Int).Mul(bigA, bigOf(m))
		if bigOf(got.hi, got.mid, got.lo).Cmp(want) != 0 {
			t.Fatalf("%v · %v = %v, want %v", a, m, got, want)
		}
		if f, _ := new(big.Float).SetInt(want).Float64(); math.Abs(got.float()-f) > 1e-15*f {
			t.Fatalf("%v as a float64 is %v, want %v", got, got.float(), f)
		}
		c := b.times(m)
		if got.less(c) != (want.Cmp(bigOf(c.hi, c.mid, c.lo)) < 0) {
			t.Fatalf("%v < %v is %v", got, c, got.less(c))
		}
		w := wider{words().Draw(t, "w.hi"), words().Draw(t, "w.mid"), words().Draw(t, "w.lo")}
		if w != (wider{}) {
			got, want := w.less1(), bigOf(w.hi, w.mid, w.lo)
			if bigOf(got.hi, got.mid, got.lo).Cmp(want.Sub(want, big.NewInt(1))) != 0 {
				t.Fatalf("%v - 1 = %v, want %v", w, got, want)
			}
		}
	})
}
