package drill

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Plan is what a drill is going to do.
type Plan struct {
	What     string
	Facts    []Fact
	Findings []Finding
	Stages   []Stage // Throttled and those of the side

	Rate     float64       // at which the load begins, in requests per second
	Needed   int           // requests that are expected to be needed; 0: not known
	Worst    Caps          // what it may come to, never more
	Expected time.Duration // until the notification; 0: not known
	Asks     int64         // metrics that are asked for at most
}

// Stopped says whether the plan cannot succeed, so that nothing is to be sent.
func (p *Plan) Stopped() bool {
	return slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Level == Stops })
}

// Bounded are the ids of the stages that have a bound of their own.
func (p *Plan) Bounded() (ids []string) {
	for _, s := range p.Stages {
		if s.ID != Throttled && !s.Aside {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

const (
	// above is how far over a known limit the load begins: enough to be refused within
	// a second, little enough to leave the others their share.
	above = 1.1
	// firstRate is where a climb to an unknown limit begins, in requests per second.
	firstRate = 5.0
	// within is how long the refusals of a period may take to come, in real time.
	within = 10 * time.Second
)

func newPlan(o *Options, b *Brief) *Plan {
	p := &Plan{What: b.What, Facts: slices.Clone(b.Facts), Findings: slices.Clone(b.Findings), Worst: o.Caps, Asks: b.Asks}
	throttled := Stage{ID: Throttled, Title: "first refusal", Bound: o.Caps.Time, Missing: CodeNotThrottled}
	if b.byCalls() {
		throttled.Title = "enough calls"
	}
	// A warning comes first, and is shown first.
	for _, s := range b.Stages {
		if s.Aside {
			p.Stages = append(p.Stages, s)
		}
	}
	p.Stages = append(p.Stages, throttled)
	for _, s := range b.Stages {
		if !s.Aside {
			p.Stages = append(p.Stages, s)
		}
	}
	if o.USD > 0 {
		bound := float64(o.Caps.Requests) * o.USD
		if p.Worst.USD == 0 || bound < p.Worst.USD {
			p.Worst.USD = bound
		}
	}
	for i := range p.Findings {
		p.Findings[i].Name = Name(p.Findings[i].Code)
	}
	if o.NoLoad {
		p.Facts = append(p.Facts, Fact{"Load", "none: a rehearsal only"})
		p.Stages = b.Rehearsal
		return p
	}
	p.aim(o, b)
	p.bounds(o, b)
	p.words(o, b)
	return p
}

func (p *Plan) stop(code, advice, format string, args ...any) {
	p.Findings = append(p.Findings, Finding{Code: code, Name: Name(code), Level: Stops, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// known is the limit in requests per second, less what others use of it.
func known(o *Options, b *Brief) float64 {
	switch {
	case o.Rate > 0:
		return o.Rate
	case b.Quota > 0:
		return max(b.Quota-b.Others, b.Quota/10)
	}
	return 0
}

// calmRate is a rate at which a period gets the calls it needs, and nobody is refused; 0
// where refusals are needed, or so many calls that there will be some.
func calmRate(o *Options, b *Brief) float64 {
	if !b.byCalls() {
		return 0
	}
	limit, period := known(o, b), o.Clock.Real(b.Period)
	// In ease, or as it must be; the turns of a period (edge) count for nothing.
	for _, way := range []struct {
		room  time.Duration
		below float64 // how much of a known limit is used
	}{{period * 6 / 10, 0.9}, {period * 9 / 10, 0.95}} {
		most := o.Caps.Rate
		if limit > 0 {
			most = min(most, limit*way.below)
		}
		if rate := float64(b.Calls) / way.room.Seconds(); rate <= most {
			return max(rate, min(firstRate, most))
		}
	}
	return 0
}

// aim chooses where the load begins and foresees what it needs.
func (p *Plan) aim(o *Options, b *Brief) {
	limit, refusals := known(o, b), max(b.Refusals, 1)
	if calm := calmRate(o, b); calm > 0 {
		p.Rate, p.Needed = calm, b.Calls*max(b.Periods, 1)
		return
	}
	if limit == 0 {
		p.Rate = min(firstRate, o.Caps.Rate)
		return
	}
	time := within
	if b.Period > 0 {
		time = min(time, o.Clock.Real(b.Period)*6/10)
	}
	p.Rate = max(limit*above, limit+float64(refusals)/time.Seconds())
	if p.Rate > o.Caps.Rate && limit*1.02 <= o.Caps.Rate {
		p.Rate = o.Caps.Rate
	}
	// A limit by the second lets a second's worth pass before it refuses.
	each := limit + float64(refusals)*p.Rate/max(p.Rate-limit, 1)
	each = max(each, float64(b.Calls))
	if b.Fill {
		each = max(each, p.Rate*o.Clock.Real(b.Period).Seconds())
	}
	p.Needed = int(math.Ceil(each)) * max(b.Periods, 1)
}

// bounds compares what is needed with what is allowed.
func (p *Plan) bounds(o *Options, b *Brief) {
	periods, refusals := max(b.Periods, 1), max(b.Refusals, 1)*max(b.Periods, 1)
	limit := known(o, b)
	money := 0
	if o.Caps.USD > 0 && o.USD > 0 {
		money = int(o.Caps.USD / o.USD)
	}
	switch {
	case b.Refusals > 0 && refusals > o.Caps.Throttled:
		p.stop(CodeThreshold, fmt.Sprintf("lower the threshold, or allow them with --max-throttled %d", refusals),
			"it needs %s, and at most %d are allowed", in(b, count(b.Refusals, "refusal")), o.Caps.Throttled)
	case limit > 0 && p.Rate > o.Caps.Rate:
		p.stop(CodeQuota, fmt.Sprintf("allow it with --max-rate %.0f, or drill where the quota is smaller", math.Ceil(limit*above)),
			"the limit is %s requests per second, and at most %s are allowed", number(limit), number(o.Caps.Rate))
	case p.Needed > o.Caps.Requests:
		p.stop(CodeQuota, fmt.Sprintf("allow it with --max-requests %d, or drill where the quota is smaller", roundUp(p.Needed)),
			"about %d requests are needed for a limit of %s per second, and at most %d are allowed", p.Needed, number(limit), o.Caps.Requests)
	case money > 0 && p.Needed > money:
		p.stop(CodeQuota, fmt.Sprintf("allow it with --max-cost %.2f, or drill where the quota is smaller", math.Ceil(float64(p.Needed)*o.USD*110)/100),
			"about %d requests are needed, which cost $%.2f, and $%.2f are allowed", p.Needed, float64(p.Needed)*o.USD, o.Caps.USD)
	}
	if b.Period > 0 {
		p.Expected = b.Period*time.Duration(periods) + b.Delay
		if p.Expected > o.Caps.Time {
			p.stop(CodePeriod, fmt.Sprintf("allow it with --max-time %v, or choose a shorter period", upToMinute(p.Expected)),
				"%s of %v, and about %v until its figures show, take %v, and %v is allowed", count(periods, "period"), b.Period, b.Delay, p.Expected, o.Caps.Time)
		}
	}
	if b.Quota > 0 && b.Others > b.Quota/2 {
		p.Findings = append(p.Findings, Finding{
			Code: CodeOthers, Name: Name(CodeOthers), Level: Note,
			Text:   fmt.Sprintf("others use %s of %s requests per second now (%.0f %%): they will be refused too", number(b.Others), number(b.Quota), 100*b.Others/b.Quota),
			Advice: "drill when it is quiet, or in an account of its own",
		})
	}
}

// words writes what the load is going to be.
func (p *Plan) words(o *Options, b *Brief) {
	where := "climbs from %s requests per second until it is refused"
	switch {
	case calmRate(o, b) > 0:
		where = "%s requests per second, which need not be refused"
	case o.Rate > 0:
		where = "begins at %s requests per second, just above --rate"
	case b.Quota > 0:
		where = "begins at %s requests per second, just above the quota"
	}
	text := fmt.Sprintf(where, number(p.Rate))
	if b.Period > 0 {
		switch {
		case b.Fill:
			text += fmt.Sprintf(", for %s of %v", count(max(b.Periods, 1), "period"), b.Period)
		case b.Calls > 0:
			text += fmt.Sprintf(", for %s", in(b, count(b.Calls, "call")))
		default:
			text += fmt.Sprintf(", for %s", in(b, count(max(b.Refusals, 1), "refusal")))
		}
	}
	p.Facts = append(p.Facts, Fact{"Load", text})
	if p.Needed > 0 {
		p.Facts = append(p.Facts, Fact{"Needed", "about " + count(p.Needed, "request")})
	}
	c := p.Worst
	worst := fmt.Sprintf("%s, %d of them refused, %s per second, %v", count(c.Requests, "request"), c.Throttled, number(c.Rate), c.Time)
	if o.USD > 0 {
		worst += fmt.Sprintf(", $%.2f for %s", c.USD, o.Priced)
	}
	p.Facts = append(p.Facts, Fact{"At worst", worst})
}

// in is "3 requests in each of 2 periods of 1m0s", or shorter.
func in(b *Brief, what string) string {
	switch {
	case b.Period <= 0:
		return what
	case b.Periods <= 1:
		return fmt.Sprintf("%s in a period of %v", what, b.Period)
	}
	return fmt.Sprintf("%s in each of %d periods of %v", what, b.Periods, b.Period)
}

// upToMinute is a time that is allowed when it is asked for: never less.
func upToMinute(d time.Duration) time.Duration {
	return (d + time.Minute - 1).Truncate(time.Minute)
}

func roundUp(n int) int {
	step := 100
	if n >= 10_000 {
		step = 1000
	}
	return (n*11/10 + step - 1) / step * step
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// number writes a rate without digits that say nothing.
func number(f float64) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "?"
	case f >= 10:
		return fmt.Sprintf("%.0f", f)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
}
