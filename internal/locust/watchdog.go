package locust

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// pulseEvery is how often an interpreter is asked whether it hears, and
	// pulseWait how long it may take before somebody looks what it does.
	pulseEvery = 2 * time.Second
	pulseWait  = 5 * time.Second
	// mostProcesses is how many processes a script may have started at once.
	mostProcesses = 500
)

// guard watches over an interpreter as long as it lives: that it still hears, and
// that it does not fill the machine with processes.
func (c *child) guard() {
	tick := time.NewTicker(pulseEvery / 2)
	defer tick.Stop()
	crowd := newCrowdWatch(c.token)
	beat := true
	for {
		select {
		case <-tick.C:
		case <-c.gone:
			return
		case <-c.b.ctx.Done():
			return
		}
		if n := crowd.count(); n > mostProcesses {
			c.fail(fmt.Errorf("the script had started %d processes (at most %d may run at once), so it was ended with all of them", n, mostProcesses))
			crowd.kill(c)
			return
		}
		if beat = !beat; beat && c.b.begun.Load() {
			c.pulse()
		}
	}
}

// pulse asks whether the interpreter hears.
func (c *child) pulse() {
	ctx, cancel := context.WithTimeout(c.b.ctx, pulseWait)
	defer cancel()
	_, err := c.ask(ctx, kindNotify, c.b.crew.news())
	if err == nil {
		if c.deaf.Swap(false) && c.stuck.Swap(nil) != nil {
			c.b.opts.Notify(Event{Kind: "notice", Text: "the script goes on"})
		}
		return
	}
	if !errors.Is(err, context.DeadlineExceeded) || c.deaf.Swap(true) || c.stuck.Load() != nil {
		return
	}
	// It has not told itself what it does, so it holds the interpreter's lock.
	where := c.look()
	text := fmt.Sprintf("%shas let nothing else run for %v, and all users of the script wait for it", where, pulseWait)
	c.halted(text)
}

// halted takes that the script stands still.
func (c *child) halted(text string) {
	c.stuck.Store(&text)
	c.b.opts.Notify(Event{Kind: "stuck", Text: text})
	if e := c.b.engine.Load(); e != nil {
		e.Note("warning", text+".")
	}
}

// standing counts as an error of the script, once, when the run has to be cut
// because it stands still.
func (c *child) standing() {
	text := c.stuck.Load()
	if text == nil || c.told.Swap(true) {
		return
	}
	c.b.mu.Lock()
	c.b.unhandled = true
	c.b.mu.Unlock()
	if e := c.b.engine.Load(); e != nil {
		e.Complain(errors.New(*text + "; it was cut"))
	}
}

// dumpWait is how long an interpreter may take to say where it is.
const dumpWait = 500 * time.Millisecond

// look finds out what an interpreter does that does not answer. where is the
// beginning of a sentence.
func (c *child) look() (where string) {
	const unknown = "the script "
	if c.stderr == nil || !askForDump(c.cmd) {
		return unknown
	}
	c.stderr.capture(true)
	time.Sleep(dumpWait)
	dump := c.stderr.capture(false)
	file, line, function := busiest(dump, c.b.files(), c.home)
	if file == "" {
		return unknown
	}
	return fmt.Sprintf("%s:%d: %s() ", filepath.Base(file), line, function)
}

var frameLine = regexp.MustCompile(`^  File "(.*)", line (\d+) in (.*)$`)

// busiest finds in what faulthandler wrote the line of the user's files that is
// at work: in the first thread that does not wait in Weir's own part.
func busiest(dump string, files []string, home string) (file string, line int, function string) {
	ours := func(path string) bool { return home != "" && strings.HasPrefix(path, home) }
	theirs := func(path string) bool {
		for _, f := range files {
			if filepath.Dir(f) == filepath.Dir(path) || f == path {
				return true
			}
		}
		return false
	}
	for thread := range strings.SplitSeq(dump, "\n\n") {
		first := true
		for text := range strings.SplitSeq(thread, "\n") {
			m := frameLine.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			if first && (ours(m[1]) || strings.HasSuffix(m[1], "threading.py")) {
				break
			}
			first = false
			if theirs(m[1]) {
				line, _ = strconv.Atoi(m[2]) // digits, by the pattern
				return m[1], line, m[3]
			}
		}
	}
	return "", 0, ""
}

// files are those that the script consists of, as far as they are known.
func (b *Bridge) files() []string {
	if b.loaded == nil {
		return nil
	}
	return b.loaded.Files
}

// fail ends the run because of an interpreter that is about to be killed.
func (c *child) fail(err error) {
	c.mu.Lock()
	if c.reason == nil {
		c.reason = err
	}
	c.mu.Unlock()
}
