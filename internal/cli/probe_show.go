package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/keyscope"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/report"
)

// probeShow tells how a probe is getting on: on a terminal the belief in each
// explanation as bars that are redrawn, elsewhere a line for each experiment.
type probeShow struct {
	w      io.Writer
	mode   report.Mode
	size   func() (cols, rows int)
	c      *probeCmd
	height int // lines drawn
	last   blackbox.Belief
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
	p.last = b
	if !p.mode.Redraw {
		if again {
			return
		}
		var all []string
		for _, s := range b.Shares[:min(3, len(b.Shares))] {
			all = append(all, fmt.Sprintf("%.0f %% %v", 100*s.Share, s.Family))
		}
		what := strings.Join(all, ", ")
		if what == "" {
			what = "too early to say"
		}
		fmt.Fprintf(p.w, "[%v, %d sent, %d refused] %s; next: %s\n", b.Elapsed.Round(100*time.Millisecond), b.Requests, b.Refused, what, b.Doing)
		return
	}
	p.draw(p.bars(b, b.Doing))
}

// bars are the lines of a frame.
func (p *probeShow) bars(b blackbox.Belief, doing string) []string {
	cols := p.cols()
	full, empty := "█", "·"
	if p.mode.ASCII {
		full, empty = "#", "."
	}
	lines := []string{fmt.Sprintf("%v  %d of %d requests, %d of %d refused", b.Elapsed.Round(100*time.Millisecond), b.Requests, p.c.MaxRequests, b.Refused, p.c.MaxThrottled)}
	if len(b.Shares) == 0 {
		lines = append(lines, "       too early to say which limit it is")
	}
	for i, s := range b.Shares {
		if i == 6 {
			lines = append(lines, fmt.Sprintf("       and %d others", len(b.Shares)-i))
			break
		}
		n := int(s.Share*20 + 0.5)
		lines = append(lines, fmt.Sprintf("%4.0f %% %s%s %v: %s", 100*s.Share, strings.Repeat(full, n), strings.Repeat(empty, 20-n), s.Family, report.FoundWords(&s.Found)))
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

// draw replaces the frame.
func (p *probeShow) draw(lines []string) {
	var b strings.Builder
	if p.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", p.height)
	}
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
	p.draw(append(p.bars(p.last, "what it is counted by: "+doing), fmt.Sprintf("      %d requests for that, %d refused", s.Requests, s.Refused)))
}

// close removes the frame.
func (p *probeShow) close() {
	if p.height > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\r\x1b[J", p.height)
		p.height = 0
	}
}
