package report

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// Rules of the live view:
//   - a frame is one Write, never taller or wider than the terminal;
//   - no line is left behind: Close clears the last frame, a change of size the screen;
//   - without Redraw not one control code is written, whatever comes in;
//   - everything from outside is cleaned of control characters first.

// Mode says what a terminal can do.
type Mode struct {
	Redraw bool // lines may be redrawn in place; false: plain lines only
	Color  bool
	ASCII  bool // only ASCII glyphs
}

// DetectMode decides from the environment. getenv is os.Getenv, or a fake in tests.
// NO_COLOR (no-color.org) and TERM=dumb are honoured.
func DetectMode(isTerminal bool, getenv func(string) string) Mode {
	term := getenv("TERM")
	m := Mode{Redraw: isTerminal && term != "dumb" && term != ""}
	m.Color = m.Redraw && getenv("NO_COLOR") == ""
	locale := getenv("LC_ALL")
	if locale == "" {
		locale = getenv("LC_CTYPE")
	}
	if locale == "" {
		locale = getenv("LANG")
	}
	locale = strings.ToUpper(locale)
	m.ASCII = locale != "" && !strings.Contains(locale, "UTF-8") && !strings.Contains(locale, "UTF8")
	return m
}

// LiveOptions says what Live shows and how. The zero value writes plain lines
// every five seconds.
type LiveOptions struct {
	Mode
	Meta         Meta                    // Target, Plan and Length are shown
	Interval     time.Duration           // between plain lines; 0 = 5 s
	Size         func() (cols, rows int) // of the terminal now; nil or not positive = 80 × 24
	MaxRequests  int64                   // the budget; 0 = none
	MaxThrottled int64                   // likewise
}

// frameGap is the least time between two frames.
const frameGap = 250 * time.Millisecond

// Live shows a run while it goes on. Tick, Draw and Close may be called from
// different goroutines.
type Live struct {
	w io.Writer
	o LiveOptions

	mu     sync.Mutex // guards everything below
	totals tally.Totals
	flow   flow
	recent []recent
	last   *recent
	onset  bool // its line was written
	next   time.Duration
	screen screen
	drawn  time.Duration
	closed bool
	err    error
}

// recent is what the rates and percentiles of "now" are computed from.
type recent struct {
	start, length   time.Duration
	users, inFlight int
	sent            int64
	count           [hit.NumOutcomes]int64
	admitted        hist.Hist // response times
}

// window is how many seconds the percentiles of "now" cover: one second of a
// slow run holds too few answers for a p95.
const window = 5

// NewLive returns a view that has shown nothing yet.
func NewLive(w io.Writer, o LiveOptions) *Live {
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	return &Live{w: w, o: o, next: o.Interval, drawn: -frameGap}
}

// Tick takes the next second of the run. It does not keep k.
func (l *Live) Tick(k *tally.Tick) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.totals.Add(k)
	l.flow.add(k)
	l.remember(k)
	if l.o.Redraw {
		return
	}
	l.plainTick(k)
}

func (l *Live) remember(k *tally.Tick) {
	r := recent{start: k.Start, length: k.Length, users: k.Users, inFlight: k.InFlight, sent: sends(k)}
	for i := range k.Series {
		s := &k.Series[i]
		if int(s.Outcome) >= hit.NumOutcomes {
			continue
		}
		r.count[s.Outcome] += s.Count
		if s.Outcome == hit.Admitted {
			r.admitted.Merge(s.Response)
		}
	}
	if l.last != nil && r.length < shortTick {
		l.last.join(&r)
		return
	}
	if len(l.recent) == window {
		copy(l.recent, l.recent[1:])
		l.recent = l.recent[:window-1]
	}
	l.recent = append(l.recent, r)
	l.last = &l.recent[len(l.recent)-1]
}

// join adds the cut-off last tick of a run to the second before it.
func (r *recent) join(o *recent) {
	r.length += o.length
	r.users, r.inFlight = o.users, o.inFlight
	r.sent += o.sent
	for i := range r.count {
		r.count[i] += o.count[i]
	}
	r.admitted.Merge(&o.admitted)
}

// Draw redraws the frame for the given time since the start of the run. It may
// be called as often as one likes: it draws at most four times a second, and
// nothing without Redraw.
func (l *Live) Draw(elapsed time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.o.Redraw || elapsed-l.drawn < frameGap {
		return
	}
	l.drawn = elapsed
	cols, rows := l.size()
	l.put(l.screen.redraw(l.frame(elapsed, cols, rows), cols, rows, l.o.Color))
}

// Close clears the frame, shows the cursor again and returns the first error of
// the writer. Nothing is written after it. It may be called more than once.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.o.Redraw {
		l.put(l.screen.clear(l.size()))
	}
	l.closed = true
	return l.err
}

func (l *Live) put(s string) {
	if s == "" || l.err != nil {
		return
	}
	_, l.err = io.WriteString(l.w, s)
}

func (l *Live) size() (cols, rows int) {
	if l.o.Size != nil {
		cols, rows = l.o.Size()
	}
	if cols <= 0 {
		cols = 80
	}
	if rows <= 0 {
		rows = 24
	}
	return cols, rows
}

// screen knows what is on the terminal now.
type screen struct {
	shown      bool // a frame is there, and the cursor is hidden
	height     int  // lines of that frame
	cols, rows int  // of the terminal when it was drawn
}

// redraw returns what turns the frame shown into the next one, in place.
func (s *screen) redraw(lines []line, cols, rows int, color bool) string {
	var b strings.Builder
	if !s.shown {
		b.WriteString("\x1b[?25l")
	}
	s.home(&b, cols, rows)
	for _, ln := range lines {
		ln.appendTo(&b, color)
		b.WriteString("\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	s.shown, s.height, s.cols, s.rows = true, len(lines), cols, rows
	return b.String()
}

// clear removes the frame and shows the cursor.
func (s *screen) clear(cols, rows int) string {
	if !s.shown {
		return ""
	}
	var b strings.Builder
	s.home(&b, cols, rows)
	b.WriteString("\x1b[J\x1b[?25h")
	*s = screen{}
	return b.String()
}

// home moves the cursor to the first cell of the frame.
//
// Subtle: after a change of size nobody knows where that is. Some terminals
// break the lines that no longer fit into several, some cut them, and some
// move lines to or from what was scrolled away. So the whole screen is cleared.
func (s *screen) home(b *strings.Builder, cols, rows int) {
	switch {
	case !s.shown:
		b.WriteByte('\r')
	case s.cols != cols || s.rows != rows:
		b.WriteString("\x1b[H\x1b[2J")
	default:
		b.WriteByte('\r')
		if s.height > 0 {
			b.WriteString("\x1b[" + itoa(s.height) + "A")
		}
	}
}
