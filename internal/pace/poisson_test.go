package pace

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The statistics are of fixed seeds, so they cannot fail by chance.

func TestPoissonGaps(t *testing.T) {
	const n = 10_000
	rate := Rate{1000, time.Second}
	for _, seed := range []uint64{0, 42, math.MaxUint64} {
		at := dues(Poisson(Constant(rate, 0), seed), n)
		if len(at) != n {
			t.Fatalf("seed %d: %d arrivals, want %d", seed, len(at), n)
		}
		gaps := make([]float64, n)
		last := time.Duration(0)
		var sum, squares, product float64
		for i, d := range at {
			gaps[i] = float64(d-last) / 1e6 // in mean gaps
			last = d
			sum += gaps[i]
			squares += gaps[i] * gaps[i]
			if i > 0 {
				product += (gaps[i] - 1) * (gaps[i-1] - 1)
			}
		}
		mean := sum / n
		if math.Abs(mean-1) > 4/math.Sqrt(n) {
			t.Errorf("seed %d: the mean gap is %v, want 1 ± 0.04", seed, mean)
		}
		if variance := squares/n - mean*mean; math.Abs(variance-1) > 4*math.Sqrt(8.0/n) {
			t.Errorf("seed %d: the variance of the gaps is %v, want 1 ± 0.11", seed, variance)
		}
		if r := product / n; math.Abs(r) > 4/math.Sqrt(n) {
			t.Errorf("seed %d: neighbouring gaps correlate by %v, want 0 ± 0.04", seed, r)
		}
		// Kolmogorov-Smirnov against 1-exp(-x); 1.63/√n is exceeded once in a hundred.
		slices.Sort(gaps)
		var ks float64
		for i, x := range gaps {
			f := 1 - math.Exp(-x)
			ks = max(ks, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
		}
		if ks > 1.63/math.Sqrt(n) {
			t.Errorf("seed %d: the gaps are %v from exponential, want at most %v", seed, ks, 1.63/math.Sqrt(n))
		}
	}
}

// Counts in stretches of time are Poisson too: their variance is their mean.
// A process drawn from the top down that were too even would show here.
func TestPoissonCounts(t *testing.T) {
	const length = 20 * time.Second
	var all [][]time.Duration
	for seed := range uint64(6) {
		all = append(all, dues(Poisson(Constant(Rate{1000, time.Second}, length), seed), math.MaxInt64))
	}
	for _, width := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		var sum, squares float64
		bins := 0
		for _, arrivals := range all {
			counts := make([]float64, length/width)
			for _, at := range arrivals {
				counts[at/width]++
			}
			for _, c := range counts {
				sum += c
				squares += c * c
			}
			bins += len(counts)
		}
		mean := sum / float64(bins)
		variance := squares/float64(bins) - mean*mean
		if want := width.Seconds() * 1000; math.Abs(mean-want) > 4*math.Sqrt(want/float64(bins)) {
			t.Errorf("%v: %v arrivals on average, want %v", width, mean, want)
		}
		if r := variance / mean; math.Abs(r-1) > 4*math.Sqrt(2/float64(bins)) {
			t.Errorf("%v: the variance of the counts is %v times their mean, want 1 ± %.2f", width, r, 4*math.Sqrt(2/float64(bins)))
		}
	}
}

// Far out, where no one counts along, gaps still have mean and variance one.
func TestPoissonFarOut(t *testing.T) {
	p := Poisson(Constant(Rate{1, time.Second}, 0), 7)
	for _, from := range []int64{1 << 30, 1<<30 - 5000} {
		var sum, squares float64
		last, _ := p.Due(from - 1)
		const n = 5000
		for i := range int64(n) {
			at, ok := p.Due(from + i)
			gap := (at - last).Seconds()
			if !ok || gap < 0 {
				t.Fatalf("Due(%d) = %v, %v after %v", from+i, at, ok, last)
			}
			sum, squares, last = sum+gap, squares+gap*gap, at
		}
		if mean := sum / n; math.Abs(mean-1) > 0.06 || math.Abs(squares/n-mean*mean-1) > 0.16 {
			t.Errorf("from %d: mean %v, variance %v, want 1 and 1", from, mean, squares/n-mean*mean)
		}
	}
}

func TestPoissonAlongStages(t *testing.T) {
	s, err := ParseStages("0..1000/s:10s,0/s:5s,1000/s..0/s:10s")
	if err != nil {
		t.Fatal(err)
	}
	const seeds = 4
	var quarter, first, total float64
	for seed := range uint64(seeds) {
		p := Poisson(s.Pacer(), seed)
		for n := int64(0); ; n++ {
			at, ok := p.Due(n)
			if !ok {
				break
			}
			total++
			switch {
			case at < 5*time.Second:
				quarter++
				first++
			case at < 10*time.Second:
				first++
			case at < 15*time.Second:
				t.Fatalf("seed %d: arrival %d at %v, in the pause", seed, n, at)
			}
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"all", total, 10_000}, {"the first ramp", first, 5000}, {"half of its time", quarter, 1250}} {
		if mean := c.got / seeds; math.Abs(mean-c.want) > 4*math.Sqrt(c.want/seeds) {
			t.Errorf("%s: %v arrivals on average, want %v", c.name, mean, c.want)
		}
	}
}

func TestPoissonIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		shape := rapid.SampledFrom([]Pacer{
			Constant(Rate{100, time.Second}, 0),
			Stages{{Rate{}, Rate{100, time.Second}, time.Hour}}.Pacer(),
			Burst(10, time.Second, Phase{}, 0),
			Schedule([]time.Duration{1, 5, 5, 900}),
			Constant(Rate{1, 1}, 0),
			never{},
		}).Draw(t, "shape")
		p, q := Poisson(shape, seed), Poisson(shape, seed)
		n := rapid.Int64().Draw(t, "n")
		switch rapid.IntRange(0, 2).Draw(t, "size") {
		case 0:
			n %= 5000
		case 1:
			n &= 7
		}
		at, ok := p.Due(n)
		if again, ok2 := q.Due(n); again != at || ok2 != ok {
			t.Fatalf("seed %d: Due(%d) = %v, %v and then %v, %v", seed, n, at, ok, again, ok2)
		}
		if ok && n < 0 || ok && at < 0 {
			t.Fatalf("seed %d: Due(%d) = %v, %v", seed, n, at, ok)
		}
		if n > 0 {
			before, ok2 := p.Due(n - 1)
			if ok && (!ok2 || before > at) {
				t.Fatalf("seed %d: Due(%d) = %v, %v comes before Due(%d) = %v", seed, n, at, ok, n-1, before)
			}
		}
	})
	a := dues(Poisson(Constant(Rate{1, time.Second}, 0), 1), 5)
	b := dues(Poisson(Constant(Rate{1, time.Second}, 0), 2), 5)
	if slices.Equal(a, b) {
		t.Errorf("two seeds give one schedule: %v", a)
	}
}

// The schedule of a seed is part of what a run file promises: it must not
// change from one version to the next.
func TestPoissonGolden(t *testing.T) {
	got := dues(Poisson(Constant(Rate{10, time.Second}, 0), 1), 6)
	want := []time.Duration{157882287, 173505355, 226507303, 321681820, 434433001, 588493377}
	for i := range want {
		if d := got[i] - want[i]; d < -1 || d > 1 {
			t.Errorf("arrival %d of seed 1 at %d, want %d", i, got[i], want[i])
		}
	}
	if len(want) != 6 {
		t.Fatalf("%d arrivals, want 6: %d", len(want), got)
	}
}
