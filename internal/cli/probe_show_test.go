package cli

import (
	"strings"
	"sync"
	"testing"
	"time"

	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/report"
)

// guarded is a terminal that tells when something was drawn.
type guarded struct {
	mu    sync.Mutex
	text  strings.Builder
	drawn chan struct{}
}

func (g *guarded) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.text.Write(b)
	select {
	case g.drawn <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (g *guarded) take() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.text.String()
	g.text.Reset()
	return s
}

// TestProbeShowGoesOn: while one experiment takes its time the frame is drawn again, with
// what was sent since, and nothing is drawn once it is closed.
func TestProbeShowGoesOn(t *testing.T) {
	g := &guarded{drawn: make(chan struct{}, 1)}
	p := &probeShow{w: g, mode: report.Mode{Redraw: true}, c: &probeCmd{MaxRequests: 50, MaxThrottled: 9}}
	p.belief(blackbox.Belief{Doing: "wait", Takes: time.Minute, Requests: 7})
	<-g.drawn
	if s := g.take(); !strings.Contains(s, "7 of 50 requests, 0 of 9 refused") || !strings.Contains(s, "wait (up to 1m0s)") {
		t.Errorf("drawn first: %q", s)
	}
	p.wave(blackbox.Record{Answers: []blackbox.Answer{{}, {Outcome: blackbox.Refused}}})
	<-g.drawn
	if s := g.take(); !strings.Contains(s, "9 of 50 requests, 1 of 9 refused") {
		t.Errorf("drawn by itself: %q", s)
	}
	p.close()
	g.take()
	p.close()
	if s := g.take(); s != "" {
		t.Errorf("drawn after the end: %q", s)
	}
}

// TestProbeShowPlain: a line for each experiment, with how long it may take.
func TestProbeShowPlain(t *testing.T) {
	g := &guarded{drawn: make(chan struct{}, 1)}
	p := &probeShow{w: g, c: &probeCmd{MaxRequests: 50, MaxThrottled: 9}}
	p.belief(blackbox.Belief{Doing: "look", Takes: time.Second})
	p.belief(blackbox.Belief{Doing: "wait", Takes: 90 * time.Second})
	if s := g.take(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "next: look\n") || !strings.HasSuffix(s, "next: wait (up to 1m30s)\n") {
		t.Errorf("%q", s)
	}
	p.close()
}
