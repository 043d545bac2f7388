package keyscope

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// keyed is a server that counts clients apart by some of the things that are varied.
type keyed struct {
	now    time.Time
	sent   int
	layers []keyedLimit
	exempt func(Who) bool
	fail   int // requests after which the wire is cut; 0: never
}

type keyedLimit struct {
	policy limit.Policy
	by     []int
	counts map[string]limit.Limiter
}

func newKeyed(layers ...keyedLimit) *keyed {
	k := &keyed{now: time.Unix(1_700_000_000, 123456789), layers: layers}
	for i := range k.layers {
		k.layers[i].counts = map[string]limit.Limiter{}
	}
	return k
}

func (k *keyed) Now() time.Time { return k.now }

func (k *keyed) Sleep(ctx context.Context, until time.Time) error {
	if until.After(k.now) {
		k.now = until
	}
	return ctx.Err()
}

var errBroken = errors.New("the wire was cut")

func (k *keyed) SendAs(_ context.Context, calls []Call) ([]probe.Answer, error) {
	out := make([]probe.Answer, len(calls))
	for i, c := range calls {
		if k.fail > 0 && k.sent >= k.fail {
			return out[:i], errBroken
		}
		k.sent++
		at := k.now.Add(c.At + time.Duration(i)*50*time.Microsecond)
		out[i] = probe.Answer{Sent: at, Done: at.Add(4 * time.Millisecond)}
		if k.exempt != nil && k.exempt(c.Who) {
			continue
		}
		var ls []limit.Limiter
		for j := range k.layers {
			l := &k.layers[j]
			key := ""
			for _, thing := range l.by {
				key += fmt.Sprint(c.Who[thing], "/")
			}
			if l.counts[key] == nil {
				made, err := l.policy.New(k.now.Add(-time.Hour))
				if err != nil {
					panic(err)
				}
				l.counts[key] = made
			}
			ls = append(ls, l.counts[key])
		}
		if !limit.All(ls...).Take(at.Add(2*time.Millisecond), 1).Allowed {
			out[i].Outcome = probe.Refused
		}
	}
	k.now = out[len(out)-1].Done
	return out, nil
}

var ten = limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 10, Window: 5 * time.Second}

func TestScope(t *testing.T) {
	twelve := ten
	twelve.Limit = 14
	ran := 0
	for _, c := range []struct {
		name   string
		layers []keyedLimit
		exempt func(Who) bool
		want   string // of three things
		above  string
		check  func(*Scope) error
	}{
		{name: "all together", layers: []keyedLimit{{policy: ten}}, want: "[false false false]"},
		{name: "by one", layers: []keyedLimit{{policy: ten, by: []int{1}}}, want: "[false true false]"},
		{name: "by two", layers: []keyedLimit{{policy: ten, by: []int{0, 2}}}, want: "[true false true]"},
		{name: "by all", layers: []keyedLimit{{policy: ten, by: []int{0, 1, 2}}}, want: "[true true true]"},
		{name: "a limit above", layers: []keyedLimit{{policy: ten, by: []int{0}}, {policy: twelve}}, want: "[true false false]", above: "14 [false false false]"},
		{name: "a limit above of a part", layers: []keyedLimit{{policy: ten, by: []int{0, 1}}, {policy: twelve, by: []int{0}}}, want: "[true true false]", above: "14 [true false false]"},
		{name: "two keys", layers: []keyedLimit{{policy: ten, by: []int{0}}, {policy: ten, by: []int{2}}}, want: "[false false false]", check: func(s *Scope) error {
			if !s.Many || s.Several != [2]int{0, 2} && s.Several != [2]int{2, 0} {
				return fmt.Errorf("several: %v %v", s.Many, s.Several)
			}
			return nil
		}},
		{name: "the other is free", layers: []keyedLimit{{policy: ten, by: []int{0}}}, exempt: func(w Who) bool { return w[0] == 1 }, want: "[true false false]", check: func(s *Scope) error {
			if s.Free == 0 || s.Sure {
				return fmt.Errorf("free %d, sure %v", s.Free, s.Sure)
			}
			return nil
		}},
	} {
		ran++
		k := newKeyed(c.layers...)
		k.exempt = c.exempt
		s, err := Find(t.Context(), Options{Found: probe.Found{Family: probe.FixedFirst, Policies: []limit.Policy{ten}, LimitLow: 10, LimitHigh: 10}, Values: []int{2, 2, 3}}, k, k)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.Counted); got != c.want {
			t.Errorf("%s: counted by %s, want %s", c.name, got, c.want)
		}
		above := ""
		if s.Above != nil {
			above = fmt.Sprint(s.Above.Limit, " ", s.Above.Counted)
		}
		if above != c.above {
			t.Errorf("%s: above it %q, want %q", c.name, above, c.above)
		}
		if c.check != nil {
			if err := c.check(s); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if !s.Sure {
			t.Errorf("%s: not sure: %v", c.name, s.Belief)
		}
		if s.Requests != k.sent {
			t.Errorf("%s: %d requests told, %d sent", c.name, s.Requests, k.sent)
		}
	}
	if ran != 8 {
		t.Fatalf("%d cases ran", ran)
	}
}

// TestScopeBehind: the longer of two limits may be counted by another thing.
func TestScopeBehind(t *testing.T) {
	short := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 5, Window: time.Second}
	long := limit.Policy{Algorithm: limit.SlidingLog, Limit: 22, Window: time.Minute}
	found := probe.Found{Family: probe.Stacked, Policies: []limit.Policy{short, long}}
	behind, spend, ok := Behind(&found)
	if !ok || len(spend) != 5 {
		t.Fatalf("spend %v, %v", spend, ok)
	}
	ran := 0
	for want, by := range map[string][]int{"[false false false]": nil, "[false true false]": {1}, "[true false true]": {0, 2}} {
		ran++
		k := newKeyed(keyedLimit{policy: short, by: []int{0}}, keyedLimit{policy: long, by: by})
		s, err := Find(t.Context(), Options{Found: behind, Spend: spend, Values: []int{2, 2, 2}}, k, k)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.Counted); got != want || !s.Sure {
			t.Errorf("counted by %s (%v, sure %v, %q), want %s", got, s.Belief, s.Sure, s.Stopped, want)
		}
		if s.Requests != k.sent {
			t.Errorf("%d requests told, %d sent", s.Requests, k.sent)
		}
	}
	if ran != 3 {
		t.Fatalf("%d ran", ran)
	}
	if _, _, ok := Behind(&probe.Found{Family: probe.FixedClock, Policies: []limit.Policy{short}}); ok {
		t.Error("one limit has one behind it")
	}
}

// Values of one thing may be counted in groups: as paths are, by their first parts.
func TestScopeGroups(t *testing.T) {
	for _, c := range []struct{ groups []int }{{[]int{0, 0, 1}}, {[]int{0, 1, 0}}, {[]int{0, 0, 1, 2}}, {[]int{0, 1, 1, 0}}} {
		k := newKeyed(keyedLimit{policy: ten, by: []int{0}})
		s, err := Find(t.Context(), Options{Found: probe.Found{Family: probe.FixedFirst, Policies: []limit.Policy{ten}}, Values: []int{len(c.groups)}}, &grouped{k, c.groups}, k)
		if err != nil {
			t.Fatal(err)
		}
		for v, g := range c.groups {
			if s.Apart[0][v] != (g != 0) {
				t.Errorf("groups %v: apart: %v", c.groups, s.Apart[0])
			}
		}
		if s.Above != nil || !s.Counted[0] || !s.Sure {
			t.Errorf("groups %v: above %+v, counted %v, sure %v", c.groups, s.Above, s.Counted, s.Sure)
		}
	}
}

// grouped counts the values of a thing in groups.
type grouped struct {
	*keyed
	groups []int
}

func (g *grouped) SendAs(ctx context.Context, calls []Call) ([]probe.Answer, error) {
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].Who = Who{g.groups[calls[i].Who[0]]}
	}
	return g.keyed.SendAs(ctx, calls)
}

func TestScopeBounds(t *testing.T) {
	found := probe.Found{Family: probe.FixedFirst, Policies: []limit.Policy{ten}}
	k := newKeyed(keyedLimit{policy: ten, by: []int{0}})
	s, err := Find(t.Context(), Options{Found: found, Values: []int{2}, MaxRequests: 25}, k, k)
	if err != nil || k.sent > 25 {
		t.Errorf("%d requests, the bound is 25: %v", k.sent, err)
	}
	if s.Sure {
		t.Error("sure after one round")
	}
	k = newKeyed(keyedLimit{policy: ten, by: []int{0}})
	if s, err := Find(t.Context(), Options{Values: []int{2}}, k, k); err != nil || !strings.Contains(s.Stopped, "no limit") || k.sent > 0 {
		t.Errorf("without a limit: %v, %v, %d sent", s, err, k.sent)
	}
	k = newKeyed(keyedLimit{policy: ten, by: []int{0}})
	k.fail = 15
	if s, err := Find(t.Context(), Options{Found: found, Values: []int{2}}, k, k); !errors.Is(err, errBroken) || s.Requests != 15 {
		t.Errorf("a wire that is cut: %v, %+v", err, s)
	}
}
