package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/selfwatch"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/sink/prometheus"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
	"github.com/weir-dev/weir/internal/watch"
)

// execution carries out one run: it drives the engine, records every tick,
// shows progress, watches the stop rules, judges, and writes the reports.
type execution struct {
	session    *session
	plan       load.Plan
	meta       runfile.Meta
	record     planRecord
	failIf     []*threshold.Expr
	stopIf     []*threshold.Expr
	maxSendLag time.Duration
	mix        *mix
	keys       bool // a person at the terminal may change the load
	python     *pythonRun
	locust     *locustRun

	stopOnError bool           // the first error of the scenario ends the run
	allowErrors bool           // they do not fail it
	watch       *watch.Watcher // nil: nothing is watched
	telemetry   *telemetry     // nil: none is sent
	linger      time.Duration  // how long it goes on after the run
	others      otherSinkFlags // beside the run file
	sending     atomic.Bool    // the run is over; an interrupt ends the sending of its telemetry
	out         outputFlags
	path        string // of the run file
	temporary   bool   // the run file is removed at the end
}

// tickBuffer is how many ticks may wait for a slow disk before the engine would.
const tickBuffer = 600

// run carries the execution out and returns a verdict, or what kept it from running.
func (x *execution) run() error {
	if err := x.prepare(); err != nil {
		return err
	}
	w, err := runfile.Create(x.path, x.meta, runfile.Overwrite())
	if err != nil {
		return cannotRun("choose another place with --out, or none with --out none", "%v", err)
	}
	defer w.Close()
	if x.temporary {
		defer os.RemoveAll(filepath.Dir(x.path))
	}
	self := selfwatch.New()
	x.plan.Health = self.Sample
	beside, err := x.besides()
	if err != nil {
		return err
	}
	defer beside.close()
	engine, err := load.New(x.plan)
	if err != nil {
		return usage("", "%v", err)
	}
	hard, cancel := context.WithCancel(context.Background())
	defer cancel()
	interrupted, release := x.onSignals(engine, cancel)
	defer release()

	sinks, outbox, err := x.sinks(w)
	if err != nil {
		return err
	}
	defer outbox.Close()
	obs := x.observer(w, engine)
	obs.sinks, obs.page = sinks, beside.page
	go obs.loop()
	sinks.Start(outbox)
	defer sinks.Stop()
	x.watch.Start()
	restore := x.listen(engine)
	defer restore()
	if err := x.python.begin(engine); err != nil {
		return err
	}
	x.locust.begin()
	result, err := engine.Run(hard, obs.take)
	restore()
	x.python.end()
	x.lateReadings(interrupted)
	statements, complaints := x.watch.Stop()
	obs.close()
	if rest := x.watch.Rest(); len(rest) > 0 {
		obs.totals.AddWatched(&tally.Tick{Watched: rest})
		if err := w.AddWatched(obs.last, rest); err != nil && obs.err == nil {
			x.tell(err.Error())
		}
	}
	for _, c := range complaints {
		fmt.Fprintf(x.session.stderr, "weir: %s\n", c)
	}
	if err != nil {
		return cannotRun("", "%v", err)
	}
	j := judge(&obs.totals, obs.checks(), &obs.complaints, generator{bound: x.maxSendLag, starved: self.Waiting(0.99)}, obs.stopped, interrupted())
	if text := obs.complaints.String(); text != "" && obs.complaints.allowed {
		j.notes = append(j.notes, text)
	}
	j.notes = append(j.notes, x.python.notes()...)
	x.python.judge(&j)
	x.locust.end(&result, &j)
	j.notes = append(j.notes, beside.close()...)
	j.notes = append(j.notes, remarks(&obs.totals, &result)...)
	if obs.err != nil {
		j.notes = append(j.notes, "The run file is incomplete, and so are reports made from it later.")
		if j.code == exitPassed {
			j.code = exitCannotRun // the run passed, but there is no record of it
		}
	}
	end := runfile.End{
		Ended: result.Started.Add(result.Elapsed), Reason: result.Reason, Unfinished: result.Unfinished,
		Checks: j.checks, Verdict: j.verdict, ExitCode: j.code, Notes: j.notes, Statements: statements,
	}
	sinks.Stop()
	if err := x.lastParcels(sinks, outbox, &end, obs.last); err != nil && obs.err == nil {
		fmt.Fprintf(x.session.stderr, "weir: the telemetry of the end of the run is missing: %v\n", err)
	}
	outbox.Close()
	if err := w.Finish(end); err != nil && obs.err == nil {
		fmt.Fprintf(x.session.stderr, "weir: the run file is incomplete: %v\n", err)
		if j.code == exitPassed {
			j.code = exitCannotRun
		}
	}
	x.drain(sinks)
	return x.finish(end, j.code, obs.unstored)
}

// remarks are what has to be said in every report about how the run was not, or
// not wholly, the plan with every request counted.
func remarks(t *tally.Totals, r *load.Result) []string {
	var out []string
	if t.Warm > 0 {
		text := fmt.Sprintf("The first %v were warm-up: %s sent in it, which no total, percentile or condition counts.", t.Warm, plural(int(t.Warmed), "request"))
		if r.Carried > 0 {
			text += fmt.Sprintf(" %s to it came later and are not counted either.", plural(int(r.Carried), "answer"))
		}
		out = append(out, text)
	}
	if r.Reason == load.EveryUserStopped {
		out = append(out, "Every user stopped itself, and so the run ended.")
	}
	const shown = 3
	if n := len(r.Changes); n > 0 {
		text := "The load was not the plan: it was changed by hand while the run went on, " + strings.Join(r.Changes[max(0, n-shown):], "; ") + "."
		if n > shown {
			text = fmt.Sprintf("%s These are the last of %d changes.", text, n)
		}
		out = append(out, text)
	}
	return out
}

// finish renders the reports from the run file, as "weir report" would, and
// from the ticks that could not be stored in it.
func (x *execution) finish(end runfile.End, code int, unstored []*tally.Tick) error {
	s := x.session
	run := report.Run{Meta: describeRun(x.meta), Ticks: func(yield func(*tally.Tick, error) bool) {}}
	rec, err := runfile.Open(x.path)
	switch {
	case err == nil:
		defer rec.Close()
		run = recorded(rec)
	case len(unstored) == 0:
		return cannotRun("", "%v", err)
	}
	if len(unstored) > 0 {
		stored := run.Ticks
		run.End = describeEnd(&end)
		run.Ticks = func(yield func(*tally.Tick, error) bool) {
			for k, err := range stored {
				if !yield(k, err) {
					return
				}
			}
			for _, k := range unstored {
				if !yield(k, nil) {
					return
				}
			}
		}
	}
	sum, err := report.Build(run)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	kept := x.path
	if x.temporary {
		kept = ""
	}
	if err := errors.Join(x.out.deliver(s, x.out.ofRun(run, sum), kept), x.locust.deliver(s, sum, code, kept)); err != nil {
		fmt.Fprintf(s.stderr, "weir: %v\n", err)
		if code == exitPassed {
			code = exitCannotRun
		}
	}
	if code != exitPassed {
		return verdict(code)
	}
	return nil
}

// prepare fills in what is known at the start and checks where reports go.
func (x *execution) prepare() error {
	if err := x.out.check(); err != nil {
		return err
	}
	now := time.Now()
	id := make([]byte, 8)
	rand.Read(id) // never fails, by its documentation
	host, _ := os.Hostname()
	plan, err := json.Marshal(x.record)
	if err != nil {
		return err
	}
	x.meta.ID, x.meta.Started, x.meta.Weir = hex.EncodeToString(id), now, version()
	x.meta.Args = maskArgs(x.session.args)
	x.meta.Host, x.meta.OS, x.meta.CPUs = host, runtime.GOOS+"/"+runtime.GOARCH, runtime.GOMAXPROCS(0)
	x.meta.Plan = plan
	for _, e := range x.failIf {
		x.meta.FailIf = append(x.meta.FailIf, e.String())
	}
	for _, e := range x.stopIf {
		x.meta.StopIf = append(x.meta.StopIf, e.String())
	}
	switch x.out.Out {
	case "":
		if x.path, err = reserve(now); err != nil {
			return err
		}
	case "none":
		dir, err := os.MkdirTemp("", "weir-")
		if err != nil {
			return cannotRun("set TMPDIR to a folder that can be written to", "no place for a temporary file: %v", err)
		}
		x.path, x.temporary = filepath.Join(dir, "run.weir"), true
	default:
		x.path = x.out.Out
	}
	return nil
}

// onSignals makes the first interrupt stop the run gracefully and the second
// one at once; a third, while reports are being written, only says so, and the
// next one ends the program. The first func it returns tells whether there was
// an interrupt so far, the second one gives the signals back.
func (x *execution) onSignals(engine *load.Engine, hard context.CancelFunc) (interrupted func() bool, release func()) {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup: the run goes on when the terminal closes
		signal.Notify(signals, syscall.SIGHUP)
	}
	quit := make(chan struct{})
	var count atomic.Int32
	go func() {
		for {
			var sig os.Signal
			select {
			case sig = <-signals:
			case <-quit:
				return
			}
			if x.sending.Load() {
				fmt.Fprintln(x.session.stderr, "\nwhat was not sent waits in the run file (interrupt again to leave without the reports)")
				signal.Stop(signals)
				continue
			}
			switch count.Add(1) {
			case 1:
				engine.Stop("interrupted")
				if !x.locust.interrupted(sig) {
					fmt.Fprintln(x.session.stderr, "\nstopping: requests under way may finish (interrupt again to stop at once)")
				}
			case 2:
				hard()
			default:
				fmt.Fprintln(x.session.stderr, "\nthe reports are being written (interrupt again to leave without them)")
				signal.Stop(signals)
			}
		}
	}()
	return func() bool { return count.Load() > 0 }, func() {
		signal.Stop(signals)
		close(quit)
	}
}

// observer takes the ticks of a run, off the engine's goroutines.
type observer struct {
	x          *execution
	w          *runfile.Writer
	stop       func(reason string)
	live       *report.Live
	sinks      *sink.Set
	page       *prometheus.Page
	last       int // index of the latest tick
	totals     tally.Totals
	fail       []*threshold.Watch
	stopOn     []*threshold.Watch
	stopped    bool // a stop rule held
	complaints complaints
	err        error // the first error of the run file
	// unstored are the ticks from that error on, for the reports of this run.
	unstored []*tally.Tick
	ticks    chan *tally.Tick
	done     chan struct{}
}

func (x *execution) observer(w *runfile.Writer, engine *load.Engine) *observer {
	o := &observer{x: x, w: w, stop: engine.Stop, ticks: make(chan *tally.Tick, tickBuffer), done: make(chan struct{})}
	o.complaints.allowed = x.allowErrors
	for _, e := range x.failIf {
		o.fail = append(o.fail, threshold.NewWatch(e))
	}
	for _, e := range x.stopIf {
		o.stopOn = append(o.stopOn, threshold.NewWatch(e))
	}
	o.live = x.live()
	return o
}

// live returns the progress display, or nil for none.
func (x *execution) live() *report.Live {
	if x.out.Quiet || x.out.Progress == "none" {
		return nil
	}
	tty, size := isTerminal(x.session.stderr)
	if x.out.Progress == "live" {
		tty = true
	}
	mode := report.DetectMode(tty && x.out.Progress != "plain", x.session.getenv)
	return report.NewLive(x.session.stderr, report.LiveOptions{
		Mode: mode, Size: size, MaxRequests: x.plan.MaxRequests, MaxThrottled: x.plan.MaxThrottled,
		Meta: report.Meta{
			Target: x.meta.Target, Model: x.record.Model, Plan: x.record.Words,
			Length: x.record.Length, Planned: x.record.Planned, Started: x.meta.Started,
		},
	})
}

func (o *observer) take(k *tally.Tick) { o.ticks <- k }

func (o *observer) loop() {
	defer close(o.done)
	start := time.Now()
	redraw := time.NewTicker(250 * time.Millisecond)
	defer redraw.Stop()
	for {
		select {
		case k, ok := <-o.ticks:
			if !ok {
				return
			}
			o.tick(k)
		case <-redraw.C:
			if o.live != nil {
				o.live.Draw(time.Since(start))
			}
		}
	}
}

func (o *observer) tick(k *tally.Tick) {
	o.x.watch.Attach(k)
	o.totals.Add(k)
	o.last = k.Index
	o.page.Add(k)
	carried, parcels := o.sinks.Add(k)
	if err := o.w.AppendWith(k, carried, parcels); err != nil && o.err == nil { // told once; the writer counts the others
		o.err = err
		fmt.Fprintf(o.x.session.stderr, "weir: the run goes on, but cannot be recorded: %v\n", err)
	}
	if o.err != nil {
		o.unstored = append(o.unstored, k)
	} else if len(parcels) > 0 {
		o.sinks.Wake()
	}
	o.complaints.add(k)
	if o.x.stopOnError && !o.stopped && o.complaints.count > 0 {
		o.stopped = true
		o.stop("stopped because of an error of the scenario (--stop-on-error)")
	}
	if k.Warm {
		if o.live != nil {
			o.live.Tick(k)
		}
		return
	}
	for _, w := range o.fail {
		w.Tick(k, &o.totals)
	}
	for _, w := range o.stopOn {
		if w.Tick(k, &o.totals) && !o.stopped {
			o.stopped = true
			o.stop("stopped because " + w.Check(&o.totals).Expr)
		}
	}
	if o.live != nil {
		o.live.Tick(k)
	}
}

// close waits until every tick has been taken.
func (o *observer) close() {
	close(o.ticks)
	<-o.done
	if o.live != nil {
		o.live.Close()
	}
}

// checks are the verdicts on all conditions, in the order given. A stop rule is
// listed with its verdict too: holding it fails the run.
func (o *observer) checks() []threshold.Check {
	var out []threshold.Check
	for _, w := range o.fail {
		out = append(out, w.Check(&o.totals))
	}
	for _, w := range o.stopOn {
		c := w.Check(&o.totals)
		if c.Verdict == threshold.NoData && w.Expr().Watched() == "" {
			c.Verdict = threshold.Pass // never had anything to stop for; a figure that was never read could not have told
		}
		out = append(out, c)
	}
	return out
}

// local reports whether a URL leads to this machine, so that nobody else's account is at stake.
func local(u *url.URL, unixSocket string) bool {
	if unixSocket != "" {
		return true
	}
	host := u.Hostname()
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// confirm asks once whether to send to somebody else's host. It asks only a
// person: without a terminal on both sides the command line is the answer.
func confirm(stdin io.Reader, stderr io.Writer, question string) (bool, error) {
	in, ok := stdin.(*os.File)
	if !ok {
		return true, nil
	}
	if tty, _ := isTerminal(in); !tty {
		return true, nil
	}
	if tty, _ := isTerminal(stderr); !tty {
		return true, nil
	}
	fmt.Fprintf(stderr, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil && answer == "" {
		return false, nil
	}
	return answer == "y" || answer == "Y" || answer == "yes", nil
}
