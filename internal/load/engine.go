package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

const (
	// abandonAfter is how long after the hard stop the engine waits for users
	// whose sender or scenario does not heed it.
	abandonAfter = 5 * time.Second

	// tickBacklog is how many ticks may wait for a slow out before the
	// collector waits, too.
	tickBacklog = 256
)

// Engine runs one plan, once.
type Engine struct {
	plan     Plan
	rules    *hit.Rules
	names    *names
	failures failures
	rec      *recorder
	crew     *crew
	log      eventLog
	parts    []*part
	missedAs label
	told     *endpoints
	leaving  sync.Mutex // one request at a time asks Respect.Leave
	samples  sampler
	warm     time.Duration // requests that were due before this are not counted after it

	start time.Time

	mu      sync.Mutex
	ran     bool
	reason  string             // why the run ended; "" while it goes on
	stopAt  time.Duration      // when
	stopped context.CancelFunc // of the model's context
	failed  error              // why the run could not be run
	changes []string           // made by Nudge

	ending chan struct{} // closed when reason is set
	over   chan struct{} // closed when StopTimeout begins
	arming sync.Once     // of over

	stopping   atomic.Bool // reason is set
	taken      atomic.Int64
	throttled  atomic.Int64
	neverSent  atomic.Int64
	carried    atomic.Int64 // answers to requests of the warm-up that came after it
	going      atomic.Int32 // parts that have not ended
	extra      atomic.Int64 // the next number of a user whom nobody planned
	unfinished atomic.Int64
	oldest     peak // age of requests when they were cut
}

// New checks the plan. The error says what is wrong with it, in one sentence.
func New(p Plan) (*Engine, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		plan:     p,
		rules:    p.Rules,
		names:    newNames(p.MaxNames),
		rec:      newRecorder(runtime.GOMAXPROCS(0), p.MaxNames+1),
		missedAs: label{name: missedName},
		told:     newEndpoints(p.MaxNames + 1),
		warm:     p.WarmUp,
		ending:   make(chan struct{}),
		over:     make(chan struct{}),
	}
	if r, ok := p.Scenario.(*repeat); ok {
		e.missedAs = labelOf(r.req)
	}
	e.log.add(tally.Event{Kind: "start", Text: "Load began."})
	if p.WarmUp > 0 {
		e.log.add(tally.Event{At: p.WarmUp, Kind: "stage", Text: "The warm-up ended: what follows is counted."})
	}
	return e, nil
}

// Run runs the plan and blocks until it is over: until it ended, a budget was
// used up, Stop was called or ctx was cancelled, and users have finished.
//
// out is called on the goroutine that called Run, once per tick and in order,
// about 20 ms after the end of the tick; the tick then belongs to it. The last
// call is made before Run returns. A slow out delays ticks, not requests.
//
// Stop and the end of the plan are graceful: no iteration begins any more, and
// those under way have Plan.StopTimeout. After it, or at once when ctx is
// cancelled, requests under way are cut. When Plan.MaxRequests is used up,
// those under way are waited for, whatever StopTimeout says.
//
// The error tells that the plan could not be run: no user could start, or Run
// was called before. Result is filled in nevertheless.
func (e *Engine) Run(ctx context.Context, out func(*tally.Tick)) (Result, error) {
	planCtx, stopped := context.WithCancel(ctx)
	defer stopped()
	hardCtx, cut := context.WithCancel(ctx)
	defer cut()

	e.mu.Lock()
	if e.ran {
		e.mu.Unlock()
		return Result{}, errors.New("the engine has run before: it runs once")
	}
	e.ran = true
	e.start = time.Now()
	e.stopped = stopped
	if e.reason != "" {
		stopped()
	}
	e.makeParts(planCtx, hardCtx)
	e.mu.Unlock()
	ticks := make(chan *tally.Tick, tickBacklog)
	over := make(chan time.Duration, 1)
	c := &collector{e: e}
	for _, p := range e.parts {
		go p.model.run(p.plan)
	}
	go func() { over <- e.supervise(ctx, cut) }()
	go c.run(over, ticks)
	for t := range ticks {
		out(t)
	}
	return e.result(ctx, c)
}

// supervise returns when everybody has left, with the time that took since the
// start.
func (e *Engine) supervise(ctx context.Context, cut context.CancelFunc) time.Duration {
	over, cancelled := e.over, ctx.Done()
	var deadline, abandon, runTime <-chan time.Time
	stopped := false
	if e.plan.RunTime > 0 {
		t := time.NewTimer(e.plan.RunTime)
		defer t.Stop()
		runTime = t.C
	}
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cut()
		e.halt()
		abandon = time.After(abandonAfter)
	}
	for {
		select {
		case <-e.crew.gone:
			return e.since()
		case <-over:
			over = nil
			deadline = time.After(e.plan.StopTimeout)
		case <-runTime:
			// The model ends the plan itself. This is for iterations that are under
			// way after the request budget is used up.
			e.arm()
		case <-deadline:
			stop()
		case <-cancelled:
			cancelled = nil
			e.end("interrupted", true)
			stop()
		case <-abandon:
			return e.since()
		}
	}
}

func (e *Engine) result(ctx context.Context, c *collector) (Result, error) {
	alive, _, peak := e.crew.count()
	e.mu.Lock()
	defer e.mu.Unlock()
	r := Result{
		Started:    e.start,
		Elapsed:    c.elapsed,
		Loaded:     e.stopAt,
		Reason:     e.reason,
		Hard:       ctx.Err() != nil,
		Unfinished: e.unfinished.Load(),
		NeverSent:  e.neverSent.Load(),
		PeakUsers:  peak,
		Abandoned:  alive,
		Carried:    e.carried.Load(),
		Changes:    e.changes,
	}
	r.OldestUnfinished, _ = e.oldest.take()
	if alive > 0 {
		r.Unfinished += c.inFlight
	}
	if e.failed != nil {
		return r, e.failed
	}
	if err := e.crew.neverStarted(); err != nil {
		return r, fmt.Errorf("no user could start: %w", err)
	}
	return r, nil
}

// Stop ends the run gracefully: no iteration begins any more, and those under
// way have Plan.StopTimeout. reason is a few words for Result. Only the first
// reason to end counts. Stop returns at once, may be called from any goroutine,
// again, and before Run, which then sends nothing.
func (e *Engine) Stop(reason string) {
	e.end(reason, true)
	e.halt() // the plan may have ended before, with arrivals that were still to leave
}

// halt lets nobody start any more.
func (e *Engine) halt() {
	e.mu.Lock()
	parts := e.parts
	e.mu.Unlock()
	for _, p := range parts {
		p.model.halt()
	}
}

// end ends the run. Without arm, iterations under way may take as long as they want.
func (e *Engine) end(reason string, arm bool) {
	if reason == "" {
		reason = "stopped"
	}
	e.mu.Lock()
	if e.reason == "" {
		e.reason = reason
		if e.ran {
			e.stopAt = e.since()
			e.crew.mark()
			e.stopped()
		}
		e.stopping.Store(true)
		close(e.ending)
		e.log.add(tally.Event{At: e.stopAt, Kind: "stop", Text: "Load ended: " + reason + "."})
	}
	e.mu.Unlock()
	if arm {
		e.arm()
	}
}

// Over is closed when load ends: users may still be at work.
func (e *Engine) Over() <-chan struct{} { return e.ending }

// Reason returns why load ended, "" while it goes on.
func (e *Engine) Reason() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reason
}

// arm lets StopTimeout begin.
func (e *Engine) arm() { e.arming.Do(func() { close(e.over) }) }

func (e *Engine) ended() bool { return e.stopping.Load() }

// stoppedAt returns when the run ended; it has.
func (e *Engine) stoppedAt() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopAt
}

// since returns the time since the start of the run.
func (e *Engine) since() time.Duration { return time.Since(e.start) }

// admit says that a request is within the budget, or else that it is not.
func (e *Engine) admit() (refusal string) {
	most := e.plan.MaxRequests
	if most == 0 {
		return ""
	}
	n := e.taken.Add(1)
	if n == most {
		e.end(usedUp(most), false)
	}
	if n > most {
		return noBudget
	}
	return ""
}

const noBudget = "the request budget is used up"

func usedUp(most int64) string { return fmt.Sprintf("the budget of %d requests was used up", most) }
