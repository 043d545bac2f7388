// Package watch reads figures of the system under test while it is loaded: a
// Watcher asks each Source every second, beside the load, and adds what it read
// to the tick of the run in which it was read.
//
// It only ever reads beside the load: a source that is slow, broken or gone
// costs readings, never requests. What could not be read is missing, not zero.
package watch

import (
	"context"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Kind is the kind of the events that sources and the Watcher report.
const Kind = "watch"

const (
	// DefaultEvery is how often a source is asked.
	DefaultEvery = time.Second
	// MinEvery is the least time between two questions to a source: more often
	// would be a load of its own.
	MinEvery = 100 * time.Millisecond
	// LookWithin is how long one look may take. It is longer than the time between
	// two: of a system in trouble a late reading says more than none.
	LookWithin = 5 * time.Second
	// leaveWithin is how long Stop waits for all sources together.
	leaveWithin = 5 * time.Second
	// maxWaiting is how many readings, and how many events, wait for a tick. It
	// is reached only when nobody takes them for a quarter of an hour.
	maxWaiting = 50_000
)

// Source is one system that is watched. The Watcher calls it from one goroutine
// at a time.
type Source interface {
	// Name says what is watched, in words and without secrets: "PostgreSQL".
	Name() string
	// Sample reads once. It returns soon after ctx is done. With an error there
	// may still be readings: those that worked. The error is one line without secrets.
	Sample(ctx context.Context) (Sample, error)
	// Close gives back what the source holds. It returns soon.
	Close()
}

// Summarizer is a Source that has something to say about the run as a whole.
// Statements is called once, after the last Sample and before Close.
type Summarizer interface {
	Statements(ctx context.Context) ([]tally.Statement, error)
}

// Sample is what one look at a source gave. The Watcher fills in when and where.
type Sample struct {
	Readings []tally.Watched
	Points   []Point
	Events   []string // each one sentence, without secrets
}

// Point is a reading of an instant that is past: its source is late. One from
// before the run is left out.
type Point struct {
	Time time.Time
	tally.Watched
}

// Watcher asks sources and keeps what they said until a tick takes it. New
// makes one; nil watches nothing. Its methods are safe for concurrent use.
type Watcher struct {
	every   time.Duration
	sources []Source

	stop context.CancelFunc
	ctx  context.Context
	done sync.WaitGroup

	mu      sync.Mutex
	origin  time.Time
	started bool
	read    []tally.Watched
	events  []tally.Event
}

// New makes a Watcher of sources, which it closes in Stop. Every 0 is
// DefaultEvery; it is at least MinEvery.
func New(every time.Duration, sources ...Source) *Watcher {
	if every <= 0 {
		every = DefaultEvery
	}
	every = max(every, MinEvery)
	ctx, stop := context.WithCancel(context.Background())
	return &Watcher{every: every, sources: sources, ctx: ctx, stop: stop}
}

// Start begins to ask. Now is the start of the run, from which ticks count.
// Only the first call does anything.
func (w *Watcher) Start() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started {
		return
	}
	w.started = true
	w.origin = time.Now()
	for _, s := range w.sources {
		w.done.Go(func() { w.loop(s, w.origin) })
	}
}

// loop asks one source at every multiple of w.every. A look that takes longer
// costs the ones it ran over.
func (w *Watcher) loop(s Source, origin time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out outage
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-timer.C:
		}
		ctx, cancel := context.WithTimeout(w.ctx, LookWithin)
		sample, err := s.Sample(ctx)
		cancel()
		if w.ctx.Err() == nil {
			w.keep(s.Name(), sample, err, &out)
		}
		passed := time.Since(origin)
		timer.Reset(w.every - passed%w.every)
	}
}

// outage is the time for which a source has not been read.
type outage struct {
	since time.Duration
	on    bool
}

func (w *Watcher) keep(source string, s Sample, err error, out *outage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Subtle: the instant is taken under the lock. So what is kept before a tick
	// is filled is from before its end, and nothing comes too late for its tick.
	at := time.Since(w.origin)
	for _, r := range s.Readings {
		if len(w.read) < maxWaiting {
			r.At, r.Source = at, source
			w.read = append(w.read, r)
		}
	}
	for _, p := range s.Points {
		p.At, p.Source = p.Time.Sub(w.origin), source
		if p.At > -time.Minute && len(w.read) < maxWaiting { // a minute that the run began in
			p.At = min(max(p.At, 0), at)
			w.read = append(w.read, p.Watched)
		}
	}
	tell := func(text string) {
		if len(w.events) < maxWaiting {
			w.events = append(w.events, tally.Event{At: at, Kind: Kind, Text: text})
		}
	}
	switch {
	case err != nil && !out.on:
		*out = outage{since: at, on: true}
		tell(source + " could not be read: " + err.Error())
	case err == nil && out.on:
		out.on = false
		tell(source + " is read again, after " + (at - out.since).Round(100*time.Millisecond).String())
	}
	for _, text := range s.Events {
		tell(source + ": " + text)
	}
}

// Attach adds to a tick what was read up to its end and is in no tick yet.
// Ticks come in the order of their index, each after its end.
func (w *Watcher) Attach(k *tally.Tick) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	end := k.Start + k.Length
	n := 0
	for n < len(w.read) && w.read[n].At < end {
		n++
	}
	if n > 0 {
		k.Watched = append(k.Watched, w.read[:n]...)
		tally.SortWatched(k.Watched)
		w.read = append(w.read[:0], w.read[n:]...)
	}
	n = 0
	for n < len(w.events) && w.events[n].At < end {
		n++
	}
	k.Events = append(k.Events, w.events[:n]...)
	w.events = append(w.events[:0], w.events[n:]...)
}

// Rest returns what was read and is in no tick: after the last one, which it can
// still be stored with.
func (w *Watcher) Rest() []tally.Watched {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.read
	w.read = nil
	return rest
}

// Stop ends asking, collects what the sources have to say about the run as a
// whole, and closes them. It takes a few seconds at most: a source that does not
// answer is left behind. The errors are sentences for people. A second call
// returns nothing.
func (w *Watcher) Stop() (statements []tally.Statement, errs []string) {
	if w == nil || w.ctx.Err() != nil {
		return nil, nil
	}
	w.stop()
	type last struct {
		statements []tally.Statement
		errs       []string
	}
	done := make(chan last, 1) // nobody may be there any more to take it
	go func() {
		w.done.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), leaveWithin/2)
		defer cancel()
		var l last
		for _, s := range w.sources {
			if z, ok := s.(Summarizer); ok && w.began() {
				list, err := z.Statements(ctx)
				for i := range list {
					list[i].Source = s.Name()
				}
				l.statements = append(l.statements, list...)
				if err != nil {
					l.errs = append(l.errs, s.Name()+": "+err.Error())
				}
			}
			s.Close()
		}
		done <- l
	}()
	late := time.NewTimer(leaveWithin)
	defer late.Stop()
	select {
	case l := <-done:
		return l.statements, l.errs
	case <-late.C:
		return nil, []string{"what is watched did not answer at the end of the run"}
	}
}

func (w *Watcher) began() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started
}
