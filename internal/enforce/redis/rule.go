package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

// Bounds of what the scripts count exactly, with room for sums of two.
const (
	maxUnits = 1 << 50
	maxMicro = 1 << 51 // 71 years
)

// rule is a policy as the scripts keep it. It does not change.
type rule struct {
	policy    limit.Policy
	kind      string
	need      need
	units     uint64 // Limit, in lowest terms with width
	width     uint64 // of the window, µs
	shift     int64  // how far before the epoch a window starts, µs; below width
	room      int64  // Decision.Limit
	warnBelow int64

	// of a level; see limit's leakyBucket
	full, one, undelayed, spare span

	largest int64 // of the limits that judge one log
}

// span is us microseconds and part/units of another: a length of time in which
// a number of units flows.
type span struct{ us, part uint64 }

// span returns the time in which n units flow, and false when that is too long.
func (r *rule) span(n uint64) (span, bool) {
	hi, lo := bits.Mul64(n, r.width)
	if hi >= r.units {
		return span{}, false
	}
	us, part := bits.Div64(hi, lo, r.units)
	return span{us, part}, us < maxMicro
}

func (r *rule) plus(s, t span) span {
	s.us, s.part = s.us+t.us, s.part+t.part
	if s.part >= r.units {
		s.part -= r.units
		s.us++
	}
	return s
}

func (r *rule) minus(s, t span) span {
	s.us -= t.us
	if s.part < t.part {
		s.part += r.units
		s.us--
	}
	s.part -= t.part
	return s
}

func (s span) less(t span) bool { return s.us < t.us || s.us == t.us && s.part < t.part }

// ceil returns s rounded up to nanoseconds.
func (r *rule) ceil(s span) int64 {
	hi, lo := bits.Mul64(s.part, 1000)
	n, rest := bits.Div64(hi, lo, r.units)
	if rest != 0 {
		n++
	}
	return int64(s.us)*1000 + int64(n)
}

// whole returns how many units flow in s.
func (r *rule) whole(s span) int64 {
	hi, lo := bits.Mul64(s.us, r.units)
	lo, carry := bits.Add64(lo, s.part, 0)
	n, _ := bits.Div64(hi+carry, lo, r.width)
	return int64(n)
}

func fault(field, format string, args ...any) error {
	return &limit.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// newRule returns the rule of a policy, or says what of it the store cannot
// keep. largest is the largest limit of those on the same counter.
func newRule(p limit.Policy, origin time.Time, largest int64) (*rule, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var errs []error
	micro := func(field string, d time.Duration) {
		if d%time.Microsecond != 0 {
			errs = append(errs, fault(field, "must be whole microseconds in a shared store, is %v", d))
		}
		if d.Microseconds() >= maxMicro {
			errs = append(errs, fault(field, "must be shorter than 71 years in a shared store, is %v", d))
		}
	}
	micro("window", p.Window)
	micro("phase", p.Phase)
	micro("max-delay", p.MaxDelay)
	micro("ban", p.Ban)
	if !p.Start.IsZero() && p.Start.Nanosecond()%1000 != 0 {
		errs = append(errs, fault("start", "must be at a whole microsecond in a shared store"))
	}
	if p.Limit > maxUnits {
		errs = append(errs, fault("limit", "must be at most %d in a shared store, is %d", int64(maxUnits), p.Limit))
	}
	if p.Burst > maxUnits {
		errs = append(errs, fault("burst", "must be at most %d in a shared store, is %d", int64(maxUnits), p.Burst))
	}
	if len(errs) != 0 {
		return nil, errors.Join(errs...)
	}
	r := &rule{policy: p, units: uint64(p.Limit), width: uint64(p.Window.Microseconds()), largest: largest}
	from := time.Unix(0, int64(p.Phase))
	switch p.Algorithm {
	case limit.TokenBucket, limit.LeakyBucket:
		if err := r.level(); err != nil {
			return nil, err
		}
	case limit.RefillBucket:
		r.kind, r.room = "refill", p.Capacity()
	case limit.FixedWindow:
		r.kind, r.room = "window", p.Limit
		if p.Align == limit.AlignFirst {
			r.kind = "first"
		}
		if p.Align == limit.AlignLast {
			r.kind = "last"
		}
	case limit.SlidingLog:
		r.kind, r.room = "log", p.Limit
	case limit.SlidingWindow:
		r.kind, r.room = "two", p.Limit
	case limit.Concurrency:
		r.kind, r.room = "held", p.Limit
	case limit.Quota:
		r.kind, r.room = "window", p.Limit
		if from = p.Start; from.IsZero() {
			from = origin
		}
		if p.Period != limit.NoPeriod {
			r.kind = "period"
		}
	}
	if r.width != 0 {
		// The windows start at from; a multiple of the width earlier is a start too.
		n := new(big.Int).Mul(big.NewInt(from.Unix()), big.NewInt(1e6))
		n.Add(n, big.NewInt(int64(from.Nanosecond()/1000)))
		n.Mod(n.Neg(n), big.NewInt(int64(r.width)))
		r.shift = n.Int64()
	}
	r.need = needs(r.kind)
	if p.Ban > 0 {
		r.need |= needs("ban")
	}
	r.warnBelow = warnBelow(p.WarnAt, r.room)
	return r, nil
}

// level works out a token bucket or a leaky bucket.
func (r *rule) level() error {
	p := r.policy
	divisor := new(big.Int).GCD(nil, nil, big.NewInt(p.Limit), big.NewInt(int64(r.width))).Uint64()
	r.units, r.width = r.units/divisor, r.width/divisor
	hold := uint64(p.Capacity())
	if p.Algorithm == limit.LeakyBucket {
		hold = uint64(p.Burst) + 1
	}
	full, fits := r.span(hold)
	if !fits {
		return fault("burst", "takes longer than 71 years to flow, too long for a shared store")
	}
	r.kind, r.full = "level", full
	r.one, _ = r.span(1)
	if p.Algorithm == limit.LeakyBucket {
		r.undelayed, _ = r.span(uint64(p.Undelayed) + 1)
		if longest := r.plus(r.undelayed, span{us: uint64(p.MaxDelay.Microseconds())}); p.MaxDelay != 0 && longest.less(full) {
			r.full = longest
		}
	}
	r.room = r.whole(r.full)
	whole, _ := r.span(uint64(r.room))
	r.spare = r.minus(r.full, whole)
	return nil
}

// warnBelow returns the Remaining below which a policy warns, as limit has it:
// used ≥ share·capacity, with the share as the decimal number it prints as.
func warnBelow(share float64, capacity int64) int64 {
	if share == 0 {
		return 0
	}
	used, ok := new(big.Rat).SetString(strconv.FormatFloat(share, 'g', -1, 64))
	if !ok {
		return 0 // cannot happen: Validate has refused what is no number
	}
	used.Mul(used, new(big.Rat).SetInt64(capacity))
	n := new(big.Int).Add(used.Num(), new(big.Int).Sub(used.Denom(), big.NewInt(1)))
	n.Quo(n, used.Denom())
	return capacity - n.Int64() + 1
}

// suffix names what counts under one id: when it changes, the counts begin anew.
func (r *rule) suffix(id string) string {
	p := r.policy
	shape := p.Algorithm.String()
	switch p.Algorithm {
	case limit.TokenBucket, limit.LeakyBucket, limit.RefillBucket, limit.Concurrency:
	default:
		loc := "UTC"
		if p.Location != nil {
			loc = p.Location.String()
		}
		shape += fmt.Sprint(" ", p.Window, p.Align, p.Phase, p.Period, loc, r.shift)
	}
	if p.Ban > 0 {
		shape += " ban" // its end is part of the state
	}
	sum := sha256.Sum256([]byte(id + "\x00" + shape))
	readable := strings.Map(func(c rune) rune {
		if c < 128 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return c
		}
		return '-'
	}, id)
	if len(readable) > 40 {
		readable = readable[:40]
	}
	return ":" + readable + ":" + hex.EncodeToString(sum[:8])
}

// tag names a key.
func tag(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "{" + base64.RawURLEncoding.EncodeToString(sum[:16]) + "}"
}

// ruled is an entry as the store keeps it.
type ruled struct {
	rule      *rule
	overrides map[string]*rule
	suffix    map[*rule]string
	shadow    bool
}

func (e *ruled) of(key string) *rule {
	if r, ok := e.overrides[key]; ok {
		return r
	}
	return e.rule
}

// Prepare implements enforce.Store.
func (s *Store) Prepare(set enforce.Set) (enforce.Decider, error) {
	if err := set.Validate(); err != nil {
		return nil, err
	}
	d := &decider{store: s, chain: set.Chain}
	largest, ids := map[string]int64{}, set.IDs()
	for i, e := range set.Entries {
		largest[ids[i]] = max(largest[ids[i]], e.Limit)
	}
	var errs []error
	for i, e := range set.Entries {
		r := ruled{shadow: e.Shadow, overrides: map[string]*rule{}, suffix: map[*rule]string{}}
		add := func(p limit.Policy, where string) *rule {
			u, err := newRule(p, s.o.Origin, max(p.Limit, largest[ids[i]]))
			if err != nil {
				errs = append(errs, fmt.Errorf("entry %d (%q)%s: %w", i, e.Name, where, err))
				return nil
			}
			r.suffix[u] = u.suffix(ids[i])
			return u
		}
		r.rule = add(e.Policy, "")
		for key, p := range e.Overrides {
			r.overrides[key] = add(p, fmt.Sprintf(", key %.80q", key))
		}
		d.entries = append(d.entries, r)
	}
	if len(errs) != 0 {
		return nil, errors.Join(errs...)
	}
	return d, nil
}
