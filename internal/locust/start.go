package locust

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// start starts the interpreter.
func (c *child) start(python, home string) error {
	cmd := exec.Command(python, "-X", "faulthandler", filepath.Join(home, "boot.py"))
	cmd.Dir = c.b.opts.Dir
	env := c.b.opts.Env
	if env == nil {
		env = os.Environ()
	}
	c.home, c.token = home, rand.Text()
	cmd.Env = append(env[:len(env):len(env)], "PYTHONUNBUFFERED=1", markName+"="+c.token)
	line, err := openLine(cmd)
	if err != nil {
		return err
	}
	setGroup(cmd)
	var copies sync.WaitGroup
	var outLock sync.Mutex
	locks := [2]*sync.Mutex{&outLock, &outLock}
	var ends []io.Closer
	printers := [2]*printer{}
	for i, to := range []io.Writer{c.b.opts.Stdout, c.b.opts.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			line.abandon()
			return err
		}
		if i == 0 {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
		ends = append(ends, w)
		p := &printer{to: to, lock: locks[i], note: func(text string) { c.b.opts.Notify(Event{Kind: "notice", Text: text}) }}
		printers[i] = p
		copies.Add(1)
		go func() {
			defer copies.Done()
			p.run(r)
			_ = r.Close() // read to its end
		}()
	}
	c.cmd, c.stderr = cmd, printers[1]
	started := make(chan error, 1)
	go func() {
		// Subtle: on Linux the interpreter is killed when the thread that started it
		// ends, so this one is kept until the interpreter has.
		runtime.LockOSThread()
		err := cmd.Start()
		for _, e := range ends {
			_ = e.Close() // the interpreter has its own
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // its state says what it says
		killGroup(cmd) // whatever it started
		drained := make(chan struct{})
		go func() { copies.Wait(); close(drained) }()
		select {
		case <-drained:
		case <-time.After(byeWait): // somebody has left the group and holds the pipes
		}
		c.words = bytes.TrimSpace(printers[1].tail)
		close(c.exited)
	}()
	if err := <-started; err != nil {
		line.abandon()
		return err
	}
	ctx, cancel := context.WithTimeout(c.b.ctx, startWait)
	defer cancel()
	conn, err := line.connect(ctx, c)
	if err != nil {
		killGroup(cmd)
		return err
	}
	c.talk(conn)
	go c.guard()
	return nil
}

// markName is the variable by which the processes of a script are known.
const markName = "WEIR_RUN"

// last says how the interpreter ended, as the end of a sentence; it has, or
// is about to.
func (c *child) last() string {
	if c.cmd == nil {
		return ""
	}
	select {
	case <-c.exited:
	case <-time.After(byeWait):
		return ""
	}
	state := c.cmd.ProcessState
	if state == nil {
		return ""
	}
	text := fmt.Sprintf(" (%v)", state)
	if line := lastLine(c.words); line != "" && !strings.Contains(line, "/INFO/") {
		text += "; the last it said was: " + line
	}
	return text
}

// close ends the interpreter and all that it started.
func (c *child) close() {
	if c.conn == nil {
		return
	}
	c.ending.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), byeWait)
	defer cancel()
	if _, err := c.ask(ctx, kindNotify, map[string]string{"event": "bye"}); err == nil && c.cmd != nil {
		select {
		case <-c.exited:
		case <-ctx.Done():
		}
	}
	_ = c.conn.Close() // the interpreter sees the end
	if c.cmd == nil {
		return
	}
	newCrowdWatch(c.token).kill(c)
	select {
	case <-c.exited:
	case <-time.After(byeWait):
	}
}
