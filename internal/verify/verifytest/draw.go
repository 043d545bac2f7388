package verifytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/limit"
)

// Deviation is a way in which a server does not keep what is declared.
type Deviation struct {
	Name string

	// Plant changes what the server keeps, or how it lies. It returns false for a
	// file in which this would change nothing.
	Plant func(r *rand.Rand, f *policy.File) (lie func(*hit.Field), ok bool)

	// Codes of findings that name it.
	Codes []string
}

// File draws a policy file of one or two policies.
func File(r *rand.Rand) *policy.File {
	f := &policy.File{}
	for i := range 1 + r.IntN(2) {
		p := policy.Policy{Policy: draw(r)}
		p.Name = fmt.Sprintf("p%d", i+1)
		p.Match = []policy.Match{{Methods: []string{"GET"}, Path: fmt.Sprintf("/p%d", i+1)}}
		switch r.IntN(3) {
		case 0:
			p.Key = policy.Key{Kind: policy.Header, Name: "X-Client"}
		case 1:
			p.Key = policy.Key{Kind: policy.IP}
		}
		p.Tell.Dialect = []header.Dialect{"", header.Draft, header.XRateLimit}[r.IntN(3)]
		f.Policies = append(f.Policies, p)
	}
	return f
}

func draw(r *rand.Rand) limit.Policy {
	algorithms := []limit.Algorithm{limit.TokenBucket, limit.RefillBucket, limit.FixedWindow, limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow, limit.LeakyBucket}
	p := limit.Policy{
		Algorithm: algorithms[r.IntN(len(algorithms))],
		Limit:     2 + r.Int64N(14),
		Window:    time.Duration(1+r.IntN(15)) * time.Second,
	}
	switch p.Algorithm {
	case limit.TokenBucket:
		p.Burst = p.Limit/2 + 1 + r.Int64N(p.Limit)
		p.CountDenied = r.IntN(4) == 0
	case limit.RefillBucket:
		p.Burst = 1 + r.Int64N(2*p.Limit)
	case limit.LeakyBucket:
		p.Burst = 1 + r.Int64N(8)
		p.Undelayed = p.Burst
	case limit.FixedWindow:
		p.Align = limit.Align(r.IntN(3))
	case limit.SlidingLog, limit.SlidingWindow:
		p.CountDenied = r.IntN(4) == 0
	}
	if (p.Algorithm == limit.FixedWindow || p.Algorithm == limit.SlidingLog) && r.IntN(4) == 0 {
		p.Ban = p.Window + time.Duration(r.IntN(20))*time.Second
		p.CountDenied = r.IntN(4) == 0
	}
	return p
}

// Options are those with which every draw is tried: a stated budget.
func Options() verify.PlanOptions {
	vary, err := verify.ParseVary("header:X-Client=new")
	if err != nil {
		panic(err) // it is a constant
	}
	return verify.PlanOptions{
		Vary: []verify.Vary{vary}, Rested: true,
		Budget: verify.Budget{Requests: 1500, Throttled: 600, Time: 15 * time.Minute},
	}
}

// Deviations are the kinds that are planted.
func Deviations() []Deviation {
	limits := func(d int64) func(*rand.Rand, *policy.File) (func(*hit.Field), bool) {
		return func(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
			p := pick(r, f)
			if p.Algorithm == limit.RefillBucket && min(p.Limit, p.Limit+d) >= p.Burst {
				return nil, false // it is full at every head, with either
			}
			p.Limit += d
			return nil, p.Limit > 0
		}
	}
	window := func(k float64) func(*rand.Rand, *policy.File) (func(*hit.Field), bool) {
		return func(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
			p := pick(r, f)
			p.Window = time.Duration(float64(p.Window) * k)
			return nil, p.Ban == 0 || p.Ban >= p.Window
		}
	}
	burst := func(d int64) func(*rand.Rand, *policy.File) (func(*hit.Field), bool) {
		return func(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
			p := pick(r, f)
			if p.Burst == 0 || p.Burst+d < 1 {
				return nil, false
			}
			p.Burst += d
			p.Undelayed = min(p.Undelayed, p.Burst)
			if p.Algorithm == limit.LeakyBucket {
				p.Undelayed = p.Burst
			}
			return nil, true
		}
	}
	ban := func(k float64) func(*rand.Rand, *policy.File) (func(*hit.Field), bool) {
		return func(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
			p := pick(r, f)
			p.Ban = time.Duration(float64(p.Ban) * k)
			return nil, p.Ban > 0 && p.Ban >= p.Window
		}
	}
	return []Deviation{
		{"limit +1", limits(1), []string{verify.CodeOverLimit, verify.CodeToldLimit, verify.CodeToldRemaining}},
		{"limit -1", limits(-1), []string{verify.CodeUnderLimit, verify.CodeToldLimit, verify.CodeToldRemaining}},
		{"window +5%", window(1.05), []string{verify.CodeWindow, verify.CodeToldLimit, verify.CodeAlign}},
		{"window -5%", window(0.95), []string{verify.CodeWindow, verify.CodeToldLimit, verify.CodeAlign}},
		{"wrong key", wrongKey, []string{verify.CodeKey, verify.CodeShared, verify.CodeSplit}},
		{"refused counted", denied, []string{verify.CodeDenied, verify.CodeNotDenied}},
		{"wrong alignment", aligned, []string{verify.CodeAlign, verify.CodeAlgorithm}},
		{"lying header", lying, []string{verify.CodeToldLimit, verify.CodeToldRemaining, verify.CodeToldReset, verify.CodeRetryEarly, verify.CodeRetryLate}},
		{"burst +1", burst(1), []string{verify.CodeOverLimit, verify.CodeToldLimit, verify.CodeToldRemaining}},
		{"burst -1", burst(-1), []string{verify.CodeUnderLimit, verify.CodeToldLimit, verify.CodeToldRemaining}},
		{"ban +10%", ban(1.1), []string{verify.CodeBan, verify.CodeToldReset, verify.CodeRetryEarly}},
		{"ban -10%", ban(0.9), []string{verify.CodeBan, verify.CodeToldReset, verify.CodeRetryLate}},
		{"no ban", unbanned, []string{verify.CodeBan}},
		{"ban begun anew", renewed, []string{verify.CodeBan, verify.CodeDenied, verify.CodeNotDenied}},
	}
}

func pick(r *rand.Rand, f *policy.File) *policy.Policy { return &f.Policies[r.IntN(len(f.Policies))] }

func wrongKey(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	p := pick(r, f)
	if p.Key.Kind == policy.Header {
		p.Key = policy.Key{}
	} else {
		p.Key = policy.Key{Kind: policy.Header, Name: "X-Client"}
	}
	return nil, true
}

// unbanned bans nobody, unless the window is such a ban itself.
func unbanned(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	p := pick(r, f)
	had := p.Ban > p.Window || p.Ban > 0 && !(p.Align == limit.AlignLast && p.CountDenied)
	p.Ban = 0
	return nil, had
}

// renewed changes whether each refused request begins a ban anew.
func renewed(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	p := pick(r, f)
	p.CountDenied = !p.CountDenied
	return nil, p.Ban > 0
}

// denied changes whether refused requests count, where that makes a difference to
// requests of one unit.
func denied(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	p := pick(r, f)
	if !slices.Contains([]limit.Algorithm{limit.TokenBucket, limit.SlidingLog, limit.SlidingWindow}, p.Algorithm) {
		return nil, false
	}
	p.CountDenied = !p.CountDenied
	return nil, true
}

func aligned(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	p := pick(r, f)
	switch p.Algorithm {
	case limit.FixedWindow:
		p.Align = (p.Align + 1 + limit.Align(r.IntN(2))) % 3
	case limit.SlidingWindow, limit.RefillBucket:
		p.Phase = p.Window / 2
	default:
		return nil, false
	}
	return nil, true
}

// lying lies in a header field, in one of four ways.
func lying(r *rand.Rand, f *policy.File) (func(*hit.Field), bool) {
	for i := range f.Policies {
		f.Policies[i].Tell.Dialect = header.XRateLimit
	}
	name, by := "X-RateLimit-Remaining", int64(1)
	switch r.IntN(4) {
	case 0:
		by = -1
	case 1:
		name = "X-RateLimit-Limit"
	case 2:
		name, by = "Retry-After", -1
	}
	return func(h *hit.Field) {
		if !strings.EqualFold(h.Name, name) {
			return
		}
		if n, err := strconv.ParseInt(h.Value, 10, 64); err == nil {
			h.Value = strconv.FormatInt(max(0, n+by), 10)
		}
	}, true
}
