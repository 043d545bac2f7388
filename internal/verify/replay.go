package verify

import (
	"net/http"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/track"
	"github.com/weir-dev/weir/limit"
)

// replay puts a recording to a policy file.
type replay struct {
	*states
	rec      *Recording
	set      Settings
	offset   time.Duration // the service's clock minus ours
	skew     time.Duration // that it may be off that
	unrested bool          // nothing is known of the counts at the start

	groups map[int]*group
}

// group is counts that are tied together, as far as they can be followed.
type group struct {
	tracks []*track.Track // one for each way in which answers that are not known may have been
	from   int            // the experiment that the tracks began with
	since  int            // the experiment that first used the counts
	last   int            // the experiment that used them last
	why    string         // why it cannot be followed any more
	used   bool
}

// mark is what a wave looked like.
type mark struct {
	lo, hi   int // admitted requests that were possible
	judged   bool
	diverged bool
	verdict  track.Verdict
	blocked  int // state, -1 unknown
	first    bool
	why      string // why it was not judged
	told     []telling
}

// maxWays bounds how many ways are followed.
const maxWays = 16

func newReplay(s *states, rec *Recording, set Settings) *replay {
	r := &replay{states: s, rec: rec, set: set, groups: map[int]*group{}}
	r.offset, r.skew = clock(rec, set)
	for i := range s.file.Policies { // where a phase was measured, the clock that it was measured by may be as far off
		r.skew = max(r.skew, s.file.Policies[i].PhaseWithin)
	}
	return r
}

// explains tells whether the file has an explanation for every answer. Waves that
// the declared file could not judge either, for another reason than an answer it
// had no explanation for, do not count.
func (r *replay) explains(base []mark, only func(*Wave) bool) bool {
	for i := range r.rec.Waves {
		if only != nil && !only(&r.rec.Waves[i]) {
			continue
		}
		m := r.wave(i, false)
		if m.diverged || !m.judged && (base[i].judged || base[i].why == unexplained) {
			return false
		}
	}
	return true
}

// unexplained is why nothing is judged after a divergence, until all has come to rest.
const unexplained = "an earlier answer is not explained"

// all judges every wave.
func (r *replay) all() []mark {
	out := make([]mark, len(r.rec.Waves))
	for i := range r.rec.Waves {
		out[i] = r.wave(i, true)
	}
	return out
}

func (r *replay) at(d time.Duration) time.Time {
	return r.rec.Start.Round(0).Add(d + r.offset)
}

// wave judges one wave; closely says that all is wanted that can be found out.
func (r *replay) wave(i int, closely bool) mark {
	w := &r.rec.Waves[i]
	n := len(w.Answers)
	asks := r.asks[w.Call]
	g := r.groups[r.group[w.Call]]
	if r.group[w.Call] < 0 {
		return r.free(w)
	}
	root := r.group[w.Call]
	if g == nil {
		g = &group{from: -1, last: -1}
		r.groups[root] = g
	}
	if why := r.stuck[root]; why != "" {
		return mark{why: why}
	}
	opens := g.last != w.Experiment
	g.last = w.Experiment
	if g.tracks == nil && !(opens && r.begin(g, w)) {
		return mark{why: g.why}
	}
	m := mark{judged: true, hi: n, blocked: -1, first: g.from == g.since}
	var known track.Wave
	unknown := 0
	for _, a := range w.Answers {
		switch {
		case a.Outcome == Unknown && a.Err != "":
			g.tracks, g.why = nil, "a request had no answer, so that nobody knows whether it was counted: "+a.Err
			return mark{why: g.why}
		case a.Outcome == Unknown:
			unknown++
			known.Requests = append(known.Requests, r.request(&a, true, asks))
		default:
			known.Requests = append(known.Requests, r.request(&a, a.Outcome == Admitted, asks))
		}
	}
	counted, looks := r.counted(w, asks)
	if counted == nil && looks == nil {
		g.tracks, g.why = nil, "requests of a policy that counts after the answer were under way together"
		return mark{why: g.why}
	}
	if closely {
		m.lo, m.hi = expect(g.tracks, counted, looks, known.Requests)
	}
	var next []*track.Track
	for _, t := range g.tracks {
		for k := 0; k <= unknown; k++ {
			try := t
			if unknown > 0 {
				try = t.Clone()
			}
			one := known
			if k > 0 { // k of the unknown ones never reached the limits
				one.Requests = without(w.Answers, known.Requests, k)
			}
			v := see(try, counted, looks, one.Requests)
			if v == track.Consistent {
				next = append(next, try)
				continue
			}
			m.verdict, m.blocked = v, try.Blocked()
		}
	}
	if len(next) > maxWays {
		g.tracks, g.why = nil, "too many answers had a status of 500 or above, so that nobody knows what was counted"
		return mark{why: g.why}
	}
	if len(next) == 0 {
		m.diverged = true
		g.tracks, g.why = nil, unexplained
		return m
	}
	m.verdict = track.Consistent
	g.tracks = next
	if lost := next[0].Lost(); lost != "" {
		g.tracks, g.why = nil, lost
		m.judged, m.why = false, lost
		return m
	}
	if closely && len(w.Answers) == 1 && len(next) == 1 && unknown == 0 {
		m.told = r.told(w, next[0], counted)
	}
	return m
}

// begin makes the tracks of a group: at the start, and again at an experiment
// before which all came to rest.
func (r *replay) begin(g *group, w *Wave) bool {
	if g.used && !r.rec.Experiments[w.Experiment].Rested {
		return false
	}
	o := track.Options{Skew: r.skew, Hold: r.set.Hold, Release: 100*time.Millisecond + r.set.Grain, Chain: r.file.Chain}
	list := r.list
	if r.unrested && !g.used {
		list = slices.Clone(list)
		for i := range list {
			if !r.newborn[i] {
				list[i].Unrested = r.at(w.Answers[0].Sent - r.set.Grain - 1)
			}
		}
	}
	t, err := track.New(list, o)
	if err != nil {
		g.why = err.Error()
		return false
	}
	if !g.used {
		g.since = w.Experiment
	}
	g.tracks, g.from, g.used, g.why = []*track.Track{t}, w.Experiment, true, ""
	return true
}

func (r *replay) request(a *Seen, allowed bool, asks []ask) track.Request {
	q := track.Request{Sent: r.at(a.Sent - r.set.Grain), Done: r.at(a.Done + r.set.Grain), Allowed: allowed}
	if r.set.Within <= 0 || a.Done-a.Sent <= r.set.Within || slices.ContainsFunc(asks, r.needsAnswer) {
		return q
	}
	q.Done = r.at(a.Sent + r.set.Within + r.set.Grain)
	return q
}

// needsAnswer tells whether a limit goes by the end of a request.
func (r *replay) needsAnswer(a ask) bool {
	return a.late || r.list[a.state].Policy.Algorithm == limit.Concurrency
}

// counted splits what a wave asks into what it takes and what it only looks at.
func (r *replay) counted(w *Wave, asks []ask) (counted, looks []track.Ask) {
	counted = []track.Ask{}
	for _, a := range asks {
		one := track.Ask{State: a.state, View: a.view, Cost: a.cost}
		look := a.look
		if a.late {
			if len(w.Answers) > 1 {
				return nil, nil
			}
			s := r.rec.Calls[w.Call].subject()
			head := http.Header{}
			for _, f := range w.Answers[0].Fields {
				head.Add(f.Name, f.Value)
			}
			s.Response = &expr.Response{Status: w.Answers[0].Status, Header: expr.Fields(head)}
			counts, err := r.file.Policies[a.policy].CountIf.Bool(s)
			look = err == nil && !counts
		}
		if look {
			looks = append(looks, one)
		} else {
			counted = append(counted, one)
		}
	}
	return counted, looks
}

// see puts a wave to a track. What is only looked at is asked beside, and not
// narrowed by the answer.
func see(t *track.Track, counted, looks []track.Ask, requests []track.Request) track.Verdict {
	if len(looks) == 0 {
		return t.See(track.Wave{Asks: counted, Requests: requests})
	}
	all := append(slices.Clone(counted), looks...)
	v := track.Consistent
	for _, q := range requests {
		can, cannot := t.Expect(all, q.Sent, q.Done)
		switch {
		case q.Allowed && !can:
			v = track.TooMany
		case !q.Allowed && !cannot:
			v = track.TooFew
		case q.Allowed && len(counted) > 0:
			v = t.See(track.Wave{Asks: counted, Requests: []track.Request{q}})
		case !q.Allowed:
			v = t.Clone().See(track.Wave{Asks: all, Requests: []track.Request{q}})
		}
		if v != track.Consistent {
			return v
		}
	}
	return v
}

// expect returns how many of the requests may be admitted.
func expect(tracks []*track.Track, counted, looks []track.Ask, requests []track.Request) (lo, hi int) {
	n := len(requests)
	lo = n + 1
	can := func(k int) bool {
		try := slices.Clone(requests)
		for i := range try {
			try[i].Allowed = i < k
		}
		for _, t := range tracks {
			if see(t.Clone(), counted, looks, try) == track.Consistent {
				return true
			}
		}
		return false
	}
	if n > 40 {
		// What is possible has no gaps: look for its ends from what is left.
		return expectMany(tracks, counted, n, requests, can)
	}
	for k := 0; k <= n; k++ {
		if can(k) {
			lo, hi = min(lo, k), k
		}
	}
	if lo > n {
		return 0, n
	}
	return lo, hi
}

func expectMany(tracks []*track.Track, counted []track.Ask, n int, requests []track.Request, can func(int) bool) (lo, hi int) {
	o := requests[0]
	for _, q := range requests {
		if q.Sent.Before(o.Sent) {
			o.Sent = q.Sent
		}
		if q.Done.After(o.Done) {
			o.Done = q.Done
		}
	}
	mid := int64(n)
	for _, a := range counted {
		least, _ := tracks[0].Remaining(a.State, a.View, o.Sent, o.Done)
		mid = min(mid, least/max(a.Cost, 1))
	}
	k := int(mid)
	if !can(k) {
		return 0, n
	}
	lo, hi = k, k
	for lo > 0 && can(lo-1) {
		lo--
	}
	for hi < n && can(hi+1) {
		hi++
	}
	return lo, hi
}

// free judges a wave that no policy is for: all must pass.
func (r *replay) free(w *Wave) mark {
	n := len(w.Answers)
	m := mark{judged: true, lo: n, hi: n, blocked: -1}
	for _, a := range w.Answers {
		if a.Outcome == Refused {
			m.diverged, m.verdict = true, track.TooFew
		}
	}
	return m
}

// without drops k of the requests of which the answer is not known.
func without(answers []Seen, requests []track.Request, k int) []track.Request {
	var out []track.Request
	for i := range requests {
		if answers[i].Outcome == Unknown && k > 0 {
			k--
			continue
		}
		out = append(out, requests[i])
	}
	return out
}

// clock returns how far the service's clock is from ours, and how certain that is.
func clock(rec *Recording, set Settings) (offset, skew time.Duration) {
	if set.Skew >= 0 {
		return 0, set.Skew
	}
	if rec.Local {
		return 0, 0
	}
	const stale = 300 * time.Millisecond // servers make Date once a second
	const none = time.Duration(1 << 60)
	lo, hi := -none, none
	for _, w := range rec.Waves {
		for _, a := range w.Answers {
			for _, f := range a.Fields {
				if !equalFold(f.Name, "date") {
					continue
				}
				date, err := http.ParseTime(f.Value)
				if err != nil {
					continue
				}
				lo = max(lo, date.Sub(rec.Start.Add(a.Done)))
				hi = min(hi, date.Add(time.Second+stale).Sub(rec.Start.Add(a.Sent)))
			}
		}
	}
	if lo == -none || lo > hi {
		return 0, none / 4
	}
	return lo/2 + hi/2, (hi-lo)/2 + time.Millisecond
}

// holds tells whether a policy is a concurrency limit, which no header tells in time.
func holds(p limit.Policy) bool { return p.Algorithm == limit.Concurrency }
