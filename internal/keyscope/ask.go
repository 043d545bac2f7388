package keyscope

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// scoper is one run of Find.
type scoper struct {
	opt    Options
	sender Sender
	clock  probe.Clock
	rng    *rand.Rand
	s      *Scope

	size    int         // what a client gets from rest
	margin  int         // how much more a limit above lets through than one client takes
	apart   [][]float64 // of each value, log of: counted apart to counted with the first
	all     float64     // the same of the client that differs in everything
	spread  float64     // how far apart requests that went together may be decided, in seconds
	began   time.Time
	last    time.Time // when anything was sent last
	passed  int       // of requests as others, while the first client was refused
	doubted bool      // mixed values have been asked again
	careful bool      // refusals are to be avoided: they count against a limit above
	slower  float64   // by which factor the limit recovers slower than was found
}

// trips learns how far the network reorders from what was seen.
func (f *scoper) trips(seen []probe.Record) {
	var all []float64
	for _, r := range seen {
		for _, a := range r.Answers {
			if a.Outcome == probe.Refused {
				all = append(all, a.Done.Sub(a.Sent).Seconds())
			}
			if a.Sent.After(f.last) {
				f.last = a.Sent
			}
		}
	}
	if len(all) > 1 {
		slices.Sort(all)
		f.spread = max(f.spread, all[int(float64(len(all)-1)*0.98)]-all[0])
	}
}

func (f *scoper) find(ctx context.Context) error {
	if f.size == 0 || len(f.opt.Values) == 0 {
		return errStop("there is no limit whose key could be looked for")
	}
	f.slower = 1
	base := make(Who, len(f.opt.Values))
	for try := range 5 {
		informed, err := f.round(ctx, base, f.open(f.margin), nil, "spend all as the first client, and ask as others")
		if err != nil {
			return err
		}
		if informed {
			break
		}
		if try == 4 {
			return errStop("the limit could not be exhausted")
		}
	}
	if f.allTogether() && f.all > 1 {
		if err := f.several(ctx, base); err != nil {
			return err
		}
	}
	if f.allTogether() && f.denied() && len(f.opt.Spend) == 0 {
		// Refusals may have used up a limit above. Once more, without a refusal before.
		f.careful = true
		f.all = 0
		if _, err := f.round(ctx, base, []ask{{f.other(), -1, 0}}, nil, "spend exactly all as the first client, and ask as the other"); err != nil {
			return f.soft(err)
		}
		if f.careful = f.all > 0; f.careful {
			f.margin = 1
			for i := range f.apart {
				clear(f.apart[i])
			}
		}
	}
	other := f.other()
	if f.counted() > 0 || f.passed > 0 {
		// The other way round; and what both get together shows a limit above.
		before := f.s.Requests
		then := base
		if len(f.opt.Spend) > 0 {
			then = nil
		}
		if _, err := f.round(ctx, other, f.back(other), then, "the other way round, and then all as both"); err != nil {
			return f.soft(err)
		}
		f.s.BothWays = f.s.Requests > before
		if err := f.measure(ctx, base, other); err != nil {
			return err
		}
		if f.s.Above != nil && f.margin < f.tall() {
			// What was refused may have been refused by the limit above. Ask again, fewer at a time.
			for i := range f.apart {
				clear(f.apart[i])
			}
		}
	}
	for range 24 {
		asks := f.open(f.margin)
		if len(asks) == 0 && !f.doubted {
			// Values of one thing that are counted both ways are rare; a limit above that
			// ran out in the middle looks the same. Ask one at a time.
			f.doubted = true
			if (f.s.Above != nil || !f.s.BothWays) && f.doubt() {
				f.margin = 1
				continue
			}
		}
		if len(asks) == 0 {
			break
		}
		if _, err := f.round(ctx, base, asks, nil, "ask again what is not settled"); err != nil {
			return f.soft(err)
		}
	}
	return f.soft(f.between(ctx, base))
}

// measure finds how large a limit above is, without a refusal before: there may be
// that refused requests count in it.
func (f *scoper) measure(ctx context.Context, one, two Who) error {
	if f.s.Above == nil || f.careful {
		return nil
	}
	f.careful = true
	was := f.s.Above.Limit
	_, err := f.round(ctx, one, nil, two, "spend exactly all as one client, and then all as the other")
	if f.careful = f.s.Above.Limit > was+2; f.careful {
		f.s.Notes = append(f.s.Notes, "Refused requests count in the limit above, too.")
	}
	if stop, ok := err.(errStop); ok {
		f.s.Notes = append(f.s.Notes, "How large the limit above is was not tried again: "+string(stop)+".")
		return nil
	}
	return err
}

// soft is for rounds that only add to what is known: a bound that does not allow them
// is no reason to call the result cut short when all is settled.
func (f *scoper) soft(err error) error {
	if stop, ok := err.(errStop); ok {
		f.s.Notes = append(f.s.Notes, "Not all that would confirm it was tried: "+string(stop)+".")
		if len(f.open(f.margin)) == 0 {
			return nil
		}
	}
	return err
}

// tall is the number of questions.
func (f *scoper) tall() (n int) {
	for _, v := range f.apart {
		n += len(v) - 1
	}
	return n
}

// doubt forgets what is known of things whose values are counted both ways, and
// tells whether there are such.
func (f *scoper) doubt() (any bool) {
	for _, values := range f.apart {
		yes, no := 0, 0
		for _, llr := range values[1:] {
			if llr > 0 {
				yes++
			} else {
				no++
			}
		}
		if yes > 0 && no > 0 {
			clear(values)
			any = true
		}
	}
	return any
}

// denied tells whether refused requests may count.
func (f *scoper) denied() bool {
	for _, p := range f.opt.Found.Policies {
		if p.CountDenied {
			return true
		}
	}
	return false
}

func (f *scoper) counted() (n int) {
	for _, values := range f.apart {
		for _, llr := range values[1:] {
			if llr > 0 {
				n++
				break
			}
		}
	}
	return n
}

func (f *scoper) allTogether() bool {
	for _, values := range f.apart {
		for _, llr := range values[1:] {
			if llr > -1 {
				return false
			}
		}
	}
	return true
}

// other is the client that differs in everything: of each thing the value that is
// likeliest to be counted apart, as values may be counted in groups.
func (f *scoper) other() Who {
	w := make(Who, len(f.opt.Values))
	for i := range w {
		w[i] = f.farthest(i)
	}
	return w
}

// farthest is the value of a thing that is likeliest to be counted apart from the first.
func (f *scoper) farthest(thing int) int {
	values, best := f.apart[thing], min(1, f.opt.Values[thing]-1)
	for v := 2; v < len(values); v++ {
		if values[v] > values[best] {
			best = v
		}
	}
	return best
}

// ask is a question: this client, about this value of this thing.
type ask struct {
	who         Who
	thing, with int // thing -1: about no one thing
}

// open lists what is not settled, at most n of it, in random order: where a limit
// above runs out, it should not be always the same that is refused.
func (f *scoper) open(n int) (asks []ask) {
	for i, values := range f.apart {
		for v := 1; v < len(values); v++ {
			if math.Abs(values[v]) < certain {
				w := make(Who, len(f.apart))
				w[i] = v
				asks = append(asks, ask{w, i, v})
			}
		}
	}
	f.rng.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
	if len(asks) > 1 && f.s.Requests == 0 {
		asks = append(asks, ask{f.other(), -1, 0})
	}
	return asks[:min(len(asks), max(n, 1))]
}

// back lists the clients that differ from other in one thing, which is as the first client's.
func (f *scoper) back(other Who) (asks []ask) {
	for i := range other {
		w := slices.Clone(other)
		w[i] = 0
		if !slices.Equal(w, other) {
			asks = append(asks, ask{w, i, other[i]})
		}
	}
	f.rng.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
	return asks[:min(len(asks), max(f.margin, 1))]
}

// several looks for two limits with different keys: neither lets a client through
// that differs in one thing, but one that differs in both is let through.
func (f *scoper) several(ctx context.Context, base Who) error {
	var asks []ask
	for i := range base {
		for j := range i {
			w := make(Who, len(base))
			w[i], w[j] = min(1, f.opt.Values[i]-1), min(1, f.opt.Values[j]-1)
			asks = append(asks, ask{w, -1, 0})
		}
	}
	if len(asks) > 12 {
		return nil
	}
	before := len(f.s.Rounds)
	if _, err := f.round(ctx, base, asks, nil, "ask as clients that differ in two things"); err != nil {
		return f.soft(err)
	}
	for _, a := range f.s.Rounds[before].Asked {
		if a.Admitted == 0 || f.s.Many {
			continue
		}
		var two []int
		for i, v := range a.Who {
			if v > 0 {
				two = append(two, i)
			}
		}
		if len(two) == 2 {
			f.s.Several, f.s.Many = [2]int{two[0], two[1]}, true
		}
	}
	return nil
}

// between looks for a limit above the counts of a key of several things, that is
// counted by fewer of them.
func (f *scoper) between(ctx context.Context, base Who) error {
	if f.counted() < 2 || f.s.Above != nil || len(f.opt.Spend) > 0 {
		return nil
	}
	for i, values := range f.apart {
		v := f.farthest(i)
		if v == 0 || values[v] <= 0 {
			continue
		}
		w := slices.Clone(base)
		w[i] = v
		if f.s.Requests+2*f.size+20 > f.opt.MaxRequests {
			return errStop("the bound on requests was reached")
		}
		if _, err := f.round(ctx, w, nil, base, "all as two clients that differ in one thing"); err != nil {
			return err
		}
		if f.s.Above != nil {
			if err := f.measure(ctx, w, base); err != nil {
				return err
			}
			for j, values := range f.apart {
				f.s.Above.Counted[j] = j != i && values[f.farthest(j)] > 0
			}
			return nil
		}
	}
	return nil
}
