package wake

import (
	"context"
	"slices"
	"testing"
	"time"
)

// wakers are the precise kind, where there is one, and the ordinary timer.
func wakers(t *testing.T) map[string]*Waker {
	w := map[string]*Waker{"precise": New(), "ordinary": {}}
	t.Cleanup(func() {
		for _, w := range w {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

func TestNeverEarly(t *testing.T) {
	for name, w := range wakers(t) {
		var late []time.Duration
		at := time.Now()
		for i := range 40 {
			at = at.Add(time.Duration(i) * 20 * time.Microsecond) // also shorter than the spin
			w.SleepUntil(t.Context(), at)
			late = append(late, time.Since(at))
		}
		slices.Sort(late)
		if late[0] < 0 {
			t.Errorf("%s: woke %v early", name, -late[0])
		}
		t.Logf("%s: late by %v in the middle, %v at most", name, late[len(late)/2], late[len(late)-1])
	}
}

// alarms counts the sleeps.
type alarms int

func (a *alarms) sleep(d time.Duration) bool { *a++; time.Sleep(d); return true }
func (*alarms) interrupt()                   {}
func (*alarms) close()                       {}

// TestNearInstants: whoever asks for instants that follow each other closely
// must not have the processor to itself: others have work to do at them.
func TestNearInstants(t *testing.T) {
	var a alarms
	w := &Waker{clock: &a, spin: spin}
	for range 100 { // on a busy machine some of them have passed by the time of the call
		w.SleepUntil(t.Context(), time.Now().Add(spin))
	}
	if a == 0 {
		t.Error("100 instants were waited for without ever sleeping")
	}
}

func TestPast(t *testing.T) {
	for _, w := range wakers(t) {
		w.SleepUntil(t.Context(), time.Now().Add(-time.Hour))
		w.SleepUntil(t.Context(), time.Time{})
	}
}

// A failure of this test is that it never ends.
func TestInterrupted(t *testing.T) {
	for _, w := range wakers(t) {
		for range 2 { // the second ctx has no alarm left, but an ordinary timer
			ctx, cancel := context.WithCancel(t.Context())
			w.SleepUntil(ctx, time.Now().Add(time.Millisecond)) // registered before it is cancelled
			time.AfterFunc(time.Millisecond, cancel)
			w.SleepUntil(ctx, time.Now().Add(time.Hour))
			w.SleepUntil(ctx, time.Now().Add(time.Hour))
		}
	}
}

func TestAfterTheEnd(t *testing.T) {
	for name, w := range wakers(t) {
		ctx, cancel := context.WithCancel(t.Context())
		w.SleepUntil(ctx, time.Now().Add(time.Millisecond))
		cancel()
		at := time.Now().Add(2 * time.Millisecond)
		w.SleepUntil(t.Context(), at)
		if early := time.Until(at); early > 0 {
			t.Errorf("%s: after an interrupted sleep it woke %v early", name, early)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		at = time.Now().Add(2 * time.Millisecond)
		w.SleepUntil(t.Context(), at)
		if early := time.Until(at); early > 0 {
			t.Errorf("%s: after Close it woke %v early", name, early)
		}
	}
}

func TestAllocations(t *testing.T) {
	for name, w := range wakers(t) {
		ctx := t.Context()
		w.SleepUntil(ctx, time.Now().Add(time.Millisecond))
		if n := testing.AllocsPerRun(20, func() { w.SleepUntil(ctx, time.Now().Add(100*time.Microsecond)) }); n > 0 {
			t.Errorf("%s: %v allocations per sleep", name, n)
		}
	}
}
