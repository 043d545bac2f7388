// Package book is Book, Locust's own statistics: kept as Locust 2.47 keeps
// them and written as Locust writes them.
//
// What reads Locust's files reads these: the four CSV files, the tables of the
// console and the JSON. Response times are kept as whole numbers with two
// significant digits, as there, while minimum, maximum and average are exact.
// Weir's own figures are more precise; they are in package tally.
package book

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Book takes every request of a run. It is safe for concurrent use. The zero
// value is not ready; use New.
type Book struct {
	started atomic.Int64 // Unix nanoseconds of the start, or of the latest Reset or Clear
	users   atomic.Int64

	quantiles []float64 // of the files; not changed once something is written

	mu      sync.RWMutex
	entries map[key]*entry // guarded by mu
	more    int64          // names beyond maxNames; guarded by mu

	failing  sync.Mutex
	errors   map[failureKey]*failure // guarded by failing
	order    []*failure              // in the order of their first occurrence; guarded by failing
	problems map[string]*problem     // by traceback; guarded by failing
	raised   []*problem              // in the order of their first occurrence; guarded by failing
	byClass  map[string]int          // guarded by failing

	window  sync.Mutex
	full    bool     // entries remember their latest seconds, too; guarded by window
	recent  cache    // of the total; guarded by window
	history []moment // guarded by window
}

// Bounds on what a script decides. What is beyond them is counted in one row.
const (
	maxNames    = 50_000
	maxFailures = 20_000
	maxProblems = 2_000
)

// Overflow is the name of the row that counts what is beyond a bound.
const Overflow = "(more names)"

// Aggregated is the name of the row that counts everything.
const Aggregated = "Aggregated"

type key struct{ name, method string }

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.method, b.method))
}

// failureKey is what makes two failures one row.
type failureKey struct {
	key
	text string
}

type failure struct {
	failureKey
	count       int64
	first, last int64 // Unix nanoseconds
}

type problem struct {
	kind, message, traceback string
	count                    int64
}

// New returns an empty book of a run that starts now.
func New(now time.Time) *Book {
	b := &Book{quantiles: quantiles}
	b.Clear(now)
	return b
}

// Record counts one request. ms is its response time in milliseconds; NaN means
// that it has none, which Locust allows for requests without an answer. length
// is the size of the answer's body in bytes. failure says what went wrong, in
// the words of Locust's failures file, such as "HTTPError('404 Client Error:
// Not Found for url: /x')"; "" is a success. at is when the request was over.
//
// It allocates nothing for a name that is known.
func (b *Book) Record(method, name string, ms float64, length int64, failure string, at time.Time) {
	ns := at.UnixNano()
	e := b.entry(key{name, method}, ns)
	e.log(ms, length, failure != "", ns)
	if failure != "" {
		b.fail(failureKey{e.key, failure}, ns)
	}
}

// entry finds the row of k, or makes it.
func (b *Book) entry(k key, ns int64) *entry {
	b.mu.RLock()
	e := b.entries[k]
	b.mu.RUnlock()
	if e != nil {
		return e
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[k]; e != nil {
		return e
	}
	if len(b.entries) >= maxNames {
		b.more++
		k = key{Overflow, ""}
		if e := b.entries[k]; e != nil {
			return e
		}
	}
	e = newEntry(key{strings.Clone(k.name), strings.Clone(k.method)}, len(b.entries), ns)
	b.entries[e.key] = e
	return e
}

func (b *Book) fail(k failureKey, ns int64) {
	k.text = maskAddress(k.text)
	b.failing.Lock()
	defer b.failing.Unlock()
	f := b.errors[k]
	if f == nil {
		if len(b.errors) >= maxFailures {
			k = failureKey{key{Overflow, ""}, "(more failure texts)"}
		}
		if f = b.errors[k]; f == nil {
			k.text = strings.Clone(k.text)
			f = &failure{failureKey: k, first: ns}
			b.errors[k] = f
			b.order = append(b.order, f)
		}
	}
	f.count++
	f.last = max(f.last, ns)
	f.first = min(f.first, ns)
}

// maskAddress takes the address out of a Python object's description, so that
// one failure is one row: "<X object at 0x7f…>" becomes "<X object at 0x....>".
func maskAddress(text string) string {
	const target = "object at 0x"
	i := strings.Index(text, target)
	if i < 0 {
		return text
	}
	from := i + len(target) - len("0x")
	n := strings.IndexByte(text[from:], '>')
	if n < 0 {
		return text
	}
	return strings.ReplaceAll(text, text[from:from+n], "0x....")
}

// Problem counts an exception of the script itself. kind is its class, message
// its text, and traceback where it was raised, in Python's form; exceptions
// from the same place are one row.
func (b *Book) Problem(kind, message, traceback string, at time.Time) {
	b.failing.Lock()
	defer b.failing.Unlock()
	p := b.problems[traceback]
	if p == nil {
		if len(b.problems) >= maxProblems {
			traceback, message, kind = "", "(more exceptions)", ""
		}
		if p = b.problems[traceback]; p == nil {
			p = &problem{kind: kind, message: message, traceback: traceback}
			b.problems[traceback] = p
			b.raised = append(b.raised, p)
		}
	}
	p.count++
}

// Users says how many users are running from now on.
func (b *Book) Users(n int, at time.Time) { b.users.Store(int64(n)) }

// UsersByClass says how many users of each class are running, for the ratios of
// the HTML report. The book keeps the map.
func (b *Book) UsersByClass(n map[string]int) {
	b.failing.Lock()
	b.byClass = n
	b.failing.Unlock()
}

// ByClass is what UsersByClass was last told.
func (b *Book) ByClass() map[string]int {
	b.failing.Lock()
	defer b.failing.Unlock()
	return b.byClass
}

// Clear forgets everything: a test starts.
func (b *Book) Clear(at time.Time) {
	b.window.Lock()
	defer b.window.Unlock()
	b.mu.Lock()
	b.entries, b.more = map[key]*entry{}, 0
	b.mu.Unlock()
	b.failing.Lock()
	b.errors, b.order = map[failureKey]*failure{}, nil
	b.problems, b.raised = map[string]*problem{}, nil
	b.failing.Unlock()
	b.begin(at)
}

// Reset sets all figures to zero and keeps the names, as --reset-stats does
// when every user has been started. Exceptions stay.
func (b *Book) Reset(at time.Time) {
	b.window.Lock()
	defer b.window.Unlock()
	b.mu.RLock()
	for _, e := range b.entries {
		e.reset(at.UnixNano())
	}
	b.mu.RUnlock()
	b.failing.Lock()
	b.errors, b.order = map[failureKey]*failure{}, nil
	b.failing.Unlock()
	b.begin(at)
}

// begin sets the start; b.window is held.
func (b *Book) begin(at time.Time) {
	b.started.Store(at.UnixNano())
	b.history = nil
	b.recent = cache{}
	b.recent.put(at.Unix(), &figures{})
}

// Failures is how many different failures there are, and Problems how many
// different exceptions: either makes Locust exit with --exit-code-on-error.
func (b *Book) Failures() int {
	b.failing.Lock()
	defer b.failing.Unlock()
	return len(b.errors)
}

// Problems is how many different exceptions the script raised.
func (b *Book) Problems() int {
	b.failing.Lock()
	defer b.failing.Unlock()
	return len(b.problems)
}

// rows are copies of all entries by name and method, and their sum last. all
// keeps every second of the run in them.
func (b *Book) rows(all bool) []*figures {
	b.mu.RLock()
	list := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		list = append(list, e)
	}
	b.mu.RUnlock()
	slices.SortFunc(list, func(a, b *entry) int { return compareKeys(a.key, b.key) })
	started := b.started.Load()
	total := &figures{key: key{name: Aggregated}, started: started}
	out := make([]*figures, 0, len(list)+1)
	for _, e := range list {
		f := e.copy(all)
		total.add(f)
		out = append(out, f)
	}
	total.started = started
	for _, f := range append(out, total) {
		f.since, f.until = started, total.last
	}
	return append(out, total)
}

// failures are copies, by name and method and text when sorted, else in the
// order of their first occurrence.
//
// Locust sorts its file by a hash of the row, an order nobody can expect; this
// one is stable and readable.
func (b *Book) failures(sorted bool) []failure {
	b.failing.Lock()
	out := make([]failure, len(b.order))
	for i, f := range b.order {
		out[i] = *f
	}
	b.failing.Unlock()
	if sorted {
		slices.SortFunc(out, func(a, b failure) int {
			return cmp.Or(compareKeys(a.key, b.key), cmp.Compare(a.text, b.text))
		})
	}
	return out
}

func (b *Book) exceptions() []problem {
	b.failing.Lock()
	defer b.failing.Unlock()
	out := make([]problem, len(b.raised))
	for i, p := range b.raised {
		out[i] = *p
	}
	return out
}

// unix is Python's time.time() of an instant.
func unix(ns int64) float64 { return float64(ns/1e9) + float64(ns%1e9)/1e9 }

// round10 rounds x to a multiple of step, to even in a tie, as Python's round
// does with a negative number of digits. The remainder is exact, so there are
// no false ties.
func round10(x, step float64) int64 {
	low := math.Floor(x/step) * step
	rest := x - low
	n := int64(low / step)
	if rest > step/2 || rest == step/2 && n%2 != 0 {
		n++
	}
	return n * int64(step)
}
