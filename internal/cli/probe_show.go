package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/keyscope"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/report"
)

// probeShow tells how a probe is getting on: on a terminal the belief in each
// explanation as bars that are redrawn, elsewhere a line for each experiment.
type probeShow struct {
	w    io.Writer
	mode report.Mode
	size func() (cols, rows int)
	c    *probeCmd
	last blackbox.Belief

	mu     sync.Mutex
	height int             // lines drawn
	frame  func() []string // what stands there, as it is by now
	since  time.Time       // when last was told
	stop   chan struct{}   // ends the redrawing; nil before the first frame
}

func newProbeShow(s *session, c *probeCmd) *probeShow {
	p := &probeShow{w: s.stderr, c: c}
	tty, size := isTerminal(s.stderr)
	if c.Quiet || c.Progress == "none" {
		p.w = io.Discard
		return p
	}
	p.mode, p.size = report.DetectMode(tty && c.Progress != "plain" || c.Progress == "live", s.getenv), size
	return p
}

// belief shows where things stand.
func (p *probeShow) belief(b blackbox.Belief) {
	again := len(b.Shares) == 0 && b.Doing == p.last.Doing
	if !p.mode.Redraw {
		p.last = b
		if again {
			return
		}
		var all []string
		for _, s := range b.Shares[:min(3, len(b.Shares))] {
			all = append(all, fmt.Sprintf("%.0f %% %v", 100*s.Share, s.Found.Kind()))
		}
		what := strings.Join(all, ", ")
		if what == "" {
			what = "too early to say"
		}
		fmt.Fprintf(p.w, "[%v, %d sent, %d refused] %s; next: %s%s\n", b.Elapsed.Round(100*time.Millisecond), b.Requests, b.Refused, what, b.Doing, upTo(b.Takes))
		return
	}
	p.draw(b, func() []string {
		now := p.last
		return p.bars(now, now.Doing+upTo(now.Takes-time.Since(p.since)))
	})
}

// upTo is how long something takes at most, where that is worth saying.
func upTo(d time.Duration) string {
	if d < 2*time.Second {
		return ""
	}
	return fmt.Sprintf(" (up to %v)", d.Round(time.Second))
}

// wave counts what was sent since the belief was told.
func (p *probeShow) wave(r blackbox.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last.Requests += len(r.Answers)
	for _, a := range r.Answers {
		if a.Outcome == blackbox.Refused {
			p.last.Refused++
		}
	}
}

// bars are the lines of a frame.
func (p *probeShow) bars(b blackbox.Belief, doing string) []string {
	cols := p.cols()
	full, empty, cells := "█", "·", 20
	if cols < 110 { // the figures matter more
		cells = 6
	}
	if p.mode.ASCII {
		full, empty = "#", "."
	}
	lines := []string{fmt.Sprintf("%v  %d of %d requests, %d of %d refused", (b.Elapsed + time.Since(p.since)).Round(time.Second), b.Requests, p.c.MaxRequests, b.Refused, p.c.MaxThrottled)}
	if len(b.Shares) == 0 {
		lines = append(lines, "       too early to say which limit it is")
	}
	for i, s := range b.Shares {
		if i == 6 {
			lines = append(lines, "       and "+times(len(b.Shares)-i, "other", "others"))
			break
		}
		n := int(s.Share*float64(cells) + 0.5)
		lines = append(lines, fmt.Sprintf("%4.0f %% %s%s %v: %s", 100*s.Share, strings.Repeat(full, n), strings.Repeat(empty, cells-n), s.Found.Kind(), report.FoundWords(&s.Found)))
	}
	lines = append(lines, "next: "+doing)
	for i, l := range lines {
		if r := []rune(l); len(r) > cols-1 {
			lines[i] = string(r[:cols-2]) + "…"
		}
	}
	return lines
}

func (p *probeShow) cols() int {
	if p.size != nil {
		if c, _ := p.size(); c > 20 {
			return c
		}
	}
	return 80
}

// draw puts a frame in place of the one before, and draws it again twice a second,
// because an experiment may wait for minutes.
func (p *probeShow) draw(b blackbox.Belief, frame func() []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.since, p.frame = b, time.Now(), frame
	p.redraw()
	if p.stop != nil {
		return
	}
	stop := make(chan struct{})
	p.stop = stop
	go func() {
		t := time.NewTicker(500 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				p.mu.Lock()
				if p.stop != nil {
					p.redraw()
				}
				p.mu.Unlock()
			}
		}
	}()
}

// redraw replaces the frame; mu is held.
func (p *probeShow) redraw() {
	var b strings.Builder
	if p.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", p.height)
	}
	lines := p.frame()
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	p.height = len(lines)
	io.WriteString(p.w, b.String()) // a progress that cannot be written is no reason to stop
}

// key shows the search for what the limit is counted by.
func (p *probeShow) key(doing string, s *keyscope.Scope) {
	if !p.mode.Redraw {
		fmt.Fprintf(p.w, "[%d sent, %d refused] what it is counted by; next: %s\n", s.Requests, s.Refused, doing)
		return
	}
	sent, refused := s.Requests, s.Refused
	b := p.last
	b.Elapsed += time.Since(p.since)
	p.draw(b, func() []string {
		return append(p.bars(p.last, "what it is counted by: "+doing), fmt.Sprintf("      %d requests for that, %d refused", sent, refused))
	})
}

// close removes the frame.
func (p *probeShow) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		close(p.stop)
		p.stop = nil
	}
	if p.height > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\r\x1b[J", p.height)
		p.height = 0
	}
}
