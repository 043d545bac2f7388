package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

// decider implements enforce.Decider.
type decider struct {
	store   *Store
	chain   bool
	entries []ruled
}

// Words of the script's arguments; see take.lua.
const (
	headWords = 5
	askWords  = 13
	saysWords = 6 // numbers it answers for each ask
)

// Take implements enforce.Decider.
func (d *decider) Take(ctx context.Context, asks []enforce.Ask) (limit.Decision, error) {
	var c enforce.Combined
	c.Start()
	if len(asks) == 0 {
		return c.Decision, nil
	}
	if d.store.o.Cluster && !oneKey(asks) {
		return d.eachKey(ctx, asks)
	}
	verdict, err := d.script(ctx, asks)
	if err != nil {
		return limit.Decision{}, err
	}
	refuser := -1
	for i := range asks {
		if !d.entries[asks[i].Entry].shadow {
			c.Add(i, &asks[i].Decision)
			if !verdict.admitted && refuser < 0 && verdict.stopped == i {
				refuser = i
			}
		}
	}
	if d.chain && refuser >= 0 {
		c.Binding, c.Limit, c.ResetAfter = refuser, asks[refuser].Decision.Limit, asks[refuser].Decision.ResetAfter
	}
	return c.Decision, nil
}

func oneKey(asks []enforce.Ask) bool {
	for i := range asks {
		if asks[i].Key != asks[0].Key {
			return false
		}
	}
	return true
}

// eachKey asks for each key by itself, in the order of the asks, until one
// refuses. Those after it are only looked at.
func (d *decider) eachKey(ctx context.Context, asks []enforce.Ask) (limit.Decision, error) {
	var c enforce.Combined
	c.Start()
	done := make([]bool, len(asks))
	refused := false
	for i := range asks {
		if done[i] {
			continue
		}
		var some []enforce.Ask
		var where []int
		for j := i; j < len(asks); j++ {
			if asks[j].Key == asks[i].Key {
				some, where, done[j] = append(some, asks[j]), append(where, j), true
			}
		}
		if refused {
			for k := range some {
				some[k].Cost = 0
			}
		}
		if _, err := d.script(ctx, some); err != nil {
			return limit.Decision{}, err
		}
		for k, j := range where {
			cost := asks[j].Cost
			asks[j] = some[k]
			asks[j].Cost = cost
			refused = refused || !asks[j].Decision.Allowed && !d.entries[asks[j].Entry].shadow
		}
	}
	for i := range asks {
		if !d.entries[asks[i].Entry].shadow {
			c.Add(i, &asks[i].Decision)
		}
	}
	if refused {
		if err := d.Release(ctx, asks); err != nil {
			return c.Decision, nil // they expire by themselves
		}
	}
	return c.Decision, nil
}

// verdict is what the script says of the request as a whole.
type verdict struct {
	admitted bool
	stopped  int // of a chain: the ask that refused
}

// script asks the server about asks that one script may decide.
func (d *decider) script(ctx context.Context, asks []enforce.Ask) (verdict, error) {
	for range 3 {
		n, keys, args := d.words(asks)
		r, err := d.store.run(ctx, d.store.script(n), keys, args)
		if err != nil {
			return verdict{}, err
		}
		says, err := r.AsIntSlice()
		if err != nil {
			return verdict{}, fmt.Errorf("redis: the answer of the script: %w", err)
		}
		switch {
		case len(says) == 2 && says[0] == 2:
			// Nothing was taken: the server's clock is in another period of the
			// calendar than ours. Ask again by its clock.
			d.store.skew.Store(says[1] - d.store.present(false).UnixMicro())
			continue
		case len(says) != 3+saysWords*len(asks):
			return verdict{}, fmt.Errorf("redis: the script answered %d numbers, want %d", len(says), 3+saysWords*len(asks))
		}
		v := verdict{admitted: says[0] == 1, stopped: int(says[2]) - 1}
		for i := range asks {
			a := &asks[i]
			n := says[3+saysWords*i:][:saysWords]
			u := d.entries[a.Entry].of(a.Key)
			a.Decision = u.decision(v.admitted && !a.Look, n[0] == 1, max(0, n[1]-says[1]), n[1], n[2:], a.Cost)
			a.By = enforce.ByPolicy
		}
		return v, nil
	}
	return verdict{}, errors.New("redis: the server's clock does not agree with itself about the calendar")
}

// present returns the instant that periods are worked out for: by the server's
// clock as far as it is known.
func (s *Store) present(corrected bool) time.Time {
	if s.o.Now != nil {
		return s.o.Now()
	}
	at := time.Now()
	if corrected {
		at = at.Add(time.Duration(s.skew.Load()) * time.Microsecond)
	}
	return at
}

// words returns the kinds needed, the keys and the arguments for asks.
func (d *decider) words(asks []enforce.Ask) (n need, keys, args []string) {
	s := d.store
	keys, args = make([]string, len(asks)), make([]string, headWords, headWords+askWords*len(asks))
	args[0], args[1], args[2], args[3], args[4] = flag(d.chain), "", "1", "0", ""
	if !s.o.Origin.IsZero() {
		args[3] = number(s.o.Origin.UnixMicro())
	}
	if s.o.Now != nil {
		args[1], args[2], args[4] = number(s.o.Now().UnixMicro()), flag(s.o.Lazy), "3600000"
	}
	for i := range asks {
		a := &asks[i]
		e := &d.entries[a.Entry]
		r := e.of(a.Key)
		keys[i] = s.o.Prefix + ":" + tag(a.Key) + e.suffix[r]
		cost := min(max(a.Cost, 0), maxUnits+1)
		n |= r.need
		w := [4]string{"0", "0", "0", "0"}
		width, holder := r.width, ""
		switch r.kind {
		case "level":
			need := r.one
			if cost != 1 {
				need, _ = r.span(uint64(min(cost, r.room)))
			}
			w = [4]string{number(int64(need.us)), number(int64(need.part)), number(int64(r.full.us)), number(int64(r.full.part))}
			if cost > r.room {
				w[0] = "-1"
			}
		case "refill":
			w[0], w[1] = number(r.shift), number(r.room)
		case "window", "two":
			w[0] = number(r.shift)
		case "log":
			w[0] = number(r.largest)
		case "period":
			w = r.periods(s.present(true))
		case "held":
			w[0] = number(s.o.HoldFor.Microseconds())
			a.Hold = s.holders.Add(1)
			holder = s.holder(a.Hold)
		}
		args = append(args, r.kind, flag(e.shadow), flag(r.policy.CountDenied), number(cost), number(int64(r.units)), number(int64(width)))
		args = append(append(args, w[:]...), holder, flag(a.Look), number(r.policy.Ban.Microseconds()))
	}
	return n, keys, args
}

func (s *Store) holder(hold uint64) string { return s.owner + strconv.FormatUint(hold, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// periods returns an instant in the period before at, and the ends of that one,
// of the one at at, and of the next, so that clocks may differ a little.
func (r *rule) periods(at time.Time) (w [4]string) {
	one := limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: r.policy.Period, Location: r.policy.Location}
	end := func(at time.Time) time.Time {
		l, err := one.New(at)
		if err != nil {
			return at // cannot happen: the policy was valid
		}
		return at.Add(l.Take(at, 1).ResetAfter)
	}
	// An hour is the shortest period, and half of one reaches the one before or
	// stays in this.
	before := at.Add(-30 * time.Minute)
	first := end(before)
	second := end(first)
	w[0], w[1], w[2], w[3] = number(before.UnixMicro()), number(first.UnixMicro()), number(second.UnixMicro()), number(end(second).UnixMicro())
	return w
}

// decision returns what a limiter of the model says that is in the state x at
// now, lag microseconds after the instant that was asked. own says whether it
// admits the cost, and admitted whether it has been taken.
func (r *rule) decision(admitted, own bool, lag, now int64, x []int64, cost int64) (d limit.Decision) {
	d.Allowed, d.Limit = own, r.room
	never := !own && cost > r.room
	var retry, reset int64 // ns from now
	kind := r.kind
	if x[3] > 0 { // a ban lasts
		kind, retry, reset = "", x[3]*1000, x[3]*1000
	}
	switch kind {
	case "level":
		held := span{uint64(x[0]), uint64(x[1])}
		d.Remaining = r.whole(r.minus(r.full, held))
		if r.policy.Algorithm == limit.LeakyBucket && admitted && own && cost > 0 && r.undelayed.less(held) {
			d.Delay = after(lag, r.ceil(r.minus(held, r.undelayed)))
		}
		if r.policy.Algorithm == limit.TokenBucket || r.spare == (span{}) {
			reset = r.ceil(held)
		} else if r.spare.less(held) {
			reset = r.ceil(r.minus(held, r.spare))
		}
		if !own && !never {
			need, _ := r.span(uint64(cost))
			retry = r.ceil(r.minus(r.plus(held, need), r.full))
		}
	case "refill":
		d.Remaining = r.room - x[0]
		reset = r.refill(now, x[0])
		if !own && !never {
			retry = r.refill(now, cost-d.Remaining)
		}
	case "window", "first", "last", "period":
		d.Remaining = max(0, r.room-x[0])
		if x[0] > 0 {
			reset = x[1] * 1000
		}
		retry = reset
	case "log":
		d.Remaining, retry, reset = max(0, r.room-x[0]), x[1]*1000, x[2]*1000
	case "two":
		retry, reset = r.two(&d, now, uint64(x[0]), uint64(x[1]), own || never, cost)
	case "held":
		d.Remaining = max(0, r.room-x[0])
		if x[0] > 0 {
			d.ResetAfter = limit.Unknown
		}
		if !own {
			d.RetryAfter = limit.Unknown
		}
	}
	if r.kind != "held" {
		if reset != 0 {
			d.ResetAfter = after(lag, reset)
		}
		if !own {
			d.RetryAfter = after(lag, retry)
		}
	}
	if never {
		d.RetryAfter = limit.Never
	}
	d.Warn = d.Remaining < r.warnBelow
	return d
}

// after returns ns nanoseconds from an instant lag microseconds later.
func after(lag, ns int64) time.Duration {
	if lag > (math.MaxInt64-ns)/1000 {
		return limit.Never
	}
	return time.Duration(lag*1000 + ns)
}

// elapsed returns how far into its window now is, µs.
func (r *rule) elapsed(now int64) uint64 { return uint64(now+r.shift) % r.width }

// refill returns the nanoseconds until n more tokens have come.
func (r *rule) refill(now, n int64) int64 {
	if n <= 0 {
		return 0
	}
	heads := uint64((n-1)/r.policy.Limit) + 1
	hi, lo := bits.Mul64(heads-1, r.width*1000)
	lo, carry := bits.Add64(lo, (r.width-r.elapsed(now))*1000, 0)
	if hi+carry != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// two is limit's sliding window, in nanoseconds.
func (r *rule) two(d *limit.Decision, now int64, previous, current uint64, passes bool, cost int64) (retry, reset int64) {
	width, elapsed := r.width*1000, r.elapsed(now)*1000
	hi, lo := bits.Mul64(previous, width-elapsed)
	share, _ := bits.Div64(hi, lo, width)
	if used := share + current; used < uint64(r.room) {
		d.Remaining = r.room - int64(used)
	}
	// reach is how far into a window the share of n has sunk to target.
	reach := func(n, target uint64) uint64 {
		if n <= target {
			return 0
		}
		hi, lo := bits.Mul64(target+1, width)
		lo, borrow := bits.Sub64(lo, 1, 0)
		left, _ := bits.Div64(hi-borrow, lo, n)
		return width - left
	}
	wait := func(target uint64) int64 {
		if current <= target {
			if to := reach(previous, target-current); to > elapsed {
				return int64(to - elapsed)
			}
			return 0
		}
		if sum := width - elapsed + reach(current, target); sum < math.MaxInt64 {
			return int64(sum)
		}
		return math.MaxInt64
	}
	if !passes {
		retry = wait(uint64(r.room - cost))
	}
	return retry, wait(0)
}

// Release implements enforce.Decider.
func (d *decider) Release(ctx context.Context, asks []enforce.Ask) error {
	s := d.store
	var keys, args []string
	for i := range asks {
		a := &asks[i]
		e := &d.entries[a.Entry]
		if r := e.of(a.Key); r.kind == "held" && a.Cost > 0 && !a.Look {
			holder := ""
			if a.Hold != 0 {
				holder = s.holder(a.Hold)
			}
			keys, args = append(keys, s.o.Prefix+":"+tag(a.Key)+e.suffix[r]), append(args, holder, s.owner, number(min(a.Cost, maxUnits)))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if !s.o.Cluster {
		_, err := s.run(ctx, s.release, keys, args)
		return err
	}
	var errs []error
	for i := range keys {
		_, err := s.run(ctx, s.release, keys[i:i+1], args[3*i:3*i+3])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

var _ interface {
	enforce.Store
	Close()
} = (*Store)(nil)
