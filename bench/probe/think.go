package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// thinker measures how long a probe thinks between the answers to a wave and the
// next wave: time of this machine, while somebody waits at a terminal.
type thinker struct {
	*world
	since  time.Time
	pauses []time.Duration
}

// Send is the world's; what passed since the answers before is noted.
func (t *thinker) Send(ctx context.Context, at []time.Duration) ([]probe.Answer, error) {
	if !t.since.IsZero() {
		t.pauses = append(t.pauses, time.Since(t.since))
	}
	answers, err := t.world.Send(ctx, at)
	t.since = time.Now()
	return answers, err
}

// SendOver is as Send.
func (t *thinker) SendOver(ctx context.Context, conns []int) ([]probe.Answer, error) {
	if !t.since.IsZero() {
		t.pauses = append(t.pauses, time.Since(t.since))
	}
	answers, err := t.world.SendOver(ctx, conns)
	t.since = time.Now()
	return answers, err
}

// thinking says how long the pauses of all policies are.
func thinking(of []score) {
	var all []time.Duration
	for _, s := range of {
		all = append(all, s.pauses...)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(float64(len(all)-1)*q)].Round(time.Millisecond) }
	fmt.Printf("thinking between two waves: 95 of 100 within %v, 99 within %v, at most %v\n", at(0.95), at(0.99), at(1))
}

// brackets says how often the truth is within the bounds that are said of the figures, of
// those that were named.
func brackets(of []score) {
	n, limit, window := 0, 0, 0
	for _, s := range of {
		n += boolInt(s.bracketed)
		limit += boolInt(s.bracketed && s.limitIn)
		window += boolInt(s.bracketed && s.windowIn)
	}
	if n > 0 {
		fmt.Printf("within the bounds that are said: the limit in %d, the window in %d of %d\n", limit, window, n)
	}
}
