package book

import (
	"math"
	"sync"
)

// entry is one row: a name and a method.
type entry struct {
	mu sync.Mutex
	figures

	latest cache // guarded by Book.window; empty unless the history is full
}

// figures are what a row says.
type figures struct {
	key
	number   int
	started  int64 // Unix nanoseconds
	last     int64 // of the latest request; 0: none yet
	requests int64
	untimed  int64 // requests without a response time
	failed   int64
	sum      float64 // of response times, ms
	broken   bool    // one of them was not a whole number
	min, max float64
	length   int64
	times    buckets
	seconds  []second

	since, until int64 // of the whole run: its start, and its latest request
}

// second counts the requests of one second of Unix time. Narrow numbers: there
// is one for each row and second of a run.
type second struct {
	unix, requests, failed uint32
}

// newEntry makes the row of k, the number-th that there is.
func newEntry(k key, number int, ns int64) *entry {
	return &entry{figures: figures{key: k, number: number, started: ns}}
}

func (e *entry) log(ms float64, length int64, failed bool, ns int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.second(uint32(ns / 1e9))
	e.requests++
	s.requests++
	if failed {
		e.failed++
		s.failed++
	}
	e.last = max(e.last, ns)
	e.length += length
	if math.IsNaN(ms) {
		e.untimed++
		return
	}
	e.sum += ms
	e.broken = e.broken || ms != math.Trunc(ms)
	if e.requests-e.untimed == 1 || ms < e.min {
		e.min = ms
	}
	e.max = max(e.max, ms)
	e.times.count(ms)
}

// second finds the counter of a second. Requests of different users arrive
// nearly in order, so it is one of the last.
func (f *figures) second(unix uint32) *second {
	i := len(f.seconds)
	for i > 0 && f.seconds[i-1].unix > unix {
		i--
	}
	if i > 0 && f.seconds[i-1].unix == unix {
		return &f.seconds[i-1]
	}
	f.seconds = append(f.seconds, second{})
	copy(f.seconds[i+1:], f.seconds[i:])
	f.seconds[i] = second{unix: unix}
	return &f.seconds[i]
}

func (e *entry) reset(ns int64) {
	e.mu.Lock()
	e.figures = figures{key: e.key, number: e.number, started: ns}
	e.mu.Unlock()
	e.latest = cache{}
}

// copy returns the figures with their latest seconds, as many as the current
// rates need; with all, every second of the run.
func (e *entry) copy(all bool) *figures {
	const needed = 16
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.figures
	f.times = e.times.clone()
	from := 0
	if !all {
		from = max(len(e.seconds)-needed, 0)
	}
	f.seconds = append([]second(nil), e.seconds[from:]...)
	return &f
}

// add makes f the sum of both.
func (f *figures) add(o *figures) {
	timed := o.requests - o.untimed
	if timed > 0 && (f.requests-f.untimed == 0 || o.min < f.min) {
		f.min = o.min
	}
	f.max = max(f.max, o.max)
	f.last = max(f.last, o.last)
	f.requests += o.requests
	f.untimed += o.untimed
	f.failed += o.failed
	f.sum += o.sum
	f.broken = f.broken || o.broken
	f.length += o.length
	f.times.add(&o.times)
	if len(f.seconds) == 0 {
		f.seconds = append(f.seconds, o.seconds...)
		return
	}
	for _, s := range o.seconds {
		t := f.second(s.unix)
		t.requests += s.requests
		t.failed += s.failed
	}
}

// average is the mean response time in ms, 0 without any.
func (f *figures) average() float64 {
	if n := f.requests - f.untimed; n > 0 {
		return f.sum / float64(n)
	}
	return 0
}

// failRatio is between 0 and 1.
func (f *figures) failRatio() float64 {
	if f.requests == 0 {
		return 0
	}
	return float64(f.failed) / float64(f.requests)
}

// median is rounded to two digits, but never outside minimum and maximum.
func (f *figures) median() float64 {
	n := f.requests - f.untimed
	if n == 0 {
		return 0
	}
	m := float64(f.times.percentile(n, 0.5))
	return math.Max(math.Min(m, f.max), f.min)
}

// size is the mean length of an answer.
func (f *figures) size() float64 {
	if f.requests == 0 {
		return 0
	}
	return float64(f.length) / float64(f.requests)
}

// rates are means of the whole run, up to its latest request.
func (f *figures) rates() (requests, failures float64) {
	if f.until == 0 || f.until == f.since {
		return 0, 0
	}
	length := unix(f.until) - unix(f.since)
	return float64(f.requests) / length, float64(f.failed) / length
}

// current are the mean rates of the seconds [last-12, last-2) of the run, where
// last is the second of its latest request: the newest ones may be incomplete.
func (f *figures) current() (requests, failures float64) {
	if f.until == 0 {
		return 0, 0
	}
	last := f.until / 1e9
	from, past := max(last-12, f.since/1e9), last-2
	for i := len(f.seconds) - 1; i >= 0 && int64(f.seconds[i].unix) >= from; i-- {
		if s := f.seconds[i]; int64(s.unix) < past {
			requests += float64(s.requests)
			failures += float64(s.failed)
		}
	}
	n := float64(max(past-from, 1))
	return requests / n, failures / n
}

func (f *figures) percentile(q float64) int64 {
	return f.times.percentile(f.requests-f.untimed, q)
}
