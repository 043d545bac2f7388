package guard

import (
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Kind says what an Event is about.
type Kind uint8

const (
	// Allowed: the request may pass, and this policy is one of those asked.
	Allowed Kind = iota

	// Refused: this policy refused. Policies that did not are silent about a
	// refused request.
	Refused

	// ShadowRefused: this policy would have refused, were it not in shadow.
	ShadowRefused

	// Warned: beside Allowed or Refused, and when a response is counted: the
	// share in use is at or above the policy's warn-at.
	Warned

	// Failed: an expression of this policy could not be evaluated; Err says why.
	Failed
)

var kinds = [...]string{"allowed", "refused", "shadow-refused", "warned", "failed"}

// String returns one word, such as "shadow-refused".
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Event is what a policy has said of a request.
//
// Key and Subject are the client's: they may be secret, and hold any bytes.
type Event struct {
	At       time.Time
	Kind     Kind
	Subject  *expr.Subject // nil when only the key was known
	Policy   *policy.Policy
	Index    int // of Policy in the file
	Key      string
	Cost     int64
	Decision limit.Decision // of this policy alone
	By       enforce.By
	Err      error // of Failed
}

// events counts and tells what has been decided.
func (v *Verdict) events() {
	for i := range v.Rulings {
		r := &v.Rulings[i]
		if r.Skipped {
			continue
		}
		switch {
		case r.Shadow && !r.Decision.Allowed && v.Allowed:
			v.note(ShadowRefused, r)
		case v.Allowed:
			v.note(Allowed, r)
		case r.Shadow || r.Decision.Allowed || v.rules.set.Chain && r != v.Refused:
			continue
		default:
			v.note(Refused, r)
		}
		if r.Decision.Warn {
			v.note(Warned, r)
		}
	}
}

func (v *Verdict) note(k Kind, r *Ruling) {
	c := v.rules.policies[r.Index].counts
	switch k {
	case Allowed:
		c.allowed.Add(1)
	case Refused:
		c.refused.Add(1)
	case ShadowRefused:
		c.shadowRefused.Add(1)
	case Warned:
		c.warned.Add(1)
	}
	if v.guard.o.Observe == nil {
		return
	}
	if v.event == nil {
		v.event = &Event{}
	}
	*v.event = Event{
		At: v.at, Kind: k, Subject: v.subject, Policy: r.Policy, Index: r.Index, Key: r.Key, Cost: r.Cost,
		Decision: r.Decision, By: r.By,
	}
	v.guard.o.Observe(v.event)
}

// failed counts and tells that a policy could not be asked.
func (v *Verdict) failed(index int, key string, err error) {
	p := &v.rules.policies[index]
	p.counts.failed.Add(1)
	if v.guard.o.Observe != nil {
		v.guard.o.Observe(&Event{At: v.at, Kind: Failed, Subject: v.subject, Policy: p.Policy, Index: index, Key: key, Err: err})
	}
}
