package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/track"
	"github.com/weir-dev/weir/limit"
)

// states says which counts the calls of a recording meet, by a policy file.
type states struct {
	file  *policy.File
	list  []track.State
	of    []owner // of each state
	asks  [][]ask // by call
	group []int   // by call: the root state of all that it is tied to; -1 when it asks none
	out   []string
	stuck []string // by state: why its group cannot be judged

	newborn []bool // by state: only clients that nobody was before ask it
}

type owner struct {
	policies []int
	key      string
}

type ask struct {
	state, view, policy int
	cost                int64
	look                bool // it is not counted
	late                bool // whether it is counted depends on the answer
}

// compile works out the counts. Errors of expressions name the policy.
func compile(f *policy.File, calls []Call) (*states, error) {
	s := &states{file: f, out: make([]string, len(f.Policies))}
	index := map[string]int{}
	views := map[string]int{}
	for i := range f.Policies {
		s.out[i] = unverifiable(&f.Policies[i])
	}
	for c := range calls {
		subject := calls[c].subject()
		var list []ask
		for i := range f.Policies {
			p := &f.Policies[i]
			if p.Shadow || p.Descriptor != nil {
				continue
			}
			fail := func(field string, err error) error {
				return fmt.Errorf("policy %d (%q): %s, for the request %s: %w", i, p.Name, field, calls[c].Name, err)
			}
			ok, err := p.For(subject)
			if err != nil {
				return nil, fail("when", err)
			} else if !ok {
				continue
			}
			key, err := p.Key.Of(subject)
			if err != nil {
				return nil, fail("key", err)
			}
			o := p.Overrides[key]
			if o.Unlimited {
				continue
			}
			a := ask{policy: i, cost: 1}
			if p.Cost.Expr == nil || !p.Cost.Expr.ReadsResponse() {
				if a.cost, err = p.Cost.Of(subject); err != nil {
					return nil, fail("cost", err)
				}
			}
			if a.cost < 1 {
				continue
			}
			if p.CountIf != nil && !p.CountIf.ReadsResponse() {
				counts, err := p.CountIf.Bool(subject)
				if err != nil {
					return nil, fail("count-if", err)
				}
				a.look = !counts
			}
			a.late = p.CountIf != nil && p.CountIf.ReadsResponse()
			id := fmt.Sprintf("%d\x00%s", i, key)
			if p.Counter != "" {
				id = p.Counter + "\x00\x00" + key
			}
			at, known := index[id]
			if !known {
				at = len(s.list)
				index[id] = at
				s.list = append(s.list, track.State{Policy: p.With(o)})
				s.of = append(s.of, owner{key: key})
				s.stuck = append(s.stuck, "")
				s.newborn = append(s.newborn, true)
			}
			s.newborn[at] = s.newborn[at] && calls[c].Fresh && p.Key.Kind != policy.Global
			view := fmt.Sprintf("%s\x00%d", id, i)
			v, known := views[view]
			if !known {
				st := &s.list[at]
				v = len(st.Limits)
				views[view] = v
				st.Limits = append(st.Limits, p.With(o).Limit)
				s.of[at].policies = append(s.of[at].policies, i)
			}
			a.state, a.view = at, v
			if s.out[i] != "" {
				s.stuck[at] = fmt.Sprintf("it meets %q as well, which cannot be followed: %s", p.Name, s.out[i])
			}
			list = append(list, a)
		}
		s.asks = append(s.asks, list)
	}
	s.tie()
	return s, nil
}

// tie finds the groups: states that requests ask together.
func (s *states) tie() {
	root := make([]int, len(s.list))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	for _, list := range s.asks {
		for _, a := range list {
			root[find(a.state)] = find(list[0].state)
		}
	}
	for _, list := range s.asks {
		g := -1
		if len(list) > 0 {
			g = find(list[0].state)
		}
		s.group = append(s.group, g)
	}
	for i, why := range s.stuck {
		if why != "" {
			s.stuck[find(i)] = why
		}
	}
}

// unverifiable says why a policy cannot be judged from outside, "" when it can.
func unverifiable(p *policy.Policy) string {
	switch {
	case p.Descriptor != nil:
		return "it belongs to Envoy's rate limit service, which is asked by descriptors and not by HTTP requests"
	case p.Shadow:
		return "it only watches: no answer shows what it decides"
	case p.Cost.Expr != nil && p.Cost.Expr.ReadsResponse():
		return "its cost depends on the response"
	case p.CountIf != nil && (strings.Contains(p.CountIf.Source(), "response.header") || strings.Contains(p.CountIf.Source(), "response.bytes")):
		return "whether it counts depends on more of the response than its status"
	}
	return ""
}

// rest is how long a count needs, unused, until it is as good as new.
func rest(p limit.Policy) time.Duration {
	units := func(n int64) time.Duration {
		d := float64(n) * float64(p.Window) / float64(max(p.Limit, 1))
		if d > float64(1<<62) {
			return 1 << 62
		}
		return time.Duration(d) + 1
	}
	if p.Ban > 0 { // at least the window
		ban := p.Ban
		p.Ban = 0
		return max(ban, rest(p))
	}
	switch p.Algorithm {
	case limit.TokenBucket:
		return units(p.Capacity())
	case limit.LeakyBucket:
		return units(p.Burst + 1)
	case limit.RefillBucket:
		return p.Window * time.Duration(min((p.Capacity()+p.Limit-1)/p.Limit, 1000))
	case limit.SlidingWindow:
		return 2 * p.Window
	case limit.Concurrency:
		return 200 * time.Millisecond
	case limit.Quota:
		switch p.Period {
		case limit.PerHour:
			return time.Hour
		case limit.PerDay:
			return 25 * time.Hour
		case limit.PerWeek:
			return 7*24*time.Hour + time.Hour
		case limit.PerMonth:
			return 31*24*time.Hour + time.Hour
		case limit.PerYear:
			return 366 * 24 * time.Hour
		}
	}
	return p.Window
}
