package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Timeline is what happens to a client that starts from rest at the head of a
// window and sends steadily at twice the limit.
type Timeline struct {
	Every   time.Duration `json:"every_ns"` // between two requests
	Batch   int64         `json:"batch"`    // requests at each of those instants
	Bin     time.Duration `json:"bin_ns"`   // what one entry of Sent and Passed spans
	Window  time.Duration `json:"window_ns"`
	Sent    []int64       `json:"sent"`
	Passed  []int64       `json:"passed"`
	PerBins int           `json:"bins_per_window"`
}

const (
	timelineWindows = 4
	timelineBins    = 15    // of a window
	maxTakes        = 10000 // of a simulation
)

// span returns the window, or the length of the period that begins at from.
func span(p *limit.Policy, from time.Time) time.Duration {
	switch p.Period {
	case limit.PerHour:
		return time.Hour
	case limit.PerDay:
		return 24 * time.Hour
	case limit.PerWeek:
		return 7 * 24 * time.Hour
	case limit.PerMonth:
		return from.AddDate(0, 1, 0).Sub(from)
	case limit.PerYear:
		return from.AddDate(1, 0, 0).Sub(from)
	}
	return p.Window
}

// head returns an instant at which a window of the policy begins.
func head(p *limit.Policy) time.Time {
	zone := p.Location
	if zone == nil {
		zone = time.UTC
	}
	switch {
	case p.Period == limit.PerYear:
		return time.Date(2026, 1, 1, 0, 0, 0, 0, zone)
	case p.Period == limit.PerMonth:
		return time.Date(2026, 7, 1, 0, 0, 0, 0, zone) // two months of the same length
	case p.Period != limit.NoPeriod:
		return time.Date(2026, 6, 1, 0, 0, 0, 0, zone) // a Monday
	case p.Algorithm == limit.Quota && !p.Start.IsZero():
		return p.Start
	case p.Window <= 0:
		return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	return time.Unix(0, at-at%int64(p.Window)).Add(p.Phase).UTC()
}

// rest returns a limiter that has not been used, and the head of a window.
func rest(p *Policy) (limit.Limiter, time.Time, bool) {
	at := head(&p.Policy)
	// A whole window earlier: the windows of a quota without a start are counted
	// from the origin.
	lim, err := p.New(at.Add(-max(span(&p.Policy, at), time.Second)))
	return lim, at, err == nil
}

// pass lets n requests of a cost come at an instant, and returns how many pass.
func pass(lim limit.Limiter, at time.Time, n, cost int64) (passed int64) {
	room := lim.Take(at, 0).Remaining / cost
	if passed = min(n, room); passed > 0 && !lim.Take(at, passed*cost).Allowed {
		passed = 0
	}
	if passed < n {
		lim.Take(at, (n-passed)*cost) // refused, which some policies count
	}
	return passed
}

func (p *Policy) fixedCost() int64 {
	if p.Cost.Expr != nil {
		return 1
	}
	return max(p.Cost.Fixed, 1)
}

// timeline runs the model.
func timeline(p *Policy) *Timeline {
	cost := p.fixedCost()
	if p.Algorithm == limit.Concurrency || p.Capacity() < cost {
		return nil
	}
	lim, from, ok := rest(p)
	if !ok {
		return nil
	}
	window := span(&p.Policy, from)
	requests := 2 * float64(p.Limit) / float64(cost) // in a window
	t := &Timeline{Window: window, Batch: 1, PerBins: timelineBins, Bin: window / timelineBins}
	if t.Bin == 0 || window > math.MaxInt64/8 {
		return nil
	}
	if many := requests * timelineWindows / maxTakes; many > 1 {
		t.Batch = int64(math.Ceil(many))
	}
	t.Every = time.Duration(float64(window) * float64(t.Batch) / requests)
	t.Sent, t.Passed = make([]int64, timelineWindows*timelineBins), make([]int64, timelineWindows*timelineBins)
	for i := int64(0); i < 4*maxTakes; i++ {
		after := time.Duration(float64(i) * float64(window) * float64(t.Batch) / requests)
		bin := int(after / t.Bin)
		if bin >= len(t.Sent) {
			break
		}
		t.Sent[bin] += t.Batch
		t.Passed[bin] += pass(lim, from.Add(after), t.Batch, cost)
	}
	return t
}

// Caption says what the picture shows.
func (t *Timeline) Caption() string {
	what := "a request"
	if t.Batch > 1 {
		what = fmt.Sprintf("%d requests", t.Batch)
	}
	return fmt.Sprintf("%s each %s, twice the limit, for four windows of %s (█ passes, · is refused)", what, about(t.Every), about(t.Window))
}

// Draw returns the picture: a line of one character for each bin between marks
// at the windows, and below it how many pass in each window.
func (t *Timeline) Draw() string {
	var bars, counts strings.Builder
	for i := range t.Sent {
		if i%t.PerBins == 0 {
			bars.WriteByte('|')
			sent, passed := int64(0), int64(0)
			for j := i; j < i+t.PerBins; j++ {
				sent, passed = sent+t.Sent[j], passed+t.Passed[j]
			}
			fmt.Fprintf(&counts, " %-*s", t.PerBins, fmt.Sprintf("%d of %d", passed, sent))
		}
		bars.WriteRune(glyph(t.Sent[i], t.Passed[i]))
	}
	return bars.String() + "|\n" + strings.TrimRight(counts.String(), " ")
}

// last returns how many pass in the last window.
func (t *Timeline) last() (n int64) {
	for _, passed := range t.Passed[len(t.Passed)-t.PerBins:] {
		n += passed
	}
	return n
}

// glyph is how much of what was sent has passed.
func glyph(sent, passed int64) rune {
	switch {
	case sent == 0:
		return ' '
	case passed == 0:
		return '·'
	case passed >= sent:
		return '█'
	case 3*passed < sent:
		return '▂'
	case 3*passed < 2*sent:
		return '▄'
	}
	return '▆'
}

// measure runs the model for the figures of an explanation.
func measure(p *Policy) (f Figures) {
	f.RetryAfter = -1
	lim, from, ok := rest(p)
	if !ok {
		return f
	}
	f.AtOnce = lim.Take(from, 0).Remaining
	if p.Algorithm == limit.Concurrency {
		return f
	}
	// The worst that a client can do: take all there is just before the head of a
	// window, and from then on whatever becomes free.
	window := span(&p.Policy, from)
	if window <= 0 || window > math.MaxInt64/8 {
		return f
	}
	const steps = 240
	var at [3*steps + 2]time.Duration
	var took [3*steps + 2]int64
	lim, _, _ = rest(p)
	if p.Align != limit.AlignClock {
		// Its window begins with a request: one unit opens it, the rest comes at its end.
		pass(lim, from.Add(-window), 1, 1)
	}
	for i := range at {
		at[i] = -1
		if i > 0 {
			at[i] = time.Duration(float64(window) / steps * float64(i-1))
		}
		took[i] = pass(lim, from.Add(at[i]), lim.Take(from.Add(at[i]), 0).Remaining, 1)
	}
	sum, first := int64(0), 0
	for i := range at {
		for sum += took[i]; at[i]-at[first] >= window; first++ {
			sum -= took[first]
		}
		f.InAWindow = max(f.InAWindow, sum)
	}
	// And how long the next then has to wait, when the burst came at the head.
	lim, _, _ = rest(p)
	pass(lim, from, f.AtOnce, 1)
	if d := lim.Take(from, 1); !d.Allowed && d.RetryAfter >= 0 && d.RetryAfter != limit.Never {
		f.RetryAfter = d.RetryAfter.Seconds()
	}
	return f
}

// warned returns how many units are in use when the warning begins.
func warned(p *Policy) int64 {
	lim, from, ok := rest(p)
	if !ok {
		return 0
	}
	most := p.Capacity()
	low, high := int64(0), most // the least that warns is above low and at most high
	for high-low > 1 {
		middle := low + (high-low)/2
		if lim.Clone().Take(from, middle).Warn {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// per writes the window as people say it, with "per" before it.
func per(p *limit.Policy) string {
	switch {
	case p.Algorithm == limit.Concurrency:
		return ""
	case p.Period != limit.NoPeriod:
		return "per " + p.Period.String()
	}
	return "per " + lasting(p.Window)
}

func units(n int64, p *Policy) string {
	noun := "request"
	if p.Cost.Expr != nil || p.Cost.Fixed > 1 {
		noun = "unit"
	}
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatInt(n, 10) + " " + noun
}

// about writes a duration with three figures, in days where it has whole ones.
func about(d time.Duration) string {
	if days := d / (24 * time.Hour); days >= 1 && d%(24*time.Hour) == 0 {
		if days == 1 {
			return "1 day"
		}
		return fmt.Sprintf("%d days", days)
	}
	unit := time.Duration(1)
	for d/unit >= 10000 {
		unit *= 10
	}
	return duration(d.Round(unit))
}

func seconds(s float64) string {
	if s < 0 {
		return "an unknown time"
	}
	return about(time.Duration(s * float64(time.Second)))
}

// oneLine makes text fit into a sentence.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 160 {
		s = string(r[:160]) + "…"
	}
	return s
}
