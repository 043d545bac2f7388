package forecast

import (
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// study is one flow that calls an endpoint so often, at a rate, against policies.
func study(rate pace.Rate, length time.Duration, times int, policies ...limit.Policy) *Study {
	s := &Study{Name: "test", Start: start, For: length, Works: []Work{{Name: "flow", Arrivals: pace.Constant(rate, 0), Calls: []Step{{Request: "GET /x", Times: times}}}}}
	for _, p := range policies {
		s.Policies = append(s.Policies, policy.Policy{Policy: p})
	}
	return s
}

// examined is a study played, for its further questions.
func examined(t *rapid.T, s *Study) *examiner {
	t.Helper()
	e, err := examine(s, AnswerOptions{Progress: func(string, float64) {}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func drawPolicy(t *rapid.T) limit.Policy {
	p := limit.Policy{
		Algorithm: rapid.SampledFrom([]limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow, limit.RefillBucket, limit.Quota}).Draw(t, "algorithm"),
		Limit:     rapid.Int64Range(10, 60).Draw(t, "limit"),
		Window:    time.Duration(rapid.IntRange(500, 3_000).Draw(t, "window")) * time.Millisecond,
	}
	if p.Algorithm == limit.TokenBucket || p.Algorithm == limit.RefillBucket {
		p.Burst = rapid.Int64Range(10, 60).Draw(t, "burst")
	}
	return p
}

// TestWhatFits: at the rate that fits nothing is refused, just above it something
// is, the arithmetic agrees with the play, and one more than the burst is refused.
func TestWhatFits(t *testing.T) {
	checked, above := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.IntRange(1, 4).Draw(t, "calls")
		s := study(pace.Rate{N: 1, Per: time.Second}, time.Minute, times, drawPolicy(t))
		f, err := examined(t, s).fits()
		if err != nil {
			t.Fatal(err)
		}
		if f.Sustained == nil || f.Units != float64(times) {
			t.Fatalf("%+v: no sustained rate, or not %d units", f, times)
		}
		want := gain(&s.Policies[0].Policy) / float64(times)
		if math.Abs(*f.Sustained-want) > want*1e-9 {
			t.Fatalf("sustained %v, want %v", *f.Sustained, want)
		}
		if f.Burst == nil || *f.Burst != s.Policies[0].Capacity()/int64(times) {
			t.Fatalf("burst %v, want %d", f.Burst, s.Policies[0].Capacity()/int64(times))
		}
		if f.Played == nil {
			return
		}
		checked++
		refused := func(r float64) bool {
			s.Works[0].Arrivals = pace.Constant(pace.Rate{N: int64(r * 360_000), Per: 100 * time.Hour}, 0)
			s.For = time.Duration(f.Length * 1e9)
			a, err := s.Answer(AnswerOptions{Brief: true})
			if err != nil {
				t.Fatal(err)
			}
			return a.Totals.Refused > 0
		}
		if refused(*f.Played) {
			t.Fatalf("something is refused at %v/s, which fits", *f.Played)
		}
		if f.Refused == nil {
			return
		}
		above++
		if !refused(*f.Refused) || *f.Refused < *f.Played || *f.Refused > *f.Played*1.03 {
			t.Fatalf("nothing is refused at %v/s, or it is not just above %v/s", *f.Refused, *f.Played)
		}
	})
	if checked < 10 || above < 10 {
		t.Fatalf("only %d rates were played, %d with a refusal above", checked, above)
	}
}

// TestQuotaToAsk: with what is to be asked for nothing is refused, with one less
// something is. The same for the burst.
func TestQuotaToAsk(t *testing.T) {
	checked := 0
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		rate := pace.Rate{N: int64(gain(&p)*1000*rapid.Float64Range(1.05, 3).Draw(t, "over")) + 1, Per: 1000 * time.Second}
		length := 2*p.Window + 10*time.Second
		s := study(rate, length, 1, p)
		s.Retry = retry.Rule{Attempts: 2, Obey: true}
		e := examined(t, s)
		e.stretch()
		ask, err := e.quotas()
		if err != nil {
			t.Fatal(err)
		}
		if e.res.Limits[0].Refused == 0 {
			return
		}
		if len(ask) != 1 {
			t.Fatalf("%d answers of what to ask for, want 1", len(ask))
		}
		checked++
		q := ask[0]
		refuses := func(change func(*limit.Policy)) bool {
			one := p
			change(&one)
			if one.Validate() != nil {
				return true
			}
			a, err := study(rate, length, 1, one).Answer(AnswerOptions{Brief: true})
			if err != nil {
				t.Fatal(err)
			}
			return a.Totals.Refused > 0
		}
		if refuses(func(x *limit.Policy) { raise(x, p, q.Enough) }) {
			t.Fatalf("%s still refuses", q.Policy)
		}
		if q.Enough < 1000 && !refuses(func(x *limit.Policy) { raise(x, p, q.Enough-1) }) {
			t.Fatalf("one less than %s is enough too", q.Policy)
		}
		if q.Burst != nil && refuses(func(x *limit.Policy) { x.Burst = *q.Burst }) {
			t.Fatalf("a burst of %d still refuses", *q.Burst)
		}
	})
	if checked < 10 {
		t.Fatalf("only %d quotas were checked", checked)
	}
}

// TestEffectiveSustained is seed 001's example: burst 5, sustained 10 a second lets
// pass 5 a second, because what is above the burst is lost.
func TestEffectiveSustained(t *testing.T) {
	s := study(pace.Rate{N: 1, Per: time.Second}, time.Minute, 1, limit.Policy{Algorithm: limit.RefillBucket, Limit: 10, Burst: 5, Window: time.Second})
	a, err := s.Answer(AnswerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := *a.Fits.Sustained; got != 5 {
		t.Errorf("sustained %v/s, want 5/s", got)
	}
	if got := *a.Fits.Burst; got != 5 {
		t.Errorf("burst %d, want 5", got)
	}
}

// TestCacheFits: with tokens kept by two instances for ten seconds any rate fits a
// limit of one a second.
func TestCacheFits(t *testing.T) {
	s := study(pace.Rate{N: 100, Per: time.Second}, time.Minute, 1, limit.Policy{Limit: 1, Burst: 3, Window: time.Second})
	s.Works[0].Calls[0].Cache = Cache{TTL: 10 * time.Second, Holders: 2}
	a, err := s.Answer(AnswerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Fits.Sustained != nil || a.Totals.Refused != 0 || a.Totals.Calls != 12 {
		t.Errorf("sustained %v, %d refused of %d calls; want no bound, 0 of 12", a.Fits.Sustained, a.Totals.Refused, a.Totals.Calls)
	}
	rows := map[string]Row{}
	for _, r := range a.Sensitivity {
		rows[r.Change] = r
	}
	if r := rows["no cache"]; r.RefusedRatio < 0.9 {
		t.Errorf("without a cache %v are refused, want nearly all", r.RefusedRatio)
	}
	if r := rows["one more instance"]; r.Calls != 18 {
		t.Errorf("with one more instance %d calls are made, want 18", r.Calls)
	}
}

// TestTenants: each has its own counts and its share of the arrivals.
func TestTenants(t *testing.T) {
	s := study(pace.Rate{N: 100, Per: time.Second}, time.Minute, 1, limit.Policy{Limit: 60, Window: time.Second})
	s.Tenants = []Share{{"a", 700_000}, {"b", 300_000}}
	a, err := s.Answer(AnswerOptions{Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Flows) != 2 || a.Flows[0].Arrived != 4200 || a.Flows[1].Arrived != 1800 {
		t.Fatalf("%+v: want 4200 and 1800 arrivals", a.Flows)
	}
	if a.Limits[0].Refused < 530 || a.Limits[1].Refused != 0 {
		t.Errorf("%d and %d refused, want about 540 and 0", a.Limits[0].Refused, a.Limits[1].Refused)
	}
}

// TestParts: a schedule split into shares has as many arrivals as before, and one
// that is multiplied as many times as many.
func TestParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := pace.Constant(pace.Rate{N: rapid.Int64Range(1, 500).Draw(t, "rate"), Per: time.Second}, time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds"))*time.Second)
		n := pace.Count(all)
		parts := rapid.SliceOfN(rapid.Int64Range(1, 1000), 1, 6).Draw(t, "parts")
		var whole, before, sum int64
		for _, p := range parts {
			whole += p
		}
		for _, p := range parts {
			sum += pace.Count(split{all, p, whole, before})
			before += p
		}
		if d := sum - n; d > int64(len(parts)) || -d > int64(len(parts)) {
			t.Fatalf("parts %v have %d of %d arrivals", parts, sum, n)
		}
		times := rapid.Int64Range(1, 300).Draw(t, "times")
		got := pace.Count(scaled{all, times, 100})
		if want := float64(n) * float64(times) / 100; math.Abs(float64(got)-want) > 3.01 {
			t.Fatalf("%d arrivals times %d/100 are %d", n, times, got)
		}
	})
}

// TestBusiestStretch: what would take too many calls is asked where most arrive, and
// what is found there is shown to be enough for all.
func TestBusiestStretch(t *testing.T) {
	stages, err := pace.ParseStages("10/s:20m,100/s:20m,10/s:20m")
	if err != nil {
		t.Fatal(err)
	}
	s := study(pace.Rate{N: 1, Per: time.Second}, time.Hour, 1, limit.Policy{Limit: 90, Window: time.Second})
	s.Works[0].Arrivals = stages.Pacer()
	e, err := examine(s, AnswerOptions{Progress: func(string, float64) {}})
	if err != nil {
		t.Fatal(err)
	}
	e.most = 50_000
	if e.stretch(); !e.cut || e.from < 1100*time.Second || e.to > 2500*time.Second || e.to-e.from < 300*time.Second {
		t.Fatalf("stretch %v to %v, want within the second third", e.from, e.to)
	}
	ask, err := e.quotas()
	if err != nil {
		t.Fatal(err)
	}
	if len(ask) != 1 || ask[0].Enough < 99 || ask[0].Enough > 101 {
		t.Errorf("ask for %+v, want about 100", ask)
	}
	l := limitAnswer(&e.m.Limits[0], &e.res.Limits[0], e.res.Column, e.m.For)
	if l.First == nil || *l.First < 1200 || *l.First > 1300 || len(l.Periods) != 1 {
		t.Errorf("first refusal %v in %v, want soon after 20 minutes, in one stretch", l.First, l.Periods)
	}
}
