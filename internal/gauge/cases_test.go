package gauge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// randomCase is one random case: a limit, a load, and an instant at which to ask.
type randomCase struct {
	policy  limit.Policy
	dialect header.Dialect
	rate    float64 // of the load, per second
	poisson bool
	latency float64 // mean, seconds
	part    float64 // of the time to the first refusal at which the gauge is asked
}

func draw(r *rand.Rand, a limit.Algorithm) randomCase {
	windows := []time.Duration{time.Second, 10 * time.Second, time.Minute, 5 * time.Minute}
	p := limit.Policy{Algorithm: a, Window: windows[r.IntN(len(windows))]}
	per := 5 + r.Float64()*95 // the limit, per second
	p.Limit = max(3, int64(per*p.Window.Seconds()))
	switch a {
	case limit.TokenBucket:
		p.Limit, p.Window = max(1, int64(per)), time.Second
		p.Burst = 10 + r.Int64N(2000)
	case limit.RefillBucket:
		p.Window = windows[r.IntN(2)]
		p.Limit = max(3, int64(per*p.Window.Seconds()))
		p.Burst = p.Limit + r.Int64N(5*p.Limit)
	}
	limitRate := float64(p.Limit) / p.Window.Seconds()
	factor := []float64{0.5, 0.8, 1.15, 1.3, 1.6, 2, 3}[r.IntN(7)]
	dialects := []header.Dialect{header.XRateLimit, header.OldDraft, header.Draft}
	return randomCase{
		policy: p, dialect: dialects[r.IntN(len(dialects))], rate: limitRate * factor, poisson: r.IntN(2) == 0,
		latency: 0.002 + 0.05*r.Float64(), part: 0.25 + 0.5*r.Float64(),
	}
}

const far = 10 * time.Minute // beyond which a first refusal does not count

// first returns the sends of a case up to its first refusal, or up to far.
func (c *randomCase) first(r *rand.Rand) (sends []time.Duration, refused time.Duration) {
	l, err := c.policy.New(origin)
	if err != nil {
		panic(err)
	}
	for at := 0.0; ; {
		d := time.Duration(at * 1e9)
		if d > far {
			return sends, 0
		}
		sends = append(sends, d)
		if !l.Take(origin.Add(d), 1).Allowed {
			return sends, d
		}
		gap := 1 / c.rate
		if c.poisson {
			at += r.ExpFloat64() * gap
		} else {
			at += gap * (0.8 + 0.4*r.Float64())
		}
	}
}

var origin = time.Date(2026, 11, 21, 12, 0, 0, 350e6, time.UTC)

// ask plays the case up to ask with a gauge that reads as a run does: one answer
// in 50 ms.
func (c *randomCase) ask(r *rand.Rand, sends []time.Duration, at time.Duration) *Gauge {
	l, err := c.policy.New(origin)
	if err != nil {
		panic(err)
	}
	g := &Gauge{}
	next := time.Duration(0)
	for i, s := range sends {
		took := time.Duration(c.latency * (0.5 + r.Float64()) * 1e9)
		if s+took > at {
			break
		}
		d := l.Take(origin.Add(s), 1)
		if s < next {
			continue
		}
		next = s + 50*time.Millisecond
		h := http.Header{}
		if err := header.Write(c.dialect, header.FromDecision(c.policy, d), origin.Add(s), h.Set); err != nil {
			panic(err)
		}
		reading := header.Parse(header.Map(h), origin.Add(s+took/2))
		tight, ok := reading.Tightest()
		if !ok {
			panic(fmt.Sprint(h))
		}
		g.Add(Sample{At: s + took/2, Spent: int64(i + 1), Flight: int64(c.rate * c.latency), Limit: tight})
	}
	return g
}

// TestForecastCases states how far the forecasts are off, and holds it.
func TestForecastCases(t *testing.T) {
	type row struct {
		name                                 string
		cases, within, covered, after, never int
		unknown, wrong                       int
		errors                               []float64
	}
	all := &row{name: "all"}
	var rows []*row
	want, each := 300, 60
	if testing.Short() {
		want, each = 100, 20
	}
	seed := uint64(1)
	for _, a := range []limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.RefillBucket, limit.SlidingLog, limit.SlidingWindow} {
		w := &row{name: a.String()}
		rows = append(rows, w)
		for w.cases < each {
			seed++
			r := rand.New(rand.NewPCG(seed, 5))
			c := draw(r, a)
			sends, refused := c.first(r)
			at := time.Duration(float64(20*time.Second) * (0.5 + 2*r.Float64()))
			if refused > 0 {
				if refused < 4*time.Second {
					continue // over before anybody could read a forecast
				}
				at = time.Duration(float64(refused) * c.part)
			}
			g := c.ask(r, sends, at)
			f := g.Forecast(at)
			left := refused - at
			verdict := ""
			for _, x := range []*row{w, all} {
				x.cases++
				verdict = "right"
				switch f.Verdict {
				case Unknown:
					x.unknown++
				case Never:
					x.never++
					if refused > 0 {
						verdict = "WRONG"
					}
				case After:
					x.after++
					if refused > 0 && left < f.Soonest {
						verdict = "WRONG"
					}
				case Within:
					x.within++
					if refused == 0 {
						verdict = "WRONG"
						if f.Latest == 0 {
							verdict = "right" // it did not say that there would be one
						}
						break
					}
					if left >= f.Soonest && (f.Latest == 0 || left <= f.Latest) {
						x.covered++
					} else {
						verdict = "outside"
					}
					x.errors = append(x.errors, math.Abs((f.Likely-left).Seconds())/left.Seconds())
				}
				if verdict == "WRONG" {
					x.wrong++
				}
			}
			if verdict != "right" {
				t.Logf("%-14s %v %s at %.4g/s poisson %v: asked at %v, refused in %v, said %v", verdict, c.policy, c.dialect, c.rate, c.poisson, at.Round(time.Millisecond), left.Round(time.Millisecond), f)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-16s %6s %7s %8s %6s %6s %8s %6s %12s %8s\n", "limit", "cases", "within", "covered", "after", "never", "unknown", "wrong", "median error", "p90")
	for _, w := range append(rows, all) {
		slices.Sort(w.errors)
		q := func(p float64) string {
			if len(w.errors) == 0 {
				return "–"
			}
			return fmt.Sprintf("%.1f %%", 100*w.errors[min(len(w.errors)-1, int(p*float64(len(w.errors))))])
		}
		fmt.Fprintf(&b, "%-16s %6d %7d %8d %6d %6d %8d %6d %12s %8s\n", w.name, w.cases, w.within, w.covered, w.after, w.never, w.unknown, w.wrong, q(0.5), q(0.9))
	}
	t.Log(b.String())
	if all.cases != want {
		t.Fatalf("%d cases, want %d", all.cases, want)
	}
	share := func(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
	if median := all.errors[len(all.errors)/2]; median > 0.03 {
		t.Errorf("the median error is %.3f of the time left", median)
	}
	if p90 := all.errors[9*len(all.errors)/10]; p90 > 0.25 {
		t.Errorf("one forecast in ten is off by more than %.3f of the time left", p90)
	}
	if c := share(all.covered, all.within); c < 0.82 {
		t.Errorf("only %.2f of the refusals came within the bounds", c)
	}
	if w := share(all.wrong, all.cases); w > 0.03 {
		t.Errorf("%.2f of the forecasts were plainly wrong", w)
	}
	if n := share(all.within+all.never, all.cases); n < 0.85 {
		t.Errorf("only %.2f of the cases got a forecast that says something", n)
	}
}
