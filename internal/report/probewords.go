package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// kindWords puts a kind after the verb that goes with it.
func kindWords(f *probe.Found, one, many string) string {
	switch f.Family {
	case probe.Stacked:
		return many + " " + f.Kind()
	case probe.Replicas:
		return many + " several replicas with one limit on each"
	}
	return one + " a " + f.Kind()
}

// FoundWords is the figures of what was found, in plain words.
func FoundWords(f *probe.Found) string {
	var all []string
	for i, p := range f.Policies {
		off := f.WindowOff
		if i > 0 {
			off = 0
		}
		byClock := f.Family == probe.Replicas && p.Algorithm == limit.FixedWindow && p.Align == limit.AlignClock
		if all = append(all, limitSentence(p, !byClock && (i == 0 || f.Family == probe.Stacked), off)); byClock {
			all[i] += " by the clock" // of each replica perhaps its own
		}
	}
	s := strings.Join(all, ", and ")
	if s == "" {
		s = "no figures"
	}
	if f.Early {
		s += "; who comes up to half a unit early waits"
	}
	switch f.Also {
	case probe.InLonger:
		s += "; what one of them refuses counts in the other"
	case probe.InFirst:
		s += "; they are asked in this order, and what the longer refuses counts in the shorter"
	}
	switch {
	case f.Anew && f.Family == probe.RefillBucket:
		p := f.Policies[0]
		since := map[probe.Since]string{
			probe.SinceLet:     "since the latest that was let through, which begins the time anew",
			probe.SincePortion: "since a request that found some more, which begins the time anew",
			probe.SinceRest:    "from a request on, which begins the time anew when it was full",
		}[f.Since]
		s = fmt.Sprintf("%d at once, and %d more each %s %s", p.Capacity(), p.Limit, lengthWords(p.Window, f.WindowOff), since)
	case f.Anew && f.Family == probe.FixedFirst:
		p, until := f.Policies[0], "none was let through"
		if p.CountDenied {
			until = "nobody asked"
		}
		s = fmt.Sprintf("%d %s, and as many again once %s for %s", p.Limit, oneOrMore(p.Limit, "request", "requests"), until, lengthWords(p.Window, f.WindowOff))
		if p.CountDenied {
			s += "; what is refused begins that time anew, too"
		}
	case f.Anew && f.Ban == 0:
		s += "; its windows begin with a request, after a rest anew"
	}
	if f.Tick > 0 {
		s += "; its clock shows " + tickWords(f.Tick)
	}
	if f.Ban > 0 && f.Shut != nil {
		s += ", refusing everything for a time that is not known yet once it is exceeded"
	} else if f.Ban > 0 {
		s += fmt.Sprintf(", refusing everything for %s once it is exceeded", spanWords(f.Ban))
		if f.Anew {
			s += ", counted from the latest request that was refused"
		}
	}
	if f.Replicas > 0 {
		s += fmt.Sprintf(", on each of about %d replicas", f.Replicas)
	}
	if f.LimitHigh > f.LimitLow {
		s += fmt.Sprintf(" (the limit is between %d and %d)", f.LimitLow, f.LimitHigh)
	}
	return s
}

// tickWords is what a clock of such ticks shows.
func tickWords(tick time.Duration) string {
	if tick == time.Second {
		return "whole seconds only"
	}
	return "steps of " + spanWords(tick) + " only"
}

// limitSentence says one limit. off is how far its time may be off, as a share.
func limitSentence(p limit.Policy, whole bool, off float64) string {
	switch p.Algorithm {
	case limit.Concurrency:
		return fmt.Sprintf("%d requests under way at once", p.Limit)
	case limit.TokenBucket:
		return fmt.Sprintf("%d at once, then %s", p.Capacity(), rateWords(p.Limit, p.Window, off))
	case limit.RefillBucket:
		if off > openEnd { // how many come goes with how often
			return fmt.Sprintf("%d at once, and some more from time to time, all together; when and how many is not known yet", p.Capacity())
		}
		return fmt.Sprintf("%d at once, and %d more each %s, all together%s", p.Capacity(), p.Limit, lengthWords(p.Window, off), phaseWords(p, "they come", off))
	case limit.LeakyBucket:
		s := fmt.Sprintf("%s pass, %d more wait in a queue, and the rest is refused", rateWords(p.Limit, p.Window, off), p.Burst)
		if p.Undelayed > 0 {
			s += fmt.Sprintf("; %d of those that wait pass at once", p.Undelayed)
		}
		return s
	}
	s := fmt.Sprintf("%d %s in %s", p.Limit, oneOrMore(p.Limit, "request", "requests"), lengthWords(p.Window, off))
	if !whole {
		return s
	}
	switch {
	case p.Algorithm == limit.SlidingLog, p.Algorithm == limit.SlidingWindow:
		s += " before any instant"
		if p.CountDenied {
			s += ", refused ones included"
		}
	case p.Align == limit.AlignLast:
		s += " from the latest one on, each of which begins that time anew"
	case p.Align == limit.AlignFirst:
		s += " from the first one on"
	default:
		s += phaseWords(p, "windows begin", off)
	}
	return s
}

func oneOrMore(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// openShare is how far a time may be off without that being said.
const openShare = 0.005

// wideShare is how far a time may be off for its middle to say something, and openEnd
// for its ends to do.
const wideShare, openEnd = 0.25, 0.8

// lengthWords is a window, with its bounds where these are wide.
func lengthWords(d time.Duration, off float64) string {
	if off <= openShare {
		return spanWords(d)
	}
	round := func(x float64) string {
		v := digits(time.Duration(x*float64(d)).Seconds(), 3)
		return spanWords(time.Duration(math.Round(v*1e9)) * time.Nanosecond)
	}
	if off > openEnd {
		return "a time that is not known yet"
	}
	if off > wideShare {
		return fmt.Sprintf("something from %s to %s", round(1-off), round(1+off))
	}
	return fmt.Sprintf("about %s (%s to %s)", round(1), round(1-off), round(1+off))
}

// rateWords is a rate as people say it: 10 a second, one every 2 s, about 4.9 a second
// (4.8 to 5.0).
func rateWords(n int64, per time.Duration, off float64) string {
	each := map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour", 24 * time.Hour: "a day"}
	short := n
	for short >= 10 && short%10 == 0 {
		short /= 10
	}
	unit := each[per]
	switch {
	case off > openEnd:
		return "some at a rate that is not known yet"
	case off > openShare || short >= 100 && unit != "":
	case unit != "":
		return fmt.Sprintf("%d %s", n, unit)
	case n == 1:
		return "one every " + spanWords(per)
	case n < 100 || per <= time.Minute:
		return fmt.Sprintf("%d every %s", n, spanWords(per))
	}
	rate, unit := float64(n)/per.Seconds(), "a second"
	switch {
	case rate < 1.0/90:
		rate, unit = rate*3600, "an hour"
	case rate < 0.9:
		rate, unit = rate*60, "a minute"
	}
	if off <= openShare {
		return fmt.Sprintf("about %s %s", inDigits(rate, 4), unit)
	}
	least, most := rate/(1+off), rate/max(0.01, 1-off)
	if off > wideShare {
		return fmt.Sprintf("something from %s to %s %s", inDigits(least, 2), inDigits(most, 2), unit)
	}
	return fmt.Sprintf("about %s %s (%s to %s)", inDigits(rate, 3), unit, inDigits(least, 3), inDigits(most, 3))
}

// inDigits is a number of so many digits, as people write it: never 1e+03.
func inDigits(x float64, n int) string {
	if s := strconv.FormatFloat(x, 'g', n, 64); !strings.Contains(s, "e") {
		return s
	}
	return strconv.FormatFloat(digits(x, n), 'f', -1, 64)
}

// digits rounds to so many digits.
func digits(x float64, n int) float64 {
	if x <= 0 {
		return x
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-float64(n-1))
	return math.Round(x/unit) * unit
}

// phaseWords says where windows of the clock begin. Who does not know how long they are
// knows of no place.
func phaseWords(p limit.Policy, what string, wide float64) string {
	if p.Window <= 0 || wide > wideShare {
		return ""
	}
	off := p.Phase.Round(10 * time.Millisecond)
	if p.Window-off < spanGrain(off)/2 { // it would be written as all of the window
		off = 0
	}
	even := spanWords(p.Window)
	if wide > openShare { // as lengthWords says it
		even = spanWords(secDuration(digits(p.Window.Seconds(), 3)))
	}
	if off == 0 {
		return "; " + what + " on the clock's even " + even
	}
	return fmt.Sprintf("; %s %s after the clock's even %s", what, spanWords(off), even)
}

// spanGrain is to how much spanWords rounds.
func spanGrain(d time.Duration) time.Duration {
	switch {
	case d >= 100*time.Minute:
		return time.Minute
	case d >= 10*time.Minute:
		return 6 * time.Second
	case d >= 5*time.Minute:
		return 600 * time.Millisecond
	case d >= 10*time.Second:
		return 100 * time.Millisecond
	case d >= time.Second:
		return time.Millisecond
	}
	return time.Microsecond
}

// PercentWords is a share that is neither none nor all: 97 %, more than 99 %.
func PercentWords(x float64) string {
	switch pc := math.Round(100 * x); {
	case pc >= 100:
		return "more than 99 %"
	case pc < 1:
		return "less than 1 %"
	default:
		return fmt.Sprintf("%.0f %%", pc)
	}
}

// farWords is a time that is far off, in two or three digits.
func farWords(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return inDigits(d.Hours()/24, 3) + " days"
	case d >= 3*time.Hour:
		return inDigits(d.Hours(), 3) + " h"
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// spanWords writes a time as people say it: 1 s, 1.5 s, 2 min, 1 h.
func spanWords(d time.Duration) string {
	switch {
	case d < 0:
		return "no time"
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d >= 5*time.Minute && d%time.Second != 0 || d >= 10*time.Minute:
		return inDigits(d.Minutes(), 3) + " min"
	case d >= 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d >= time.Second:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()), "0"), ".") + " s"
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", float64(d)/1e6), "0"), ".") + " ms"
}

// othersWords says how much of a limit others use, if it is the limit.
func othersWords(o probe.Others, sure bool) string {
	pc := func(x float64) string { return fmt.Sprintf("%.0f", 100*x) }
	who := "Others"
	if !sure {
		who = "If it is so, others"
	}
	if pc(o.Share) == "0" {
		return fmt.Sprintf("%s use less than %s %% of it, if there are any.", who, pc(max(0.01, math.Ceil(100*o.High)/100)))
	}
	if pc(o.Low) == pc(o.High) {
		return fmt.Sprintf("%s use about %s %% of it.", who, pc(o.Share))
	}
	return fmt.Sprintf("%s use about %s %% (%s to %s %%) of it.", who, pc(o.Share), pc(o.Low), pc(o.High))
}
