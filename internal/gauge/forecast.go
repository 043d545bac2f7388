package gauge

import (
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/header"
)

// Verdict is what a Forecast says.
type Verdict uint8

const (
	Unknown Verdict = iota // see Why
	Within                 // the first refusal comes from Soonest to Latest
	After                  // nothing can be refused before Soonest; what follows is not known
	Never                  // the limit gives back as much as is taken
)

// String returns the word that run files and JSON have.
func (v Verdict) String() string {
	return [...]string{"unknown", "within", "after", "never"}[v]
}

// Forecast is when the first request will be refused if the load stays as it is.
type Forecast struct {
	Verdict Verdict
	// Soonest and Latest bound it, counted from the instant asked for; they hold in
	// about nine of ten cases. Latest 0: there is no upper bound.
	Soonest, Latest time.Duration
	Likely          time.Duration // between the two
	Why             string        // of Unknown and After, in words
}

const (
	few     = 4               // samples that say something
	horizon = 100 * time.Hour // further ahead nothing is foretold
	sure    = 2.8             // standard deviations, of figures from eight blocks
)

// Forecast returns what is to be expected, seen from now.
func (g *Gauge) Forecast(now time.Duration) Forecast {
	switch {
	case g.read == 0:
		return Forecast{Why: "no answer told of a limit"}
	case g.latest.Limit.Remaining == header.Unknown:
		return Forecast{Why: "the answers do not tell what is left"}
	case g.Differs():
		return Forecast{Why: "what is left differs by user: there are several counts"}
	case len(g.list) < few:
		return Forecast{Why: "too few answers so far"}
	case g.latest.Limit.Remaining == 0:
		return Forecast{Verdict: Within}
	}
	list := g.recent()
	if n := len(list); n < few || list[n-1].At-list[0].At < time.Second {
		return Forecast{Why: "too few answers so far, or the rate has just changed"}
	}
	return look(list).forecast(now, g.list)
}

// kind is how a limit gives back.
type kind uint8

const (
	unclear kind = iota // nothing was given back yet
	steady              // bit by bit
	windows             // all at once
	rolling             // each unit a fixed time after it was taken, and that time has not passed yet
)

// view is what a list of samples shows.
type view struct {
	list   []Sample
	kind   kind
	fall   float64 // units by which what is left falls each second, apart from jumps
	spread float64 // variance of that, units² per second
	doubt  float64 // standard deviation of fall
	heads  []head  // of windows
	roll   time.Duration
	passed int // told resets that passed
	steps  []step
}

// step is an instant at which the told reset moved on before it had come.
type step struct {
	from, to time.Duration
	short    float64 // units missing to the quota by then
}

// head is an instant at which much was given back at once.
type head struct {
	at    time.Duration
	gain  float64
	level float64 // left right after it
	late  time.Duration
}

// look finds out how the limit gives back.
func look(list []Sample) *view {
	v := &view{list: list}
	n := len(list)
	span := (list[n-1].At - list[0].At).Seconds()
	gains, total := make([]float64, n), 0.0
	for i := 1; i < n; i++ {
		gains[i] = float64(list[i].Limit.Remaining - list[i-1].Limit.Remaining + list[i].Spent - list[i-1].Spent)
		total += max(gains[i], 0)
	}
	at := make([]bool, n)
	jumps := 0.0
	for i := 1; i < n && span > 0; i++ {
		usual := total / span * (list[i].At - list[i-1].At).Seconds()
		noise := float64(min(list[i].Flight, 8))
		if gains[i] > 4*usual+2+noise || gains[i] > 0.5*float64(list[i].Limit.Quota) && gains[i] > 3+noise {
			at[i] = true
			jumps += gains[i]
		}
	}
	v.resets()
	calm := total <= 2+0.05*float64(list[n-1].Spent-list[0].Spent)
	switch {
	case jumps > 0 && jumps >= 0.6*total:
		v.kind = windows
	case v.roll > 0 && calm:
		v.kind = rolling
		clear(at)
	case calm && (v.fixed() || len(v.steps) > 0 && v.passed == 0 && v.portions()):
		v.kind = windows
		clear(at)
	case total >= 3 || v.passed > 1:
		v.kind = steady
		clear(at)
	default:
		clear(at)
	}
	v.slope(at)
	for i := 1; i < n; i++ {
		if at[i] {
			half := (list[i].At - list[i-1].At) / 2
			v.heads = append(v.heads, head{
				at: list[i].At - half, gain: gains[i], late: half,
				level: float64(list[i].Limit.Remaining) + v.fall*half.Seconds(),
			})
		}
	}
	return v
}

// slope measures how fast what is left falls, leaving out the jumps.
func (v *view) slope(jump []bool) {
	var time, fell float64
	for i := 1; i < len(v.list); i++ {
		if !jump[i] {
			time += (v.list[i].At - v.list[i-1].At).Seconds()
			fell += float64(v.list[i-1].Limit.Remaining - v.list[i].Limit.Remaining)
		}
	}
	if time <= 0 {
		return
	}
	v.fall = fell / time
	// The scatter is measured over blocks: between neighbours there is little but rounding.
	const blocks = 8
	var t, f, sum float64
	n := 0
	for i := 1; i < len(v.list); i++ {
		if !jump[i] {
			t += (v.list[i].At - v.list[i-1].At).Seconds()
			f += float64(v.list[i-1].Limit.Remaining - v.list[i].Limit.Remaining)
		}
		if t >= time/blocks {
			sum += (f - v.fall*t) * (f - v.fall*t)
			n++
			t, f = 0, 0
		}
	}
	if n > 1 {
		v.spread = sum / time * float64(n) / float64(n-1)
	}
	// Eight blocks may agree by chance.
	v.spread = max(v.spread, 0.02*math.Abs(v.fall))
	v.doubt = math.Sqrt(v.spread/time + 0.5/(time*time))
}

// resets counts the told resets that passed, and finds out whether they keep
// their distance.
func (v *view) resets() {
	near, far := time.Duration(math.MaxInt64), time.Duration(0)
	var next, told time.Duration
	for i, s := range v.list {
		if s.Limit.ResetAfter == header.Unknown {
			return
		}
		at := s.At + s.Limit.ResetAfter
		switch {
		case i == 0 || told < s.At:
			told = at
		case at > told+resetStep:
			v.steps = append(v.steps, step{from: told, to: at, short: float64(s.Limit.Quota - s.Limit.Remaining)})
			told = at
		}
		if next > 0 && s.At > next {
			v.passed++
			next = 0
		}
		if next == 0 && s.Limit.ResetAfter > 0 {
			next = s.At + s.Limit.ResetAfter
		}
		near, far = min(near, s.Limit.ResetAfter), max(far, s.Limit.ResetAfter)
	}
	n := len(v.list)
	if span := v.list[n-1].At - v.list[0].At; far-near <= resetStep && near >= 2*time.Second && span >= 2*resetStep && span < near {
		v.roll = far
	}
}

// resetStep is how exact told resets are: most services tell whole seconds.
const resetStep = 1100 * time.Millisecond

// portions reports whether the told reset moved on in steps of one length.
func (v *view) portions() bool {
	first := v.steps[0].to - v.steps[0].from
	for i, s := range v.steps {
		if d := s.to - s.from - first; d > resetStep || d < -resetStep {
			return false
		}
		if want := float64(i+1) * v.steps[0].short; s.short > 1.3*want+3 || s.short < 0.7*want-3 {
			return false
		}
	}
	return v.steps[0].short > 5 && first >= 2*resetStep
}

// fixed reports whether the told reset stood still while time passed: the end of
// a window.
func (v *view) fixed() bool {
	if len(v.steps) > 0 {
		return false
	}
	first, last := time.Duration(math.MaxInt64), time.Duration(0)
	for _, s := range v.list {
		if s.Limit.ResetAfter == header.Unknown {
			return false
		}
		at := s.At + s.Limit.ResetAfter
		first, last = min(first, at), max(last, at)
	}
	n := len(v.list)
	return last-first <= resetStep && v.list[n-1].At-v.list[0].At >= 2*resetStep
}

// forecast foretells by what the list shows; all is the whole history.
func (v *view) forecast(now time.Duration, all []Sample) Forecast {
	last := v.list[len(v.list)-1]
	left := max(float64(last.Limit.Remaining)-v.fall*(now-last.At).Seconds(), 0)
	reset := time.Duration(header.Unknown)
	if last.Limit.ResetAfter != header.Unknown {
		reset = last.At + last.Limit.ResetAfter - now
	}
	if begins, width := v.slides(); width > 0 {
		return v.slide(begins-now, width, left, float64(last.Limit.Quota))
	}
	if v.kind == windows {
		return v.window(now, left, reset)
	}
	if v.fall <= v.doubt {
		if v.kind == unclear && (reset == header.Unknown || reset > 0) && v.fall+sure*v.doubt > 0 && last.Spent > all[0].Spent && v.passed == 0 {
			return Forecast{Verdict: After, Soonest: seconds(left / (v.fall + sure*v.doubt)), Why: "it falls too slowly so far to tell"}
		}
		return Forecast{Verdict: Never}
	}
	f := v.drain(left)
	switch {
	case v.kind == rolling:
		// What was taken first comes back first.
		if back := all[0].At + v.roll - now; f.Likely > back {
			if f.Soonest < back {
				return Forecast{Verdict: After, Soonest: f.Soonest, Why: "units begin to come back about then"}
			}
			return Forecast{Verdict: Never}
		}
	case v.kind == unclear && reset > 0 && f.Likely > reset:
		return Forecast{Verdict: After, Soonest: min(reset, f.Soonest), Why: "what the reset gives back has not been seen yet"}
	}
	return f
}

// slides returns when units begin to come back, and the width, of a window that
// slides and has not moved on yet: its told reset is when the present window is
// wholly forgotten, which is later than the window is long.
func (v *view) slides() (begins, width time.Duration) {
	if len(v.heads) > 0 || v.kind == steady {
		return 0, 0
	}
	first, last := v.list[0], v.list[len(v.list)-1]
	if w, reset := last.Limit.Window, last.Limit.ResetAfter; w > 0 && last.Limit.Refill == 0 && reset > w+resetStep {
		return last.At + reset - w, w
	}
	// A single unit is forgotten as soon as the window moves on, many units are not
	// before the end of the next: the told reset creeps from one to the other.
	if len(v.steps) > 0 && v.steps[0].short <= 5 && first.Limit.Quota >= 20 {
		return v.steps[0].from, last.At + last.Limit.ResetAfter - v.steps[0].from
	}
	return 0, 0
}

// slide foretells for such a window, which moves on after begins.
func (v *view) slide(begins, width time.Duration, left, quota float64) Forecast {
	if v.fall <= 0 {
		return Forecast{Verdict: Never}
	}
	f := v.drain(left)
	switch {
	case f.Likely <= begins:
		return f
	case v.fall*width.Seconds() <= quota:
		return Forecast{Verdict: Never}
	}
	return Forecast{Verdict: After, Soonest: min(begins, f.Soonest), Why: "units begin to come back about then"}
}

// drain is the time in which a level that falls steadily reaches zero, and the
// request after that is refused.
func (v *view) drain(left float64) Forecast {
	t := (left + 1) / v.fall
	s := math.Sqrt(v.doubt*v.doubt*t*t+v.spread*t+1) / v.fall
	f := Forecast{Verdict: Within, Likely: seconds(t), Soonest: seconds(max(0, t-sure*s)), Latest: seconds(t + sure*s)}
	// Subtle: a slope that is hardly more than its error has a long tail on one
	// side. The bounds come from the slope's own, then.
	if slow := v.fall - sure*v.doubt; slow > 0 {
		f.Latest = max(f.Latest, seconds((left+1)/slow))
	} else {
		f.Latest = 0
	}
	f.Soonest = min(f.Soonest, seconds(left/(v.fall+sure*v.doubt)))
	return f
}

// window plays the windows that come, with the fall as it is and with its bounds.
func (v *view) window(now time.Duration, left float64, reset time.Duration) Forecast {
	last := v.list[len(v.list)-1]
	width := v.width()
	next := reset
	if n := len(v.heads); n > 0 && width > 0 {
		h := v.heads[n-1]
		ahead := h.at + width - now
		for ahead <= 0 {
			ahead += width
		}
		next = ahead
	}
	quota := float64(last.Limit.Quota)
	gain := quota
	if n := len(v.heads); n == 0 && len(v.steps) > 0 && reset > 0 {
		// A bucket that is filled in portions tells when it will be full. That moves
		// on by the distance of two portions whenever one more is missing.
		width, gain = v.steps[0].to-v.steps[0].from, v.steps[0].short
		for next > width {
			next -= width
		}
	} else if n == 1 && v.heads[0].level < quota-1-v.fall*2*v.heads[0].late.Seconds() && quota > 0 {
		return Forecast{Verdict: After, Soonest: v.drain(left).Soonest, Why: "how often the limit gives back has not been seen yet"}
	}
	for _, h := range v.heads {
		if h.level < quota-1-v.fall*2*h.late.Seconds() {
			gain = min(gain, h.gain) // the head does not fill it: this is all it gives
		}
	}
	if last.Limit.Quota == header.Unknown {
		quota, gain = math.Inf(1), 0
		for _, h := range v.heads {
			gain = max(gain, h.gain)
		}
	}
	if next <= 0 && width == 0 {
		if v.fall <= 0 {
			return Forecast{Verdict: Never}
		}
		return v.drain(left)
	}
	run := func(fall float64) (time.Duration, Verdict) {
		return play(left, fall, next, width, quota, gain)
	}
	likely, verdict := run(v.fall)
	soon, sooner := run(v.fall + sure*v.doubt)
	late, later := run(max(v.fall-sure*v.doubt, 0))
	slack := seconds(sure * math.Sqrt(v.spread*likely.Seconds()+1) / max(v.fall, 1e-9))
	switch verdict {
	case Within:
		f := Forecast{Verdict: Within, Likely: likely, Soonest: max(0, min(soon, likely)-slack), Latest: max(late, likely) + slack}
		if later != Within {
			f.Latest = 0
		}
		return f
	case Never:
		if sooner == Within && v.fall > 0 && (quota+1)/(v.fall+v.doubt) < width.Seconds() {
			return Forecast{Verdict: After, Soonest: max(0, soon-slack), Why: "the rate is about what the limit gives"}
		}
		return Forecast{Verdict: Never}
	}
	if sooner == Within {
		likely = min(likely, soon)
	}
	return Forecast{Verdict: After, Soonest: max(0, likely), Why: "how long the window after the reset lasts has not been seen yet"}
}

// play returns when what is left ends. Without a width it says After, with the
// next head, unless it ends before that.
func play(left, fall float64, next, width time.Duration, quota, gain float64) (time.Duration, Verdict) {
	if fall <= 0 {
		return 0, Never
	}
	var at time.Duration
	const most = 100_000
	for i := 0; i < most; i++ {
		if t := seconds((left + 1) / fall); t < next {
			return at + t, Within
		}
		if width <= 0 {
			return next, After
		}
		left -= fall * next.Seconds()
		after := min(quota, left+gain)
		at += next
		if i > 0 && after >= left+fall*width.Seconds()-1e-9 && seconds((after+1)/fall) >= width {
			return 0, Never
		}
		left, next = after, width
		if at > horizon {
			return 0, Never
		}
	}
	return 0, Never
}

// width returns how long a window lasts, 0 when that is not known.
func (v *view) width() time.Duration {
	if n := len(v.heads); n > 1 {
		// One distance is as wrong as two samples are apart; the whole span, which is
		// a multiple of the width, is not.
		apart := make([]time.Duration, 0, n-1)
		for i := 1; i < n; i++ {
			apart = append(apart, v.heads[i].at-v.heads[i-1].at)
		}
		slices.Sort(apart)
		span := v.heads[n-1].at - v.heads[0].at
		return time.Duration(float64(span) / max(1, math.Round(float64(span)/float64(apart[(n-1)/2]))))
	}
	last := v.list[len(v.list)-1].Limit
	if last.Window > 0 && last.Refill == 0 {
		return last.Window
	}
	// The told resets step by the width.
	var before time.Duration
	for _, s := range v.list {
		if s.Limit.ResetAfter == header.Unknown {
			return 0
		}
		at := s.At + s.Limit.ResetAfter
		if before > 0 && at-before > resetStep {
			return at - before
		}
		before = at
	}
	return 0
}

func seconds(s float64) time.Duration {
	if s > horizon.Seconds() {
		return horizon
	}
	return time.Duration(s * float64(time.Second))
}
