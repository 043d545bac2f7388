package gauge

import (
	"fmt"
	"math"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Keeper says when requests may leave so that a service that keeps the limits of
// a policy file refuses none, although nobody knows when exactly each will reach
// it, nor what its clock shows. It asks stricter limits than the file's, in
// advance: see Strict. It is not safe for concurrent use.
type Keeper struct {
	slack time.Duration
	kept  []kept
}

type kept struct {
	*policy.Policy
	lanes map[string]*lane // by counter and key
}

// lane is the count of one key.
type lane struct {
	limiter limit.Limiter
	last    time.Time // when the latest request leaves
	width   time.Duration
}

// maxLanes is how many keys of a policy are counted before those that rest are dropped.
const maxLanes = 10_000

// NewKeeper returns a keeper of the file's policies. slack is the most by which
// the way to the service may take longer for one request than for another. notes
// are what it cannot keep exactly, in words. The error names a policy that it
// cannot keep at all.
func NewKeeper(f *policy.File, slack time.Duration) (k *Keeper, notes []string, err error) {
	k = &Keeper{slack: slack}
	counters := map[string]map[string]*lane{}
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Shadow || p.Descriptor != nil {
			continue // neither refuses a request of ours
		}
		if _, err := Strict(p.Policy, slack); err != nil {
			return nil, nil, fmt.Errorf("policy %d (%q) cannot be kept from outside: %w", i+1, p.Name, err)
		}
		if p.Late() {
			notes = append(notes, fmt.Sprintf("policy %q counts by the answer, which is not known in advance: every request is taken to cost 1", p.Name))
		}
		lanes := map[string]*lane{}
		if p.Counter != "" {
			if counters[p.Counter] == nil {
				counters[p.Counter] = lanes
			} else {
				lanes = counters[p.Counter]
				notes = append(notes, fmt.Sprintf("policy %q shares a count: the first policy of %q says how much", p.Name, p.Counter))
			}
		}
		k.kept = append(k.kept, kept{p, lanes})
	}
	if len(k.kept) == 0 {
		return nil, nil, fmt.Errorf("there is no policy in it that would refuse a request")
	}
	return k, notes, nil
}

// Leave returns when the request may leave that could at now, and counts it. It
// returns false when there is no such time.
func (k *Keeper) Leave(s *expr.Subject, now time.Time) (at time.Time, ok bool, err error) {
	type ask struct {
		lane *lane
		cost int64
	}
	var few [4]ask
	asks := few[:0]
	at = now
	for i := range k.kept {
		p := &k.kept[i]
		if applies, err := p.For(s); err != nil || !applies {
			if err != nil {
				return at, false, fmt.Errorf("policy %q: when: %w", p.Name, err)
			}
			continue
		}
		key, err := p.Key.Of(s)
		if err != nil {
			return at, false, fmt.Errorf("policy %q: key: %w", p.Name, err)
		}
		if p.Overrides[key].Unlimited {
			continue
		}
		cost := int64(1)
		if p.Cost.Expr == nil || !p.Cost.Expr.ReadsResponse() {
			if cost, err = p.Cost.Of(s); err != nil {
				return at, false, fmt.Errorf("policy %q: cost: %w", p.Name, err)
			}
		}
		l, err := k.lane(p, key, now)
		if err != nil {
			return at, false, err
		}
		already := false
		for _, a := range asks {
			already = already || a.lane == l
		}
		if cost == 0 || already {
			continue
		}
		if l.last.After(at) {
			at = l.last
		}
		asks = append(asks, ask{l, cost})
	}
	for settled := false; !settled; {
		settled = true
		for _, a := range asks {
			// Subtle: the stricter limits count nothing of a refused request, so asking is free.
			if a.lane.limiter.Take(at, 0).Remaining >= a.cost {
				continue
			}
			d := a.lane.limiter.Take(at, a.cost)
			if d.Allowed || d.RetryAfter == limit.Never || d.RetryAfter <= 0 {
				return at, false, nil
			}
			at, settled = at.Add(d.RetryAfter), false
		}
	}
	for _, a := range asks {
		a.lane.limiter.Take(at, a.cost)
		a.lane.last = at
	}
	return at, true, nil
}

func (k *Keeper) lane(p *kept, key string, now time.Time) (*lane, error) {
	if l := p.lanes[key]; l != nil {
		return l, nil
	}
	if len(p.lanes) >= maxLanes {
		for other, l := range p.lanes {
			if now.Sub(l.last) > l.width {
				delete(p.lanes, other)
			}
		}
	}
	base := p.Policy.Policy
	if o, ok := p.Overrides[key]; ok {
		base = p.With(o)
	}
	strict, err := Strict(base, k.slack)
	if err != nil {
		return nil, err
	}
	l, err := strict.New(now)
	if err != nil {
		return nil, err
	}
	p.lanes[key] = &lane{limiter: l, last: now, width: 2*strict.Window + k.slack}
	return p.lanes[key], nil
}

// largeLog is the largest limit whose requests are remembered one by one.
const largeLog = 100_000

// Strict returns a limit that is kept at the sender so that p is kept at the
// service, when requests take anything up to slack longer than others to reach
// it. Nothing is assumed about the service's clock. In the long run it lets pass
//
//   - of a window W: Limit in W + slack, whatever the windows are aligned to;
//   - of a bucket: its whole rate, with a burst that is smaller by what the rate
//     gives in slack; less when that leaves no burst;
//   - of a refill bucket: as a window, of what one refill gives;
//   - of the weighted window of two counters: Limit less 2 in W + slack, evenly.
//
// The error says why there is none.
func Strict(p limit.Policy, slack time.Duration) (limit.Policy, error) {
	s := limit.Policy{Name: p.Name, Algorithm: limit.SlidingLog, Limit: p.Limit, Window: p.Window + slack}
	switch p.Algorithm {
	case limit.TokenBucket:
		return bucket(p, cap0(p.Burst, p.Limit), slack), nil
	case limit.LeakyBucket:
		return bucket(p, p.Burst+1, slack), nil
	case limit.RefillBucket:
		s.Limit = min(p.Limit, cap0(p.Burst, p.Limit))
	case limit.SlidingWindow:
		if p.Limit <= 2 {
			s.Window = 2*p.Window + slack // nothing of the window before is left then
			return s, nil
		}
		return limit.Policy{Name: p.Name, Limit: p.Limit - 2, Window: p.Window + slack, Burst: 1}, nil
	case limit.Quota:
		if p.Window == 0 {
			return limit.Policy{}, fmt.Errorf("its windows follow the calendar; state it with a window instead of a period")
		}
	case limit.Concurrency:
		return limit.Policy{}, fmt.Errorf("it counts requests under way; limit those with --users or --max-users")
	}
	if s.Limit > largeLog {
		// A twentieth at once, and the rest at an even rate: never more than the limit in a window.
		burst := s.Limit / 20
		return limit.Policy{Name: p.Name, Limit: s.Limit - burst, Window: s.Window, Burst: burst}, nil
	}
	return s, nil
}

func cap0(burst, limit int64) int64 {
	if burst == 0 {
		return limit
	}
	return burst
}

// bucket returns the stricter token bucket. In any time t at the service it must
// admit what left in t + slack.
func bucket(p limit.Policy, burst int64, slack time.Duration) limit.Policy {
	s := limit.Policy{Name: p.Name, Limit: p.Limit, Window: p.Window}
	late := int64(math.Ceil(float64(p.Limit) * slack.Seconds() / p.Window.Seconds()))
	if s.Burst = burst - late; s.Burst >= 1 {
		return s
	}
	// Even distances: as long as one unit takes, and long enough that no more than
	// the burst can meet on the way.
	gap := p.Window / time.Duration(p.Limit)
	if burst > 1 {
		gap = max(gap, slack/time.Duration(burst-1))
	} else {
		gap += slack
	}
	return limit.Policy{Name: p.Name, Limit: 1, Window: gap + 1, Burst: 1}
}
