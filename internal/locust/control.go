package locust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/load"
)

// call is what a script asks of the run.
type call struct {
	Op      string          `json:"op"`
	Users   *int            `json:"users"`
	Rate    *float64        `json:"rate"`
	Classes []string        `json:"classes"`
	Text    string          `json:"text"`
	File    string          `json:"file"`
	Line    int             `json:"line"`
	Code    *int            `json:"code"`
	Session uint32          `json:"session"`
	Seconds float64         `json:"seconds"`
	Func    string          `json:"function"`
	Fields  string          `json:"fields"`
	Type    json.RawMessage `json:"type"`
	Data    json.RawMessage `json:"data"`
}

// called answers a call. It is called by the reader of a channel.
func (b *Bridge) called(c *child, id uint32, payload []byte) {
	var k call
	if err := json.Unmarshal(payload, &k); err != nil {
		c.reply(kindReply, id, map[string]any{"error": "the call is not understood"})
		return
	}
	answer := any(map[string]any{})
	switch k.Op {
	case "stats":
		go func() {
			b.settled(c)
			c.reply(kindReply, id, b.opts.Book.Snapshot())
		}()
		return
	case "counts":
		answer = b.crew.counts()
	case "quit", "stop":
		b.stop(fmt.Sprintf("the script called runner.%s()", k.Op))
	case "start":
		if err := b.restart(&k); err != nil {
			answer = map[string]any{"error": err.Error()}
		}
	case "reset_stats":
		b.opts.Book.Reset(time.Now())
	case "notice":
		b.opts.Notify(Event{Kind: "notice", Text: k.Text, File: k.File, Line: k.Line})
	case "exit_code":
		b.mu.Lock()
		b.exit = k.Code
		b.mu.Unlock()
	case "sys_exit":
		code := 0
		if k.Code != nil {
			code = *k.Code
		}
		b.mu.Lock()
		b.exit = &code
		b.mu.Unlock()
		b.stop(fmt.Sprintf("%sthe script called sys.exit(%d)", place(k.File, k.Line), code))
	case "unhandled":
		b.mu.Lock()
		b.unhandled = true
		b.mu.Unlock()
	case "limits":
		answer = limitsSaid(k.Fields, time.Now())
	case "session_closed":
		c.closeSession(k.Session)
	case "stuck":
		text := fmt.Sprintf("%s%s has run for %.0f s without a request or a pause, and all users of the script wait for it", place(k.File, k.Line), called(k.Func), k.Seconds)
		c.halted(text)
	case "unstuck":
		c.stuck.Store(nil)
		b.opts.Notify(Event{Kind: "notice", Text: fmt.Sprintf("the script goes on after %.0f s", k.Seconds)})
	case "message":
		event := map[string]any{"event": "message", "type": k.Type, "data": k.Data}
		for _, other := range b.children {
			other.tell(event)
		}
	default:
		answer = map[string]any{"error": "no such call: " + k.Op}
	}
	c.reply(kindReply, id, answer)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// place is where in the script something is, in front of a sentence.
func place(file string, line int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", filepath.Base(file), line)
}

// settled waits until the verdicts that have come are recorded, so that a script
// sees its own requests in the statistics.
func (b *Bridge) settled(c *child) {
	due := c.dispatched.Load()
	for end := time.Now().Add(50 * time.Millisecond); c.judged.Load() < due && time.Now().Before(end); {
		time.Sleep(200 * time.Microsecond)
	}
}

func (b *Bridge) stop(reason string) {
	if e := b.engine.Load(); e != nil {
		e.Stop(reason)
	}
}

// sample counts a request that the script made by other means.
func (b *Bridge) sample(payload []byte) {
	var s struct {
		Type      string   `json:"type"`
		Name      string   `json:"name"`
		MS        *float64 `json:"ms"`
		Length    float64  `json:"length"`
		Error     *string  `json:"error"`
		Start     *float64 `json:"start"`
		User      *int     `json:"user"`
		Throttled bool     `json:"throttled"`
	}
	if json.Unmarshal(payload, &s) != nil {
		return
	}
	now := time.Now()
	why := ""
	if s.Error != nil {
		if why = *s.Error; why == "" {
			why = "failed"
		}
	}
	ms := nan
	x := load.Sample{Method: s.Type, Name: s.Name, Done: now, BytesIn: int64(s.Length), Throttled: s.Throttled}
	if s.MS != nil {
		ms = *s.MS
		x.Took = time.Duration(min(max(ms, 0), 1e12) * float64(time.Millisecond))
	}
	if why != "" && !s.Throttled {
		x.Failed = plainText(why)
	}
	b.opts.Book.Record(s.Type, s.Name, ms, int64(s.Length), why, now)
	if e := b.engine.Load(); e != nil {
		e.Sample(&x)
	}
}

// problem takes an exception of the script.
func (b *Bridge) problem(payload []byte) {
	var p struct {
		Kind      string `json:"kind"`
		Type      string `json:"type"`
		Message   string `json:"message"`
		Traceback string `json:"traceback"`
		File      string `json:"file"`
		Line      int    `json:"line"`
	}
	if json.Unmarshal(payload, &p) != nil {
		return
	}
	if p.Kind == "" || p.Kind == "task" {
		b.opts.Book.Problem(p.Type, p.Message, p.Traceback, time.Now())
	}
	text := p.Message
	if p.Type != "" {
		text = p.Type + ": " + text
	}
	text = place(p.File, p.Line) + text
	b.mu.Lock()
	b.problems++
	b.mu.Unlock()
	b.opts.Notify(Event{Kind: "problem", Text: text, File: p.File, Line: p.Line})
	if e := b.engine.Load(); e != nil {
		e.Complain(errors.New(text))
	}
}

// stuckWait bounds how long a script that stands still is waited for.
const stuckWait = 2 * time.Second

// fire sends an event to every interpreter and waits, within bounds, for their
// answers.
func (b *Bridge) fire(event map[string]any) []json.RawMessage {
	answers := make([]json.RawMessage, len(b.children))
	var all sync.WaitGroup
	for i, c := range b.children {
		all.Go(func() {
			if c.mute.Load() && c.stuck.Load() != nil {
				return
			}
			ctx, cancel := context.WithTimeout(b.ctx, eventWait)
			defer cancel()
			go c.giveUp(ctx, cancel)
			c.tell(b.crew.news())
			a, err := c.ask(ctx, kindNotify, event)
			if err == nil {
				answers[i] = a
			} else if !errors.Is(err, errGone) {
				b.opts.Notify(Event{Kind: "notice", Text: fmt.Sprintf("listeners of %v have not returned in time; the run goes on without them", event["event"])})
			}
		})
	}
	all.Wait()
	return answers
}

// giveUp ends the waiting for a script that stands still.
func (c *child) giveUp(ctx context.Context, cancel context.CancelFunc) {
	tick := time.NewTicker(stuckWait / 4)
	defer tick.Stop()
	for still := 0; still < 4; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if c.stuck.Load() != nil {
			still++
		} else {
			still = 0
		}
	}
	c.mute.Store(true)
	cancel()
}

// Ask sends an event to the first interpreter and returns its answer.
func (b *Bridge) Ask(ctx context.Context, event map[string]any) (json.RawMessage, error) {
	return b.children[0].ask(ctx, kindNotify, event)
}

// Log has a line logged where the script logs. It reports false when nobody is
// there to do it.
func (b *Bridge) Log(level, logger, text string) bool {
	c := b.children[0]
	select {
	case <-c.gone:
		return false
	default:
	}
	c.tell(map[string]any{"event": "log", "logger": logger, "level": level, "text": text})
	return true
}

// called is how a function is named in a sentence.
func called(function string) string {
	switch {
	case function == "":
		return "the script"
	case strings.HasSuffix(function, ")") || strings.HasSuffix(function, ">"):
		return function
	}
	return function + "()"
}
