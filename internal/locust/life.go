package locust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
)

var nan = math.NaN()

// Aim is the load of a run without a shape.
type Aim struct {
	Users int     // wanted in the end; 0: unknown
	Rate  float64 // started per second; 0: all at once
}

// ready tells the script that everything is ready: Locust's event init. The error
// says that a listener failed.
func (b *Bridge) ready(ctx context.Context) error {
	for _, a := range b.fire(map[string]any{"event": "init"}) {
		var answer struct {
			Failed bool   `json:"failed"`
			Error  string `json:"error"`
		}
		if len(a) > 0 && json.Unmarshal(a, &answer) == nil && answer.Failed {
			return &Error{Text: orElse(answer.Error, "a listener of the event init failed"), Exit: 1}
		}
	}
	return ctx.Err()
}

// Begin tells the script that everything is ready and that the test starts, and counts what it sends from now
// on. It is called right before the engine runs; with a shape, it goes on to tell
// the engine how many users there are to be.
func (b *Bridge) Begin(ctx context.Context, e *load.Engine, aim Aim) error {
	if err := b.Err(); err != nil {
		return err
	}
	if err := b.ready(ctx); err != nil {
		return err
	}
	b.opts.Book.Clear(time.Now())
	if b.loaded.Shape == nil {
		b.crew.aim(aim.Users, aim.Rate)
	}
	for _, c := range b.children {
		c.tell(b.crew.news())
	}
	if b.loaded.Shape != nil {
		b.fire(map[string]any{"event": "shape_start"})
	}
	b.fire(map[string]any{"event": "test_start", "host": b.host(), "target_user_count": aim.Users})
	b.engine.Store(e)
	b.begun.Store(true)
	if err := b.Err(); err != nil {
		return err
	}
	if b.loaded.Shape == nil {
		b.opts.Notify(Event{Kind: "ramp", N: aim.Users, Rate: aim.Rate})
	} else {
		go b.follow(e)
	}
	go b.watch(e)
	return ctx.Err()
}

func (b *Bridge) host() string {
	if h, ok := b.loaded.Options["host"].(string); ok {
		return h
	}
	return ""
}

// watch tells the interpreters about the run as it goes on.
func (b *Bridge) watch(e *load.Engine) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last []byte
	for {
		now := b.crew.news()
		if text, err := json.Marshal(now); err == nil && string(text) != string(last) {
			last = text
			for _, c := range b.children {
				c.out.send(kindNotify, 0, text)
			}
		}
		b.opts.Book.UsersByClass(now.ByClass)
		select {
		case <-tick.C:
		case <-e.Over():
			b.crew.set("stopping")
			b.opts.Notify(Event{Kind: "stopping", Text: e.Reason()})
			b.fire(map[string]any{"event": "test_stopping"})
			return
		case <-b.ctx.Done():
			return
		}
	}
}

// rampStep is how often the number of users is adjusted on its way.
const rampStep = 50 * time.Millisecond

// follow asks the shape once a second how many users there are to be.
func (b *Bridge) follow(e *load.Engine) {
	var ramp ramp
	ramp.lead = e.Lead
	next := time.Now()
	tick := time.NewTicker(rampStep)
	defer tick.Stop()
	for {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(time.Second)
			ctx, cancel := context.WithTimeout(b.ctx, eventWait)
			raw, err := b.children[0].ask(ctx, kindNotify, map[string]any{"event": "tick"})
			cancel()
			if err != nil {
				if !errors.Is(err, errGone) {
					e.Stop("tick() of the shape did not return")
				}
				return
			}
			step, err := parseTick(raw)
			switch {
			case err != nil:
				e.Complain(err)
				e.Stop("tick() of the shape failed")
				return
			case step == nil:
				e.Stop("the shape ended the test")
				return
			case !step.same(&ramp.to):
				ramp.begin(step, now)
				b.crew.allow(step.classes)
				b.crew.aim(step.users, step.rate)
				b.opts.Notify(Event{Kind: "ramp", N: step.users, Rate: step.rate})
				b.crew.look(b)
			}
		}
		ramp.step(time.Now())
		select {
		case <-tick.C:
		case <-e.Over():
			return
		}
	}
}

// stage is what a shape wants.
type stage struct {
	users   int
	rate    float64
	classes []string
	set     bool
}

func (s *stage) same(o *stage) bool {
	return o.set && s.users == o.users && s.rate == o.rate && strings.Join(s.classes, "\n") == strings.Join(o.classes, "\n")
}

// parseTick reads what tick() returned: null, or users, rate and perhaps classes.
func parseTick(raw json.RawMessage) (*stage, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var failed struct {
		Error *loadError `json:"error"`
	}
	if json.Unmarshal(raw, &failed) == nil && failed.Error != nil {
		return nil, errors.New(place(failed.Error.File, failed.Error.Line) + failed.Error.Text)
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) < 2 {
		return nil, fmt.Errorf("tick() of the shape returned %s, want (users, spawn rate) or None", cut(string(raw), 80))
	}
	s := &stage{set: true}
	var users float64
	if json.Unmarshal(parts[0], &users) != nil || json.Unmarshal(parts[1], &s.rate) != nil || users < 0 || s.rate <= 0 {
		return nil, fmt.Errorf("tick() of the shape returned %s, want (users, spawn rate) with a rate above 0", cut(string(raw), 80))
	}
	s.users = int(math.Round(min(users, 1e6)))
	if len(parts) > 2 {
		_ = json.Unmarshal(parts[2], &s.classes) // null, or not names: all classes
	}
	return s, nil
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// ramp brings the number of users to where it is wanted.
type ramp struct {
	lead func(n int)
	to   stage
	from int
	at   time.Time
	now  int
}

func (r *ramp) begin(s *stage, at time.Time) {
	r.to, r.from, r.at = *s, r.now, at
}

func (r *ramp) step(now time.Time) {
	if !r.to.set || r.now == r.to.users {
		return
	}
	n := int(now.Sub(r.at).Seconds()*r.to.rate) + 1
	if r.to.users > r.from {
		n = min(r.from+n, r.to.users)
	} else {
		n = max(r.from-n, r.to.users)
	}
	if n != r.now {
		r.now = n
		r.lead(n)
	}
}

// restart is runner.start() of a script.
func (b *Bridge) restart(k *call) error {
	e := b.engine.Load()
	switch {
	case e == nil:
		return errors.New("the test has not started")
	case b.loaded.Shape != nil:
		return errors.New("the shape says how many users there are")
	case k.Users == nil:
		return errors.New("runner.start() needs a number of users")
	}
	s := stage{users: *k.Users, rate: 1, classes: k.Classes, set: true}
	if k.Rate != nil && *k.Rate > 0 {
		s.rate = *k.Rate
	}
	b.mu.Lock()
	b.starts++
	mine := b.starts
	b.mu.Unlock()
	b.crew.allow(s.classes)
	r := ramp{lead: e.Lead, now: b.crew.counts().Users}
	b.crew.aim(s.users, s.rate)
	b.opts.Notify(Event{Kind: "ramp", N: s.users, Rate: s.rate})
	b.crew.look(b)
	r.begin(&s, time.Now())
	go func() {
		tick := time.NewTicker(rampStep)
		defer tick.Stop()
		for r.now != s.users {
			select {
			case <-tick.C:
			case <-e.Over():
				return
			}
			b.mu.Lock()
			mine := b.starts == mine
			b.mu.Unlock()
			if !mine {
				return
			}
			r.step(time.Now())
		}
	}()
	return nil
}

// End tells the script that the test has stopped: after the last user has left,
// when the engine has run.
func (b *Bridge) End() {
	b.engine.Store(nil)
	b.crew.set("stopped")
	b.fire(map[string]any{"event": "test_stop"})
}

// Quitting tells the script that all is over, before reports are written, and
// returns the exit code that it wants, nil when it has no wish.
func (b *Bridge) Quitting() *int {
	for _, a := range b.fire(map[string]any{"event": "quitting"}) {
		var answer struct {
			Code      *int `json:"exit_code"`
			Unhandled bool `json:"unhandled"`
		}
		if len(a) == 0 || json.Unmarshal(a, &answer) != nil {
			continue
		}
		b.mu.Lock()
		if answer.Code != nil {
			b.exit = answer.Code
		}
		b.unhandled = b.unhandled || answer.Unhandled
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.exit
}

// Quit is Locust's event quit, the very last one.
func (b *Bridge) Quit(code int) { b.fire(map[string]any{"event": "quit", "exit_code": code}) }
