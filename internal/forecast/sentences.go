package forecast

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// sentences say the answer in plain words, each about one thing.
func sentences(a *Answer, fits bool) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	t := &a.Totals
	switch {
	case t.Arrived == 0:
		add("Nothing arrives, so nothing is refused.")
	case t.Refused == 0 && len(a.Limits) == 0:
		add("No limit that was given is for these calls: of %s flows in %s none meets one.", Count(t.Arrived), Span(a.Seconds))
	case t.Refused == 0:
		add("It fits: of %s flows in %s none meets a refusal.", Count(t.Arrived), Span(a.Seconds))
	default:
		add("It does not fit: the first refusal comes after %s, and of %s calls %s (%s) are refused.", At(*t.First), Count(t.Calls), Count(t.Refused), Percent(t.RefusedRatio))
	}
	switch {
	case a.Check != nil: // requests of a run: nothing is tried again
	case t.GaveUp > 0:
		add("%s of %s flows (%s) give up.", Count(t.GaveUp), Count(t.Arrived), Percent(t.GaveUpRatio))
	case t.Refused > 0:
		add("No flow gives up: the client tries again (%s) until it passes.", a.Retry)
	}
	if t.Unfinished > 0 && t.Refused > 0 {
		add("%s flows are still trying at the end.", Count(t.Unfinished))
	}
	for i := range a.Limits {
		if s := drySentence(a, &a.Limits[i]); s != "" {
			out = append(out, s)
		}
	}
	if fits {
		out = append(out, fitSentences(a)...)
	}
	for _, q := range a.Ask {
		s := fmt.Sprintf("To refuse nothing, ask for %s instead of %s on %s", q.Policy, q.Now, q.Limit)
		if q.Burst != nil {
			s += fmt.Sprintf(", or for a burst of %s with the rate as it is", Count(*q.Burst))
		}
		out = append(out, s+".")
	}
	if t.Cached > 0 {
		add("A cache makes %s calls needless; %s are made.", Count(t.Cached), Count(t.Calls))
	}
	return out
}

func drySentence(a *Answer, l *LimitAnswer) string {
	s := ""
	if l.Refused > 0 {
		s = fmt.Sprintf("%s runs dry after %s and refuses in %s, %s in all", l.Name, At(*l.First), periods(len(l.Periods)), Span(l.Dry))
		longest := l.Periods[0]
		for _, p := range l.Periods {
			if p[1]-p[0] > longest[1]-longest[0] {
				longest = p
			}
		}
		if len(l.Periods) > 1 {
			s += fmt.Sprintf(", the longest from %s to %s", At(longest[0]), At(longest[1]))
		}
		s += "."
	}
	if l.Blocks > 0 {
		if s != "" {
			s += " "
		}
		s += fmt.Sprintf("%s spends %s of its burst allotment", l.Name, plural(int64(l.Blocks), "block"))
		if l.BlocksOut != nil {
			s += fmt.Sprintf(", the last at %s", At(*l.BlocksOut))
		}
		s += "."
	}
	return s
}

func fitSentences(a *Answer) (out []string) {
	f := &a.Fits
	switch {
	case len(a.Limits) == 0:
		return nil
	case f.Sustained == nil:
		return []string{"What fits for ever: any rate, for what is taken of the limits does not grow with it."}
	}
	s := "What fits for ever, coming evenly: "
	binds := fmt.Sprintf("%s binds, of which a flow takes %s.", f.Binding, Number(f.Units))
	switch {
	case f.Played == nil:
		s += fmt.Sprintf("%s flows/s by arithmetic; %s", Rate(*f.Sustained), binds)
	case *f.Played > *f.Sustained*0.99:
		s += fmt.Sprintf("%s flows/s; %s Played for %s: none is refused", Rate(*f.Sustained), binds, Span(f.Length))
	default:
		s += fmt.Sprintf("%s flows/s, by arithmetic %s; %s Played for %s: none is refused", Rate(*f.Played), Rate(*f.Sustained), binds, Span(f.Length))
	}
	switch {
	case f.Refused != nil:
		s += fmt.Sprintf(" at %s/s, some at %s/s.", Rate(*f.Played), Rate(*f.Refused))
	case f.Played != nil:
		s += fmt.Sprintf(" at %s/s.", Rate(*f.Played))
	}
	out = append(out, s)
	if f.Burst != nil {
		s := fmt.Sprintf("What fits at one instant, after a rest: %s", plural(*f.Burst, "flow"))
		if f.BurstBinding != "" {
			s += "; one more, and " + f.BurstBinding + " refuses"
		}
		out = append(out, s+".")
	}
	return out
}

// rowSentence says what a change makes of it, beside the planned.
func rowSentence(base, r *Row) string {
	if r == base {
		if r.Refused == 0 {
			return "Nothing is refused."
		}
		return fmt.Sprintf("%s of the calls are refused, and %s of the flows give up.", Percent(r.RefusedRatio), Percent(r.GaveUpRatio))
	}
	switch {
	case base.Refused == 0 && r.Refused == 0:
		return "Still nothing is refused."
	case r.Refused == 0:
		return "Nothing is refused any more."
	case base.Refused == 0:
		return fmt.Sprintf("Now %s of the calls are refused, the first after %s.", Percent(r.RefusedRatio), At(*r.First))
	}
	s := fmt.Sprintf("%s of the calls are refused instead of %s", Percent(r.RefusedRatio), Percent(base.RefusedRatio))
	switch d := r.GaveUpRatio - base.GaveUpRatio; {
	case math.Abs(d) < 0.0005:
		s += "; as many flows give up."
	default:
		s += fmt.Sprintf("; %s of the flows give up instead of %s.", Percent(r.GaveUpRatio), Percent(base.GaveUpRatio))
	}
	return s
}

func periods(n int) string {
	if n == 1 {
		return "one stretch"
	}
	return Count(int64(n)) + " stretches"
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Count writes a whole number with commas.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Number writes a figure with at most three decimals.
func Number(f float64) string {
	if f >= 1000 {
		return Count(int64(math.Round(f)))
	}
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}

// Rate writes a number per second, with four digits that count.
func Rate(f float64) string {
	if f >= 1000 {
		return Count(int64(f))
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

// Percent writes a ratio. What is not none and not all never looks like it.
func Percent(r float64) string {
	switch {
	case r == 0:
		return "0 %"
	case r < 0.0005:
		return "<0.1 %"
	case r < 1 && r >= 0.9995:
		return ">99.9 %"
	}
	return strconv.FormatFloat(r*100, 'f', 1, 64) + " %"
}

// At writes an instant of the forecast: 1.5 s, 2 min 5 s, 9 h 0 min.
func At(seconds float64) string { return Span(seconds) }

// Span writes a length of time in words.
func Span(seconds float64) string {
	d := time.Duration(seconds * 1e9)
	two := func(a int64, au string, b int64, bu string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, au)
		}
		return fmt.Sprintf("%d %s %d %s", a, au, b, bu)
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatFloat(float64(d.Round(time.Millisecond))/1e6, 'f', -1, 64) + " ms"
	case d < time.Minute-50*time.Millisecond:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Hour-500*time.Millisecond:
		s := int64(d.Round(time.Second) / time.Second)
		return two(s/60, "min", s%60, "s")
	case d < 48*time.Hour:
		m := int64(d.Round(time.Minute) / time.Minute)
		return two(m/60, "h", m%60, "min")
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	return two(h/24, "d", h%24, "h")
}
