package limit

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// FieldError says which field of a Policy is wrong, and what to do.
type FieldError struct {
	Field  string // as policy files spell it: "limit", "count-denied"
	Reason string
}

// Error returns the field and the reason, such as
// "limit: must be at least 1, is 0".
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Validate returns nil for a policy that New accepts. Else it returns every
// fault found, as *FieldError values joined with errors.Join.
func (p Policy) Validate() error {
	v := validator{p: p}
	v.base()
	v.window()
	v.burst()
	v.alignment()
	v.queue()
	v.calendar()
	return errors.Join(v.errs...)
}

type validator struct {
	p    Policy
	errs []error
}

func (v *validator) fault(field, format string, args ...any) {
	v.errs = append(v.errs, &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// only reports a set field that the policy's algorithm has no use for.
func (v *validator) only(set bool, field string, allowed ...Algorithm) {
	if !set {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if a == v.p.Algorithm {
			return
		}
		names[i] = a.String()
	}
	v.fault(field, "means nothing for %s; it belongs to %s", v.p.Algorithm, list(names))
}

func (v *validator) base() {
	p := v.p
	if int(p.Algorithm) >= len(algorithmNames) {
		v.fault("algorithm", "no such algorithm: %d; known are %s", p.Algorithm, list(algorithmNames[:]))
	}
	if p.Limit < 1 {
		v.fault("limit", "must be at least 1, is %d", p.Limit)
	}
	if math.IsNaN(p.WarnAt) || p.WarnAt < 0 || p.WarnAt > 1 {
		v.fault("warn-at", "must be a share from 0 to 1, is %v; write 0.8 for 80%%", p.WarnAt)
	}
	v.only(p.Ban != 0, "ban", FixedWindow, SlidingLog, SlidingWindow)
	if p.Ban < 0 || p.Ban > 0 && p.Ban < p.Window {
		v.fault("ban", "must be at least the window of %v, is %v: a shorter one would let in sooner than none", p.Window, p.Ban)
	}
	v.only(p.CountDenied, "count-denied", TokenBucket, RefillBucket, FixedWindow, SlidingLog, SlidingWindow, Quota)
}

func (v *validator) window() {
	p := v.p
	switch {
	case p.Window < 0:
		v.fault("window", "must be longer than zero, is %v", p.Window)
	case p.Algorithm == Concurrency:
		if p.Window != 0 {
			v.fault("window", "means nothing for concurrency, which counts requests in progress; remove it")
		}
	case p.Period != NoPeriod:
		if p.Window != 0 {
			v.fault("window", "a quota has a window or a period, not both")
		}
	case p.Window == 0 && p.Algorithm == Quota:
		v.fault("window", "a quota needs a window or a period")
	case p.Window == 0:
		v.fault("window", "must be longer than zero, such as 1s")
	}
}

func (v *validator) burst() {
	p := v.p
	v.only(p.Burst != 0, "burst", TokenBucket, RefillBucket, LeakyBucket)
	if p.Burst < 0 {
		v.fault("burst", "must not be negative, is %d", p.Burst)
	}
	if p.Limit < 1 || p.Window < 1 || p.Burst < 0 {
		return
	}
	hold := p.Burst
	switch p.Algorithm {
	case TokenBucket:
		if hold == 0 {
			hold = p.Limit
		}
	case LeakyBucket:
		if hold == math.MaxInt64 {
			v.fault("burst", "%d is too large", p.Burst)
			return
		}
		hold++
	default:
		return
	}
	if _, ok := newRate(p).span(uint64(hold)); !ok {
		v.fault("burst", "%d at %d per %v takes more than 292 years to drain; use a smaller burst", p.Burst, p.Limit, p.Window)
	}
}

func (v *validator) alignment() {
	p := v.p
	if int(p.Align) >= len(alignNames) {
		v.fault("align", "no such alignment: %d; known are %s", p.Align, list(alignNames[:]))
	}
	v.only(p.Align == AlignFirst || p.Align == AlignLast, "align", FixedWindow)
	v.only(p.Phase != 0, "phase", FixedWindow, SlidingWindow, RefillBucket)
	switch {
	case p.Phase == 0:
	case p.Align == AlignFirst || p.Align == AlignLast:
		v.fault("phase", "means nothing for windows opened by a request; remove it")
	case p.Phase < 0 || p.Window > 0 && p.Phase >= p.Window:
		v.fault("phase", "must be from zero to below the window of %v, is %v", p.Window, p.Phase)
	}
}

func (v *validator) queue() {
	p := v.p
	v.only(p.Undelayed != 0, "undelayed", LeakyBucket)
	v.only(p.MaxDelay != 0, "max-delay", LeakyBucket)
	if p.Undelayed < 0 || p.Burst >= 0 && p.Undelayed > p.Burst {
		v.fault("undelayed", "must be from zero to the burst of %d, is %d", p.Burst, p.Undelayed)
	}
	if p.MaxDelay < 0 {
		v.fault("max-delay", "must not be negative, is %v", p.MaxDelay)
	}
}

func (v *validator) calendar() {
	p := v.p
	if int(p.Period) >= len(periodNames) {
		v.fault("period", "no such period: %d; known are %s", p.Period, list(periodNames[1:]))
	}
	v.only(p.Period != NoPeriod, "period", Quota)
	v.only(p.Location != nil, "location", Quota)
	v.only(!p.Start.IsZero(), "start", Quota)
	if p.Algorithm != Quota {
		return
	}
	if p.Location != nil && p.Period == NoPeriod {
		v.fault("location", "means nothing without a period; a window has the same length everywhere")
	}
	if !p.Start.IsZero() && p.Period != NoPeriod {
		v.fault("start", "means nothing with a period, which starts with the calendar; use a window")
	}
	if s := p.Start.Unix(); !p.Start.IsZero() && (s > maxOrigin || s < -maxOrigin) {
		v.fault("start", "is beyond any calendar; give an instant between the years -100000 and 100000")
	}
}

// list writes names as "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
