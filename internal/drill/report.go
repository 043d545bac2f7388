package drill

import (
	"context"
	"slices"
	"time"
)

// Verdict of a drill.
type Verdict string

// The verdicts.
const (
	Passed      Verdict = "passed"
	Failed      Verdict = "failed"
	NotRun      Verdict = "not run" // its plan says that it cannot succeed, and nothing was sent
	Interrupted Verdict = "interrupted"
)

// Level says what a finding means for the verdict.
type Level string

// The levels.
const (
	Stops Level = "stops" // the drill cannot succeed: nothing is sent
	Fails Level = "fails"
	Note  Level = "note"
)

// Finding is something that is wrong, or worth knowing.
type Finding struct {
	Code   string   `json:"code"`
	Name   string   `json:"name"`
	Level  Level    `json:"level"`
	Stage  string   `json:"stage,omitempty"`
	Text   string   `json:"text"`
	Detail []string `json:"detail,omitempty"` // such as what there is instead
	Advice string   `json:"advice,omitempty"`
}

// StageResult is what became of a stage. Seconds count from the start of the drill,
// by the side's clock.
type StageResult struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Seen    bool      `json:"seen"`
	At      time.Time `json:"at,omitzero"`
	Seconds float64   `json:"seconds"`
	Gap     float64   `json:"gap_seconds"`   // after the stage before it
	Bound   float64   `json:"bound_seconds"` // of the gap
	Missed  bool      `json:"missed"`        // it was waited for in vain
	Text    string    `json:"text,omitempty"`
	After   bool      `json:"after_load,omitempty"`
	Needs   string    `json:"needs,omitempty"`
}

// LoadResult is the load that was sent.
type LoadResult struct {
	Requests  int           `json:"requests"`
	Admitted  int           `json:"admitted"`
	Throttled int           `json:"throttled"`
	Failed    int           `json:"failed"`
	Cut       int           `json:"cut_off,omitempty"` // under way when the drill was interrupted
	Rate      float64       `json:"rate"`              // per second, when the first refusal came
	Seconds   float64       `json:"seconds"`
	USD       float64       `json:"usd"`
	Periods   int           `json:"periods"` // of those needed, in which enough was refused
	Stopped   string        `json:"stopped"` // why it ended
	Bursts    []Burst       `json:"bursts"`
	First     *FirstRefusal `json:"first_refusal,omitempty"`
}

// Burst is a stretch of load, in seconds since the start by the side's clock.
type Burst struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Requests  int     `json:"requests"`
	Throttled int     `json:"throttled"`
}

// FirstRefusal is the first answer that was a refusal.
type FirstRefusal struct {
	Request int     `json:"request"` // from 1
	Status  int     `json:"status"`
	Rate    float64 `json:"rate"` // sent in the second before it
}

// Report is the result of a drill. The names of its JSON are stable.
type Report struct {
	Form       int           `json:"weir_drill_report"` // 1
	What       string        `json:"what"`
	Target     string        `json:"target"`
	Started    time.Time     `json:"started"` // by the side's clock
	Seconds    float64       `json:"seconds"` // by the side's clock
	Speed      float64       `json:"clock_speed"`
	Real       float64       `json:"real_seconds"`
	Verdict    Verdict       `json:"verdict"`
	Plan       []Fact        `json:"plan"`
	Rehearsal  []StageResult `json:"rehearsal,omitempty"`
	Stages     []StageResult `json:"stages"`
	Load       *LoadResult   `json:"load,omitempty"`
	Twin       *Twin         `json:"twin,omitempty"`
	Findings   []Finding     `json:"findings"`
	Notes      []string      `json:"notes,omitempty"`
	LeftBehind []string      `json:"left_behind,omitempty"`
}

func (r *Report) add(list ...Finding) {
	for _, f := range list {
		f.Name = Name(f.Code)
		if !slices.ContainsFunc(r.Findings, func(g Finding) bool { return g.Code == f.Code && g.Text == f.Text }) {
			r.Findings = append(r.Findings, f)
		}
	}
}

func (d *Drill) newReport() *Report {
	r := &Report{
		Form: 1, What: d.brief.What, Target: d.o.Target, Started: d.began, Speed: d.o.Clock.Speed(), Plan: d.plan.Facts,
		Stages: []StageResult{}, Findings: []Finding{},
	}
	r.add(d.plan.Findings...)
	for _, s := range d.plan.Stages {
		if d.o.NoLoad { // they are those of the rehearsal
			break
		}
		r.Stages = append(r.Stages, resultOf(s))
	}
	return r
}

func resultOf(s Stage) StageResult {
	return StageResult{ID: s.ID, Title: s.Title, Bound: s.Bound.Seconds(), After: s.After, Needs: s.Needs}
}

// finish draws the verdict.
func (d *Drill) finish(ctx context.Context, real time.Duration) {
	r := d.report
	r.Real = real.Seconds()
	r.Seconds = d.o.Clock.Now().Sub(d.began).Seconds()
	if d.load != nil {
		r.Load = d.load.result(d.began)
		r.Twin = newTwin(d, r)
	}
	worst := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level != Note })
	switch {
	case ctx.Err() != nil:
		r.Verdict = Interrupted
	case worst:
		r.Verdict = Failed
	default:
		r.Verdict = Passed
	}
}

// Stage is a stage of the report, or nil.
func (r *Report) Stage(id string) *StageResult {
	for i := range r.Stages {
		if r.Stages[i].ID == id {
			return &r.Stages[i]
		}
	}
	return nil
}

// Found says whether there is a finding of a code.
func (r *Report) Found(code string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}
