package track

// banned is a limit that bans: what it counts while no ban lasts, and bounds of
// when the latest ban began. An observation is shorter than a ban; Track.See holds
// that.
type banned struct {
	*spec
	counts box  // while no ban lasts
	ban    span // of instants at which it began; none: no ban that may last
	before span // the ban that the latest observation may still have seen
}

var none = span{1, 0}

func (s span) some() bool { return s.lo <= s.hi }

// lasting are the instants at which a ban began that lasts at some instant from t on.
func (b *banned) lasting(s span, t int64) span { return span{max(s.lo, t-b.length()+1), s.hi} }

func (b *banned) length() int64 { return int64(b.policy.Ban) }

// over is the box when the ban has ended, and what of an observation comes then;
// false when it cannot have ended by then.
func (b *banned) over(o *observation) (*banned, *observation, bool) {
	if !b.ban.some() {
		return b, o, true
	}
	end := plus(b.ban.lo, b.length())
	if end > o.done {
		return nil, nil, false
	}
	rest := *o
	rest.sent = max(o.sent, end)
	return &banned{spec: b.spec, counts: b.inner.fresh(), ban: none, before: b.ban}, &rest, true
}

func (b *banned) allow(o *observation, cost, limit int64) []box {
	c, rest, ok := b.over(o)
	if !ok {
		return nil
	}
	return each(c.counts.clone().allow(rest, cost, limit), func(in box) []box {
		return []box{&banned{spec: c.spec, counts: in, ban: c.ban, before: c.before}}
	})
}

func (b *banned) refuse(o *observation, cost, limit int64) (out []box) {
	if s := b.lasting(b.ban, o.sent); s.some() {
		if b.policy.CountDenied {
			s = span{max(s.lo, o.sent), min(o.done, plus(s.hi, b.length()-1))}
		}
		out = append(out, &banned{spec: b.spec, counts: b.counts.clone(), ban: s, before: b.before})
	}
	// One that each refused request renews cannot end within the observation.
	if s := b.lasting(b.before, o.sent); s.some() && o.overlaps() && !b.policy.CountDenied {
		out = append(out, &banned{spec: b.spec, counts: b.counts.clone(), ban: b.ban, before: s})
	}
	if c, rest, ok := b.over(o); ok && len(c.counts.clone().refuse(rest, cost, limit)) > 0 {
		out = append(out, &banned{spec: c.spec, counts: b.inner.fresh(), ban: span{rest.sent, o.done}, before: c.before})
	}
	return out
}

// charge is a request that another limit refused: it renews a ban, if it does
// anything. Whether this limit refuses too is for Track.refuse.
func (b *banned) charge(o *observation, _ int64) []box {
	out := []box{b}
	if s := b.lasting(b.ban, o.sent); s.some() && b.policy.CountDenied {
		s = span{max(s.lo, o.sent), min(o.done, plus(s.hi, b.length()-1))}
		out = append(out, &banned{spec: b.spec, counts: b.counts.clone(), ban: s, before: b.before})
	}
	return out
}

func (b *banned) together(o *observation, cost, limit int64) bool {
	return b.ban.some() || b.counts.together(o, cost, limit)
}

func (b *banned) left(s, d, limit int64) (least, most int64) {
	switch {
	case !b.ban.some():
		return b.counts.left(s, d, limit)
	case plus(b.ban.hi, b.length()) <= s:
		return limit, limit
	case plus(b.ban.lo, b.length()) > d:
		return 0, 0
	}
	return 0, limit
}

func (b *banned) absorb(other box, force bool) bool {
	o := other.(*banned)
	switch {
	case b.ban.some() != o.ban.some():
		return false
	case b.ban.some():
		if !force && (plus(b.ban.hi, 1) < o.ban.lo || plus(o.ban.hi, 1) < b.ban.lo) {
			return false
		}
	case !b.counts.absorb(o.counts, force):
		return false
	}
	b.ban, b.before = b.ban.hull(o.ban), b.before.hull(o.before)
	return true
}

func (s span) hull(t span) span {
	switch {
	case !s.some():
		return t
	case !t.some():
		return s
	}
	return span{min(s.lo, t.lo), max(s.hi, t.hi)}
}

func (b *banned) clone() box {
	c := *b
	c.counts = b.counts.clone()
	return &c
}

// unrestedBan is the boxes of a state of which nothing is known at the instant t.
func (sp *spec) unrestedBan(t int64) (out []box) {
	for _, counts := range sp.inner.unrested(t) {
		out = append(out, &banned{spec: sp, counts: counts, ban: none, before: none})
	}
	return append(out, &banned{spec: sp, counts: sp.inner.fresh(), ban: span{plus(t, -int64(sp.policy.Ban)) + 1, t}, before: none})
}
