package tally

import (
	"cmp"
	"slices"

	"github.com/weir-dev/weir/internal/hit"
)

// Other is the name under which everything is summed that is over a cap.
const Other = "(other)"

// MaxErrors is how many reasons of failure Totals keeps apart.
const MaxErrors = 1000

// Errors returns why hits failed, most frequent first. What came after
// MaxErrors different reasons is summed in a last row, named Other.
func (t *Totals) Errors() []Error { return t.errors.list() }

type errorKey struct {
	method, name string
	failure      hit.Failure
	status       int
	text         string
}

func keyOf(e *Error) errorKey {
	return errorKey{e.Method, e.Name, e.Failure, e.Status, e.Text}
}

type errorRows struct {
	rows  map[errorKey]*Error
	other Error
}

func (r *errorRows) add(e *Error) {
	if e.Count <= 0 {
		return
	}
	row := r.rows[keyOf(e)]
	switch {
	case row != nil:
	case len(r.rows) >= MaxErrors || e.Name == Other && e.Method == "" && e.Text == "":
		row = &r.other
		row.Name = Other
	default:
		if r.rows == nil {
			r.rows = map[errorKey]*Error{}
		}
		row = &Error{Method: e.Method, Name: e.Name, Failure: e.Failure, Status: e.Status, Text: e.Text}
		r.rows[keyOf(e)] = row
	}
	row.merge(e)
}

func (e *Error) merge(o *Error) {
	if e.Count == 0 || o.First < e.First {
		e.First = o.First
	}
	if e.Count == 0 || o.Last > e.Last {
		e.Last = o.Last
	}
	e.Count += o.Count
}

func (r *errorRows) list() []Error {
	out := make([]Error, 0, len(r.rows)+1)
	for _, e := range r.rows {
		out = append(out, *e)
	}
	sortErrors(out)
	if r.other.Count > 0 {
		out = append(out, r.other)
	}
	return out
}

func sortErrors(list []Error) {
	slices.SortFunc(list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), compareErrors(&a, &b))
	})
}

func compareErrors(a, b *Error) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method),
		cmp.Compare(a.Failure, b.Failure), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Text, b.Text))
}

const (
	// EventsPerKind is how many of the first, and as many of the last, events
	// of one kind Totals keeps.
	EventsPerKind = 100
	// MaxEventKinds is how many kinds of events Totals keeps apart; the others share one place.
	MaxEventKinds = 50
)

// Events returns what happened, by time. Of a kind that came very often only
// the first and the last EventsPerKind are kept.
func (t *Totals) Events() []Event { return t.events.list() }

// EventsDropped returns how many events are not among Events.
func (t *Totals) EventsDropped() int64 { return t.events.dropped }

type eventLog struct {
	kinds   map[string]*kindLog
	seen    int64
	dropped int64
}

type kindLog struct{ first, last []numbered }

// numbered keeps the order of arrival for events of the same instant.
type numbered struct {
	Event
	n int64
}

func (l *eventLog) add(e Event) {
	place := e.Kind
	k := l.kinds[place]
	if k == nil && len(l.kinds) >= MaxEventKinds {
		place = Other
		k = l.kinds[place]
	}
	if k == nil {
		if l.kinds == nil {
			l.kinds = map[string]*kindLog{}
		}
		k = &kindLog{}
		l.kinds[place] = k
	}
	l.seen++
	n := numbered{e, l.seen}
	if len(k.first) < EventsPerKind {
		k.first = append(k.first, n)
		return
	}
	if len(k.last) == EventsPerKind {
		k.last = slices.Delete(k.last, 0, 1)
		l.dropped++
	}
	k.last = append(k.last, n)
}

func (l *eventLog) list() []Event {
	var all []numbered
	for _, k := range l.kinds {
		all = append(append(all, k.first...), k.last...)
	}
	slices.SortFunc(all, func(a, b numbered) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.n, b.n))
	})
	out := make([]Event, len(all))
	for i, e := range all {
		out[i] = e.Event
	}
	return out
}
