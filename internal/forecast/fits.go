package forecast

import (
	"math"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/limit"
)

// Fits is how much of the planned mix of flows the limits let pass: without an end
// when it comes evenly, and at once after a rest.
type Fits struct {
	// Sustained is arithmetic: what the limit that binds gains, over what a flow
	// takes of it. Nil when no limit is met.
	Sustained *float64 `json:"sustained_flows_per_second"`
	Binding   string   `json:"sustained_binding_limit,omitempty"`
	Units     float64  `json:"sustained_units_per_flow,omitempty"` // of the limit that binds, a flow

	// Played is the highest rate that was played without a refusal, Refused the
	// lowest that had one, and Length for how long. Zero and nil when that would take
	// too many calls.
	Played  *float64 `json:"played_flows_per_second"`
	Refused *float64 `json:"refused_flows_per_second"`
	Length  float64  `json:"played_seconds"`

	// Burst is how many flows may arrive at one instant, with everything full.
	Burst        *int64 `json:"burst_flows"`
	BurstBinding string `json:"burst_binding_limit,omitempty"`
}

// Bounds of what is played, in calls, so that an answer comes in seconds.
const (
	mostFitCalls   = 2_000_000
	mostBurstCalls = 200_000
	mostStretch    = 500_000
)

// examiner asks further questions of a study.
type examiner struct {
	s   *Study
	m   *Model
	res *Result
	o   AnswerOptions

	most     int64 // calls of the stretch
	cut      bool  // from and to are a part of the time
	from, to time.Duration
}

// mix is how many of each flow arrive, and of all. Without arrivals it is equal.
func (e *examiner) mix() (each []int64, all int64) {
	for i := range e.res.Flows {
		each = append(each, e.res.Flows[i].Arrived)
		all += e.res.Flows[i].Arrived
	}
	if all == 0 {
		for i := range each {
			each[i] = 1
		}
		all = int64(len(each))
	}
	return each, all
}

// gain is how many units a limit gives a second for ever, for one count.
func gain(p *limit.Policy) float64 {
	window := p.Window
	switch {
	case p.Algorithm == limit.Concurrency:
		return math.Inf(1)
	case p.Algorithm == limit.Quota && p.Period != limit.NoPeriod:
		// The longest that there is, so that it holds in each.
		window = map[limit.Period]time.Duration{limit.PerHour: time.Hour, limit.PerDay: 24 * time.Hour, limit.PerWeek: 7 * 24 * time.Hour,
			limit.PerMonth: 31 * 24 * time.Hour, limit.PerYear: 366 * 24 * time.Hour}[p.Period]
		if p.Location != nil && p.Location != time.UTC {
			window += time.Hour // when summer time ends
		}
	case p.Align == limit.AlignLast:
		// Whoever comes more often than once in a window is refused in the end.
		return 1 / window.Seconds()
	case p.Algorithm == limit.RefillBucket:
		// What is above the burst is lost at each head of the window.
		return float64(min(p.Limit, p.Capacity())) / window.Seconds()
	}
	return float64(p.Limit) / window.Seconds()
}

// need is what a flow of the mix takes of a limit.
type need struct {
	units   float64 // by calls that are made each time
	held    float64 // units · seconds, of a concurrency limit
	cached  []cachedNeed
	clients float64 // counts that it is spread over
}

type cachedNeed struct {
	units, most float64 // by a flow when nothing is cached; and at most a second
}

func (e *examiner) needs() []need {
	each, all := e.mix()
	out := make([]need, len(e.m.Limits))
	for i := range e.m.Flows {
		f := &e.m.Flows[i]
		share := float64(each[i]) / float64(all)
		for _, c := range f.Calls {
			for _, a := range c.Asks {
				n := &out[a.Limit]
				units := float64(max(1, a.Cost))
				n.clients = max(n.clients, 1)
				if e.m.Limits[a.Limit].PerClient {
					n.clients = max(n.clients, float64(f.Clients))
				}
				if c.Cache.TTL > 0 {
					n.cached = append(n.cached, cachedNeed{units * share, units * float64(max(1, c.Cache.Holders)) / c.Cache.TTL.Seconds()})
					continue
				}
				n.units += units * share
				n.held += units * share * c.Lasts.Seconds()
			}
		}
	}
	return out
}

// sustained is the closed form: the highest rate r for which
// r·units + Σ min(r·cached, most) is at most what the limit gains.
func sustained(l *Limit, n need) float64 {
	if l.Algorithm == limit.Concurrency {
		if n.held == 0 {
			return math.Inf(1)
		}
		return float64(l.Policy.Limit) * n.clients / n.held
	}
	have := gain(&l.Policy) * n.clients
	if len(n.cached) == 0 {
		return have / n.units // without end when nothing is taken
	}
	asks := func(r float64) float64 {
		sum := r * n.units
		for _, c := range n.cached {
			sum += min(r*c.units, c.most)
		}
		return sum
	}
	low, high := 0.0, 1.0
	for asks(high) <= have {
		if high *= 2; high > 1e12 {
			return math.Inf(1)
		}
	}
	for range 200 {
		if mid := (low + high) / 2; asks(mid) <= have {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// fits finds what fits.
func (e *examiner) fits() (f Fits, err error) {
	needs := e.needs()
	best, binding := math.Inf(1), -1
	for i := range e.m.Limits {
		if r := sustained(&e.m.Limits[i], needs[i]); r < best {
			best, binding = r, i
		}
	}
	if binding >= 0 {
		f.Sustained, f.Binding = &best, e.m.Limits[binding].Name
		f.Units = needs[binding].units
		for _, c := range needs[binding].cached {
			f.Units += c.units
		}
		if err := e.playFits(&f, best); err != nil {
			return f, err
		}
	}
	return f, e.burst(&f, needs)
}

// mixed is the model with other arrivals: the mix of flows by one schedule.
func (e *examiner) mixed(all pace.Pacer, length time.Duration) *Model {
	m := e.m.clone()
	m.For, m.Column = length, length
	each, whole := e.mix()
	var before int64
	for i := range m.Flows {
		if m.Flows[i].Arrivals = all; each[i] != whole {
			m.Flows[i].Arrivals = split{all, max(each[i], 1), whole, before}
		}
		if each[i] == 0 {
			m.Flows[i].Arrivals = pace.Schedule(nil)
		}
		before += each[i]
	}
	return m
}

// span is how long a flow takes, at most.
func (e *examiner) span() (longest time.Duration, calls float64) {
	each, all := e.mix()
	for i, f := range e.m.Flows {
		var sum time.Duration
		for _, c := range f.Calls {
			sum += c.After + c.Lasts
		}
		longest = max(longest, sum)
		calls += float64(len(f.Calls)) * float64(each[i]) / float64(all)
	}
	return longest, calls
}

// playFits plays rates at and about the closed form.
func (e *examiner) playFits(f *Fits, best float64) error {
	length, calls := e.span()
	length += 10 * time.Second
	for i := range e.m.Limits {
		p := &e.m.Limits[i].Policy
		window := p.Window
		if p.Algorithm == limit.Concurrency {
			continue
		}
		if p.Period != limit.NoPeriod {
			window = time.Duration(float64(p.Limit) / gain(p) * 1e9)
		}
		need := 2 * window
		switch p.Algorithm {
		case limit.TokenBucket, limit.RefillBucket, limit.LeakyBucket:
			// So long that a hundredth too much empties what it holds.
			if full := float64(p.Capacity()) / gain(p) * 120; full*1e9 < float64(math.MaxInt64)/4 {
				need = max(need, time.Duration(full*1e9))
			}
		}
		if need > 0 && need < 400*24*time.Hour {
			length = max(length, need)
		}
	}
	if best*calls*length.Seconds() > mostFitCalls || best*length.Seconds() < 2 {
		return nil // nothing that can be shown by playing it
	}
	play := func(r float64) (bool, error) {
		rate := pace.Rate{N: int64(r * 360_000), Per: 100 * time.Hour}
		if rate.N == 0 {
			return true, nil
		}
		res, err := Run(e.mixed(pace.Constant(rate, 0), length), Options{StopAtRefusal: true})
		if err != nil {
			return false, err
		}
		e.o.Progress("what fits", 0.5)
		return worst(res) < 0, nil
	}
	low, high := best, best*1.01
	ok, err := play(low)
	if err != nil {
		return err
	}
	if !ok {
		high, low = best, best/2
		for {
			if ok, err = play(low); err != nil || ok || low < best/1000 {
				break
			}
			high, low = low, low/2
		}
		for i := 0; i < 12 && err == nil && high/low > 1.002; i++ {
			mid := (low + high) / 2
			if ok, err = play(mid); ok {
				low = mid
			} else {
				high = mid
			}
		}
		if err != nil {
			return err
		}
	}
	f.Played, f.Length = &low, length.Seconds()
	// With what is cached, or held in a burst, a hundredth more may pass for as long.
	for range 8 {
		if ok, err = play(high); err != nil || !ok {
			break
		}
		*f.Played, high = high, high*1.01
	}
	if err == nil && !ok {
		f.Refused = &high
	}
	return err
}

// burst finds how many flows may arrive at once.
func (e *examiner) burst(f *Fits, needs []need) error {
	length, calls := e.span()
	most := math.Inf(1)
	for i := range e.m.Limits {
		units := needs[i].units
		if units > 0 {
			most = min(most, float64(e.m.Limits[i].Capacity())*needs[i].clients/units)
		}
	}
	if math.IsInf(most, 1) || most*calls > mostBurstCalls {
		return nil
	}
	refuser := -1
	play := func(n int64) (bool, error) {
		if n == 0 {
			return true, nil
		}
		res, err := Run(e.mixed(pace.Burst(n, 0, pace.Phase{}, 0), length+time.Second), Options{StopAtRefusal: true})
		if err != nil {
			return false, err
		}
		if w := worst(res); w >= 0 {
			refuser = w
			return false, nil
		}
		return true, nil
	}
	low, high := int64(0), int64(most)+1
	for {
		ok, err := play(high)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if low, high = high, high*2; float64(high)*calls > 2*mostBurstCalls {
			return nil
		}
	}
	for high-low > 1 {
		mid := (low + high) / 2
		ok, err := play(mid)
		if err != nil {
			return err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	f.Burst = &low
	if refuser >= 0 {
		f.BurstBinding = e.m.Limits[refuser].Name
	}
	return nil
}
