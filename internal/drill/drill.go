// Package drill holds Drill: it provokes throttling with the smallest load that
// does, until everything that should notice has proved that it did, and times each
// stage on the way.
//
// What is to notice is a Side: an alarm of CloudWatch, a tenant log, an alert of
// Prometheus. The packages below have one each. Here are the load, its bounds, the
// order of the stages, and the report.
package drill

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// Answer is what became of one request.
type Answer struct {
	Sent, Done time.Time
	Outcome    hit.Outcome // Admitted, Throttled or Failed
	Status     int         // 0: there was no answer
	Err        string      // why it failed, without secrets
	Told       header.Reading
}

// Sender sends the request of the drill for a user, of whom each sends one at a
// time. It is called from many goroutines.
type Sender interface {
	Send(ctx context.Context, user int) Answer
}

// Side is what is to notice the refusals.
type Side interface {
	// Check looks at everything that could keep it from noticing, before anything is
	// sent and without changing anything. What is wrong is in the brief's findings; the
	// error is that nothing could be looked at.
	Check(ctx context.Context) (*Brief, error)

	// Look says what has been noticed from an instant on. It is called again and
	// again, every Brief.Every.
	Look(ctx context.Context, since time.Time) ([]Sighting, error)

	// Why explains a stage that did not come.
	Why(ctx context.Context, stage string) []Finding
}

// Opener is a Side that has to make something before it can look, and to remove it.
type Opener interface {
	// Open makes it. The notes are for the report.
	Open(ctx context.Context) (notes []string, err error)
	// Close removes it, and says what is left behind.
	Close(ctx context.Context) (left []string)
}

// Rehearser is a Side that can be made to notice without load.
type Rehearser interface {
	Rehearse(ctx context.Context) error
}

// Stage is one thing that has to happen.
type Stage struct {
	ID    string        `json:"id"`
	Title string        `json:"title"`
	Needs string        `json:"needs,omitempty"` // the stage before it; "" for the first
	Bound time.Duration `json:"-"`               // after the stage before it
	After bool          `json:"after,omitempty"` // it comes when the load has stopped

	// Proof says that it stands for those before it: when it is seen, they have been.
	Proof bool `json:"-"`
	// Aside says that nothing waits for it, and that it counts as well when it was seen
	// before the one that it needs.
	Aside bool `json:"-"`
	// Soft says that a drill passes without it: its finding is a note.
	Soft bool `json:"-"`
	// Missing is the code of the finding when it does not come.
	Missing string `json:"-"`
}

// The ids of stages that all sides share.
const (
	Throttled = "throttled" // the first refusal
	Notified  = "notified"
	Again     = "ok" // it is over, and says so
)

// Brief is what a Side found out before anything is sent.
type Brief struct {
	What     string // "the alarm throttled (us-east-1, account 000000000000)"
	Facts    []Fact
	Findings []Finding
	Stages   []Stage // without Throttled, which is the load's own
	// Rehearsal are the stages without load, for a Rehearser.
	Rehearsal []Stage
	Every     time.Duration

	// Refusals, or Calls, are needed in each of Periods periods of this length, aligned to
	// its multiples. A Period of 0 is none: Refusals are needed once. Fill asks for the
	// load to go on for whole periods.
	Period   time.Duration
	Periods  int
	Refusals int
	Calls    int
	Fill     bool
	// Until is the stage from which on no more load is needed.
	Until string

	Quota  float64 // the limit in requests per second, as the side knows it; 0: it does not
	Others float64 // of it used by others lately

	// Delay is how long what is noticed usually takes to show, for the estimate.
	Delay time.Duration
	// Asks is how many metrics are asked for at most, which is what watching costs.
	Asks int64

	// Clock, when not nil, is the side's clock, found by asking it.
	Clock *Clock
}

// byCalls says that calls are needed, refused or not, and no refusals.
func (b *Brief) byCalls() bool { return b.Period > 0 && b.Refusals == 0 && b.Calls > 0 && !b.Fill }

// Fact is a line of the plan.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Sighting is a stage that was noticed.
type Sighting struct {
	Stage string
	At    time.Time // by the side's clock
	Text  string
	Wrong bool // it went another way: the stage cannot come any more
}

// Caps are the hard bounds of a drill.
type Caps struct {
	Requests  int
	Throttled int
	Rate      float64       // requests per second
	Time      time.Duration // until the last stage before the end of the load
	USD       float64       // of what requests cost; 0: no bound
}

// Options are the settings of a drill.
type Options struct {
	Target string // for the report, without secrets
	Caps   Caps
	Clock  Clock   // the side's
	Rate   float64 // where the limit is thought to be, in requests per second; 0: not known
	USD    float64 // what an admitted request costs
	Priced string  // what costs that
	Users  int     // requests under way at once at most; 0: 100

	Rehearse bool // make the side notice first, without load
	NoLoad   bool // that only

	// Bounds replace those of stages, by id.
	Bounds map[string]time.Duration

	// Tell is told what happens, one line at a time, when not nil; Waiting says of a
	// line that another one may take its place.
	Tell func(line string, waiting bool)
}

// Drill is one drill. New makes one; Prepare, then Run, are called once each.
type Drill struct {
	o      Options
	side   Side
	sender Sender
	brief  *Brief
	plan   *Plan
	report *Report
	began  time.Time // by the side's clock
	next   time.Time // not to look before
	load   *load     // nil before it
}

// New makes a drill.
func New(o Options, side Side, sender Sender) *Drill {
	if o.Users == 0 {
		o.Users = 100
	}
	if o.Tell == nil {
		o.Tell = func(string, bool) {}
	}
	return &Drill{o: o, side: side, sender: sender}
}

// Prepare looks at everything and plans. Nothing is sent and nothing is changed.
func (d *Drill) Prepare(ctx context.Context) (*Plan, error) {
	b, err := d.side.Check(ctx)
	if err != nil {
		return nil, err
	}
	for i := range b.Stages {
		if own, ok := d.o.Bounds[b.Stages[i].ID]; ok {
			b.Stages[i].Bound = own
		}
	}
	if b.Clock != nil {
		d.o.Clock = *b.Clock
	}
	d.brief = b
	d.plan = newPlan(&d.o, b)
	return d.plan, nil
}

// Run carries the plan out. It always returns a whole report, whatever happens,
// and leaves nothing behind that the report does not name.
func (d *Drill) Run(ctx context.Context) (r *Report) {
	d.began = d.o.Clock.Now()
	r = d.newReport()
	d.report = r
	real := time.Now()
	defer func() {
		// Subtle: what was made in somebody's account is removed even if something here
		// is broken, and the report is what tells of it.
		if p := recover(); p != nil {
			r.add(Finding{Code: CodeBroken, Level: Fails, Text: fmt.Sprintf("the drill broke off: %v", p), Advice: "please report this"})
		}
		d.close(ctx)
		d.finish(ctx, time.Since(real))
	}()
	if o, ok := d.side.(Opener); ok {
		notes, err := o.Open(ctx)
		r.Notes = append(r.Notes, notes...)
		if err != nil {
			r.add(Finding{Code: CodeBroken, Level: Fails, Text: err.Error()})
			return r
		}
	}
	if d.o.Rehearse && !d.rehearse(ctx) {
		return r
	}
	if d.o.NoLoad {
		return r
	}
	d.provoke(ctx)
	return r
}

// Unrun is the report of a drill that was not carried out because of its plan.
func (d *Drill) Unrun() *Report {
	d.began = d.o.Clock.Now()
	d.report = d.newReport()
	d.report.Verdict = NotRun
	return d.report
}

// close removes what the side made, even when ctx has ended.
func (d *Drill) close(ctx context.Context) {
	o, ok := d.side.(Opener)
	if !ok {
		return
	}
	const enough = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	left := o.Close(ctx)
	d.report.LeftBehind = append(d.report.LeftBehind, left...)
	for _, l := range left {
		d.report.add(Finding{Code: CodeLeftBehind, Level: Fails, Text: "left behind: " + l, Advice: "the next drill here removes it, or remove it by hand"})
	}
}
