package rls

import (
	"context"
	"math"
	"strconv"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	descriptor "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/envoy"
	"github.com/weir-dev/weir/limit"
)

// Short names for the types of the protocol.
type (
	dstatus = pb.RateLimitResponse_DescriptorStatus
	current = pb.RateLimitResponse_RateLimit
)

const (
	ok   = pb.RateLimitResponse_OK
	over = pb.RateLimitResponse_OVER_LIMIT
)

// chosen is what a descriptor of a request is decided by.
type chosen struct {
	place  int            // in the guard's file; -1 when nothing is asked
	index  int            // in the file; -1 for a limit of the request
	policy *policy.Policy // nil for a limit of the request, or none
	key    string
	hits   int64
	most   int64 // requests per window, of a limit counted as in the reference
	counts bool  // whether it is counted so
	tell   *current
	width  time.Duration
}

// ShouldRateLimit decides a request: every descriptor by itself, and over the
// limit when one of them is. Errors have codes InvalidArgument, or that of the
// context.
func (s *Service) ShouldRateLimit(ctx context.Context, req *pb.RateLimitRequest) (*pb.RateLimitResponse, error) {
	if err := s.wellFormed(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Deadline)
	defer cancel()
	for _, d := range req.Descriptors {
		if err := s.prepare(req.Domain, d); err != nil {
			return nil, err
		}
	}

	s.change.RLock()
	defer s.change.RUnlock()
	asked := s.choose(req)
	res := &pb.RateLimitResponse{OverallCode: ok, Statuses: make([]*dstatus, len(asked))}
	least, none := unlimited(), true // of the descriptors with a limit, that with the least left
	for i := range asked {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		st, err := s.decide(ctx, &asked[i])
		if err != nil {
			return nil, err
		}
		if st.CurrentLimit != nil && st.LimitRemaining < least.GetLimitRemaining() {
			least, none = st, false
		}
		if st.Code == over {
			if p := asked[i].policy; p != nil && p.Descriptor.Quota {
				st = &dstatus{Code: ok, CurrentLimit: st.CurrentLimit, LimitRemaining: st.LimitRemaining}
			} else {
				res.OverallCode, least, none = over, st, false
			}
		}
		res.Statuses[i] = st
	}
	if s.o.Shadow {
		res.OverallCode = ok
	}
	if !none {
		res.ResponseHeadersToAdd = s.headers(least)
	}
	return res, nil
}

func unlimited() *dstatus { return &dstatus{Code: ok, LimitRemaining: math.MaxUint32} }

func (s *Service) wellFormed(req *pb.RateLimitRequest) error {
	switch {
	case req.GetDomain() == "":
		return status.Error(codes.InvalidArgument, "the request has no domain")
	case len(req.Descriptors) == 0:
		return status.Error(codes.InvalidArgument, "the request has no descriptors")
	case len(req.Descriptors) > s.o.MaxDescriptors:
		return status.Errorf(codes.InvalidArgument, "the request has %d descriptors, more than %d", len(req.Descriptors), s.o.MaxDescriptors)
	}
	for i, d := range req.Descriptors {
		if d == nil {
			return status.Errorf(codes.InvalidArgument, "descriptor %d is null", i)
		}
		if hits(req, d) > math.MaxUint32 {
			return status.Errorf(codes.InvalidArgument, "descriptor %d: hits_addend is more than %d", i, uint32(math.MaxUint32))
		}
	}
	return nil
}

// hits returns how many the descriptor adds: its own number, zero too, else that
// of the request, of which zero means one.
func hits(req *pb.RateLimitRequest, d *descriptor.RateLimitDescriptor) uint64 {
	switch {
	case d.GetIsNegativeHits():
		return 0
	case d.GetHitsAddend() != nil:
		return d.HitsAddend.Value
	}
	return uint64(max(1, req.HitsAddend))
}

// prepare makes sure that a limit which the request brings can be counted.
func (s *Service) prepare(domain string, d *descriptor.RateLimitDescriptor) error {
	if d.GetLimit() == nil {
		return nil
	}
	s.change.RLock()
	known := s.rules.tree.Knows(domain)
	width, valid := overrideWidth(d.Limit)
	_, learnt := s.rules.windows[width]
	s.change.RUnlock()
	switch {
	case !known:
		return nil
	case !valid:
		return status.Error(codes.InvalidArgument, "a limit of the request has no unit, or a window of more than 290 years")
	case learnt || s.learn(width):
		return nil
	}
	return status.Errorf(codes.InvalidArgument, "requests have brought limits of more than %d different windows", maxWindows)
}

func overrideWidth(l *descriptor.RateLimitDescriptor_RateLimitOverride) (time.Duration, bool) {
	// The numbers of RateLimitUnit are those of the answer, which has a week too.
	u, ok := envoy.UnitNamed(pb.RateLimitResponse_RateLimit_Unit(l.GetUnit()).String())
	times := int64(l.GetUnitMultiplier().GetValue())
	if times == 0 {
		times = 1
	}
	if !ok || times > math.MaxInt64/int64(u.Width) {
		return 0, false
	}
	return u.Width * time.Duration(times), true
}

// choose finds what each descriptor is decided by, and takes out what others of
// the request replace.
func (s *Service) choose(req *pb.RateLimitRequest) []chosen {
	out := make([]chosen, len(req.Descriptors))
	var replaced map[string]bool
	for i, d := range req.Descriptors {
		c := &out[i]
		*c = chosen{place: -1, index: -1, hits: int64(hits(req, d))}
		entries := entriesOf(d)
		if d.GetLimit() != nil {
			if s.rules.tree.Knows(req.Domain) {
				s.brought(c, req.Domain, d.Limit, entries)
			}
			continue
		}
		index, key, found := s.rules.tree.Find(req.Domain, entries)
		if !found {
			continue
		}
		p := &s.rules.file.Policies[index]
		c.index, c.policy, c.key, c.place = index, p, key, s.rules.places[index]
		c.counts, c.most, c.width = envoy.Counts(&p.Policy), p.Limit, p.Window
		if p.Descriptor.Mode == policy.DescriptorRefuse {
			c.counts, c.most = true, 0
		}
		c.tell = s.rules.told[index]
		for _, name := range p.Descriptor.Replaces {
			if replaced == nil {
				replaced = map[string]bool{}
			}
			replaced[name] = true
		}
	}
	for i := range out {
		c := &out[i]
		if c.policy != nil && replaced[c.policy.Descriptor.Name] && c.policy.Descriptor.Mode != policy.DescriptorUnlimited {
			*c = chosen{place: -1, index: -1, hits: c.hits}
		}
	}
	return out
}

func entriesOf(d *descriptor.RateLimitDescriptor) []envoy.Entry {
	out := make([]envoy.Entry, len(d.Entries))
	for i, e := range d.Entries {
		out[i] = envoy.Entry{Key: e.GetKey(), Value: e.GetValue()}
	}
	return out
}

// brought makes c decide by a limit of the request.
func (s *Service) brought(c *chosen, domain string, l *descriptor.RateLimitDescriptor_RateLimitOverride, entries []envoy.Entry) {
	width, _ := overrideWidth(l)
	place, ok := s.rules.windows[width]
	if !ok {
		return // Replace has come between; it will be there next time
	}
	c.place, c.width, c.counts, c.most = place, width, true, int64(l.GetRequestsPerUnit())
	c.key = envoy.Key(domain, entries)
	c.tell = &current{RequestsPerUnit: l.GetRequestsPerUnit(), Unit: pb.RateLimitResponse_RateLimit_Unit(l.GetUnit()), UnitMultiplier: l.GetUnitMultiplier()}
}

// decide asks the guard about one descriptor. change is held.
func (s *Service) decide(ctx context.Context, c *chosen) (*dstatus, error) {
	if c.place < 0 {
		if c.policy != nil && c.policy.Descriptor.Mode == policy.DescriptorUnlimited {
			return unlimited(), nil
		}
		return &dstatus{Code: ok}, nil
	}
	v := s.guard.CheckKey(ctx, c.place, c.key, c.hits)
	if v.Err != nil {
		return nil, status.Error(codes.Internal, v.Err.Error())
	}
	r := &v.Rulings[0]
	d := r.Decision
	left, allowed := d.Remaining, d.Allowed && (c.hits > 0 || d.Remaining > 0)
	switch {
	case d.Limit == math.MaxInt64: // nobody decided: let pass
		left, allowed = c.most, true
	case d.Limit == 0: // nobody decided: refuse
		left, allowed = 0, false
	case c.index < 0:
		// The policy only counts. Without the store, its limit is this process's
		// share, and what it counts is that share of the whole.
		used, share := d.Limit-d.Remaining, float64(d.Limit)/overrideLimit
		left = int64(float64(c.most)*share) - used
		allowed = left >= 0
	case c.counts:
		left = d.Remaining - 1
		allowed = left >= 0
	}
	if !allowed {
		left = 0
	}
	st := &dstatus{
		Code: ok, CurrentLimit: c.tell, LimitRemaining: uint32(max(0, min(left, c.most, math.MaxUint32))),
		DurationUntilReset: durationpb.New(s.reset(c, d)),
	}
	if !allowed {
		st.Code = over
	}
	s.note(c, r, st, allowed)
	if !allowed && c.policy != nil && c.policy.Shadow {
		st.Code = ok
	}
	return st, nil
}

// reset is the time until the window ends, in whole seconds.
func (s *Service) reset(c *chosen, d limit.Decision) time.Duration {
	width := int64(c.width / time.Second)
	if !c.counts || width == 0 {
		wait := d.ResetAfter
		if !d.Allowed {
			wait = d.RetryAfter
		}
		if wait < 0 || wait == limit.Never {
			return 0
		}
		return (wait + time.Second - 1) / time.Second * time.Second
	}
	now := s.clock().Unix()
	return time.Duration(width-now%width) * time.Second
}

// note counts a decision and tells who observes.
func (s *Service) note(c *chosen, r *guard.Ruling, st *dstatus, allowed bool) {
	kind := guard.Allowed
	p := c.policy
	if p != nil {
		t := s.rules.tallies[c.index]
		t.total.Add(c.hits)
		switch {
		case !allowed && (p.Shadow || s.o.Shadow || p.Descriptor.Quota):
			kind = guard.ShadowRefused
			t.shadow.Add(c.hits)
		case !allowed:
			kind = guard.Refused
			t.over.Add(c.hits)
		}
	}
	if s.o.Guard.Observe == nil || p == nil {
		return
	}
	d := r.Decision
	d.Allowed, d.Limit, d.Remaining = allowed, c.most, int64(st.LimitRemaining)
	d.Warn = p.WarnAt > 0 && float64(d.Limit-d.Remaining) >= p.WarnAt*float64(d.Limit)-1e-9
	e := guard.Event{At: s.clock(), Kind: kind, Policy: p, Index: c.index, Key: c.key, Cost: c.hits, Decision: d, By: r.By}
	s.o.Guard.Observe(&e)
	if d.Warn {
		e.Kind = guard.Warned
		s.o.Guard.Observe(&e)
	}
}

// headers are the fields that tell of a descriptor.
func (s *Service) headers(st *dstatus) (out []*core.HeaderValue) {
	add := func(name string, n int64) {
		if name != "" {
			out = append(out, &core.HeaderValue{Key: name, Value: strconv.FormatInt(n, 10)})
		}
	}
	add(s.o.LimitHeader, int64(st.CurrentLimit.GetRequestsPerUnit()))
	add(s.o.RemainingHeader, int64(st.LimitRemaining))
	add(s.o.ResetHeader, st.DurationUntilReset.GetSeconds())
	return out
}
