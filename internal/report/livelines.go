package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

func itoa(n int) string { return strconv.Itoa(n) }

// plainTick writes what a pipe gets for one second: events at once, figures
// once in an interval.
func (l *Live) plainTick(k *tally.Tick) {
	var b strings.Builder
	if k.Index == 0 && l.o.Meta.Target != "" {
		head := "weir  " + clean(l.o.Meta.Target)
		if l.o.Meta.Plan != "" {
			head += "  (" + clean(l.o.Meta.Plan) + ")"
		}
		b.WriteString(head + "\n")
	}
	tellOnset := func(before time.Duration) {
		if o := l.totals.Onset; o != nil && !l.onset && o.At <= before {
			l.onset = true
			fmt.Fprintf(&b, "%8s  %s\n", figAt(o.At), onsetNow(o))
		}
	}
	for _, e := range k.Events {
		tellOnset(e.At)
		// The onset has its own line, and samples are for the report.
		if e.Kind == "throttle-start" || e.Kind == "sample" || e.Text == "" {
			continue
		}
		fmt.Fprintf(&b, "%8s  %s\n", figAt(e.At), clean(e.Text))
	}
	tellOnset(math.MaxInt64)
	if end := k.Start + k.Length; end >= l.next {
		for l.next <= end {
			l.next += l.o.Interval
		}
		b.WriteString(l.plainLine(end) + "\n")
	}
	l.put(b.String())
}

// plainLine is one line of figures: rates of the latest second, percentiles of
// the latest five.
func (l *Live) plainLine(end time.Duration) string {
	r := l.last
	var b strings.Builder
	fmt.Fprintf(&b, "%8s  users %s  in flight %s  offered %s/s", figAt(end), figCount(int64(r.users)),
		figCount(int64(r.inFlight)), figRate(rate(r.sent, r.length)))
	for o := range hit.Outcome(hit.NumOutcomes) {
		if o == hit.Missed && l.totals.Missed == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %s %s/s", o, figRate(rate(r.count[o], r.length)))
	}
	if now := l.now(); now.Count() > 0 {
		fmt.Fprintf(&b, "  admitted p50 %s p95 %s", figTime(now.Quantile(0.50)), figTime(now.Quantile(0.95)))
	}
	if l.warming() {
		b.WriteString("  (warm-up, not counted)")
	}
	return b.String() + l.limitsPlain() + l.watchedPlain()
}

// warming reports whether nothing that was sent so far counts.
func (l *Live) warming() bool { return l.totals.Warm > 0 && l.totals.Length == 0 }

// now is the response times of the requests admitted in the latest seconds.
func (l *Live) now() *hist.Hist {
	var h hist.Hist
	for i := range l.recent {
		h.Merge(&l.recent[i].admitted)
	}
	return &h
}

// onsetNow tells the onset at the moment it is seen.
func onsetNow(o *tally.Onset) string {
	what := "refusal"
	if o.Status != 0 {
		what = strconv.Itoa(o.Status)
	}
	switch {
	case o.Offered <= 0:
		return "throttling began: first " + what
	case o.At < time.Second:
		return fmt.Sprintf("throttling began: first %s after %s", what, plural(int64(o.Offered), "request", "requests"))
	}
	return fmt.Sprintf("throttling began: first %s at %s requests/s offered", what, figRateShort(o.Offered))
}
