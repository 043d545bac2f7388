package load

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// maxReasons bounds how many different reasons of one kind of failure have a row
// of their own in a run, so that a flood of one kind hides no other. Of those
// beyond it the texts are summed as otherTexts, and beyond twice as many the
// names are too.
const (
	maxReasons = 100
	otherTexts = "(other texts)"
)

// ScenarioName is the row of what went wrong in the scenario itself.
const ScenarioName = "(scenario)"

// reason is why a hit failed.
type reason struct {
	label
	failure hit.Failure
	status  int
	text    string // as the sender gave it
}

// failures counts reasons. A reason that was met before takes no lock, so a
// flood of refused connections is not slowed down by counting it; nor do new
// reasons, once the cap is reached.
type failures struct {
	table atomic.Pointer[failTable]
	mu    sync.Mutex
}

// failTable is never changed once published.
type failTable struct {
	cells map[reason]*failCell
	kinds [hit.NumFailures]int // rows of each kind of failure
}

// find returns the counter of r, nil when it has none yet, and what r counts
// as: itself while its kind has room.
func (t *failTable) find(r reason) (*failCell, reason) {
	if int(r.failure) >= len(t.kinds) {
		r.failure = hit.OtherFailure
	}
	if c := t.cells[r]; c != nil {
		return c, r
	}
	n := t.kinds[r.failure]
	if n >= maxReasons {
		r.text = otherTexts
		if c := t.cells[r]; c != nil {
			return c, r
		}
	}
	if n >= 2*maxReasons {
		r = reason{label: label{name: tally.Other}, failure: r.failure, text: otherTexts}
	}
	return t.cells[r], r
}

// failCell counts one reason, by tick modulo three as pages are.
type failCell struct {
	ticks [3]struct {
		n    atomic.Int64
		sent span
	}
}

func (c *failCell) add(tick int64, sent time.Duration) {
	t := &c.ticks[uint64(tick)%uint64(len(c.ticks))]
	t.sent.add(sent)
	t.n.Add(1)
}

// cell returns the counter of r, and whether r is the first of its kind: the
// first with its failure and status, whatever its name and text.
func (f *failures) cell(r reason) (c *failCell, first bool) {
	if p := f.table.Load(); p != nil {
		if c, _ := p.find(r); c != nil {
			return c, false
		}
	}
	return f.grow(r)
}

func (f *failures) grow(r reason) (c *failCell, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.table.Load()
	if old == nil {
		old = new(failTable)
	}
	c, r = old.find(r)
	if c != nil {
		return c, false
	}
	first = true
	for k := range old.cells {
		first = first && (k.failure != r.failure || k.status != r.status)
	}
	next := &failTable{cells: make(map[reason]*failCell, len(old.cells)+1), kinds: old.kinds}
	maps.Copy(next.cells, old.cells)
	r.text = strings.Clone(r.text)
	c = new(failCell)
	next.cells[r] = c
	next.kinds[r.failure]++
	f.table.Store(next)
	return c, first
}

// drain returns the rows of a tick, most frequent first. Nobody may be
// recording into it.
func (f *failures) drain(ticks ...int64) []tally.Error {
	p := f.table.Load()
	if p == nil {
		return nil
	}
	var rows []tally.Error
	for r, c := range p.cells {
		row := tally.Error{Method: r.method, Name: r.name, Failure: r.failure, Status: r.status}
		for _, tick := range ticks {
			t := &c.ticks[uint64(tick)%uint64(len(c.ticks))]
			n := t.n.Swap(0)
			if n == 0 {
				continue
			}
			first, last, _ := t.sent.take()
			if row.Count == 0 || first < row.First {
				row.First = first
			}
			row.Count += n
			row.Last = max(row.Last, last)
		}
		if row.Count == 0 {
			continue
		}
		row.Text = r.text
		switch {
		case r.name == ScenarioName:
		case r.name == tally.Other && r.failure == hit.NoFailure && r.status == 0:
			row.Text = tally.Other // many statuses
		default:
			row.Text = hit.Reason(r.failure, r.status, r.text)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b tally.Error) int {
		return cmp.Or(
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.Failure, b.Failure), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Text, b.Text),
		)
	})
	return rows
}
