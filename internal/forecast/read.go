package forecast

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/retry"
)

// Parse reads a forecast file. name is used in errors only. The error is of type
// policy.Errors and holds every problem found, with line, column and the place
// marked.
func Parse(name string, data []byte) (*Plan, error) {
	r := &reader{name: name}
	p := &Plan{Name: name}
	if top := r.document(data); top != nil && len(r.errs) == 0 {
		r.plan(p, top)
	}
	if len(r.errs) == 0 {
		return p, nil
	}
	slices.SortStableFunc(r.errs, func(a, b *policy.Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return nil, r.errs
}

// readers are the fields that a mapping may have.
type readers map[string]func(n *node, path string)

// object reads a mapping; an unknown field is a fault.
func (r *reader) object(n *node, path, want string, known readers) bool {
	if n.fields == nil {
		r.fault(n.at, path, "this is %s; it must be %s", n.kind(), want)
		return false
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, f := range n.fields {
		sub := f.name
		if path != "" {
			sub = path + "." + f.name
		}
		read, ok := known[f.name]
		switch {
		case !ok:
			if near := expr.Nearest(f.name, names); near != "" {
				r.fault(f.at, sub, "no such field; did you mean %s?", near)
			} else {
				r.fault(f.at, sub, "no such field; known are %s", strings.Join(names, ", "))
			}
		case f.value.null:
			r.fault(f.at, sub, "has no value; give one, or leave the field out")
		default:
			read(f.value, sub)
		}
	}
	return true
}

// text returns a scalar, "" after a fault.
func (r *reader) text(n *node, path string) string {
	if n.list != nil || n.fields != nil || n.null {
		r.fault(n.at, path, "this is %s; it must be text", n.kind())
		return ""
	}
	if strings.TrimSpace(n.text) == "" {
		r.fault(n.at, path, "is empty")
	}
	return n.text
}

// each reads a list, or one thing that stands for a list of one.
func (r *reader) each(n *node, path string, most int, item func(n *node, path string)) {
	if n.list == nil {
		item(n, path)
		return
	}
	switch {
	case len(n.list) == 0:
		r.fault(n.at, path, "the list is empty")
	case len(n.list) > most:
		r.fault(n.at, path, "has %d entries, more than %d", len(n.list), most)
		return
	}
	for i, one := range n.list {
		item(one, fmt.Sprintf("%s[%d]", path, i))
	}
}

// scan reads a scalar with a function of another package.
func scan[T any](r *reader, to *T, parse func(string) (T, error)) func(*node, string) {
	return func(n *node, path string) {
		before := len(r.errs)
		text := r.text(n, path)
		if len(r.errs) > before {
			return
		}
		v, err := parse(text)
		if err != nil {
			at := *n.at
			var p *pace.ParseError
			if errors.As(err, &p) && n.at != nil {
				r.fault(&at, path, "%v", err)
				return
			}
			r.fault(&at, path, "%v", err)
			return
		}
		*to = v
	}
}

func (r *reader) put(to *string) func(*node, string) {
	return func(n *node, path string) { *to = r.text(n, path) }
}

func (r *reader) plan(p *Plan, top *node) {
	known := readers{
		"name":     r.put(&p.Name),
		"start":    scan(r, &p.Start, parseStart),
		"for":      scan(r, &p.For, positive),
		"retry":    scan(r, &p.Retry, retry.Parse),
		"seed":     scan(r, &p.Seed, func(s string) (uint64, error) { return whole[uint64](s, math.MaxInt64) }),
		"lasts":    scan(r, &p.Lasts, pace.ParseDuration),
		"tier":     r.put(&p.Tier),
		"arrivals": func(n *node, path string) { p.Arrivals = r.arrivals(n, path) },
		"limits": func(n *node, path string) {
			r.each(n, path, 100, func(n *node, path string) { p.Limits = append(p.Limits, r.text(n, path)) })
		},
		"tenants": func(n *node, path string) {
			r.each(n, path, 1000, func(n *node, path string) { p.Tenants = append(p.Tenants, r.tenant(n, path)) })
		},
		"burst-allotment": func(n *node, path string) { p.Allotment = r.allotment(n, path) },
		"flows": func(n *node, path string) {
			r.each(n, path, 1000, func(n *node, path string) { p.Flows = append(p.Flows, r.flow(n, path)) })
		},
	}
	if !r.object(top, "", "a mapping with flows: and limits: or tier:", known) || len(r.errs) > 0 {
		return
	}
	for _, err := range p.check() {
		at := top.at
		for _, f := range top.fields {
			if field, _, _ := strings.Cut(err.path, "["); f.name == field {
				at = f.at
			}
		}
		r.fault(at, err.path, "%s", err.reason)
	}
}

func (r *reader) arrivals(n *node, path string) (a Arrivals) {
	ok := r.object(n, path, "a mapping such as {rate: 30/s}", readers{
		"rate": scan(r, &a.Rate, func(s string) (pace.Rate, error) {
			rate, err := pace.ParseRate(s)
			if err == nil && rate.IsZero() {
				err = errors.New("is zero, so nothing would arrive")
			}
			return rate, err
		}),
		"stages":  scan(r, &a.Stages, pace.ParseStages),
		"curve":   r.put(&a.Curve),
		"run":     r.put(&a.Run),
		"poisson": scan(r, &a.Poisson, yes),
	})
	if ok && a.sources() != 1 {
		r.fault(n.at, path, "needs one of rate, stages, curve and run")
	}
	return a
}

// sources is how many ways of saying what arrives are used.
func (a Arrivals) sources() (n int) {
	for _, is := range []bool{!a.Rate.IsZero(), len(a.Stages) > 0, a.Curve != "", a.Run != ""} {
		if is {
			n++
		}
	}
	return n
}

func (r *reader) tenant(n *node, path string) (s Share) {
	r.object(n, path, "a mapping such as {name: jp, share: 70%}", readers{
		"name":  r.put(&s.Name),
		"share": scan(r, &s.Part, parseShare),
	})
	return s
}

func (r *reader) allotment(n *node, path string) *AllotmentPlan {
	a := &AllotmentPlan{Allotment: Allotment{Block: 15 * time.Minute}}
	number := func(s string) (int64, error) { return whole[int64](s, 1_000_000) }
	blocks := int64(-1)
	r.object(n, path, "a mapping such as {hours: 48, times: 4}", readers{
		"limit": r.put(&a.Limit),
		"times": scan(r, &a.Times, number),
		"block": scan(r, &a.Block, positive),
		"hours": scan(r, &blocks, func(s string) (int64, error) {
			h, err := whole[int64](s, 10_000)
			return h * 4, err
		}),
		"blocks": scan(r, &blocks, number),
	})
	if blocks < 0 {
		r.fault(n.at, path, "say how much there is: hours: 48, or blocks: 192")
	}
	a.Blocks = int(blocks)
	return a
}

func (r *reader) flow(n *node, path string) (f FlowPlan) {
	clients := ""
	r.object(n, path, "a mapping with calls: or ready:", readers{
		"name":     r.put(&f.Name),
		"ready":    r.put(&f.Ready),
		"share":    scan(r, &f.Part, parseShare),
		"clients":  r.put(&clients),
		"arrivals": func(n *node, path string) { f.Arrivals = r.arrivals(n, path) },
		"cache":    func(n *node, path string) { f.Cache = r.cache(n, path) },
		"with": func(n *node, path string) {
			r.each(n, path, 100, func(n *node, path string) { f.With = append(f.With, r.text(n, path)) })
		},
		"calls": func(n *node, path string) {
			r.each(n, path, 200, func(n *node, path string) { f.Calls = append(f.Calls, r.step(n, path)) })
		},
	})
	var err error
	switch clients {
	case "":
	case "each":
		f.Each = true
	default:
		if f.Clients, err = whole[int](clients, 1_000_000); err != nil || f.Clients == 0 {
			r.fault(n.at, path+".clients", "must be a number from 1 to 1000000, or each")
		}
	}
	return f
}

func (r *reader) step(n *node, path string) (s Step) {
	if n.fields == nil && n.list == nil {
		r.request(&s, n, path)
		return s
	}
	r.object(n, path, "a request such as POST /oauth/token, or a mapping with request:", readers{
		"request": func(n *node, path string) { r.request(&s, n, path) },
		"times":   scan(r, &s.Times, func(t string) (int, error) { return whole[int](t, 200) }),
		"after":   scan(r, &s.After, pace.ParseDuration),
		"lasts":   scan(r, &s.Lasts, pace.ParseDuration),
		"cache":   func(n *node, path string) { s.Cache = r.cache(n, path) },
		"headers": func(n *node, path string) {
			if n.fields == nil {
				r.fault(n.at, path, "this is %s; it must be a mapping of names to values", n.kind())
				return
			}
			s.Headers = map[string]string{}
			for _, f := range n.fields {
				s.Headers[f.name] = r.text(f.value, path+"."+f.name)
			}
		},
	})
	if s.Request == "" && len(r.errs) == 0 {
		r.fault(n.at, path+".request", "missing; write for example request: POST /oauth/token")
	}
	return s
}

func (r *reader) request(s *Step, n *node, path string) {
	before := len(r.errs)
	s.Request = r.text(n, path)
	if len(r.errs) == before {
		if err := checkRequest(s.Request); err != nil {
			r.fault(n.at, path, "%v", err)
		}
	}
}

func (r *reader) cache(n *node, path string) (c Cache) {
	r.object(n, path, "a mapping such as {ttl: 1h, instances: 20}", readers{
		"ttl":       scan(r, &c.TTL, positive),
		"instances": scan(r, &c.Holders, func(t string) (int, error) { return whole[int](t, 1_000_000) }),
	})
	if c.TTL == 0 && len(r.errs) == 0 {
		r.fault(n.at, path+".ttl", "missing; write for example ttl: 1h")
	}
	return c
}

// checkRequest refuses what is no method and path.
func checkRequest(s string) error {
	method, path, ok := strings.Cut(s, " ")
	if !ok || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t?#") || method == "" || strings.ToUpper(method) != method {
		return fmt.Errorf("%q is no request; write a method and a path, such as POST /oauth/token", s)
	}
	return nil
}

func positive(s string) (time.Duration, error) {
	d, err := pace.ParseDuration(s)
	if err == nil && d == 0 {
		err = errors.New("must be longer than no time at all")
	}
	return d, err
}

func parseStart(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return t, fmt.Errorf("%q is not a time; write for example 2026-11-23T08:00:00Z", s)
	}
	return t, nil
}

func whole[T int | int64 | uint64](s string, most int64) (T, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q must be a whole number from 0 to %d", s, most)
	}
	return T(n), nil
}

func yes(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q must be true or false", s)
}

// parseShare reads 70%, 0.7 or 7 into millionths.
func parseShare(s string) (int64, error) {
	number, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1e6) {
		return 0, fmt.Errorf("%q is not a share; write 70%%, 0.7, or parts such as 7", s)
	}
	return int64(math.Round(max(f*1e6, 1))), nil
}
