package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

const (
	// maxPoints bounds the points of a chart. A screen is rarely wider than
	// this, and it keeps the report of a day below a megabyte.
	maxPoints = 1440
	// maxRows bounds the table under a chart: what somebody still reads.
	maxRows = 120
	// maxCodeLines bounds the lines of the status chart; the rarest statuses
	// share one line. More than a handful of lines cannot be told apart.
	maxCodeLines = 6
)

// track gathers the charts' points while the seconds of a run go by. When there
// are too many, it joins neighbours: sums stay exact, histograms are merged and
// the worst second is kept, so a short burst of refusals cannot vanish.
type track struct {
	most   int // points; even
	step   int // ticks per full point
	points []point
	filled int // ticks in the last point
	watch  watchColumns
}

type point struct {
	start, length   time.Duration
	users, inFlight int
	due, sent       int64
	count           [hit.NumOutcomes]int64
	worst           [hit.NumOutcomes]float64 // highest rate of a single tick
	codes           map[int]int64
	admitted        hist.Hist // response times
	service         hist.Hist // service times of admitted requests
	throttled       hist.Hist // response times
	watched         []reading // by the place of the figure
}

func (tr *track) add(k *tally.Tick) {
	if tr.step == 0 {
		tr.step = 1
	}
	p := pointOf(k)
	p.watched = tr.watch.readings(k)
	if k.Length < shortTick && len(tr.points) > 0 {
		tr.points[len(tr.points)-1].join(&p)
		return
	}
	if tr.filled > 0 && tr.filled < tr.step {
		tr.points[len(tr.points)-1].join(&p)
		tr.filled++
		return
	}
	if len(tr.points) == tr.most {
		tr.halve()
	}
	tr.points = append(tr.points, p)
	tr.filled = 1
}

func (tr *track) halve() {
	half := len(tr.points) / 2
	for i := range half {
		p := &tr.points[2*i]
		p.join(&tr.points[2*i+1])
		tr.points[i] = *p
	}
	clear(tr.points[half:])
	tr.points = tr.points[:half]
	tr.step *= 2
}

func pointOf(k *tally.Tick) point {
	p := point{start: k.Start, length: k.Length, users: k.Users, inFlight: k.InFlight, due: k.Due, sent: sends(k)}
	for i := range k.Series {
		s := &k.Series[i]
		if int(s.Outcome) >= hit.NumOutcomes {
			continue
		}
		p.count[s.Outcome] += s.Count
		for _, c := range s.Codes {
			if p.codes == nil {
				p.codes = map[int]int64{}
			}
			p.codes[c.Status] += c.Count
		}
		switch s.Outcome {
		case hit.Admitted:
			p.admitted.Merge(s.Response)
			p.service.Merge(s.Service)
		case hit.Throttled:
			p.throttled.Merge(s.Response)
		}
	}
	for o := range p.count {
		p.worst[o] = rate(p.count[o], max(p.length, shortTick))
	}
	return p
}

// shortTick is the length below which a tick is too short for a rate: 3 refusals
// in the last 2 ms of a run are not 1,500 a second. Charts join it to the second
// before.
const shortTick = 500 * time.Millisecond

func (p *point) join(o *point) {
	p.length += o.length
	p.users = max(p.users, o.users)
	p.inFlight = max(p.inFlight, o.inFlight)
	p.due += o.due
	p.sent += o.sent
	for i := range p.count {
		p.count[i] += o.count[i]
		p.worst[i] = max(p.worst[i], o.worst[i])
	}
	for status, n := range o.codes {
		if p.codes == nil {
			p.codes = map[int]int64{}
		}
		p.codes[status] += n
	}
	p.admitted.Merge(&o.admitted)
	p.service.Merge(&o.service)
	p.throttled.Merge(&o.throttled)
	for place, r := range o.watched {
		if !math.IsNaN(r.value) {
			p.watched = joinReadings(p.watched, place, r)
		}
	}
}

func sends(k *tally.Tick) int64 {
	var n int64
	for _, b := range k.Sends {
		n += int64(b)
	}
	return n
}

func rate(n int64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return float64(n) / over.Seconds()
}

// series turns the points into columns.
func (tr *track) series(codes []tally.Code) Series {
	s := Series{
		Step: max(tr.step, 1), At: []float64{}, Length: []float64{}, Planned: []float64{}, Sent: []float64{},
		Admitted: []float64{}, Throttled: []float64{}, ThrottledPeak: []float64{}, Failed: []float64{},
		FailedPeak: []float64{}, Missed: []float64{}, MissedPeak: []float64{}, Users: []int{}, InFlight: []int{},
		P50: []*float64{}, P95: []*float64{}, P99: []*float64{}, ServiceP95: []*float64{}, ThrottledP50: []*float64{},
		Codes: []CodeSeries{}, Watched: tr.watchedSeries(),
	}
	for i := range tr.points {
		p := &tr.points[i]
		per := func(n int64) float64 { return perSecond(rate(n, p.length)) }
		s.At = append(s.At, secs(p.start))
		s.Length = append(s.Length, secs(p.length))
		s.Planned = append(s.Planned, per(p.due))
		s.Sent = append(s.Sent, per(p.sent))
		s.Admitted = append(s.Admitted, per(p.count[hit.Admitted]))
		s.Throttled = append(s.Throttled, per(p.count[hit.Throttled]))
		s.ThrottledPeak = append(s.ThrottledPeak, perSecond(p.worst[hit.Throttled]))
		s.Failed = append(s.Failed, per(p.count[hit.Failed]))
		s.FailedPeak = append(s.FailedPeak, perSecond(p.worst[hit.Failed]))
		s.Missed = append(s.Missed, per(p.count[hit.Missed]))
		s.MissedPeak = append(s.MissedPeak, perSecond(p.worst[hit.Missed]))
		s.Users = append(s.Users, p.users)
		s.InFlight = append(s.InFlight, p.inFlight)
		s.P50 = append(s.P50, quantile(&p.admitted, 0.50))
		s.P95 = append(s.P95, quantile(&p.admitted, 0.95))
		s.P99 = append(s.P99, quantile(&p.admitted, 0.99))
		s.ServiceP95 = append(s.ServiceP95, quantile(&p.service, 0.95))
		s.ThrottledP50 = append(s.ThrottledP50, quantile(&p.throttled, 0.50))
	}
	s.Codes = tr.codeSeries(codes)
	return s
}

// codeSeries makes a line for each of the most frequent statuses and one for
// the sum of the others.
func (tr *track) codeSeries(codes []tally.Code) []CodeSeries {
	byCount := slices.Clone(codes)
	slices.SortStableFunc(byCount, func(a, b tally.Code) int { return cmp.Compare(b.Count, a.Count) })
	named := byCount
	if len(named) > maxCodeLines {
		named = named[:maxCodeLines-1]
	}
	slices.SortFunc(named, func(a, b tally.Code) int { return cmp.Compare(a.Status, b.Status) })
	out := []CodeSeries{}
	for _, c := range named {
		label := "no answer"
		if c.Status != 0 {
			label = strconv.Itoa(c.Status)
		}
		line := make([]float64, len(tr.points))
		for i := range tr.points {
			line[i] = perSecond(rate(tr.points[i].codes[c.Status], tr.points[i].length))
		}
		out = append(out, CodeSeries{Label: label, PerSecond: line})
	}
	if len(named) < len(byCount) {
		line := make([]float64, len(tr.points))
		for i := range tr.points {
			var n int64
			for _, c := range byCount[len(named):] {
				n += tr.points[i].codes[c.Status]
			}
			line[i] = perSecond(rate(n, tr.points[i].length))
		}
		out = append(out, CodeSeries{Label: "other", PerSecond: line})
	}
	return out
}

// quantile is nil when there was nothing to measure.
func quantile(h *hist.Hist, q float64) *float64 {
	if h.Count() == 0 {
		return nil
	}
	v := ms(h.Quantile(q))
	return &v
}

// bandsPerDecade is how finely the latency distribution is drawn: steps of 12 %,
// with edges at the powers of ten. The histogram is twenty times finer, so it
// hardly matters that one of its buckets may lie across an edge.
const bandsPerDecade = 20

// spread makes the latency distribution of the answered outcomes.
func spread(admitted, throttled, failed *hist.Hist) []Band {
	edge := func(i int) float64 { return round(math.Pow(10, float64(i)/bandsPerDecade), 1e4) }
	rows := map[int]*Band{}
	fill := func(h *hist.Hist, pick func(*Band) *int64) {
		for b := range h.Buckets() {
			// Below a microsecond there is nothing to tell apart.
			middle := max(float64(b.Low+(b.High-b.Low)/2)/1e6, 1e-3)
			i := int(math.Floor(math.Log10(middle) * bandsPerDecade))
			r := rows[i]
			if r == nil {
				r = &Band{From: edge(i), To: edge(i + 1)}
				rows[i] = r
			}
			*pick(r) += int64(b.Count)
		}
	}
	fill(admitted, func(r *Band) *int64 { return &r.Admitted })
	fill(throttled, func(r *Band) *int64 { return &r.Throttled })
	fill(failed, func(r *Band) *int64 { return &r.Failed })
	out := make([]Band, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Band) int { return cmp.Compare(a.From, b.From) })
	return out
}
