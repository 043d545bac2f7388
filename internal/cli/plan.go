package cli

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/tally"
)

// planRecord is the plan as the run file keeps it: enough to understand the
// run and to start it again. It holds no secrets.
type planRecord struct {
	Model        string          `json:"model"` // closed or open
	Words        string          `json:"words"`
	Length       time.Duration   `json:"length_ns"`
	Planned      int64           `json:"planned"`
	Users        string          `json:"users,omitempty"`
	Rate         string          `json:"rate,omitempty"`
	Stages       string          `json:"stages,omitempty"`
	Burst        string          `json:"burst,omitempty"`
	Every        string          `json:"every,omitempty"`
	Schedule     string          `json:"schedule,omitempty"`
	Poisson      bool            `json:"poisson,omitempty"`
	Wait         string          `json:"wait,omitempty"`
	MaxUsers     int             `json:"max_users,omitempty"`
	CatchUp      string          `json:"catch_up,omitempty"`
	Requests     int64           `json:"max_requests,omitempty"`
	MaxThrottled int64           `json:"max_throttled,omitempty"`
	StopTimeout  time.Duration   `json:"stop_timeout_ns"`
	Timeout      time.Duration   `json:"timeout_ns"`
	Connections  string          `json:"connections"`
	HTTP         string          `json:"http"`
	Throttled    []string        `json:"throttled,omitempty"`
	OK           []string        `json:"ok,omitempty"`
	MaxSendLag   time.Duration   `json:"max_send_lag_ns"`
	Seed         uint64          `json:"seed"`
	WarmUp       time.Duration   `json:"warm_up_ns,omitempty"`
	Profiles     []profileRecord `json:"profiles,omitempty"` // several loads
	Watch        []string        `json:"watch,omitempty"`    // what is read beside the load, and where
	Retry        string          `json:"retry,omitempty"`    // what users do after a refusal
	Respect      string          `json:"respect_limits,omitempty"`
}

// profileRecord is one of several loads.
type profileRecord struct {
	Name    string        `json:"name"`
	Classes []string      `json:"classes,omitempty"`
	Start   time.Duration `json:"start_ns"`
	Words   string        `json:"words"`
}

func (r *planRecord) read(b json.RawMessage) error { return json.Unmarshal(b, r) }

// details are the lines of the report's table of the run.
func (r *planRecord) details() []report.Detail {
	var d []report.Detail
	for _, p := range r.Profiles {
		d = append(d, report.Detail{Name: "Load " + p.Name, Value: p.Words})
	}
	if r.WarmUp > 0 {
		d = append(d, report.Detail{Name: "Warm-up", Value: r.WarmUp.String() + ", not counted"})
	}
	d = append(d, []report.Detail{
		{Name: "Connections", Value: r.Connections + ", HTTP " + r.HTTP},
		{Name: "Request time-out", Value: r.Timeout.String()},
	}...)
	if r.Model == "open" {
		d = append(d,
			report.Detail{Name: "Late arrivals", Value: catchUpWords(r.CatchUp)},
			report.Detail{Name: "Most users", Value: fmt.Sprint(r.MaxUsers)},
		)
	}
	for _, rule := range r.Throttled {
		d = append(d, report.Detail{Name: "Also throttled", Value: rule})
	}
	for _, rule := range r.OK {
		d = append(d, report.Detail{Name: "Also admitted", Value: rule})
	}
	d = append(d, r.limitDetails()...)
	for _, where := range r.Watch {
		d = append(d, report.Detail{Name: "Watched", Value: where})
	}
	return append(d, report.Detail{Name: "Seed", Value: fmt.Sprint(r.Seed)})
}

func catchUpWords(c string) string {
	switch c {
	case "burst":
		return "burst: sent at once"
	case "skip":
		return "skip: missed"
	}
	return "spread: sent at most a tenth above the planned rate"
}

// warmed are the ticks of a run file, with those of the warm-up marked: a run file
// has that in its plan.
func warmed(r *runfile.Run) iter.Seq2[*tally.Tick, error] {
	var p planRecord
	if p.read(r.Meta.Plan) != nil || p.WarmUp <= 0 {
		return r.Ticks()
	}
	return func(yield func(*tally.Tick, error) bool) {
		for k, err := range r.Ticks() {
			if k != nil {
				k.Warm = k.Start < p.WarmUp
			}
			if !yield(k, err) {
				return
			}
		}
	}
}
