package threshold

import (
	"math"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Estimate says how sure a rate is that was extrapolated: one per hour, or per
// minute, of a run that was shorter than that.
type Estimate struct {
	Of         string        `json:"of"`     // admitted.per_hour
	Per        time.Duration `json:"per_ns"` // what the rate is counted over
	From       time.Duration `json:"from_ns"`
	Hits       int64         `json:"hits"` // in that time
	Rate       float64       `json:"rate"` // Hits over From, per Per
	Low        float64       `json:"low"`  // of the interval
	High       float64       `json:"high"`
	Confidence float64       `json:"confidence"` // 0.95
	Method     string        `json:"method"`     // Range or Poisson
	Bound      float64       `json:"bound"`      // what the condition compares with
	// Near says that Rate and Bound are less than a hit of this run apart: it
	// cannot tell them apart, and the condition is taken as fulfilled.
	Near bool `json:"near"`
	// Open says that Bound lies in the interval, so that the verdict rests on the
	// estimate and is not proved. It is not set when Near is.
	Open bool `json:"open"`
	// Uneven says that the rate changed far more than chance would do it: a ramp,
	// a burst, a service that grew slower.
	Uneven bool `json:"uneven"`
}

// Known says whether there is an estimate.
func (e Estimate) Known() bool { return e.Per > 0 }

// The methods of an interval.
const (
	// Range takes how far the running count strayed from an even rate. See course.
	Range = "range of the running count"
	// Poisson takes hits that come at random, for fewer than fewHits of them.
	Poisson = "Poisson"
)

const (
	confidence = 0.95
	z95        = 1.959964 // two-sided, of the normal distribution
	// fewHits is the number of hits below which how they came says little.
	fewHits = 10
	// fewTicks is the number of ticks below which the range says little: then the
	// wider one of both intervals holds.
	fewTicks = 10
	// lengthDoubt is how much the length of a run may be off: ticks end a little
	// after their time, and never before.
	lengthDoubt = 2 * tally.BinWidth
	// manyHits is from when on one hit is small beside all of them, and regular
	// how far at most a count that steps with a schedule strays from an even rate
	// between its two ends, each of which may be a hit off.
	manyHits = 30
	regular  = 2.0
)

// course is the running count of hits over a run. It knows how far that count
// strayed from a straight line between its two ends, which is all that an
// interval for its slope needs.
//
// Why that, and not Poisson's square root or the spread of batches: a schedule of
// 1000/h never strays by more than one hit, whatever its length, a limit with a
// window never by more than one window, and random hits by the square root of
// their number. If the count moves like a Brownian motion with any variance
// whatever in the long run (which independent bursts and clusters do as well as
// Poisson), then what it strays from the line, a Brownian bridge, is independent
// of where it ends. So the error of the slope divided by the range of the bridge
// has a distribution without a parameter in it: the normal's over Kuiper's
// (N. H. Kuiper, 1960), whose 97.5 % point is rangeFactor. No length of block has
// to be chosen, and no variance estimated. For a count that is bounded around its
// line the range bounds the error as well. TestCoverage says how often it holds.
//
// It keeps the convex hulls of the count, because the line is known at the end
// only: the point farthest from any line is a corner of them. They have few
// corners however long the run is.
type course struct {
	hits         int64
	end          time.Duration
	ticks        int
	upper, lower []mark
}

type mark struct{ at, hits float64 }

// add takes the hits of a tick that ended at end.
func (c *course) add(end time.Duration, hits int64) {
	if c.ticks == 0 {
		c.upper, c.lower = append(c.upper, mark{}), append(c.lower, mark{})
	}
	c.ticks++
	c.hits += hits
	if end <= c.end { // damaged, or merged late: its place is not known, its hits are
		return
	}
	c.end = end
	m := mark{end.Seconds(), float64(c.hits)}
	c.upper = hull(c.upper, m, 1)
	c.lower = hull(c.lower, m, -1)
}

// hull adds a point to the right of all others.
func hull(list []mark, m mark, side float64) []mark {
	for n := len(list); n >= 2; n = len(list) {
		a, b := list[n-2], list[n-1]
		if side*((b.hits-a.hits)*(m.at-a.at)-(m.hits-a.hits)*(b.at-a.at)) > 0 {
			break
		}
		list = list[:n-1]
	}
	return append(list, m)
}

// strayed is the distance between the highest and the lowest deviation from an
// even rate, in hits.
func (c *course) strayed() float64 {
	if c.end <= 0 {
		return 0
	}
	rate := float64(c.hits) / c.end.Seconds()
	var high, low float64
	for _, m := range c.upper {
		high = max(high, m.hits-rate*m.at)
	}
	for _, m := range c.lower {
		low = min(low, m.hits-rate*m.at)
	}
	return high - low
}

// rangeFactor is how many ranges the interval reaches to each side, when the
// count was looked at n times. It falls to 1.71, the point at which the normal
// distribution over that of Kuiper's statistic has 2.5 % on each side. Looked at
// seldom, the range seems smaller than it is. TestRangeFactor computes it.
func rangeFactor(n int) float64 {
	return 1.71 / (1 - 1.2/math.Sqrt(float64(max(n, 5))))
}

// interval returns how many hits there could have been in the same time.
func (c *course) interval() (low, high float64, method string) {
	n := float64(c.hits)
	poissonLow, poissonHigh := poisson(n)
	half := max(rangeFactor(c.ticks)*c.strayed(), 1)
	low, high, method = max(n-half, 0), n+half, Range
	if c.hits < fewHits && !c.steps() || c.ticks < fewTicks && poissonLow < low {
		low, high, method = poissonLow, poissonHigh, Poisson
	}
	return low, high, method
}

// poisson is the exact interval (F. Garwood, 1936) for a count, by the
// approximation of E. B. Wilson and M. M. Hilferty, 1931: good to 1 % from one hit on.
func poisson(n float64) (low, high float64) {
	cube := func(x float64) float64 { return x * x * x }
	if n > 0 {
		low = n * cube(max(1-1/(9*n)-z95/(3*math.Sqrt(n)), 0))
	}
	n++
	return low, n * cube(1-1/(9*n)+z95/(3*math.Sqrt(n)))
}

// slack is by how many hits the count may be off for no other reason than where
// the run began and ended: one, when that is little or the hits came as regularly
// as a schedule sends them.
//
// A run as long as the rate is counted over is counted, not extrapolated, and
// only its length is in doubt.
func (c *course) slack(per float64) float64 {
	if c == nil || c.end <= 0 {
		return 0
	}
	doubt := float64(c.hits) * lengthDoubt.Seconds() / c.end.Seconds()
	if c.end.Seconds() >= per {
		return doubt
	}
	if c.hits >= manyHits || c.steps() {
		return 1 + doubt
	}
	return doubt
}

// steps says whether the hits came as regularly as a schedule sends them.
func (c *course) steps() bool { return c.hits >= 5 && c.strayed() <= regular }

// counted says whether a condition is about a number of hits in a time.
func (m *metric) counted() bool {
	return (m.unit == rate || m.unit == perMinute || m.unit == perHour) && m.subject != "limit"
}

// follow adds what a condition counts in a tick, which may not be of the warm-up.
func (c *course) follow(m *metric, k *tally.Tick, warm time.Duration) {
	f := m.ofTick(k)
	c.add(k.Start+k.Length-warm, m.hits(&f))
}

// estimate returns how sure the rate is, unless the run was as long as it is
// counted over.
func (e *Expr) estimate(c *course) Estimate {
	per := perSeconds(e.limit.per)
	if c == nil || c.end <= 0 || c.end.Seconds() >= per {
		return Estimate{}
	}
	from := c.end // to the resolution of what is counted, if there is that much
	if t := from.Truncate(tally.BinWidth); t > 0 {
		from = t
	}
	scale := per / from.Seconds()
	low, high, method := c.interval()
	x := Estimate{
		Of: e.metric.String(), Per: time.Duration(per * float64(time.Second)), From: from, Hits: c.hits,
		Rate: float64(c.hits) * scale, Low: low * scale, High: high * scale,
		Confidence: confidence, Method: method, Bound: e.limit.number,
	}
	x.Near = e.metric.end == "" && e.limit.number > 0 && math.Abs(x.Rate-x.Bound) <= c.slack(per)*scale
	x.Open = e.metric.end == "" && !x.Near && x.Low <= x.Bound && x.Bound <= x.High
	x.Uneven = method == Range && rangeFactor(c.ticks)*c.strayed() > 3*z95*math.Sqrt(float64(c.hits))
	return x
}

// holds says whether a condition is true for a number. Rates of a run whose ends
// cut a schedule somewhere are given the benefit of slack, in the unit of the
// number: a promise kept exactly must not fail by rounding.
func (e *Expr) holds(number, slack float64) bool {
	limit := e.limit.number
	is := e.op.holds(number, limit)
	if slack == 0 || limit == 0 || number == limit || e.op == "==" || e.op == "!=" {
		return is
	}
	if below := e.op == "<" || e.op == "<="; below == e.wanted {
		slack = -slack
	}
	other := e.op.holds(number+slack, limit)
	if e.wanted {
		return is || other
	}
	return is && other
}

// extrapolated adds to a value where it comes from and how sure it is.
func (e *Expr) extrapolated(x Estimate) string {
	text := " from " + x.From.Round(time.Second/10).String()
	if e.metric.end == "" {
		text += " (" + digits4(x.Low) + " to " + digits4(x.High) + ")"
	}
	switch {
	case x.Near:
		text += ", equal but for rounding"
	case x.Open:
		text += ", not proved"
	}
	return text
}

// digits4 writes a number with four digits.
func digits4(x float64) string {
	if r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64); err == nil {
		x = r
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}
