package guard

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
)

// Tell sets the header fields that tell the limits, of an answer to an allowed
// request or to a refused one: those of each policy's Tell, and for a refused
// request those of its answer's dialect. set is as http.Header.Set.
//
// The dialect of one policy tells of the request's other policies too, as far as
// they bind first: figures that leave out the limit that is hit next would not
// be true. A policy's own field names tell of that policy alone; where several
// have the same name, of the one that binds first. Nothing of the key is told.
func (v *Verdict) Tell(set func(name, value string)) {
	if v.Err != nil || v.Refused == nil && !v.tells() {
		return
	}
	var few [4]*Ruling
	told := v.told(few[:0])
	var fewDialects [4]header.Dialect
	dialects := v.dialects(told, fewDialects[:0])
	for _, d := range dialects {
		if d != header.RetryAfterOnly {
			v.write(d, told, set)
		}
	}
	own := v.own(told, set)
	if s, ok := v.retryAfter(); ok && len(dialects) > 0 && !own {
		set("Retry-After", s)
	}
}

// tells reports whether an allowed request's answer carries anything.
func (v *Verdict) tells() bool {
	for i := range v.Rulings {
		if !v.Rulings[i].Policy.Tell.IsZero() {
			return true
		}
	}
	return false
}

// told returns the rulings that have figures, the one that binds first first.
func (v *Verdict) told(told []*Ruling) []*Ruling {
	for i := range v.Rulings {
		r := &v.Rulings[i]
		if r.Shadow || r.Skipped || r.Decision.Limit == 0 || r.Decision.Limit == math.MaxInt64 { // no figures: no policy decided
			continue
		}
		if v.Allowed && v.asks[r.ask].Look && v.rules.policies[r.Index].waits {
			r = v.ahead(r)
		}
		told = append(told, r)
	}
	if len(told) > 1 {
		slices.SortStableFunc(told, sooner)
	}
	return told
}

// ahead is a ruling that only looked, as it will be when the request has been
// counted. The reset is never earlier than that, and may be later.
func (v *Verdict) ahead(r *Ruling) *Ruling {
	out := *r
	d := &out.Decision
	d.Remaining = max(0, d.Remaining-r.Cost)
	p := v.rules.policies[r.Index].entry.For(r.Key)
	fresh, err := p.New(v.guard.o.Origin)
	if err != nil {
		return &out // cannot be: it is in force
	}
	reset := fresh.Take(v.at, max(1, r.Cost)).ResetAfter
	if !tellable(d.ResetAfter) || !tellable(reset) || p.Window > tooLong {
		d.ResetAfter = limit.Never
		return &out
	}
	switch p.Algorithm {
	case limit.TokenBucket, limit.LeakyBucket, limit.RefillBucket:
		d.ResetAfter += reset
	case limit.SlidingWindow:
		d.ResetAfter = 2 * p.Window
	default:
		d.ResetAfter = max(d.ResetAfter, reset)
	}
	d.ResetAfter += v.Decision.Delay // it is counted no earlier than that
	return &out
}

// sooner orders rulings by which of them stops a client that goes on. Of two
// that have no request left, the one with the later reset comes first: a client
// that waits for it is not stopped by the other.
func sooner(a, b *Ruling) int {
	return cmp.Or(
		compareBool(a.Decision.Allowed, b.Decision.Allowed),
		-cmp.Compare(lasting(a.Decision.RetryAfter), lasting(b.Decision.RetryAfter)),
		cmp.Compare(a.Decision.Remaining/max(a.Cost, 1), b.Decision.Remaining/max(b.Cost, 1)),
		-cmp.Compare(lasting(a.Decision.ResetAfter), lasting(b.Decision.ResetAfter)),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// lasting is a wait as a number that grows with it: an unknown one is longer
// than any but Never.
func lasting(d time.Duration) int64 {
	if d == limit.Unknown {
		return math.MaxInt64 - 1
	}
	return int64(d)
}

// dialects returns those in which the answer tells, in the order of the policies.
func (v *Verdict) dialects(told []*Ruling, out []header.Dialect) []header.Dialect {
	add := func(d header.Dialect) {
		if d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	for _, r := range told {
		add(r.Policy.Tell.Dialect)
	}
	if v.Refused != nil {
		add(v.rules.policies[v.Refused.Index].answer.Dialect)
	}
	return out
}

// write tells in one dialect.
func (v *Verdict) write(d header.Dialect, told []*Ruling, set func(name, value string)) {
	if len(told) == 0 {
		return
	}
	var several [4]header.Limit
	limits := several[:0]
	for i, r := range told {
		if i == 0 || r.Policy.Tell.Dialect == d || v.Refused != nil && r.Index == v.Refused.Index {
			limits = append(limits, v.limit(r))
		}
	}
	if header.Write(d, header.Reading{Limits: limits}, v.at, set) == nil {
		return
	}
	// Not all of them can be told in this dialect: the first that can.
	for i := range limits {
		if header.Write(d, header.Reading{Limits: limits[i : i+1]}, v.at, set) == nil {
			return
		}
	}
}

// limit is what is told of a ruling.
func (v *Verdict) limit(r *Ruling) header.Limit {
	l := header.FromDecision(v.rules.policies[r.Index].entry.For(r.Key), r.Decision).Limits[0]
	l.Name = printable(l.Name)
	return l
}

// printable makes a policy's name one that fields can hold.
func printable(name string) string {
	bad := func(c rune) bool { return c < ' ' || c > '~' }
	if strings.IndexFunc(name, bad) < 0 {
		return name
	}
	return strings.Map(func(c rune) rune {
		if bad(c) {
			return '_'
		}
		return c
	}, name)
}

// own sets the fields that policies name themselves, and tells whether one of
// them stands for Retry-After.
func (v *Verdict) own(told []*Ruling, set func(name, value string)) (retry bool) {
	// The one that binds first comes last, so that its figures stay.
	for _, r := range slices.Backward(told) {
		t := &r.Policy.Tell
		if t.Limit != "" {
			set(t.Limit, strconv.FormatInt(r.Decision.Limit, 10))
		}
		if t.Remaining != "" {
			set(t.Remaining, strconv.FormatInt(r.Decision.Remaining, 10))
		}
		if d := r.Decision.ResetAfter; t.Reset != "" && tellable(d) {
			set(t.Reset, seconds(d))
		}
	}
	if v.Refused == nil {
		return false
	}
	s, ok := v.retryAfter()
	name := v.Refused.Policy.Tell.RetryAfter
	if ok && name != "" {
		set(name, s)
	}
	return name != ""
}

// retryAfter is how long a refused client has to wait, in whole seconds.
func (v *Verdict) retryAfter() (string, bool) {
	if v.Refused == nil || !tellable(v.Decision.RetryAfter) {
		return "", false
	}
	return seconds(v.Decision.RetryAfter), true
}

// tellable tells whether a wait is one that a field can express.
func tellable(d time.Duration) bool { return d >= 0 && d <= tooLong }

const tooLong = 10 * 365 * 24 * time.Hour

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) string {
	n := int64(d / time.Second)
	if d%time.Second > 0 {
		n++
	}
	return strconv.FormatInt(n, 10)
}

// Answer is what a request gets that is not allowed, beside what Tell sets. In
// the body, {retry-after} is the seconds to wait, rounded up (1 where no time
// can be told), {limit} the policy's limit for this key and {name} its name.
func (v *Verdict) Answer() (status int, fields []hit.Field, body string) {
	if v.Refused == nil {
		return internalError, []hit.Field{{Name: "Content-Type", Value: "application/json"}}, `{"statusCode":500,"message":"Internal server error"}`
	}
	p := &v.rules.policies[v.Refused.Index]
	answer := &p.answer
	if strings.IndexByte(answer.Body, '{') < 0 {
		return answer.Status, answer.Headers, answer.Body
	}
	wait, ok := v.retryAfter()
	if !ok {
		wait = "1"
	}
	most := p.entry.For(v.Refused.Key).Limit
	return answer.Status, answer.Headers, strings.NewReplacer(
		"{retry-after}", wait, "{limit}", strconv.FormatInt(most, 10), "{name}", p.Name,
	).Replace(answer.Body)
}
