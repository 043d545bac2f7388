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
	model    interface {
		run(ctx context.Context) // until nobody will start any more
		halt()                   // let nobody start any more; drop what is left
	}
	missedAs label

	start   time.Time
	hardCtx context.Context // senders and scenarios get it

	mu      sync.Mutex
	ran     bool
	reason  string             // why the run ended; "" while it goes on
	stopAt  time.Duration      // when
	stopped context.CancelFunc // of the model's context
	failed  error              // why the run could not be run

	over   chan struct{} // closed when StopTimeout begins
	arming sync.Once     // of over

	stopping   atomic.Bool // reason is set
	taken      atomic.Int64
	throttled  atomic.Int64
	neverSent  atomic.Int64
	unfinished atomic.Int64
	oldest     peak // age of requests when they were cut

	timer *time.Timer // of sleepUntil, without Plan.Sleep
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
		over:     make(chan struct{}),
	}
	if r, ok := p.Scenario.(*repeat); ok {
		e.missedAs = labelOf(r.req)
	}
	e.log.add(tally.Event{Kind: "start", Text: "Load began."})
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
	e.hardCtx = hardCtx
	e.stopped = stopped
	if e.reason != "" {
		stopped()
	}
	if e.plan.Arrivals != nil {
		e.crew = newCrew(e.plan.MaxUsers)
		e.model = newOpen(e)
	} else {
		e.crew = newCrew(e.plan.Users.Max())
		e.model = &closed{e: e, level: e.plan.Users}
	}
	e.mu.Unlock()
	ticks := make(chan *tally.Tick, tickBacklog)
	over := make(chan time.Duration, 1)
	c := &collector{e: e}
	go e.model.run(planCtx)
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
		e.model.halt()
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
	e.mu.Lock()
	model := e.model
	e.mu.Unlock()
	if model != nil {
		model.halt() // the plan may have ended before, with arrivals that were still to leave
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
		e.log.add(tally.Event{At: e.stopAt, Kind: "stop", Text: "Load ended: " + reason + "."})
	}
	e.mu.Unlock()
	if arm {
		e.arm()
	}
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

// sleepUntil returns true at that instant of the run, or false when ctx is
// done. Only the model calls it.
func (e *Engine) sleepUntil(ctx context.Context, at time.Duration) bool {
	for e.since() < at {
		if ctx.Err() != nil {
			return false
		}
		if e.plan.Sleep != nil {
			e.plan.Sleep(ctx, e.start.Add(at))
			continue
		}
		if e.timer == nil {
			e.timer = time.NewTimer(at - e.since())
		} else {
			e.timer.Reset(at - e.since())
		}
		select {
		case <-e.timer.C:
		case <-ctx.Done():
			e.timer.Stop()
		}
	}
	return ctx.Err() == nil
}

// admit says that a request may be sent, or else why not.
func (e *Engine) admit() (refusal string) {
	if e.hardCtx.Err() != nil {
		return "the run was stopped"
	}
	most := e.plan.MaxRequests
	if most == 0 {
		return ""
	}
	n := e.taken.Add(1)
	if n == most {
		e.end(usedUp(most), false)
	}
	if n > most {
		return "the request budget is used up"
	}
	return ""
}

func usedUp(most int64) string { return fmt.Sprintf("the budget of %d requests was used up", most) }
