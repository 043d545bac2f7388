// Package wake sleeps precisely: a Waker wakes within tens of microseconds of
// the instant asked for, where a timer of the Go runtime is up to a millisecond
// late, because an idle process waits for it in whole milliseconds.
package wake

import (
	"context"
	"runtime"
	"time"
)

// spin is how long before the instant a Waker wakes up and watches the clock:
// about what waking up takes. It sleeps right up to an instant that is nearer
// than that, so that a dense schedule does not keep a processor busy with
// waiting: it is then late by what waking up takes.
const spin = 30 * time.Microsecond

// Waker sleeps for one goroutine at a time. On Linux it has a file descriptor
// until Close; elsewhere, and when none could be had, it is an ordinary timer.
type Waker struct {
	clock   alarm
	spin    time.Duration // 0 where watching the clock would keep everybody else waiting
	timer   *time.Timer
	watched <-chan struct{}
	unwatch func() bool
}

// alarm is a timer of the system's own. The zero value has none.
type alarm interface {
	// sleep returns after d, or early after interrupt; false when it cannot.
	sleep(d time.Duration) bool
	// interrupt ends this sleep and all later ones.
	interrupt()
	close()
}

// New makes a Waker. It always succeeds.
func New() *Waker {
	w := &Waker{clock: newAlarm()}
	if runtime.GOMAXPROCS(0) > 1 {
		w.spin = spin
	}
	return w
}

// SleepUntil returns at the instant t, or soon after ctx is done. An instant
// that has passed returns at once. After a ctx is done the Waker is for no
// other: it then sleeps like an ordinary timer.
func (w *Waker) SleepUntil(ctx context.Context, t time.Time) {
	d := time.Until(t)
	if d <= 0 || ctx.Err() != nil {
		return
	}
	nap := d
	if d > w.spin {
		nap -= w.spin
	}
	if w.clock == nil || !w.sleep(ctx, nap) {
		w.wait(ctx, d)
		return
	}
	for time.Now().Before(t) && ctx.Err() == nil {
	}
}

func (w *Waker) sleep(ctx context.Context, d time.Duration) bool {
	// One registration serves all sleeps with a ctx.
	if done := ctx.Done(); done != w.watched {
		if w.unwatch != nil {
			w.unwatch()
		}
		w.watched, w.unwatch = done, nil
		if done != nil {
			w.unwatch = context.AfterFunc(ctx, w.clock.interrupt)
		}
	}
	return w.clock.sleep(d) || ctx.Err() != nil
}

// wait is the ordinary timer.
func (w *Waker) wait(ctx context.Context, d time.Duration) {
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	select {
	case <-w.timer.C:
	case <-ctx.Done():
		w.timer.Stop()
	}
}

// Close gives the file descriptor back. The Waker still sleeps, less precisely.
func (w *Waker) Close() error {
	if w.unwatch != nil {
		w.unwatch()
		w.unwatch, w.watched = nil, nil
	}
	if w.clock != nil {
		w.clock.close()
		w.clock = nil
	}
	return nil
}
