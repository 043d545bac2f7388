package locust

import (
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// limitSaid is one limit of an answer, as response.weir of a script has it. Times
// are seconds; what the answer does not say is left out.
type limitSaid struct {
	Name       string   `json:"name,omitempty"`
	Limit      *int64   `json:"limit,omitempty"`
	Remaining  *int64   `json:"remaining,omitempty"`
	Reset      *float64 `json:"reset,omitempty"`
	Window     *float64 `json:"window,omitempty"`
	Unit       string   `json:"unit,omitempty"`
	RetryAfter *float64 `json:"retry_after,omitempty"`
}

// limitsSaid reads what the header block of an answer says about limits: first the
// one that is nearest to its end, or else what the answer says first.
func limitsSaid(block string, now time.Time) []limitSaid {
	fields := make(hit.Fields, 0, len(block))
	for _, r := range block { // the script's side reads bytes as Latin-1
		fields = append(fields, byte(r))
	}
	r := header.Parse(fields, now)
	tightest, found := r.Tightest()
	said := make([]limitSaid, 0, len(r.Limits)+1)
	for _, l := range r.Limits {
		s := limitSaid{Name: l.Name, Limit: known(l.Quota), Remaining: known(l.Remaining), Unit: l.Unit}
		if l.ResetAfter >= 0 {
			s.Reset = seconds(l.ResetAfter)
		}
		if l.Window > 0 {
			s.Window = seconds(l.Window)
		}
		said = append(said, s)
		if found && l == tightest {
			found = false
			said[0], said[len(said)-1] = s, said[0]
		}
	}
	if r.RetryAfterSet {
		if len(said) == 0 {
			said = append(said, limitSaid{})
		}
		said[0].RetryAfter = seconds(r.RetryAfter)
	}
	return said
}

func known(n int64) *int64 {
	if n == header.Unknown {
		return nil
	}
	return &n
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}
