package watch

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/tally"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// fake is a source whose looks are written down.
type fake struct {
	name   string
	takes  []time.Duration // the n-th look; after the last one looks take no time
	fails  []error         // of the n-th look
	events []string        // of the first look
	deaf   bool            // does not heed ctx
	looks  int
	cut    int
	closed int
	last   []tally.Statement
}

func (f *fake) Name() string { return f.name }
func (f *fake) Close()       { f.closed++ }

func (f *fake) Sample(ctx context.Context) (Sample, error) {
	n := f.looks
	f.looks++
	if n < len(f.takes) {
		done := ctx.Done()
		if f.deaf {
			done = nil
		}
		select {
		case <-time.After(f.takes[n]):
		case <-done:
			f.cut++
			return Sample{}, errors.New("it took too long")
		}
	}
	if n < len(f.fails) && f.fails[n] != nil {
		return Sample{}, f.fails[n]
	}
	s := Sample{Readings: []tally.Watched{{Name: "looks", Value: float64(n)}}}
	if n == 0 {
		s.Events = f.events
	}
	return s, nil
}

func (f *fake) Statements(context.Context) ([]tally.Statement, error) { return f.last, nil }

// ticks plays the part of an engine for n seconds, each tick given 20 ms after its end.
func ticks(w *Watcher, n int) []*tally.Tick {
	start := time.Now()
	var out []*tally.Tick
	for i := range n {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		time.Sleep(time.Until(start.Add(k.Start + k.Length + 20*time.Millisecond)))
		w.Attach(k)
		out = append(out, k)
	}
	return out
}

func values(list []*tally.Tick) [][]float64 {
	var out [][]float64
	for _, k := range list {
		var v []float64
		for _, r := range k.Watched {
			v = append(v, r.Value)
		}
		out = append(out, v)
	}
	return out
}

func texts(list []*tally.Tick) []string {
	var out []string
	for _, k := range list {
		for _, e := range k.Events {
			out = append(out, e.At.String()+" "+e.Text)
		}
	}
	return out
}

func TestReadingsAreInTheTickInWhichTheyWereTaken(t *testing.T) {
	ms := time.Millisecond
	cases := []struct {
		name  string
		every time.Duration
		takes []time.Duration
		want  [][]float64
	}{
		{"at once", time.Second, nil, [][]float64{{0}, {1}, {2}, {3}}},
		{"in no time between ticks", 500 * ms, nil, [][]float64{{0, 1}, {2, 3}, {4, 5}, {6, 7}}},
		{"seldom", 2 * time.Second, nil, [][]float64{{0}, nil, {1}, nil}},
		{"late, still in its second", time.Second, []time.Duration{900 * ms}, [][]float64{{0}, {1}, {2}, {3}}},
		{"a slow look belongs to the second in which it ended", 3 * time.Second, []time.Duration{1500 * ms}, [][]float64{nil, {0}, nil, {1}}},
		{"a look over several looks", 500 * ms, []time.Duration{0, 700 * ms}, [][]float64{{0}, {1, 2}, {3, 4}, {5, 6}}},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{name: "fake", takes: c.takes}
			w := New(c.every, f)
			w.Start()
			w.Start() // does nothing
			got := ticks(w, 4)
			if diff := cmp.Diff(c.want, values(got)); diff != "" {
				t.Errorf("%s: readings by tick (-want +got):\n%s", c.name, diff)
			}
			for _, k := range got {
				for _, r := range k.Watched {
					if r.At < k.Start || r.At >= k.Start+k.Length || r.Source != "fake" {
						t.Errorf("%s: reading of %q at %v is in the tick from %v", c.name, r.Source, r.At, k.Start)
					}
				}
			}
			w.Stop()
			if f.closed != 1 {
				t.Errorf("%s: closed %d times, want once", c.name, f.closed)
			}
		})
	}
}

func TestWhatCouldNotBeReadIsMissingAndSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("connection refused")
		f := &fake{name: "DB", fails: []error{nil, gone, gone, gone, nil}, events: []string{"hello"}}
		w := New(0, f)
		w.Start()
		got := ticks(w, 6)
		w.Stop()
		if diff := cmp.Diff([][]float64{{0}, nil, nil, nil, {4}, {5}}, values(got)); diff != "" {
			t.Errorf("readings (-want +got):\n%s", diff)
		}
		want := []string{"0s DB: hello", "1s DB could not be read: connection refused", "4s DB is read again, after 3s"}
		if diff := cmp.Diff(want, texts(got)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestASlowSourceIsCutAndDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{name: "slow", takes: slices.Repeat([]time.Duration{time.Hour}, 10)}
		quick := &fake{name: "quick"}
		w := New(time.Second, slow, quick)
		w.Start()
		got := ticks(w, 12)
		began := time.Now()
		w.Stop()
		if d := time.Since(began); d != 0 {
			t.Errorf("Stop took %v, want no time", d)
		}
		if diff := cmp.Diff([][]float64{{0}, {1}, {2}, {3}}, values(got[:4])); diff != "" {
			t.Errorf("readings of the quick source (-want +got):\n%s", diff)
		}
		if slow.cut < 2 || slow.closed != 1 {
			t.Errorf("the slow source was cut %d times and closed %d times, want 2 or more and 1", slow.cut, slow.closed)
		}
	})
}

func TestStopLeavesADeafSourceBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := &fake{name: "deaf", deaf: true, takes: []time.Duration{time.Minute}}
		w := New(time.Second, deaf)
		w.Start()
		ticks(w, 1)
		began := time.Now()
		_, errs := w.Stop()
		if d := time.Since(began); d != leaveWithin || len(errs) != 1 {
			t.Errorf("Stop took %v with %q, want %v and one error", d, errs, leaveWithin)
		}
		time.Sleep(2 * time.Minute) // it comes to its end, and leaves nothing behind
		synctest.Wait()
		if deaf.closed != 1 {
			t.Errorf("closed %d times, want once", deaf.closed)
		}
	})
}

func TestStopAsksForTheWholeRun(t *testing.T) {
	f := &fake{name: "DB", last: []tally.Statement{{ID: "1", Calls: 2}}}
	w := New(0, f)
	w.Start()
	got, errs := w.Stop()
	if diff := cmp.Diff([]tally.Statement{{Source: "DB", ID: "1", Calls: 2}}, got); diff != "" || errs != nil {
		t.Errorf("Statements (-want +got):\n%s errors %v", diff, errs)
	}
	if got, errs := w.Stop(); got != nil || errs != nil {
		t.Errorf("second Stop = %v, %v, want nothing", got, errs)
	}
	var none *Watcher
	none.Start()
	none.Attach(&tally.Tick{})
	if got, errs := none.Stop(); got != nil || errs != nil {
		t.Errorf("Stop of nil = %v, %v, want nothing", got, errs)
	}
	unused := &fake{name: "DB", last: f.last}
	if got, _ := New(0, unused).Stop(); got != nil || unused.closed != 1 {
		t.Errorf("Stop without Start = %v, closed %d times; want nothing, once", got, unused.closed)
	}
}
