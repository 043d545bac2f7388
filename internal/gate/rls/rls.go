// Package rls answers Envoy's rate limit service: a Service decides requests of
// envoy.service.ratelimit.v3 by the policies of a file that have a descriptor.
//
// With policies as package envoy reads them, it answers as
// github.com/envoyproxy/ratelimit does: each descriptor of a request is counted
// by itself, the refused too, in windows aligned to the clock. bench/envoy-oracle
// compares the two. A policy with another algorithm decides in its own way.
//
// It differs from the reference service where that could not be meant:
//
//   - unit_multiplier of a limit that the request brings is honoured.
//   - such a limit has a count of its own, apart from a configured limit of the
//     same entries and unit.
//   - negative hits (is_negative_hits) count as none, and not as positive ones.
//   - a message too large, or with too many descriptors, is refused.
package rls

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/health"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/envoy"
	"github.com/weir-dev/weir/limit"
)

// Options are the settings of a Service. The zero value counts in this process.
type Options struct {
	// Guard says where counts are kept. Its Observe hears of each descriptor that
	// a policy decides; Subject is nil there.
	Guard guard.Options

	// Shadow answers OK whatever the descriptors say.
	Shadow bool

	// LimitHeader, RemainingHeader and ResetHeader name fields that Envoy is asked
	// to add to the answer, of the descriptor with least remaining. Empty: none.
	LimitHeader, RemainingHeader, ResetHeader string

	// MaxMessage is the largest request in bytes; zero means 256 KiB.
	MaxMessage int

	// MaxDescriptors is the most that one request may have; zero means 256.
	MaxDescriptors int

	// Deadline is the longest that a request may take where its own deadline is
	// later; zero means one second. What a store fails to say by then is decided
	// as the policies say.
	Deadline time.Duration
}

// Service answers rate limit requests. Make one with New; it is safe for
// concurrent use.
type Service struct {
	o     Options
	clock func() time.Time
	guard *guard.Guard

	// Subtle: the guard knows policies by their place in a file. Requests hold
	// this for reading, so that no file changes between the finding of a policy
	// and the asking of the guard.
	change sync.RWMutex
	rules  *rules

	health   *health.Server
	mu       sync.Mutex
	servers  []*server
	stopping bool
}

// rules are a file in force.
type rules struct {
	file    *policy.File
	tree    *envoy.Tree
	places  []int      // of each policy of the file, its place in the guard's file; -1 when it is not asked
	told    []*current // how each policy of the file is told; shared by answers, never changed
	tallies []*tally
	windows map[time.Duration]int // where limits that requests bring are counted
	guarded *policy.File
}

// tally is what one policy has decided.
type tally struct{ total, over, shadow atomic.Int64 }

// maxWindows is how many different windows requests may bring along.
const maxWindows = 64

// overrideLimit is more than any limit of a request: such a policy only counts.
const overrideLimit = 1 << 32

// New returns a service for the policies of a file that have a descriptor; there
// may be none. The error names the policy that cannot be kept. A service with a
// store has to be closed.
func New(f *policy.File, o Options) (*Service, error) {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 256 << 10
	}
	if o.MaxDescriptors <= 0 {
		o.MaxDescriptors = 256
	}
	if o.Deadline <= 0 {
		o.Deadline = time.Second
	}
	s := &Service{o: o, health: health.NewServer()}
	var widths []time.Duration
	for _, u := range envoy.Units() {
		widths = append(widths, u.Width)
	}
	r, err := compile(f, widths)
	if err != nil {
		return nil, err
	}
	in := o.Guard
	in.Observe = nil // it would hear of limits that are one too high
	if s.guard, err = guard.New(r.guarded, in); err != nil {
		return nil, err
	}
	s.rules, s.clock = r, s.guard.Now
	s.serving()
	return s, nil
}

// compile makes the rules of a file, with a policy for each of the widths.
func compile(f *policy.File, widths []time.Duration) (*rules, error) {
	r := &rules{file: f, tree: envoy.NewTree(f), guarded: &policy.File{}, windows: map[time.Duration]int{}}
	for i := range f.Policies {
		p := f.Policies[i]
		r.places, r.told, r.tallies = append(r.places, -1), append(r.told, nil), append(r.tallies, &tally{})
		if p.Descriptor == nil {
			continue
		}
		r.told[i] = tell(&p)
		switch p.Descriptor.Mode {
		case policy.DescriptorLimit:
		case policy.DescriptorRefuse:
			// Nothing passes, but what asks for no hits passes until somebody asked
			// for some: the reference service says so, and a limit of 0 plus one
			// does too.
			p.Policy = limit.Policy{Name: p.Name, Algorithm: limit.FixedWindow, Window: p.Window, CountDenied: true}
		default:
			continue
		}
		if p.Algorithm == limit.Concurrency {
			return nil, fmt.Errorf("policy %d (%q): Envoy never says when a request has ended, so its service cannot keep a concurrency limit", i, p.Name)
		}
		if envoy.Counts(&p.Policy) {
			// Subtle: over the limit means that the count is above it, and a limiter
			// cannot show a count above its limit. With one unit more it can, and
			// the last unit is never given.
			p.Limit++
		}
		p.WarnAt, p.Shadow, p.Descriptor = 0, false, nil
		p.ID = "envoy " + f.Policies[i].CounterID()
		r.places[i] = len(r.guarded.Policies)
		r.guarded.Policies = append(r.guarded.Policies, p)
	}
	for _, w := range widths {
		r.add(w)
	}
	return r, nil
}

// tell returns how a policy is told to Envoy.
func tell(p *policy.Policy) *current {
	most := p.Limit
	if p.Descriptor.Mode == policy.DescriptorRefuse {
		most = 0
	}
	c := &current{Name: p.Descriptor.Name, RequestsPerUnit: uint32(min(most, math.MaxUint32))}
	if u, times, ok := envoy.UnitOf(p.Window); ok {
		c.Unit = pb.RateLimitResponse_RateLimit_Unit(pb.RateLimitResponse_RateLimit_Unit_value[strings.ToUpper(u.Name)])
		if times > 1 && times <= math.MaxUint32 {
			c.UnitMultiplier = wrapperspb.UInt32(uint32(times))
		}
	}
	return c
}

// add adds a policy that counts what requests bring limits of this window for.
func (r *rules) add(width time.Duration) {
	r.windows[width] = len(r.guarded.Policies)
	p := policy.Policy{ID: "envoy of requests " + width.String()}
	p.Policy = limit.Policy{Name: p.ID, Algorithm: limit.FixedWindow, Limit: overrideLimit, Window: width, CountDenied: true}
	r.guarded.Policies = append(r.guarded.Policies, p)
}

// Replace puts another file in force at once; counts are kept by the ID of a
// policy. When the file cannot be kept, nothing changes.
func (s *Service) Replace(f *policy.File) error {
	s.change.Lock()
	defer s.change.Unlock()
	return s.put(f, s.widths())
}

// widths are those that requests have brought limits of. change is held.
func (s *Service) widths() []time.Duration {
	widths := make([]time.Duration, len(s.rules.windows))
	first := len(s.rules.guarded.Policies) - len(widths)
	for w, place := range s.rules.windows {
		widths[place-first] = w
	}
	return widths
}

// put is Replace; change is held.
func (s *Service) put(f *policy.File, widths []time.Duration) error {
	r, err := compile(f, widths)
	if err != nil {
		return err
	}
	if err := s.guard.Replace(r.guarded); err != nil {
		return err
	}
	before := map[string]*tally{}
	for i, t := range s.rules.tallies {
		before[s.rules.file.Policies[i].CounterID()] = t
	}
	for i := range r.tallies {
		if t := before[f.Policies[i].CounterID()]; t != nil {
			r.tallies[i] = t
		}
	}
	s.rules = r
	return nil
}

// learn makes sure that limits of a window can be counted; false when there are
// too many different ones.
func (s *Service) learn(width time.Duration) bool {
	s.change.Lock()
	defer s.change.Unlock()
	if _, ok := s.rules.windows[width]; ok {
		return true
	}
	return len(s.rules.windows) < maxWindows && s.put(s.rules.file, append(s.widths(), width)) == nil
}

// Stats is what a Service has decided, by descriptor.
type Stats struct {
	Policies []PolicyStats // those with a descriptor, in the order of the file
	Guard    guard.Stats   // of the keys and the store; its Policies are internal
}

// PolicyStats are the hits that one policy decided since it was first in force.
type PolicyStats struct {
	Name   string
	Total  int64 // hits asked for
	Over   int64 // hits of requests over the limit, and refused for it
	Shadow int64 // hits over the limit that shadow mode let pass
}

// Stats returns the figures.
func (s *Service) Stats() Stats {
	s.change.RLock()
	defer s.change.RUnlock()
	out := Stats{Guard: s.guard.Stats()}
	for i, t := range s.rules.tallies {
		if p := &s.rules.file.Policies[i]; p.Descriptor != nil {
			out.Policies = append(out.Policies, PolicyStats{Name: p.Name, Total: t.total.Load(), Over: t.over.Load(), Shadow: t.shadow.Load()})
		}
	}
	return out
}

// Sweep forgets keys whose counts no longer matter. Traffic does so as it goes: a
// quiet service is swept from time to time.
func (s *Service) Sweep() { s.guard.Sweep() }

// Close ends what a store needs. It does not end servers: see Shutdown.
func (s *Service) Close() { s.guard.Close() }
