package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestWhoBegan: of a window that others may have begun, as many of them are expected to be
// in it as a simulation finds, whether nothing is known of the window before, or when it
// ended.
func TestWhoBegan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for _, rate := range []float64{0.02, 0.1, 0.5, 3} {
		const width, trials = 7.0, 12000
		for _, ended := range []float64{math.Inf(1), 0.3, 2, 6} { // seconds before the probe's own request
			sum := 0.0
			for range trials {
				rest := ended
				if math.IsInf(ended, 1) {
					rest = 40 * width * (1 + rng.Float64())
				}
				began, n := -1.0, 0.0
				for at := rng.ExpFloat64() / rate; at < rest; at += rng.ExpFloat64() / rate {
					if began < 0 || at > began+width {
						began, n = at, 0
					}
					n++
				}
				if began >= 0 && began+width > rest {
					sum += n
				}
			}
			m := &floating{cap: 100, width: width, among: true}
			m.theirs.since = -1e7
			b := opened{is: true, at: span{100 - min(ended, width), 100}, birth: birth{own: 100, loose: width}}
			if !math.IsInf(ended, 1) {
				b.birth = birth{own: 100, ended: span{100 - ended, 100 - ended}}
			}
			m.ways = []opened{b}
			before, _, x := m.crowd(&sight{s: 100, since: 100, d: 100}, rate)
			tried++
			if got, want := before+rate*x, sum/trials; math.Abs(got-want) > 0.03+0.12*want {
				t.Errorf("%v a second, the window before ended %v s ago: %.3f expected, it is %.3f", rate, ended, got, want)
			}
			last := 1.0
			for x := 100 - min(ended, width); x <= 100; x += 0.1 {
				u := m.unborn(&b.birth, x)
				if u > last+1e-9 || u < 0 {
					t.Fatalf("%v a second, %v s: nobody came by %v is %v likely, after %v", rate, ended, x, u, last)
				}
				last = u
			}
		}
	}
	if tried != 16 {
		t.Error(tried, "were tried")
	}
}

// TestCoincidesWithWork: a window that is as long as the work on a request, or ends while
// it is under way, is a coincidence, however a sliding window rounds.
func TestCoincidesWithWork(t *testing.T) {
	f := &fitter{works: true, hold: 0.3, trip: 0.32, jitter: 0.01, sights: []sight{{d: 60}}}
	for _, h := range []hypothesis{
		{family: FixedFirst, n: 9, w: 0.31}, {family: SlidingWindowDenied, n: 9, w: 0.31}, {family: SlidingWindowDenied, n: 9, w: 0.31, m: 2},
	} {
		if c := f.luck(&h); c < 7 {
			t.Errorf("%+v costs %v", h, c)
		}
	}
	short := hypothesis{family: FixedFirst, n: 9, w: 0.2}
	if alone := f.luck(&short); alone > 0 {
		t.Errorf("with nobody else, %+v costs %v", short, alone)
	}
	if f.share = 0.2; f.luck(&short) < 7 {
		t.Errorf("among others, %+v costs %v", short, f.luck(&short))
	}
}

// TestTooLong: an experiment that would take more time than is left is not made while
// something else may tell more.
func TestTooLong(t *testing.T) {
	w := newWorld(cases[0].policy, 8*time.Millisecond, 1)
	p := New(w, w, Options{MaxTime: time.Minute})
	if _, err := p.wave(context.Background(), 0, 30, ""); err != nil {
		t.Fatal(err)
	}
	p.fitAll()
	if e := (&experiment{steps: []step{{idle: 40, n: 1}, {idle: 30, n: 1}}}); !p.tooLong(e) || !p.short {
		t.Error("70 s are made in a minute")
	}
	if e := (&experiment{steps: []step{{idle: 40, n: 1}}}); p.tooLong(e) {
		t.Error("40 s are not made in a minute")
	}
}
