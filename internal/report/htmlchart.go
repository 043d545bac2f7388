package report

import (
	"fmt"
	"strconv"
)

// chartData is the data block of the page. Short names, because a day has many
// points; report.js is its only reader.
type chartData struct {
	End      float64      `json:"end"`
	At       []float64    `json:"at"`
	Len      []float64    `json:"len"`
	Rates    chartRates   `json:"rates"`
	Latency  chartLatency `json:"latency"`
	Users    []int        `json:"users"`
	InFlight []int        `json:"inflight"`
	Codes    []CodeSeries `json:"codes"`
	Bands    chartBands   `json:"bands"`
	Onset    *chartMark   `json:"onset"`
	Plateau  *chartLevel  `json:"plateau"`
	Episodes [][2]float64 `json:"episodes"`
	Watched  []watchChart `json:"watched"`
}

// chartRates leaves a line out by a nil when it would only lie on zero.
type chartRates struct {
	Planned   []float64 `json:"planned"`
	Sent      []float64 `json:"sent"`
	Admitted  []float64 `json:"admitted"`
	Throttled []float64 `json:"throttled"`
	Failed    []float64 `json:"failed"`
	Missed    []float64 `json:"missed"`
}

type chartLatency struct {
	P50     []*float64 `json:"p50"`
	P95     []*float64 `json:"p95"`
	P99     []*float64 `json:"p99"`
	Service []*float64 `json:"service"` // nil unless it differs visibly
	Refused []*float64 `json:"refused"`
}

type chartBands struct {
	From      []float64 `json:"from"`
	To        []float64 `json:"to"`
	Admitted  []int64   `json:"a"`
	Throttled []int64   `json:"t"`
}

type chartMark struct {
	At    float64 `json:"at"`
	Text  string  `json:"text"`
	Brief string  `json:"brief"`
}

type chartLevel struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Rate float64 `json:"rate"`
	Text string  `json:"text"`
}

func newChartData(s *Summary) chartData {
	r := &s.Series
	d := chartData{
		End: s.Run.Seconds, At: r.At, Len: r.Length, Users: r.Users, InFlight: r.InFlight, Codes: r.Codes,
		Rates:   chartRates{Sent: r.Sent, Admitted: r.Admitted},
		Latency: chartLatency{P50: r.P50, P95: r.P95, P99: r.P99, Refused: r.ThrottledP50},
		Bands:   chartBands{From: []float64{}, To: []float64{}, Admitted: []int64{}, Throttled: []int64{}},
	}
	if s.Offered.Planned > 0 {
		d.Rates.Planned = r.Planned
	}
	if s.Outcomes.Throttled.Count > 0 {
		d.Rates.Throttled = r.ThrottledPeak
	}
	if s.Outcomes.Failed.Count > 0 {
		d.Rates.Failed = r.FailedPeak
	}
	if s.Offered.Missed > 0 {
		d.Rates.Missed = r.MissedPeak
	}
	if s.Outcomes.Throttled.Count == 0 {
		d.Latency.Refused = nil
	}
	a := s.Outcomes.Admitted
	if a.Response != nil && a.Service != nil && apart(a.Response, a.Service) {
		d.Latency.Service = r.ServiceP95
	}
	for _, b := range s.Spread {
		d.Bands.From = append(d.Bands.From, b.From)
		d.Bands.To = append(d.Bands.To, b.To)
		d.Bands.Admitted = append(d.Bands.Admitted, b.Admitted)
		d.Bands.Throttled = append(d.Bands.Throttled, b.Throttled)
	}
	d.Episodes = [][2]float64{}
	for _, e := range s.Throttling {
		d.Episodes = append(d.Episodes, [2]float64{e.From, e.To})
	}
	if o := s.Onset; o != nil {
		what := "refusal"
		if o.Status != 0 {
			what = strconv.Itoa(o.Status)
		}
		m := &chartMark{At: o.At, Brief: fmt.Sprintf("first %s, %s", what, figAt(secDuration(o.At)))}
		m.Text = m.Brief
		if o.Offered > 0 && o.At >= 1 {
			m.Text = fmt.Sprintf("first %s at %s, %s/s offered", what, figAt(secDuration(o.At)), figRateShort(o.Offered))
		}
		d.Onset = m
		if p := o.Plateau; p != nil {
			d.Plateau = &chartLevel{From: p.From, To: p.To, Rate: p.Rate, Text: figRateShort(p.Rate) + "/s admitted"}
		}
	}
	return d
}

// chartWords are the note beside each chart's title and what a screen reader
// says in place of the picture.
func chartWords(s *Summary) (notes, aria map[string]string) {
	r := &s.Series
	per := ""
	if r.Step > 1 {
		per = fmt.Sprintf("Each point covers %s; throttled, failed and missed show their worst second in it.", figSpan(secDuration(float64(r.Step))))
	}
	notes = map[string]string{
		"rates":   per,
		"latency": "Response time of admitted requests, from the moment each was due; throttled apart.",
		"users":   "Users alive and requests under way at the end of each second.",
		"codes":   "Answers per second, by HTTP status.",
		"spread":  "How long answers took, each outcome as 100 % of its own requests.",
	}
	if r.Step > 1 {
		notes["users"] = "Most users alive and requests under way at the end of a second."
	}
	const keys = " The arrow keys move along the line; the table below has the figures."
	aria = map[string]string{
		"rates": fmt.Sprintf("Line chart over %s. Requests per second: sent at most %s, admitted at most %s, throttled at most %s, failed at most %s.",
			figSpan(s.length), peakOf(r.Sent), peakOf(r.Admitted), peakOf(r.ThrottledPeak), peakOf(r.FailedPeak)) + keys,
		"latency": fmt.Sprintf("Line chart over %s. Response time of admitted requests: p50, p95 and p99, at most %s.", figSpan(s.length), slowest(r.P99)) + keys,
		"users":   fmt.Sprintf("Line chart over %s. At most %s users, and %s requests in flight.", figSpan(s.length), figCount(int64(s.Offered.Users)), figCount(int64(s.Offered.InFlight))) + keys,
		"codes":   fmt.Sprintf("Line chart over %s. Answers per second by HTTP status.", figSpan(s.length)) + keys,
		"spread":  "Distribution of response times on a logarithmic scale, admitted and throttled requests apart. The table below has the figures.",
	}
	return notes, aria
}

func peakOf(v []float64) string {
	var top float64
	for _, x := range v {
		top = max(top, x)
	}
	return figRate(top)
}

func slowest(v []*float64) string {
	var top float64
	for _, x := range v {
		if x != nil {
			top = max(top, *x)
		}
	}
	return figMS(top)
}

// dataRow is one row of a table under a chart.
type dataRow struct {
	From, To string
	Cells    []string
}

// dataTable is a table under a chart.
type dataTable struct {
	Caption string
	Head    []string
	Rows    []dataRow
}

// Tables are the tables under the charts over time, by the chart's word.
func (p *page) Tables() map[string]dataTable {
	s, r := p.S, &p.S.rows
	step := "one second"
	if r.Step > 1 {
		step = figSpan(secDuration(float64(r.Step)))
	}
	make1 := func(what string, head []string, cells func(i int) []string) dataTable {
		t := dataTable{Caption: what + ", a row for " + step, Head: head}
		for i := range r.At {
			t.Rows = append(t.Rows, dataRow{From: figClock(secDuration(r.At[i])), Cells: cells(i)})
		}
		return t
	}
	opt := func(v *float64) string {
		if v == nil {
			return "–"
		}
		return figMS(*v)
	}
	out := map[string]dataTable{}
	head := []string{"sent", "admitted", "throttled", "failed"}
	if r.Step > 1 {
		head = append(head, "throttled, worst second", "failed, worst second")
	}
	if s.Offered.Planned > 0 {
		head = append(head, "planned")
	}
	if s.Offered.Missed > 0 {
		head = append(head, "missed")
	}
	out["rates"] = make1("Requests per second", head, func(i int) []string {
		c := []string{figRate(r.Sent[i]), figRate(r.Admitted[i]), figRate(r.Throttled[i]), figRate(r.Failed[i])}
		if r.Step > 1 {
			c = append(c, figRate(r.ThrottledPeak[i]), figRate(r.FailedPeak[i]))
		}
		if s.Offered.Planned > 0 {
			c = append(c, figRate(r.Planned[i]))
		}
		if s.Offered.Missed > 0 {
			c = append(c, figRate(r.Missed[i]))
		}
		return c
	})
	out["latency"] = make1("Response time", []string{"admitted p50", "p95", "p99", "p95 once sent", "throttled p50"}, func(i int) []string {
		return []string{opt(r.P50[i]), opt(r.P95[i]), opt(r.P99[i]), opt(r.ServiceP95[i]), opt(r.ThrottledP50[i])}
	})
	out["users"] = make1("Users and requests in flight", []string{"users", "in flight"}, func(i int) []string {
		return []string{figCount(int64(r.Users[i])), figCount(int64(r.InFlight[i]))}
	})
	var labels []string
	for _, c := range r.Codes {
		labels = append(labels, c.Label)
	}
	out["codes"] = make1("Answers per second by status", labels, func(i int) []string {
		var c []string
		for _, line := range r.Codes {
			c = append(c, figRate(line.PerSecond[i]))
		}
		return c
	})
	spread := dataTable{Caption: "Requests by response time", Head: []string{"admitted", "throttled", "failed"}}
	for _, b := range s.Spread {
		spread.Rows = append(spread.Rows, dataRow{From: figMS(b.From), To: figMS(b.To),
			Cells: []string{figCount(b.Admitted), figCount(b.Throttled), figCount(b.Failed)}})
	}
	out["spread"] = spread
	return out
}

// chartBlock is what the template needs for one chart.
type chartBlock struct {
	ID, Title, Note, Aria string
	Table                 dataTable
}

// Charts are the charts over time, top to bottom.
func (p *page) Charts() []chartBlock {
	if len(p.S.Series.At) == 0 {
		return nil
	}
	tables := p.Tables()
	var out []chartBlock
	for _, c := range []struct{ id, title string }{
		{"rates", "Requests per second"}, {"latency", "Response time"},
		{"users", "Users and requests in flight"}, {"codes", "Status codes"},
	} {
		// Without an answer there is neither a latency nor a status.
		if p.S.answered() == 0 && (c.id == "latency" || c.id == "codes") {
			continue
		}
		out = append(out, chartBlock{c.id, c.title, p.Notes[c.id], p.Aria[c.id], tables[c.id]})
	}
	return append(out, p.watchBlocks()...)
}

// Spread is the chart of the latency distribution, nil when there was no answer.
func (p *page) Spread() *chartBlock {
	if p.S.Outcomes.Admitted.Count+p.S.Outcomes.Throttled.Count == 0 {
		return nil
	}
	return &chartBlock{"spread", "Distribution", p.Notes["spread"], p.Aria["spread"], p.Tables()["spread"]}
}

// mostEpisodes bounds the table of throttled stretches.
const mostEpisodes = 50

// Episodes are the first stretches in which requests were throttled.
func (p *page) Episodes() []Episode { return p.S.Throttling[:min(len(p.S.Throttling), mostEpisodes)] }

// MoreEpisodes is how many are not among Episodes.
func (p *page) MoreEpisodes() int { return max(0, len(p.S.Throttling)-mostEpisodes) }
