package tally

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
)

// Limits is what a tick knows of the service's limits: what its answers said, how
// true that was, and how clients that try again or hold back fared.
type Limits struct {
	Told    []Told  `json:"told,omitempty"`    // sorted by Name, Method, Limit
	Clashes []Clash `json:"clashes,omitempty"` // sorted by Name, Method, Kind
	Waits   []Waits `json:"waits,omitempty"`   // sorted by Name, Method
	Work    []Work  `json:"work,omitempty"`    // sorted by Name, Method
}

// NotTold stands for a number that the service does not tell.
const NotTold = -1

// Told is what the answers to one request name said about one limit in a tick.
type Told struct {
	Method  string        `json:"method"`
	Name    string        `json:"name"`
	Limit   string        `json:"limit,omitempty"` // as the service names it; "" when it has no name
	Dialect string        `json:"dialect,omitempty"`
	Unit    string        `json:"unit,omitempty"` // what is counted, "" for requests
	Quota   int64         `json:"quota"`          // in the latest answer, or NotTold, as is Left
	Left    int64         `json:"left"`
	Least   int64         `json:"least"`               // smallest number left that was told in the tick
	Window  time.Duration `json:"window_ns,omitempty"` // 0 when not told
	Reset   time.Duration `json:"reset_ns"`            // told instant, since the start of the run; negative when not told
	Read    int64         `json:"read"`                // answers that were read: a sample of all
	Used    float64       `json:"used"`                // units that this run takes from it per second
	Binds   bool          `json:"binds,omitempty"`     // of the limits of this name, the one that refuses first
	Differs bool          `json:"differs,omitempty"`   // users have counts of their own
	// Forecast is when the first request will be refused at the present rate:
	// "within" Soonest to Latest (0: no upper bound) from the end of the tick,
	// "after" Soonest, "never", or "unknown". Why says why it is no more than that.
	Forecast string        `json:"forecast"`
	Soonest  time.Duration `json:"soonest_ns,omitempty"`
	Latest   time.Duration `json:"latest_ns,omitempty"`
	Why      string        `json:"why,omitempty"`
}

// Clash is a way in which what was told contradicts itself, or what was done.
type Clash struct {
	Method string        `json:"method"`
	Name   string        `json:"name"`
	Kind   string        `json:"kind"` // a stable word: refused-with-left admitted-at-zero limit-changed untrue
	Text   string        `json:"text"` // the first example
	Count  int64         `json:"count"`
	First  time.Duration `json:"first_ns"`
}

// Waits counts what came of the times that refused clients were told to wait. A
// client is judged by its next request of that name alone.
type Waits struct {
	Method       string        `json:"method"`
	Name         string        `json:"name"`
	Told         int64         `json:"told"`   // refusals that were read and said how long to wait
	Untold       int64         `json:"untold"` // and that did not
	Longest      time.Duration `json:"longest_ns,omitempty"`
	EarlyPassed  int64         `json:"early_passed"`  // came back more than a second too early and was admitted: the wait was too long
	EarlyRefused int64         `json:"early_refused"` // and was refused
	KeptPassed   int64         `json:"kept_passed"`   // waited as told and was admitted
	KeptRefused  int64         `json:"kept_refused"`  // and was refused again: the wait was too short, or others were quicker
}

// Work counts pieces of work where one may take several requests, or be held back.
type Work struct {
	Method   string        `json:"method"`
	Name     string        `json:"name"`
	Done     int64         `json:"done"`     // admitted in the end
	GaveUp   int64         `json:"gave_up"`  // refused to the end
	Failed   int64         `json:"failed"`   // failed in the end
	Cut      int64         `json:"cut"`      // still under way when the run was stopped
	Requests int64         `json:"requests"` // that all these took
	Again    int64         `json:"again"`    // pieces of Done that took more than one
	Waiting  int64         `json:"waiting"`  // pieces between two requests at the end of the tick
	Last     time.Duration `json:"last_ns"`  // when the latest piece of Again was done
	Total    *hist.Hist    `json:"-"`        // of Done: from the instant the first request was due to the last answer
	Held     int64         `json:"held"`     // requests that left later because a limit was respected
	Unsent   int64         `json:"unsent"`   // requests held back to the end of the run, and never sent
	HeldFor  *hist.Hist    `json:"-"`        // how long those of Held were
}

// Empty reports whether there is nothing.
func (l *Limits) Empty() bool {
	return l == nil || len(l.Told)+len(l.Clashes)+len(l.Waits)+len(l.Work) == 0
}

// Sort puts the rows in their order.
func (l *Limits) Sort() {
	slices.SortFunc(l.Told, func(a, b Told) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Dialect, b.Dialect))
	})
	slices.SortFunc(l.Clashes, func(a, b Clash) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(l.Waits, func(a, b Waits) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method))
	})
	slices.SortFunc(l.Work, func(a, b Work) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method))
	})
}

// mergeLimits returns the sum; it shares nothing with b.
func mergeLimits(a, b *Limits) *Limits {
	if b.Empty() {
		return a
	}
	out := &Limits{}
	for _, l := range []*Limits{a, b} {
		if l == nil {
			continue
		}
		for _, t := range l.Told {
			if i := slices.IndexFunc(out.Told, func(o Told) bool { return o.key() == t.key() }); i >= 0 {
				out.Told[i].merge(t)
			} else {
				out.Told = append(out.Told, t)
			}
		}
		for _, c := range l.Clashes {
			if i := slices.IndexFunc(out.Clashes, func(o Clash) bool { return o.Name == c.Name && o.Method == c.Method && o.Kind == c.Kind }); i >= 0 {
				out.Clashes[i].merge(c)
			} else {
				out.Clashes = append(out.Clashes, c)
			}
		}
		for _, w := range l.Waits {
			if i := slices.IndexFunc(out.Waits, func(o Waits) bool { return o.Name == w.Name && o.Method == w.Method }); i >= 0 {
				out.Waits[i].merge(w)
			} else {
				out.Waits = append(out.Waits, w)
			}
		}
		for _, w := range l.Work {
			w.Total, w.HeldFor = mergeHists(nil, w.Total), mergeHists(nil, w.HeldFor)
			if i := slices.IndexFunc(out.Work, func(o Work) bool { return o.Name == w.Name && o.Method == w.Method }); i >= 0 {
				waiting := out.Work[i].Waiting + w.Waiting
				out.Work[i].merge(w)
				out.Work[i].Waiting = waiting
			} else {
				out.Work = append(out.Work, w)
			}
		}
	}
	out.Sort()
	return out
}

type toldKey struct{ name, method, limit, dialect string }

func (t *Told) key() toldKey { return toldKey{t.Name, t.Method, t.Limit, t.Dialect} }

// merge joins what two generators were told in the same tick. Neither knows the
// load of the other; the service does, so the nearer end is the one to believe.
func (t *Told) merge(o Told) {
	read, used, binds, differs := t.Read+o.Read, t.Used+o.Used, t.Binds || o.Binds, t.Differs || o.Differs
	least := t.Least
	if least == NotTold || o.Least != NotTold && o.Least < least {
		least = o.Least
	}
	if o.urgency() < t.urgency() || o.urgency() == t.urgency() && cmp.Or(cmp.Compare(o.Left, t.Left), cmp.Compare(o.Quota, t.Quota), cmp.Compare(o.Reset, t.Reset), cmp.Compare(o.Latest, t.Latest), cmp.Compare(o.Why, t.Why), cmp.Compare(o.Window, t.Window), cmp.Compare(o.Unit, t.Unit)) < 0 {
		*t = o
	}
	t.Read, t.Used, t.Binds, t.Differs, t.Least = read, used, binds, differs, least
}

// urgency orders forecasts: the smaller, the sooner something will be refused.
func (t *Told) urgency() float64 {
	switch t.Forecast {
	case "within":
		return t.Soonest.Seconds()
	case "after":
		return 1e9 + t.Soonest.Seconds()
	case "unknown":
		return 1e18
	}
	return 2e18
}

func (c *Clash) merge(o Clash) {
	if c.Count == 0 || o.Count > 0 && (o.First < c.First || o.First == c.First && o.Text < c.Text) {
		c.First, c.Text = o.First, o.Text
	}
	c.Count += o.Count
}

func (w *Waits) merge(o Waits) {
	w.Told += o.Told
	w.Untold += o.Untold
	w.Longest = max(w.Longest, o.Longest)
	w.EarlyPassed += o.EarlyPassed
	w.EarlyRefused += o.EarlyRefused
	w.KeptPassed += o.KeptPassed
	w.KeptRefused += o.KeptRefused
}

func (w *Work) merge(o Work) {
	w.Done += o.Done
	w.GaveUp += o.GaveUp
	w.Failed += o.Failed
	w.Cut += o.Cut
	w.Requests += o.Requests
	w.Again += o.Again
	w.Waiting = o.Waiting
	w.Last = max(w.Last, o.Last)
	w.Total = mergeHists(w.Total, o.Total)
	w.Held += o.Held
	w.Unsent += o.Unsent
	w.HeldFor = mergeHists(w.HeldFor, o.HeldFor)
}
