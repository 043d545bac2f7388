package limittest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Suite checks that a limiter keeps a declared policy, on traffic of its own
// making: for those who implement one. Scripts show single cases; a Suite looks
// for what nobody thought of.
type Suite struct {
	// New makes the limiter under test. It may refuse a setup with an error that
	// wraps errors.ErrUnsupported; Run fails when it refuses all of them.
	New New

	// Policies are those to check. Nil means Policies().
	Policies []limit.Policy

	// Grain is the step of the limiter's clock: all instants are multiples of it
	// and durations may differ by as much. Zero means one nanosecond.
	Grain time.Duration

	// Requests is the number of requests of random traffic for each policy.
	// Zero means 2,000.
	Requests int

	// Seed makes the traffic. The same seed makes the same traffic.
	Seed uint64
}

// Policies returns one policy or more for each algorithm. They count in
// milliseconds and more, so that a Grain of a millisecond serves.
func Policies() []limit.Policy {
	return []limit.Policy{
		{Algorithm: limit.TokenBucket, Limit: 10, Window: time.Second, Burst: 3},
		{Algorithm: limit.TokenBucket, Limit: 100, Window: 10 * time.Second, CountDenied: true},
		{Algorithm: limit.RefillBucket, Limit: 10, Window: time.Second, Burst: 5},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, CountDenied: true},
		{Algorithm: limit.FixedWindow, Limit: 3, Window: 10 * time.Second, Align: limit.AlignFirst},
		{Algorithm: limit.FixedWindow, Limit: 3, Window: 10 * time.Second, Align: limit.AlignLast},
		{Algorithm: limit.FixedWindow, Limit: 3, Window: 10 * time.Second, Align: limit.AlignLast, CountDenied: true},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignFirst, Ban: 3 * time.Second},
		{Algorithm: limit.SlidingLog, Limit: 5, Window: time.Second, Ban: 1500 * time.Millisecond, CountDenied: true},
		{Algorithm: limit.SlidingWindow, Limit: 20, Window: time.Second, Ban: 2 * time.Second},
		{Algorithm: limit.SlidingLog, Limit: 5, Window: time.Second},
		{Algorithm: limit.SlidingWindow, Limit: 20, Window: time.Second},
		{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 5},
		{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 20, Undelayed: 20},
		{Algorithm: limit.Concurrency, Limit: 4},
		{Algorithm: limit.Quota, Limit: 50, Period: limit.PerHour},
		{Algorithm: limit.Quota, Limit: 50, Window: time.Minute},
	}
}

// Run runs every check on every policy, each as a subtest.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	if s.Policies == nil {
		s.Policies = Policies()
	}
	checked := 0
	for _, p := range s.Policies {
		t.Run(p.String(), func(t *testing.T) {
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) {
					err := s.check(c, p)
					if errors.Is(err, errors.ErrUnsupported) {
						t.Skip(err)
					}
					checked++
					if err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	if checked == 0 && !t.Failed() {
		t.Error("nothing was checked: no policies, or the limiter refused every setup")
	}
}

// check is one thing that every limiter of a policy must keep.
type check struct {
	name string
	uses Uses
	run  func(*trial) error
}

var checks = []check{
	{"starts-full", UsesCost, startsFull},
	{"refuses-more-than-capacity", UsesCost, refusesMore},
	{"keys-are-independent", UsesCost | UsesKeys, keysAreIndependent},
	{"zero-cost-takes-nothing", UsesCost, zeroTakesNothing},
	{"time-may-run-backwards", UsesCost | UsesBackwards, backwards},
	{"decides-as-declared", UsesCost | UsesKeys, decidesAsDeclared},
}

func (s Suite) check(c check, p limit.Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if s.Grain <= 0 {
		s.Grain = 1
	}
	if s.Requests <= 0 {
		s.Requests = 2000
	}
	uses := c.uses
	if p.Algorithm == limit.Concurrency {
		uses |= UsesRelease
	}
	setup := Setup{Start: standardStart, Rules: []Rule{{Policy: p}}, Uses: uses}
	subject, err := s.New(setup)
	if err != nil {
		return err
	}
	model, err := Model(setup)
	if err != nil {
		return err
	}
	return c.run(&trial{Suite: s, policy: p, subject: subject, model: model, at: setup.Start})
}

// trial is one check under way: a subject, and the model beside it.
type trial struct {
	Suite
	policy         limit.Policy
	subject, model Subject
	at             time.Time
}

// take puts one request to both, and compares.
func (t *trial) take(key string, cost int64) (Answer, error) {
	r := Request{At: t.at, Key: key, Cost: cost}
	got, err := t.subject.Take(r)
	if err != nil {
		return Answer{}, err
	}
	want, err := t.model.Take(r)
	if err != nil {
		return Answer{}, err
	}
	for _, d := range []struct{ got, want *time.Duration }{
		{&got.RetryAfter, &want.RetryAfter}, {&got.ResetAfter, &want.ResetAfter}, {&got.Delay, &want.Delay},
	} {
		if off := *d.got - *d.want; t.Grain > 1 && *d.got >= 0 && *d.want >= 0 && off <= t.Grain && off >= -t.Grain {
			*d.got = *d.want
		}
	}
	if faults := compare(got, want, true); faults != "" {
		return got, fmt.Errorf("at %v, key %q, take %d: %s", t.at.Sub(standardStart), key, cost, faults)
	}
	return got, nil
}

func (t *trial) release(key string, cost int64) error {
	r := Request{At: t.at, Key: key, Cost: cost}
	releaser, ok := t.subject.(Releaser)
	if !ok {
		return fmt.Errorf("the subject took a concurrency policy and cannot release")
	}
	return errors.Join(releaser.Release(r), t.model.(Releaser).Release(r))
}

// all puts requests of the costs to one key.
func (t *trial) all(key string, costs ...int64) error {
	for _, cost := range costs {
		if _, err := t.take(key, cost); err != nil {
			return err
		}
	}
	return nil
}

func startsFull(t *trial) error { return t.all("", t.policy.Capacity(), 1) }

func refusesMore(t *trial) error {
	return t.all("", t.policy.Capacity()+1, t.policy.Capacity()+1, 1)
}

func keysAreIndependent(t *trial) error {
	return errors.Join(t.all("a", t.policy.Capacity(), 1), t.all("b", t.policy.Capacity(), 1))
}

func zeroTakesNothing(t *trial) error { return t.all("", 0, 0, t.policy.Capacity(), 0, 1) }

// horizon is the time in which the policy matters.
func (t *trial) horizon() time.Duration {
	switch {
	case t.policy.Period == limit.PerHour:
		return time.Hour
	case t.policy.Period != limit.NoPeriod:
		return 24 * time.Hour
	case t.policy.Window == 0:
		return time.Second
	}
	return t.policy.Window
}

func backwards(t *trial) error {
	h := t.horizon()
	for _, move := range []time.Duration{3 * h, -2 * h, h / 2, -h, 4 * h, -h, -h} {
		t.at = t.at.Add(move.Truncate(t.Grain))
		if err := t.all("", 1, t.policy.Capacity(), 1); err != nil {
			return err
		}
	}
	return nil
}

// decidesAsDeclared sends random traffic: bursts, pauses, instants at which
// something is about to change, and, of a refused request, exactly the instant
// at which it is to be retried and the one before.
func decidesAsDeclared(t *trial) error {
	random := rand.New(rand.NewPCG(t.Seed, 1))
	span := t.horizon()
	pause := func(d time.Duration) { t.at = t.at.Add(d.Truncate(t.Grain)) }
	for range t.Requests {
		key := []string{"a", "b"}[random.IntN(2)]
		switch random.IntN(6) {
		case 0:
			pause(span/time.Duration(t.policy.Limit) + time.Duration(random.IntN(3)-1)*t.Grain)
		case 1:
			pause(time.Duration(random.Int64N(int64(span))))
		case 2:
			if random.IntN(10) == 0 {
				pause(span * time.Duration(1+random.IntN(3)))
			}
		}
		cost := int64(1)
		if random.IntN(4) == 0 {
			cost = random.Int64N(t.policy.Capacity() + 2)
		}
		if t.policy.Algorithm == limit.Concurrency && random.IntN(2) == 0 {
			if err := t.release(key, cost); err != nil {
				return err
			}
			continue
		}
		got, err := t.take(key, cost)
		if err != nil {
			return err
		}
		if got.Says&SaysRetry == 0 || got.Allowed || got.RetryAfter < 2*t.Grain || got.RetryAfter == limit.Never || random.IntN(2) == 0 {
			continue
		}
		// Up to the next step of the clock.
		wait := (got.RetryAfter + t.Grain - 1).Truncate(t.Grain)
		pause(wait - t.Grain)
		if random.IntN(2) == 0 {
			if _, err := t.take(key, cost); err != nil {
				return err
			}
		}
		pause(t.Grain)
		if _, err := t.take(key, cost); err != nil {
			return err
		}
	}
	return nil
}
