package verify

import (
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/policy"
)

// ParseSchedule reads experiments that are written out: steps on lines of their
// own or behind semicolons, # for comments.
//
//	experiment alternating
//	GET /a x10 alternating with GET /b every 50ms
//	wait 15s
//	GET /a with X-Api-Key:one x6 together
//	head 10s + 200ms
//	POST /a client 2
//
// A request may name the api=, operation= or product= that policies with a scope
// are for; "client N" makes it as the N-th value of each --vary; "together" sends
// all of them at once; "head W" waits for the next head of a clock-aligned window.
// The error says where it stands.
func ParseSchedule(name, text string, o PlanOptions) (*Plan, error) {
	s := &schedule{plan: &Plan{}, o: o}
	if len(text) > maxSchedule {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxSchedule)
	}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for _, step := range strings.Split(line, ";") {
			words := strings.Fields(step)
			if len(words) == 0 {
				continue
			}
			if err := s.step(words); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
		}
	}
	s.flush()
	if s.requests == 0 {
		return nil, fmt.Errorf("%s: there is no request in it; write steps such as GET /path x10 every 50ms", name)
	}
	return s.plan, nil
}

// Bounds of a schedule.
const (
	maxSchedule = 1 << 20
	maxRequests = 1_000_000
	maxRest     = 15 * time.Minute
)

type schedule struct {
	plan     *Plan
	o        PlanOptions
	cur      *Experiment
	wait     Wait // before the next request
	requests int
}

func (s *schedule) flush() {
	if s.cur != nil && len(s.cur.Steps) > 0 {
		s.plan.Experiments = append(s.plan.Experiments, *s.cur)
	}
	s.cur = nil
}

func (s *schedule) step(words []string) error {
	if s.cur == nil || words[0] == "experiment" {
		s.flush()
		s.cur = &Experiment{Name: fmt.Sprintf("schedule %d", len(s.plan.Experiments)+1)}
	}
	switch words[0] {
	case "experiment":
		if len(words) < 2 {
			return fmt.Errorf("experiment needs a name")
		}
		s.cur.Name = strings.Join(words[1:], " ")
		return nil
	case "wait":
		d, err := wanted(words, 1, "wait 15s")
		if err != nil {
			return err
		}
		if len(words) > 2 {
			return fmt.Errorf("%q is not understood after %s", words[2], words[1])
		}
		s.wait.After += d
		s.cur.Takes += d
		return nil
	case "head":
		d, err := wanted(words, 1, "head 10s, or head 10s + 200ms")
		if err != nil {
			return err
		}
		if d <= 0 {
			return fmt.Errorf("head: a window is longer than zero")
		}
		s.wait = Wait{From: Head, Window: d}
		if len(words) > 2 {
			after, err := wanted(words, 3, "head 10s + 200ms")
			if err != nil || words[2] != "+" && words[2] != "-" || len(words) > 4 {
				return fmt.Errorf("write head 10s + 200ms, or head 10s - 200ms")
			}
			if s.wait.After = after; words[2] == "-" {
				s.wait.After = -after
			}
		}
		s.cur.Takes += d
		return nil
	}
	return s.send(words)
}

// wanted reads the duration that must be at place i.
func wanted(words []string, i int, example string) (time.Duration, error) {
	if i >= len(words) {
		return 0, fmt.Errorf("a duration is missing: write %s", example)
	}
	d, err := time.ParseDuration(words[i])
	if err != nil || d < 0 || d > 400*24*time.Hour {
		return 0, fmt.Errorf("%q is not a duration: write %s", words[i], example)
	}
	return d, nil
}

// send reads requests, how often, and how.
func (s *schedule) send(words []string) error {
	var calls []int
	times, every, together := 1, time.Duration(0), false
	for len(words) > 0 {
		n := 0
		for n < len(words) && (strings.Contains(words[n], "=") && !strings.HasPrefix(words[n], "/")) {
			n++
		}
		n++
		if n < len(words) && !strings.HasPrefix(words[n-1], "/") {
			n++
		}
		if n > len(words) {
			return fmt.Errorf("a request is missing: write GET /path")
		}
		c, err := ParseCall(strings.Join(words[:n], " "))
		if err != nil {
			return err
		}
		words = words[n:]
		c = s.o.dressed(c)
		client := 0
		again := false
		for len(words) > 0 && !again {
			word := words[0]
			words = words[1:]
			take := func() string {
				if len(words) == 0 {
					return ""
				}
				w := words[0]
				words = words[1:]
				return w
			}
			switch {
			case word == "with":
				name, value, ok := strings.Cut(take(), ":")
				if !ok || name == "" || textproto.TrimString(name) != name {
					return fmt.Errorf("with: write a header field without spaces, such as with X-Api-Key:one")
				}
				c = c.with(name, value)
				c.Name += " " + name + ":" + value
			case word == "client":
				n, err := strconv.Atoi(take())
				if err != nil || n < 1 || n > maxRequests {
					return fmt.Errorf("client: write its number, from 1")
				}
				client = n - 1
			case word == "together":
				together = true
			case word == "every":
				d, err := wanted(append([]string{""}, take()), 1, "every 50ms")
				if err != nil {
					return err
				}
				every = d
			case word == "alternating":
				if take() != "with" || len(words) == 0 {
					return fmt.Errorf("write alternating with GET /path")
				}
				again = true
			case strings.HasPrefix(word, "x"):
				n, err := strconv.Atoi(word[1:])
				if err != nil || n < 1 {
					return fmt.Errorf("%q is not understood: write x10 for ten times", word)
				}
				times = n
			default:
				return fmt.Errorf("%q is not understood; after a request there can be x10, together, every 50ms, with Name:value, client 2, alternating with GET /path", strings.TrimSuffix(word, ","))
			}
		}
		calls = append(calls, s.plan.call(c.as(s.o.Vary, client)))
	}
	if s.requests += times * len(calls); times > maxRequests || s.requests > maxRequests {
		return fmt.Errorf("more than %d requests", maxRequests)
	}
	s.cur.Requests += times * len(calls)
	s.cur.Throttled += times * len(calls)
	add := func(call, count int) {
		s.cur.Steps = append(s.cur.Steps, Step{Call: call, Count: count, Wait: s.wait})
		s.wait = Wait{}
		s.cur.Takes += s.o.Trip + s.o.Gap
	}
	if together {
		for _, c := range calls {
			add(c, times)
		}
		return nil
	}
	first := -1
	for i := range times {
		for k, c := range calls {
			if at := i*len(calls) + k; every > 0 && at > 0 {
				s.wait = Wait{From: StepSent, Step: first, After: time.Duration(at) * every}
				s.cur.Takes += every
			}
			add(c, 1)
			if first < 0 {
				first = len(s.cur.Steps) - 1
			}
		}
	}
	return nil
}

// About fills in which policies a schedule is about, says of each policy that no
// request of it is for that it is left out, and, unless they are at rest, has the
// first experiment wait until the counts are.
func (p *Plan) About(f *policy.File, rested bool) error {
	st, err := compile(f, p.Calls)
	if err != nil {
		return err
	}
	asked := map[int]bool{}
	for i := range p.Experiments {
		e := &p.Experiments[i]
		here := map[int]bool{}
		for _, s := range e.Steps {
			for _, a := range st.asks[s.Call] {
				if !here[a.policy] {
					e.Policies = append(e.Policies, a.policy)
				}
				here[a.policy], asked[a.policy] = true, true
				if i == 0 && !rested && !st.newborn[a.state] {
					e.Rest = max(e.Rest, rest(st.list[a.state].Policy)+50*time.Millisecond)
				}
			}
		}
	}
	if len(p.Experiments) > 0 && p.Experiments[0].Rest > maxRest {
		return fmt.Errorf("the limits need %v to come to rest: use clients that nobody was before (--vary …=new), or say that they are at rest (--at-rest)", p.Experiments[0].Rest.Round(time.Second))
	}
	for i := range f.Policies {
		if st.out[i] == "" && !asked[i] {
			p.LeftOut = append(p.LeftOut, LeftOut{Name: "schedule", Policy: i, Why: "no request of the schedule is one that it is for"})
		}
	}
	return nil
}
