package forecast

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/limit"
)

// Format is the name of the form of an Answer in JSON.
const Format = "weir-forecast/1"

// Answer is what a study foresees. Its JSON form is Format: names stay, and what is
// unknown or did not happen is null or left out. Times are in seconds from Start,
// but for Took, which is in milliseconds.
type Answer struct {
	Format  string    `json:"format"`
	Name    string    `json:"name"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	Column  float64   `json:"column_seconds"` // what dry periods and series are rounded to
	Retry   string    `json:"retry"`

	Sentences []string `json:"sentences"`

	Totals Flows         `json:"totals"`
	Flows  []FlowAnswer  `json:"flows"`
	Limits []LimitAnswer `json:"limits"`
	Fits   Fits          `json:"fits"`
	Ask    []Quota       `json:"quota_to_ask"`

	Sensitivity []Row    `json:"sensitivity"`
	Stretch     *Stretch `json:"sensitivity_stretch,omitempty"` // nil: the whole time

	Series Series       `json:"series"`
	Notes  []string     `json:"notes"`
	Check  *Measurement `json:"measured,omitempty"` // beside a recorded run
}

// Flows are figures of flows, one or several.
type Flows struct {
	Arrived     int64   `json:"arrived"`
	Done        int64   `json:"done"`
	GaveUp      int64   `json:"gave_up"`
	GaveUpRatio float64 `json:"gave_up_ratio"`
	Unfinished  int64   `json:"unfinished"`

	Calls        int64    `json:"calls"`
	Refused      int64    `json:"calls_refused"`
	RefusedRatio float64  `json:"calls_refused_ratio"`
	Cached       int64    `json:"calls_cached"`
	First        *float64 `json:"first_refusal_seconds"`

	Took *Took `json:"took_ms"`
}

// Took are times from arrival to the last answer, of the flows that were done.
type Took struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// FlowAnswer is one flow.
type FlowAnswer struct {
	Name         string `json:"name"`
	CallsPerFlow int    `json:"calls_per_flow"`
	Source       string `json:"source,omitempty"`
	Flows
}

// LimitAnswer is one limit.
type LimitAnswer struct {
	Name      string       `json:"name"`
	Policy    string       `json:"policy"`
	Capacity  int64        `json:"capacity"`
	PerClient bool         `json:"per_client"`
	Asked     int64        `json:"asked"`
	Refused   int64        `json:"refused"`
	Ratio     float64      `json:"refused_ratio"`
	First     *float64     `json:"first_refusal_seconds"`
	Last      *float64     `json:"last_refusal_seconds"`
	Dry       float64      `json:"dry_seconds"`
	Periods   [][2]float64 `json:"dry_periods"`
	Least     int64        `json:"least_remaining"`
	Excess    int64        `json:"allotment_calls,omitempty"`
	Blocks    int          `json:"allotment_blocks_used,omitempty"`
	BlocksOut *float64     `json:"allotment_used_up_seconds,omitempty"`
}

// Series are figures over time, one of each a column.
type Series struct {
	At        []float64 `json:"at_seconds"`
	Arrived   []int64   `json:"arrived"`
	Done      []int64   `json:"done"`
	GaveUp    []int64   `json:"gave_up"`
	Calls     []int64   `json:"calls"`
	Refusals  []int64   `json:"calls_refused"`
	Remaining [][]int64 `json:"remaining"` // of each limit
	Asked     [][]int64 `json:"asked"`
	Refused   [][]int64 `json:"refused"`
}

// Stretch is a part of the time.
type Stretch struct {
	From float64 `json:"from_seconds"`
	To   float64 `json:"to_seconds"`
}

// AnswerOptions are how much is asked. The zero value asks everything.
type AnswerOptions struct {
	Brief bool // without what fits, the quota to ask for and the sensitivity

	// Progress, when not nil, is called now and then with what is under way and how
	// much of it is done, from 0 to 1. It must be safe for concurrent use.
	Progress func(what string, done float64)
}

// Answer plays the study, and what is asked beside it.
func (s *Study) Answer(o AnswerOptions) (*Answer, error) {
	if o.Progress == nil {
		o.Progress = func(string, float64) {}
	}
	e, err := examine(s, o)
	if err != nil {
		return nil, err
	}
	m, res := e.m, e.res
	a := newAnswer(s, m, res)
	if !o.Brief {
		if a.Fits, err = e.fits(); err != nil {
			return nil, err
		}
		e.stretch()
		if a.Ask, err = e.quotas(); err != nil {
			return nil, err
		}
		if a.Sensitivity, err = e.sensitivity(); err != nil {
			return nil, err
		}
		if e.cut {
			a.Stretch = &Stretch{e.from.Seconds(), e.to.Seconds()}
		}
	}
	a.Notes = append(a.Notes, s.Notes...)
	a.Sentences = sentences(a, !o.Brief)
	return a, nil
}

// examine plays the study.
func examine(s *Study, o AnswerOptions) (*examiner, error) {
	m, err := s.Model()
	if err != nil {
		return nil, err
	}
	res, err := Run(m, Options{Progress: func(at time.Duration) { o.Progress("playing", float64(at)/float64(m.For)) }})
	if err != nil {
		return nil, err
	}
	return &examiner{s: s, m: m, res: res, o: o, most: mostStretch}, nil
}

func newAnswer(s *Study, m *Model, res *Result) *Answer {
	a := &Answer{
		Format: Format, Name: s.Name, Start: m.Start, Seconds: m.For.Seconds(), Column: res.Column.Seconds(), Retry: m.Retry.String(),
		Totals: flows(res, res.Flows...), Sentences: []string{}, Flows: []FlowAnswer{}, Limits: []LimitAnswer{}, Ask: []Quota{}, Sensitivity: []Row{}, Notes: []string{},
	}
	for i := range res.Flows {
		w := s.Works[i%len(s.Works)]
		a.Flows = append(a.Flows, FlowAnswer{Name: m.Flows[i].Name, CallsPerFlow: len(m.Flows[i].Calls), Source: w.Source, Flows: flows(res, res.Flows[i])})
	}
	for i := range res.Limits {
		a.Limits = append(a.Limits, limitAnswer(&m.Limits[i], &res.Limits[i], res.Column, m.For))
	}
	a.Series = series(res)
	return a
}

// flows adds up flows. First is that of the flows' limits: of all when there are several.
func flows(res *Result, list ...FlowResult) (f Flows) {
	var took hist.Hist
	for i := range list {
		r := &list[i]
		f.Arrived += r.Arrived
		f.Done += r.Done
		f.GaveUp += r.GaveUp
		f.Unfinished += r.Unfinished
		f.Calls += r.Sent
		f.Refused += r.Refused
		f.Cached += r.Cached
		took.Merge(&r.Took)
		if r.First >= 0 && (f.First == nil || r.First.Seconds() < *f.First) {
			f.First = at(r.First)
		}
	}
	f.GaveUpRatio, f.RefusedRatio = ratio(f.GaveUp, f.Arrived), ratio(f.Refused, f.Calls)
	if took.Count() > 0 {
		ms := func(d time.Duration) float64 { return float64(d.Round(time.Microsecond)) / 1e6 }
		f.Took = &Took{ms(took.Quantile(0.5)), ms(took.Quantile(0.9)), ms(took.Quantile(0.95)), ms(took.Quantile(0.99)), ms(took.Max())}
	}
	return f
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// at is an instant that may not have come.
func at(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

func limitAnswer(l *Limit, r *LimitResult, column, length time.Duration) LimitAnswer {
	a := LimitAnswer{
		Name: l.Name, Policy: plain(l.Policy), Capacity: l.Capacity(), PerClient: l.PerClient, Asked: r.Asked, Refused: r.Refused,
		Ratio: ratio(r.Refused, r.Asked), First: at(r.First), Last: at(r.Last), Dry: r.Dry.Seconds(), Periods: [][2]float64{}, Least: r.Least,
		Excess: r.Excess, Blocks: r.Blocks, BlocksOut: at(r.BlocksOut),
	}
	if l.Allotment == nil {
		a.BlocksOut = nil
	}
	for i, c := range r.Columns {
		if c.Refused == 0 {
			continue
		}
		from, to := time.Duration(i)*column, min(time.Duration(i+1)*column, length)
		if n := len(a.Periods); n > 0 && a.Periods[n-1][1] == from.Seconds() {
			a.Periods[n-1][1] = to.Seconds()
			continue
		}
		a.Periods = append(a.Periods, [2]float64{from.Seconds(), to.Seconds()})
	}
	return a
}

// plain is a policy in words, without its name.
func plain(p limit.Policy) string {
	p.Name = ""
	return p.String()
}

func series(res *Result) Series {
	n := len(res.Flows[0].Columns)
	s := Series{At: make([]float64, n), Arrived: make([]int64, n), Done: make([]int64, n), GaveUp: make([]int64, n),
		Calls: make([]int64, n), Refusals: make([]int64, n), Remaining: [][]int64{}, Asked: [][]int64{}, Refused: [][]int64{}}
	for i := range n {
		s.At[i] = (time.Duration(i) * res.Column).Seconds()
		for _, f := range res.Flows {
			s.Arrived[i] += f.Columns[i].Arrived
			s.Done[i] += f.Columns[i].Done
			s.GaveUp[i] += f.Columns[i].GaveUp
			s.Calls[i] += f.Columns[i].Sent
			s.Refusals[i] += f.Columns[i].Refused
		}
	}
	for _, l := range res.Limits {
		remaining, asked, refused := make([]int64, n), make([]int64, n), make([]int64, n)
		for i, c := range l.Columns {
			remaining[i], asked[i], refused[i] = c.Remaining, c.Asked, c.Refused
		}
		s.Remaining, s.Asked, s.Refused = append(s.Remaining, remaining), append(s.Asked, asked), append(s.Refused, refused)
	}
	return s
}

// worst is the limit that refuses most; -1 when none refuses.
func worst(res *Result) int {
	if len(res.Limits) == 0 {
		return -1
	}
	i := 0
	for j := range res.Limits {
		if cmp.Compare(res.Limits[j].Refused, res.Limits[i].Refused) > 0 {
			i = j
		}
	}
	if res.Limits[i].Refused == 0 {
		return -1
	}
	return i
}

// clone copies what changes are made to.
func (m *Model) clone() *Model {
	c := *m
	c.Limits = slices.Clone(m.Limits)
	c.Flows = slices.Clone(m.Flows)
	for i := range c.Flows {
		c.Flows[i].Calls = slices.Clone(c.Flows[i].Calls)
	}
	return &c
}
