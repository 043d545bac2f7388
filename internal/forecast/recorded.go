package forecast

import (
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/tally"
)

// Measurement is what a recorded run saw, beside what is predicted for the same
// requests and limits.
type Measurement struct {
	Sent      int64    `json:"sent"`
	Throttled int64    `json:"throttled"`
	Failed    int64    `json:"failed"`
	Ratio     float64  `json:"throttled_ratio"`
	First     *float64 `json:"first_throttled_seconds"`

	// The error of the prediction: predicted minus measured. FirstError is nil when
	// only one of the two had a refusal; Agree says whether both had one, or neither.
	Agree      bool     `json:"agree"`
	FirstError *float64 `json:"first_error_seconds"`
	RatioError float64  `json:"ratio_error"`

	Names []NameMeasurement `json:"names"`
}

// NameMeasurement is the same for one request name.
type NameMeasurement struct {
	Name       string   `json:"name"`
	Sent       int64    `json:"sent"`
	Ratio      float64  `json:"throttled_ratio"`
	First      *float64 `json:"first_throttled_seconds"`
	Predicted  float64  `json:"predicted_ratio"`
	Expected   *float64 `json:"predicted_first_seconds"`
	RatioError float64  `json:"ratio_error"`
}

// Recorded are the requests of a run: when each was sent, by name, and what came of
// them.
type Recorded struct {
	Started time.Time
	Length  time.Duration
	Names   []RecordedName

	early []time.Duration // sent before any name was known
}

// RecordedName is one request name.
type RecordedName struct {
	Request   string // "POST /oauth/token"
	At        []time.Duration
	Throttled int64
	Failed    int64
	First     time.Duration // throttled; -1 when none was
}

// Record reads the ticks of a run. The instants are those of the run file: it counts
// sends in bins of 10 ms, of all names together; which name a send was of is drawn
// from the answers of the same second. The error is that of the ticks.
func Record(started time.Time, ticks iter.Seq2[*tally.Tick, error]) (*Recorded, error) {
	r := &Recorded{Started: started}
	index := map[string]int{}
	answers := []int64{} // of the tick, by name
	owed := []float64{}
	for k, err := range ticks {
		if err != nil {
			return nil, err
		}
		clear(answers)
		var all int64
		for _, s := range k.Series {
			if s.Outcome == hit.Missed || s.Count == 0 {
				continue
			}
			name := request(s.Method, s.Name)
			i, ok := index[name]
			if !ok {
				i = len(r.Names)
				index[name] = i
				r.Names = append(r.Names, RecordedName{Request: name, First: -1})
				answers, owed = append(answers, 0), append(owed, 0)
			}
			n := &r.Names[i]
			answers[i] += s.Count
			all += s.Count
			switch s.Outcome {
			case hit.Throttled:
				n.Throttled += s.Count
				if n.First < 0 || s.First < n.First {
					n.First = s.First
				}
			case hit.Failed:
				n.Failed += s.Count
			}
		}
		r.Length = max(r.Length, k.Start+k.Length)
		r.place(k, answers, all, owed)
	}
	if len(r.Names) > 0 {
		r.Names[0].At = append(r.early, r.Names[0].At...)
	}
	return r, nil
}

// place gives each send of a tick to a name, in proportion to the answers.
func (r *Recorded) place(k *tally.Tick, answers []int64, all int64, owed []float64) {
	for bin, count := range k.Sends {
		for j := range count {
			at := k.Start + time.Duration(bin)*tally.BinWidth + time.Duration(j)*tally.BinWidth/time.Duration(count)
			best := -1
			for i := range r.Names {
				if all > 0 {
					owed[i] += float64(answers[i]) / float64(all)
				}
				if best < 0 || owed[i] > owed[best] {
					best = i
				}
			}
			if best < 0 { // nothing has been answered yet, by whatever name
				r.early = append(r.early, at)
				continue
			}
			owed[best]--
			r.Names[best].At = append(r.Names[best].At, at)
		}
	}
}

// request is the method and the path of a name, which may be a URL.
func request(method, name string) string {
	if m, rest, ok := strings.Cut(name, " "); ok && m == method {
		name = rest
	}
	if _, rest, ok := strings.Cut(name, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		name = "/" + path
	}
	name, _, _ = strings.Cut(name, "?")
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if method == "" {
		method = "GET"
	}
	return method + " " + strings.ReplaceAll(name, " ", "%20")
}

// Study is the recorded run against limits: each request once, when it was sent.
// Attempts after a refusal are among the requests, so nothing is tried again.
func (r *Recorded) Study(name string, file *policy.File) *Study {
	s := &Study{Name: name, Start: r.Started, For: r.Length + time.Millisecond, Policies: file.Policies, Chain: file.Chain}
	for _, n := range r.Names {
		s.Works = append(s.Works, Work{Name: n.Request, Arrivals: pace.Schedule(n.At), Clients: 0, Calls: []Step{{Request: n.Request}}})
	}
	return s
}

// Compare sets what was measured beside an answer about the same run, as its Check,
// and returns it.
func (r *Recorded) Compare(a *Answer) *Measurement {
	m := &Measurement{Names: []NameMeasurement{}}
	first := time.Duration(math.MaxInt64)
	for i, n := range r.Names {
		m.Sent += int64(len(n.At))
		m.Throttled += n.Throttled
		m.Failed += n.Failed
		if n.First >= 0 {
			first = min(first, n.First)
		}
		f := &a.Flows[i]
		one := NameMeasurement{Name: n.Request, Sent: int64(len(n.At)), Ratio: ratio(n.Throttled, int64(len(n.At))), First: at(n.First),
			Predicted: f.RefusedRatio, Expected: f.First}
		one.RatioError = one.Predicted - one.Ratio
		m.Names = append(m.Names, one)
	}
	slices.SortStableFunc(m.Names, func(a, b NameMeasurement) int { return strings.Compare(a.Name, b.Name) })
	m.Ratio = ratio(m.Throttled, m.Sent)
	if m.Throttled > 0 {
		m.First = at(first)
	}
	m.RatioError = a.Totals.RefusedRatio - m.Ratio
	m.Agree = (a.Totals.First == nil) == (m.First == nil)
	if a.Totals.First != nil && m.First != nil {
		d := *a.Totals.First - *m.First
		m.FirstError = &d
	}
	a.Check = m
	a.Sentences = sentences(a, false)
	return m
}
