package gauge

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/tally"
)

// feed gives a gauge one sample each step, of a limit that left tells.
func feed(g *Gauge, from, to, step time.Duration, sample func(at time.Duration) Sample) {
	for at := from; at < to; at += step {
		s := sample(at)
		s.At = at
		g.Add(s)
	}
}

func window(at, width time.Duration, quota, perSecond int64) Sample {
	head := at / width * width
	l := header.NoLimit()
	l.Quota, l.Remaining = quota, max(0, quota-int64((at-head).Seconds()*float64(perSecond)))
	l.ResetAfter = head + width - at
	return Sample{Spent: int64(at.Seconds() * float64(perSecond)), Limit: l}
}

func TestForecastOfWindows(t *testing.T) {
	for _, c := range []struct {
		name    string
		rate    int64
		asked   time.Duration
		verdict Verdict
		at      time.Duration // expected, from the instant asked
	}{
		{"in this window", 20, 3 * time.Second, Within, 2 * time.Second},
		{"enough", 9, 25 * time.Second, Never, 0},
		{"a window has passed", 11, 13 * time.Second, Within, 6100 * time.Millisecond},
		{"the first window is not over", 9, 6 * time.Second, After, 4 * time.Second},
	} {
		g := &Gauge{}
		feed(g, 0, c.asked, 100*time.Millisecond, func(at time.Duration) Sample { return window(at, 10*time.Second, 100, c.rate) })
		f := g.Forecast(c.asked)
		if f.Verdict != c.verdict {
			t.Errorf("%s: %v %q, want %v", c.name, f.Verdict, f.Why, c.verdict)
			continue
		}
		if c.verdict == Within && (f.Soonest > c.at || f.Latest > 0 && f.Latest < c.at) {
			t.Errorf("%s: from %v to %v, want %v within", c.name, f.Soonest, f.Latest, c.at)
		}
		if c.verdict == After && (f.Soonest < c.at-time.Second || f.Soonest > c.at+time.Second || f.Why == "") {
			t.Errorf("%s: not before %v (%s), want %v", c.name, f.Soonest, f.Why, c.at)
		}
	}
}

func TestForecastSaysWhyNot(t *testing.T) {
	nothing := header.NoLimit()
	nothing.Quota = 100
	for want, g := range map[string]*Gauge{
		"no answer told of a limit":            {},
		"the answers do not tell what is left": func() *Gauge { g := &Gauge{}; g.Add(Sample{Limit: nothing}); return g }(),
		"too few answers so far":               func() *Gauge { g := &Gauge{}; g.Add(window(0, time.Second, 100, 5)); return g }(),
	} {
		if f := g.Forecast(0); f.Verdict != Unknown || f.Why != want {
			t.Errorf("%v %q, want %q", f.Verdict, f.Why, want)
		}
	}
	g := &Gauge{}
	for i := range 40 {
		s := window(time.Duration(i)*100*time.Millisecond, time.Minute, 1000, 5)
		s.At, s.User = time.Duration(i)*100*time.Millisecond, i%2
		s.Limit.Key = []string{"a", "b"}[i%2]
		g.Add(s)
	}
	if f := g.Forecast(4 * time.Second); f.Verdict != Unknown || !strings.Contains(f.Why, "differs by user") {
		t.Errorf("two keys: %v %q", f.Verdict, f.Why)
	}
}

// What a Gauge keeps is bounded, and reaches back further the longer it goes on.
func TestMemoryIsBounded(t *testing.T) {
	g := &Gauge{}
	feed(g, 0, time.Hour, 50*time.Millisecond, func(at time.Duration) Sample { return window(at, time.Minute, 10_000, 20) })
	if len(g.list) > keep {
		t.Errorf("%d samples", len(g.list))
	}
	if span := time.Hour - g.list[0].At; span < 30*time.Second || span > 3*memory {
		t.Errorf("they reach back %v", span)
	}
	if _, read := g.Latest(); read != 72_000 {
		t.Errorf("%d read", read)
	}
}

func TestSeveralLimitsOneBinds(t *testing.T) {
	var e Endpoint
	for i := range 60 {
		at := time.Duration(i) * 100 * time.Millisecond
		second, day := window(at, 10*time.Second, 100, 12), window(at, 24*time.Hour, 5000, 12)
		second.Limit.Name, day.Limit.Name = "ten", "day"
		e.Read(Answer{Sent: at, At: at, Spent: second.Spent, Status: 200, Reading: header.Reading{Limits: []header.Limit{day.Limit, second.Limit}}})
	}
	var l tally.Limits
	e.Drain(&l, "GET", "/x", 6*time.Second)
	if len(l.Told) != 2 {
		t.Fatalf("%+v", l.Told)
	}
	for _, x := range l.Told {
		if x.Binds != (x.Limit == "ten") || x.Read != 60 || x.Used < 11 || x.Used > 13 || x.Name != "/x" {
			t.Errorf("%+v", x)
		}
	}
	l = tally.Limits{}
	if e.Drain(&l, "GET", "/x", 7*time.Second); !l.Empty() {
		t.Errorf("told again what was told: %+v", l)
	}
}

// However many limits and contradictions a service tells, little is kept.
func TestEndpointIsBounded(t *testing.T) {
	var e Endpoint
	for i := range 1000 {
		l := window(0, time.Second, int64(i), 1).Limit
		l.Name = strings.Repeat("x", i)
		e.Read(Answer{At: time.Duration(i), Refused: true, Reading: header.Reading{Limits: []header.Limit{l}, Problems: []string{"a problem"}}})
	}
	if len(e.rows) > maxLimits || len(e.clashes) > maxClashes {
		t.Errorf("%d limits, %d contradictions", len(e.rows), len(e.clashes))
	}
}
