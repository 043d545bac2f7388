package sink

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
)

// memory is a Store without a file.
type memory struct {
	mu       sync.Mutex
	waiting  []*runfile.Parcel
	doubtful []*runfile.Parcel
	settled  []runfile.Fate
}

func (m *memory) Take(_ string, doubtful bool) (*runfile.Parcel, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if doubtful {
		m.waiting = append(m.doubtful, m.waiting...)
		m.doubtful = nil
	}
	if len(m.waiting) == 0 {
		return nil, nil
	}
	p := m.waiting[0]
	m.waiting = m.waiting[1:]
	return p, nil
}

func (m *memory) Settle(p *runfile.Parcel, s runfile.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = append(m.settled, s.Fate)
	switch s.Fate {
	case runfile.Returned:
		m.waiting = append([]*runfile.Parcel{p}, m.waiting...)
	case runfile.Doubtful:
		p.Doubtful = true
		m.doubtful = append(m.doubtful, p)
	}
	return nil
}

func filled(n int) *memory {
	m := &memory{}
	for i := range n {
		m.waiting = append(m.waiting, &runfile.Parcel{ID: int64(i), Lane: "x"})
	}
	return m
}

// answers gives one reply after another, then Delivered.
type answers struct {
	list  []Reply
	calls []int64
	at    []time.Time
	hang  bool
}

func (a *answers) Deliver(ctx context.Context, p *runfile.Parcel) Reply {
	a.calls, a.at = append(a.calls, p.ID), append(a.at, time.Now())
	if a.hang {
		<-ctx.Done()
		return reply(runfile.Doubtful, "no answer")
	}
	if len(a.list) == 0 {
		return reply(runfile.Delivered, "")
	}
	r := a.list[0]
	a.list = a.list[1:]
	return r
}

func reply(f runfile.Fate, reason string) Reply {
	return Reply{Settlement: runfile.Settlement{Fate: f, Reason: reason}}
}

func throttled(after time.Duration) Reply {
	r := reply(runfile.Returned, "limit")
	r.Throttled, r.After = true, after
	return r
}

func TestSenderKeepsOrderAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := filled(3)
		a := &answers{list: []Reply{throttled(0), throttled(0), throttled(0), throttled(90 * time.Second), reply(runfile.Delivered, ""), reply(runfile.Returned, "500"), reply(runfile.Returned, "500")}}
		var told []string
		s := newSender(Lane{Name: "x", Deliverer: a}, m, func(s string) { told = append(told, s) })
		s.run(t.Context(), true)
		if want := []int64{0, 0, 0, 0, 0, 1, 1, 1, 2}; !slices.Equal(a.calls, want) {
			t.Errorf("calls = %v, want %v", a.calls, want)
		}
		for i, within := range [][2]time.Duration{
			{100 * time.Millisecond, 200 * time.Millisecond}, {200 * time.Millisecond, 400 * time.Millisecond},
			{400 * time.Millisecond, 800 * time.Millisecond}, {90 * time.Second, 90 * time.Second}, {0, 0},
			{100 * time.Millisecond, 200 * time.Millisecond},
		} {
			if d := a.at[i+1].Sub(a.at[i]); d < within[0] || d > within[1] {
				t.Errorf("pause %d was %v, want %v to %v", i, d, within[0], within[1])
			}
		}
		if len(told) != 1 || !strings.Contains(told[0], "500") {
			t.Errorf("told %q, want the failure once and no throttling", told)
		}
	})
}

func TestSenderNeverGivesUpOnALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := filled(1), &answers{}
		for range 200 {
			a.list = append(a.list, throttled(0))
		}
		newSender(Lane{Name: "x", Deliverer: a}, m, func(string) {}).run(t.Context(), true)
		if n := len(a.calls); n != 201 {
			t.Errorf("%d calls, want 201", n)
		}
		for i := 20; i < 200; i++ {
			if d := a.at[i+1].Sub(a.at[i]); d < longestPause/2 || d > longestPause {
				t.Fatalf("pause %d was %v, want %v to %v", i, d, longestPause/2, longestPause)
			}
		}
	})
}

func TestAmbiguous(t *testing.T) {
	for resend, want := range map[bool][]int64{false: {0, 1}, true: {0, 0, 1}} {
		t.Run(fmt.Sprint("resend ", resend), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, a := filled(2), &answers{list: []Reply{reply(runfile.Doubtful, "no answer")}}
				newSender(Lane{Name: "x", Deliverer: a, Resend: resend}, m, func(string) {}).run(t.Context(), true)
				if !slices.Equal(a.calls, want) {
					t.Errorf("calls = %v, want %v", a.calls, want)
				}
				if kept := len(m.doubtful); (kept == 1) == resend {
					t.Errorf("%d doubtful parcels are kept", kept)
				}
			})
		})
	}
}

// TestNobodyWaitsForAHangingService: giving ticks, waking and storing take no
// time at all, and stopping takes two seconds.
func TestNobodyWaitsForAHangingService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := filled(5), &answers{hang: true}
		set := NewSet(func(string) {}, Sink{Name: "x", Live: true, Lanes: []Lane{{Name: "x", Deliverer: a}}})
		began := time.Now()
		set.Start(m)
		for range 10_000 {
			set.Wake()
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("waking took %v", d)
		}
		time.Sleep(35 * time.Second)
		before := time.Now()
		set.Stop()
		if d := time.Since(before); d > leaveWithin {
			t.Errorf("Stop took %v, want %v at most", d, leaveWithin)
		}
		if n := len(a.calls); n < 3 || n > 4 {
			t.Errorf("%d calls in 35 s, want 3 or 4 of %v each", n, CallWithin)
		}
		if got := len(m.waiting) + len(m.doubtful); got != 5 {
			t.Errorf("%d of 5 parcels are there", got)
		}
	})
}

// TestPath holds that an address without a path gets the one that is in every manual.
func TestPath(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:4318": "http://h:4318/v1/metrics", "http://h:4318/": "http://h:4318/v1/metrics", "https://h/otlp/v1/metrics": "https://h/otlp/v1/metrics",
		"https://h/x": "https://h/x", "nowhere": "nowhere", "": "", "http://h?a=b": "http://h/v1/metrics?a=b",
	} {
		if got := Path(in, "/v1/metrics"); got != want {
			t.Errorf("Path(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status   int
		fate     runfile.Fate
		limit    bool
		after    string
		wantWait time.Duration
	}{
		{429, runfile.Returned, true, "7", 7 * time.Second}, {503, runfile.Returned, true, "", 0}, {429, runfile.Returned, true, "1e9", 0},
		{429, runfile.Returned, true, "99999999", mostAfter}, {429, runfile.Returned, true, "-3", 0},
		{500, runfile.Returned, false, "", 0}, {502, runfile.Doubtful, false, "", 0}, {504, runfile.Doubtful, false, "", 0},
		{404, runfile.Returned, false, "", rights}, {405, runfile.Returned, false, "", rights}, {301, runfile.Returned, false, "", rights},
		{400, runfile.Refused, false, "", 0}, {413, runfile.Refused, false, "", 0}, {403, runfile.Returned, false, "", rights}, {401, runfile.Returned, false, "", rights},
	} {
		r := Status(c.status, c.after, "said\nso")
		if r.Fate != c.fate || r.Throttled != c.limit || r.After != c.wantWait || !strings.Contains(r.Reason, "said so") {
			t.Errorf("Status(%d, %q) = %+v, want fate %d, throttled %v, after %v", c.status, c.after, r, c.fate, c.limit, c.wantWait)
		}
	}
}

func TestRemaining(t *testing.T) {
	p := Progress{Sent: 30, Left: 60, Passed: 10 * time.Second}
	if d, ok := p.Remaining(); !ok || d != 20*time.Second {
		t.Errorf("Remaining = %v, %v, want 20s", d, ok)
	}
	for _, p := range []Progress{{Left: 3, Passed: time.Second}, {Sent: 1, Left: 3, Trouble: "x"}} {
		if d, ok := p.Remaining(); ok {
			t.Errorf("Remaining of %+v = %v, want none", p, d)
		}
	}
}
