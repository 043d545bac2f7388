// Package locust is Bridge, which runs locustfiles: the user's own Python decides
// what is sent, and Weir's engine sends it.
//
// An interpreter is started with a small package named locust in front of its
// path (the folder python, which is embedded here). Every request of the script
// comes over a channel to the goroutine of its user, which sends it, records it
// and answers; so requests are timed around the socket, whatever Python is busy
// with. Cookies and large bodies stay here until the script asks for them.
package locust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/target"
)

// Config says how interpreters are started. The zero value is useful.
type Config struct {
	Python    string   // an interpreter; "": that of the active virtual environment, else python3 or python
	UsersAs   string   // baton, greenlet or gevent; "": the best there is
	Dir       string   // where it runs; "": here
	Env       []string // nil: that of this process
	Processes int      // interpreters; 0 is 1, -1 one for each CPU

	Stdout, Stderr io.Writer           // of the script, by lines; nil: dropped
	Book           *book.Book          // Locust's own statistics; nil: one that nobody reads
	Notify         func(Event)         // any goroutine; must not wait. nil: nobody
	Getenv         func(string) string // nil: os.Getenv
}

// Event is something that happened and that a person may want to know.
type Event struct {
	Kind    string         // ramp, spawned, stopping, problem, notice, stuck, lost
	N       int            // ramp: users wanted; spawned: users there are
	Rate    float64        // ramp: users started per second
	ByClass map[string]int // spawned
	Text    string
	File    string
	Line    int
}

// Bridge is the scripts' side of a run. It is safe for concurrent use, apart from
// the order in which its steps are taken: Start, Load, Serve, Begin, End, Close.
type Bridge struct {
	opts     Config
	ctx      context.Context
	cancel   context.CancelFunc
	children []*child
	loaded   *Loaded
	engine   atomic.Pointer[load.Engine]
	targets  atomic.Pointer[Targets]
	nextUser atomic.Uint32
	scrap    string // a folder to remove at the end; "": none
	lags     lags
	crew     roster
	begun    atomic.Bool // the test has started: before it, listeners and imports may take their time
	over     atomic.Bool // nothing more is expected of the interpreters

	mu        sync.Mutex
	err       error // why an interpreter was lost
	exit      *int  // as the script set process_exit_code, or by sys.exit
	unhandled bool
	problems  int
	starts    int // calls of runner.start
}

// Start finds an interpreter, starts it as often as asked for, and waits until it
// is heard. The error is an *Error.
func Start(ctx context.Context, c Config) (*Bridge, error) {
	if c.Book == nil {
		c.Book = book.New(time.Now())
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	if c.Processes < 0 {
		c.Processes = runtime.NumCPU()
	}
	c.Processes = max(c.Processes, 1)
	python, err := findPython(ctx, &c)
	if err != nil {
		return nil, err
	}
	home, temporary, err := unpack()
	if err != nil {
		return nil, &Error{Text: fmt.Sprintf("the Python part of Weir cannot be unpacked: %v", err), Hint: "set HOME, XDG_CACHE_HOME or TMPDIR to a folder that can be written to"}
	}
	b := &Bridge{opts: c}
	if temporary {
		b.scrap = home
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.crew.init()
	if err := b.early(); err != nil {
		return nil, &Error{Text: err.Error()}
	}
	for i := range c.Processes {
		k := newChild(b, i)
		if err := k.start(python, home); err != nil {
			b.Close()
			return nil, &Error{Text: fmt.Sprintf("%s cannot be started: %v", python, err), Hint: "name an interpreter with --python"}
		}
		b.children = append(b.children, k)
	}
	for _, k := range b.children {
		select {
		case <-k.said:
		case <-k.gone:
			b.Close()
			return nil, &Error{Text: fmt.Sprintf("%s ended before it could load anything%s", python, k.last()), Hint: "name another interpreter with --python"}
		case <-time.After(startWait):
			b.Close()
			return nil, &Error{Text: fmt.Sprintf("%s said nothing within %v", python, startWait), Hint: "name another interpreter with --python"}
		case <-ctx.Done():
			b.Close()
			return nil, ctx.Err()
		}
	}
	return b, nil
}

const (
	startWait = 30 * time.Second
	// eventWait bounds how long a listener of the script may take before the run
	// goes on without its answer.
	eventWait = 60 * time.Second
	// byeWait is how long an interpreter may take to end by itself.
	byeWait = 1500 * time.Millisecond
)

// Request says what is loaded. Field names are those of the channel.
type Request struct {
	Argv        []string       `json:"argv"`
	Files       []string       `json:"files"`
	Options     map[string]any `json:"options"`
	UseConfig   bool           `json:"use_config"`
	UsersAs     string         `json:"users_as"`
	Seed        *uint64        `json:"seed"`
	Processes   int            `json:"processes"`
	WorkerIndex int            `json:"worker_index"`
	Quiet       bool           `json:"quiet"`
	Flags       []Flag         `json:"flags"`
	Own         []OwnFlag      `json:"own"` // of Weir's that were taken out of Argv
	Prog        string         `json:"prog"`
	Version     string         `json:"version_text"`
}

// Flag is a flag of Weir's own, for the script's --help.
type Flag struct {
	Flags   []string `json:"flags"`
	Metavar string   `json:"metavar"`
	Help    string   `json:"help"`
}

// OwnFlag is a flag of Weir's on the command line, which a script may declare, too.
type OwnFlag struct {
	At     int      `json:"at"` // position in Argv
	Flag   string   `json:"flag"`
	Tokens []string `json:"tokens"`
}

// Class is a class of users of the script.
type Class struct {
	Name       string  `json:"name"`
	Module     string  `json:"module"`
	File       string  `json:"file"`
	Line       int     `json:"line"`
	Host       string  `json:"host"`
	Weight     float64 `json:"weight"`
	FixedCount int64   `json:"fixed_count"`
	Kind       string  `json:"kind"` // http, fasthttp, other
}

// Shape is the script's LoadTestShape.
type Shape struct {
	Name      string `json:"name"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	UseCommon bool   `json:"use_common_options"`
}

// Notice is something about the script that its author should know.
type Notice struct {
	Text string `json:"text"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// Loaded is what loading a script came to.
type Loaded struct {
	Exit      *int            `json:"exit"` // everything was said: leave with it
	Failed    *loadError      `json:"error"`
	Scheduler string          `json:"scheduler"`
	Why       string          `json:"why"` // the scheduler is that one
	Options   map[string]any  `json:"options"`
	Secret    []string        `json:"secret"`
	Classes   []Class         `json:"classes"` // of the run
	Available []Class         `json:"available"`
	Shape     *Shape          `json:"shape"`
	File      string          `json:"locustfile"`
	Files     []string        `json:"files"`
	Arguments json.RawMessage `json:"arguments"`
	Ratios    json.RawMessage `json:"ratios"`
	Stats     json.RawMessage `json:"stats_settings"` // what the script set in locust.stats
	Notices   []Notice        `json:"notices"`
	Reclaimed []string        `json:"reclaimed"`    // of Request.Own, those that are the script's
	Threads   *int            `json:"thread_limit"` // most users there can be as threads
	Python    string          `json:"-"`            // version of the interpreter
}

type loadError struct {
	Text      string `json:"text"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Traceback string `json:"traceback"`
	Hint      string `json:"hint"`
	Usage     bool   `json:"usage"`
}

// Load loads the script in every interpreter. The error is an *Error when the
// script cannot be loaded; Loaded.Exit tells that there is nothing to run.
func (b *Bridge) Load(ctx context.Context, r Request) (*Loaded, error) {
	var first *Loaded
	for i, c := range b.children {
		r.UsersAs, r.Processes, r.WorkerIndex, r.Quiet = b.opts.UsersAs, len(b.children), i, i > 0
		raw, err := c.ask(ctx, kindLoad, &r)
		if err != nil {
			if errors.Is(err, errGone) {
				return nil, &Error{Text: "the interpreter ended while it loaded the script" + c.last()}
			}
			return nil, err
		}
		var l Loaded
		if err := json.Unmarshal(raw, &l); err != nil {
			return nil, &Error{Text: fmt.Sprintf("the answer of the script's side is not understood: %v", err)}
		}
		if f := l.Failed; f != nil {
			e := &Error{Text: f.Text, File: f.File, Line: f.Line, Traceback: f.Traceback, Hint: f.Hint}
			if l.Exit != nil {
				e.Exit = *l.Exit
			}
			return nil, e
		}
		if i == 0 || l.Exit != nil {
			l.Python = c.hello.Python
			first = &l
			if l.Exit != nil {
				break
			}
		}
	}
	b.loaded = first
	b.crew.classes = first.Classes
	return first, nil
}

// Serve says with what users send. It is called before Begin.
func (b *Bridge) Serve(t *Targets) { b.targets.Store(t) }

// early lets a script send while it is loaded, before Serve.
func (b *Bridge) early() error {
	t, err := NewTargets(target.Options{Timeout: -1, Getenv: b.opts.Getenv})
	if err == nil {
		b.targets.Store(t)
	}
	return err
}

// Book returns the statistics that requests go to.
func (b *Bridge) Book() *book.Book { return b.opts.Book }

// Err returns why an interpreter was lost, nil when none was.
func (b *Bridge) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Unhandled reports whether a listener of the script failed in a way that Locust
// answers with its exit code 2.
func (b *Bridge) Unhandled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unhandled
}

// counts reports whether requests are counted now.
func (b *Bridge) counts() bool { return b.engine.Load() != nil }

// record counts a request in Locust's statistics.
func (b *Bridge) record(method, name string, ms float64, length int64, failure string, at time.Time) {
	b.opts.Book.Record(method, name, ms, length, failure, at)
}

// lost is told that an interpreter is no longer heard.
func (b *Bridge) lost(c *child) {
	if c.ending.Load() || b.over.Load() {
		return
	}
	text := "the Python interpreter of the script ended before the run did" + c.last()
	if c.err != nil {
		text = c.err.Error()
	}
	c.mu.Lock()
	if c.reason != nil {
		text = c.reason.Error()
	}
	c.mu.Unlock()
	err := &Error{Text: text}
	b.mu.Lock()
	first := b.err == nil
	if first {
		b.err = err
	}
	b.mu.Unlock()
	if !first {
		return
	}
	b.opts.Notify(Event{Kind: "lost", Text: text})
	if e := b.engine.Load(); e != nil {
		e.Complain(err)
		e.Stop(text)
	}
}

// Close ends the interpreters and everything that they started.
func (b *Bridge) Close() error {
	b.over.Store(true)
	var all sync.WaitGroup
	for _, c := range b.children {
		all.Add(1)
		go func() {
			defer all.Done()
			c.close()
		}()
	}
	all.Wait()
	b.cancel()
	if b.scrap != "" {
		return os.RemoveAll(b.scrap)
	}
	return nil
}
