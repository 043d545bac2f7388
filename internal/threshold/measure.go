package threshold

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// figures is what one metric needs of a run or of a tick.
type figures struct {
	over     time.Duration
	sent     int64 // whether anything was tried at all
	found    bool  // whether the request in braces occurred
	counts   [hit.NumOutcomes]int64
	statuses int64 // answers of the class of a status metric
	times    *hist.Hist
	owned    bool // times belongs to nobody else
	first    time.Duration
}

func (f *figures) answers() int64 {
	return f.counts[hit.Admitted] + f.counts[hit.Throttled] + f.counts[hit.Failed]
}

// matches says whether a row belongs to the request in braces.
func (m *metric) matches(method, name string) bool {
	if m.request == "" || m.request == name {
		return true
	}
	n := len(method)
	return n > 0 && len(m.request) == n+1+len(name) &&
		m.request[:n] == method && m.request[n] == ' ' && m.request[n+1:] == name
}

func (m *metric) outcome() (hit.Outcome, bool) {
	switch m.subject {
	case "admitted", "throttled", "failed", "missed":
		return findSubject(m.subject).outcome, true
	}
	return 0, false
}

// isLag says that the metric is about all requests together, whatever became of them.
func (m *metric) isLag() bool {
	return m.subject == "send_lag" || m.subject == "wake_lag" || m.subject == "connect"
}

func (m *metric) ofTotals(t *tally.Totals) figures {
	f := figures{over: t.Length, sent: max(t.Sent, t.Answers()), found: m.request == ""}
	switch m.subject {
	case "send_lag":
		f.times = &t.SendLag
		return f
	case "wake_lag":
		f.times = &t.WakeLag
		return f
	case "connect":
		f.times = &t.Connect
		return f
	}
	if m.request == "" {
		m.addSums(&f, t.Outcome, t.Codes())
		return f
	}
	for _, n := range t.Names() {
		if m.matches(n.Method, n.Name) {
			f.found = true
			m.addSums(&f, n.Outcome, n.Codes())
		}
	}
	return f
}

func (m *metric) addSums(f *figures, of func(hit.Outcome) *tally.Sum, codes []tally.Code) {
	m.addCodes(f, codes)
	want, one := m.outcome()
	for o := range hit.Outcome(hit.NumOutcomes) {
		s := of(o)
		if one && o == want && s.Count > 0 {
			if f.counts[o] == 0 || s.First < f.first {
				f.first = s.First
			}
			f.addTimes(m, &s.Response, &s.Service)
		}
		f.counts[o] += s.Count
	}
}

func (m *metric) addCodes(f *figures, codes []tally.Code) {
	if m.subject != "status" {
		return
	}
	for _, c := range codes {
		if m.class.from <= c.Status && c.Status <= m.class.to {
			f.statuses += c.Count
		}
	}
}

// addTimes keeps a reference as long as one histogram is all there is.
func (f *figures) addTimes(m *metric, response, service *hist.Hist) {
	h := response
	if m.service {
		h = service
	}
	switch {
	case m.unit != length || h == nil:
	case f.times == nil:
		f.times = h
	default:
		if !f.owned {
			f.times, f.owned = f.times.Clone(), true
		}
		f.times.Merge(h)
	}
}

func (m *metric) ofTick(k *tally.Tick) figures {
	f := figures{over: k.Length, found: true}
	for _, n := range k.Sends {
		f.sent += int64(n)
	}
	switch m.subject {
	case "send_lag":
		f.times = k.SendLag
	case "wake_lag":
		f.times = k.WakeLag
	case "connect":
		f.times = k.Connect
	}
	want, one := m.outcome()
	for i := range k.Series {
		row := &k.Series[i]
		if int(row.Outcome) >= hit.NumOutcomes || !m.matches(row.Method, row.Name) {
			continue
		}
		m.addCodes(&f, row.Codes)
		if one && row.Outcome == want {
			f.addTimes(m, row.Response, row.Service)
		}
		f.counts[row.Outcome] += row.Count
	}
	return f
}

// reading is what a metric measures now, in the unit of the value it is
// compared with. Without data, none says why.
type reading struct {
	number float64
	detail string // for people, after the number
	none   string
}

// hits is the number of hits that a metric is about.
func (m *metric) hits(f *figures) int64 {
	o, isOutcome := m.outcome()
	switch {
	case isOutcome:
		return f.counts[o]
	case m.subject == "goodput":
		return f.counts[hit.Admitted]
	case m.subject == "status":
		return f.statuses
	case m.subject == "offered":
		return f.sent
	case m.isLag():
		return int64(f.times.Count())
	}
	return f.answers()
}

// read computes a metric. In a tick, f.sent and f.found do not matter: a second
// in which nothing was sent has counts of 0.
func (m *metric) read(f *figures, v value) reading {
	count := m.hits(f)
	switch m.unit {
	case units:
		return reading{number: float64(count)}
	case rate, perMinute, perHour:
		if f.over <= 0 {
			return reading{none: "no time has passed"}
		}
		return reading{number: float64(count) * perSeconds(v.per) / f.over.Seconds()}
	case share:
		of := f.answers()
		if m.subject == "missed" {
			of += count
		}
		if of == 0 {
			return reading{none: "there were no hits"}
		}
		return reading{number: float64(count) / float64(of), detail: fmt.Sprintf(" (%d of %d)", count, of)}
	case instant:
		if count == 0 {
			return reading{number: math.Inf(1)}
		}
		return reading{number: float64(f.first)}
	}
	if f.times.Count() == 0 {
		if m.isLag() {
			return reading{none: "there was no " + m.subject + " to measure"}
		}
		return reading{none: "there were no " + m.subject + " hits"}
	}
	return reading{number: float64(m.time(f.times))}
}

func (m *metric) time(h *hist.Hist) time.Duration {
	switch m.stat {
	case "min":
		return h.Min()
	case "max":
		return h.Max()
	case "mean":
		return h.Mean()
	}
	return h.Quantile(m.quantile)
}

// readRun computes the metric over the run so far.
func (e *Expr) readRun(t *tally.Totals) reading {
	if e.metric.subject == "watch" {
		return e.readWatched(t)
	}
	return e.metric.readRun(t, e.limit)
}

// readTick computes it in one tick.
func (e *Expr) readTick(k *tally.Tick) reading {
	if e.metric.subject == "watch" {
		return e.readWatchedTick(k)
	}
	f := e.metric.ofTick(k)
	return e.metric.read(&f, e.limit)
}

func (m *metric) readRun(t *tally.Totals, v value) reading {
	tried := max(t.Sent, t.Answers())
	if tried == 0 && (m.subject != "missed" || t.Missed == 0) {
		return reading{none: "nothing was sent"}
	}
	if window := peakWindow(m.stat); window > 0 {
		o, _ := t.Offered(window)
		return reading{number: float64(o.Peak)}
	}
	if m.subject == "limit" {
		p := t.Plateau()
		if p == nil {
			return reading{none: "too little was throttled to tell the limit"}
		}
		return reading{number: p.Rate * perSeconds(v.per)}
	}
	f := m.ofTotals(t)
	if !f.found {
		return reading{none: "no request is named " + strconv.Quote(m.request)}
	}
	if m.subject == "offered" {
		f.sent = t.Sent
	}
	return m.read(&f, v)
}

func peakWindow(stat string) time.Duration {
	switch stat {
	case "peak_1s":
		return time.Second
	case "peak_10s":
		return 10 * time.Second
	case "peak_60s":
		return time.Minute
	}
	return 0
}

// describe writes a number of the metric's unit for people: as short as it can
// be without seeming to contradict the comparison.
func (e *Expr) describe(number float64) string {
	if math.IsInf(number, 1) {
		return "never"
	}
	if e.metric.unit == units {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	want := e.op.holds(number, e.limit.number)
	for digits := 4; digits < 17; digits++ {
		short, err := strconv.ParseFloat(strconv.FormatFloat(number, 'g', digits, 64), 64)
		if err == nil && e.op.holds(short, e.limit.number) == want {
			return e.write(short, digits)
		}
	}
	return e.write(number, -1)
}

func (e *Expr) write(number float64, digits int) string {
	plain := func(x float64) string {
		if s, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', digits, 64), 64); err == nil {
			x = s
		}
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	switch e.metric.unit {
	case rate:
		return plain(number) + "/" + e.limit.per
	case perHour:
		return plain(number) + "/h"
	case perMinute:
		return plain(number) + "/min"
	case share:
		return plain(number*100) + "%"
	case gauge:
		return plain(number)
	}
	return time.Duration(number).String()
}
