package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Recording is what was sent and what came back. It can be judged again, by
// another policy file too.
type Recording struct {
	Form        int       `json:"weir_verify"` // 1
	Target      string    `json:"target"`
	Start       time.Time `json:"start"`
	Calls       []Call    `json:"calls"`
	Experiments []Made    `json:"experiments"`
	LeftOut     []LeftOut `json:"left_out,omitempty"`
	Waves       []Wave    `json:"waves"`
	Waited      bool      `json:"waited"` // until all counts were at rest, before the first request
	Local       bool      `json:"local"`  // the target is on this machine, and has its clock
	Stopped     string    `json:"stopped,omitempty"`
}

// Made is an experiment that was begun.
type Made struct {
	Name     string `json:"name"`
	Policies []int  `json:"policies"`
	Rested   bool   `json:"rested"` // the counts had time to come to rest before it
	Whole    bool   `json:"whole"`  // all its steps were made
}

// Wave is requests that were under way together.
type Wave struct {
	Experiment int    `json:"experiment"`
	Call       int    `json:"call"`
	Answers    []Seen `json:"answers"`
}

// Seen is one answer. Times count from Recording.Start.
type Seen struct {
	Sent    time.Duration `json:"sent_ns"`
	Done    time.Duration `json:"done_ns"`
	Outcome Outcome       `json:"outcome"`
	Status  int           `json:"status,omitempty"`
	Fields  []hit.Field   `json:"fields,omitempty"`
	Err     string        `json:"error,omitempty"`
}

func (w *Wave) has(o Outcome) bool {
	return slices.ContainsFunc(w.Answers, func(a Seen) bool { return a.Outcome == o })
}

// Requests counts the answers, and how many of them were refusals.
func (r *Recording) Requests() (all, refused int) {
	for _, w := range r.Waves {
		for _, a := range w.Answers {
			all++
			if a.Outcome == Refused {
				refused++
			}
		}
	}
	return all, refused
}

// Write writes the recording as JSON. Values of fields that may be secret are
// replaced, equal ones by equal ones, so that keys stay what they are.
func (r *Recording) Write(w io.Writer) error {
	out := *r
	out.Form = 1
	out.Calls = make([]Call, len(r.Calls))
	names := map[string]string{}
	for i, c := range r.Calls {
		out.Calls[i] = c.masked(names)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(&out)
}

// maxWaves bounds what Read takes.
const maxWaves = 1_000_000

// Read reads what Write wrote.
func Read(data []byte) (*Recording, error) {
	var r Recording
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("not a recording of weir verify: %w", err)
	}
	if r.Form != 1 {
		return nil, fmt.Errorf("not a recording of weir verify: there is no \"weir_verify\": 1")
	}
	if y := r.Start.Year(); y < 1971 || y > 2200 {
		return nil, fmt.Errorf("start: the year %d is not one in which this can have been recorded", y)
	}
	if len(r.Waves) > maxWaves {
		return nil, fmt.Errorf("%d waves, more than %d", len(r.Waves), maxWaves)
	}
	for i, w := range r.Waves {
		if w.Call < 0 || w.Call >= len(r.Calls) || w.Experiment < 0 || w.Experiment >= len(r.Experiments) || len(w.Answers) == 0 {
			return nil, fmt.Errorf("waves[%d]: it names a call or an experiment that is not there, or has no answers", i)
		}
		for j, a := range w.Answers {
			if a.Sent < 0 || a.Done > 10*365*24*time.Hour {
				return nil, fmt.Errorf("waves[%d].answers[%d]: sent %v, done %v cannot be", i, j, a.Sent, a.Done)
			}
			if a.Done < a.Sent || a.Outcome != Admitted && a.Outcome != Refused && a.Outcome != Unknown {
				return nil, fmt.Errorf("waves[%d].answers[%d]: outcome %q, sent %v, done %v cannot be", i, j, a.Outcome, a.Sent, a.Done)
			}
		}
	}
	return &r, nil
}
