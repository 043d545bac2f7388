package load

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// server is an in-memory service: answer is called for each request, with when
// it arrived, and says what comes back and after how long.
type server struct {
	answer func(n int64, at time.Duration) (status int, after time.Duration)

	mu    sync.Mutex
	start time.Time
	sent  []time.Duration // instants at which requests arrived
}

// fake is a Sender of one user of a server.
type fake struct {
	s      *server
	closed bool
}

func (f *fake) Close() error { f.closed = true; return nil }

func (f *fake) Send(ctx context.Context, _ *hit.Request, ans *hit.Answer) {
	if ctx.Err() != nil {
		ans.Failure, ans.Done = hit.Interrupted, time.Now()
		return
	}
	ans.Sent = time.Now()
	ans.OnSent(ans.Sent)
	s := f.s
	s.mu.Lock()
	at := ans.Sent.Sub(s.start)
	n := int64(len(s.sent))
	s.sent = append(s.sent, at)
	s.mu.Unlock()
	status, after := s.answer(n, at)
	if after > 0 {
		t := time.NewTimer(after)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			ans.Failure, ans.Done = hit.Interrupted, time.Now()
			return
		}
	}
	ans.Status, ans.BytesIn, ans.BytesOut = status, 100, 50
	ans.Done = time.Now()
}

// run is what became of a plan.
type run struct {
	Result
	err    error
	ticks  []*tally.Tick
	totals tally.Totals
	sent   []time.Duration
}

func (r *run) count(o hit.Outcome) int64 { return r.totals.Outcome(o).Count }

// play runs p against a server in virtual time. during, if any, runs beside it.
func play(t *testing.T, p Plan, answer func(n int64, at time.Duration) (int, time.Duration), during func(e *Engine, cancel func())) *run {
	t.Helper()
	r := &run{}
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: answer, start: time.Now()}
		if p.Scenario == nil {
			p.Scenario = Repeat(&hit.Request{URL: "http://test/path"}, 0)
		}
		if p.NewSender == nil {
			p.NewSender = func(int) (Sender, error) { return &fake{s: s}, nil }
		}
		e, err := New(p)
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if during != nil {
			go during(e, cancel)
		}
		r.Result, r.err = e.Run(ctx, func(k *tally.Tick) { r.ticks = append(r.ticks, k) })
		if r.Abandoned > 0 {
			time.Sleep(2 * time.Hour) // until they are through, for the bubble's sake
		}
		s.mu.Lock()
		r.sent = s.sent
		s.mu.Unlock()
	})
	for _, problem := range r.check() {
		t.Error(problem)
	}
	return r
}

// check returns what is wrong with the run, of what has to hold of every run.
func (r *run) check() (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var end time.Duration
	for i, k := range r.ticks {
		if k.Index != i || k.Start != end {
			bad("tick %d has index %d and starts at %v, want %v", i, k.Index, k.Start, end)
		}
		end += k.Length
		if i < len(r.ticks)-1 && k.Length != time.Second {
			bad("tick %d has length %v", i, k.Length)
		}
		for _, row := range k.Series {
			if row.Outcome == hit.Missed {
				if row.Response != nil || row.Service != nil || row.Codes != nil {
					bad("tick %d: missed hits have answers: %+v", i, row)
				}
				continue
			}
			var codes int64
			for _, c := range row.Codes {
				codes += c.Count
			}
			if row.Count <= 0 || int64(row.Response.Count()) != row.Count || int64(row.Service.Count()) != row.Count || codes != row.Count {
				bad("tick %d, %s: count %d, %d response times, %d service times, %d codes",
					i, row.Outcome, row.Count, row.Response.Count(), row.Service.Count(), codes)
			}
			if row.First > row.Last {
				bad("tick %d: first %v after last %v", i, row.First, row.Last)
			}
		}
		r.totals.Add(k)
	}
	if len(r.ticks) == 0 {
		bad("no ticks")
		return problems
	}
	if got := r.totals.Sent + r.totals.Warmed; got != int64(len(r.sent)) {
		bad("ticks say %d sends, the server saw %d", got, len(r.sent))
	}
	if n := r.ticks[len(r.ticks)-1].InFlight; n != 0 {
		bad("%d requests under way after the run", n)
	}
	if end < r.Elapsed || end > r.Elapsed+time.Second {
		bad("the ticks end at %v, the run took %v", end, r.Elapsed)
	}
	return problems
}

// conserved says what is wrong with the sum of a run of the open model with one
// request per arrival.
func (r *run) conserved() string {
	sum := r.count(hit.Admitted) + r.count(hit.Throttled) + r.count(hit.Failed) + r.totals.Missed + r.Unfinished
	if r.totals.Due != sum {
		return fmt.Sprintf("%d were due; admitted %d + throttled %d + failed %d + missed %d + unfinished %d = %d", r.totals.Due,
			r.count(hit.Admitted), r.count(hit.Throttled), r.count(hit.Failed), r.totals.Missed, r.Unfinished, sum)
	}
	return ""
}

// peak returns the most sends in any window of that length.
func (r *run) peak(window time.Duration) int {
	most, from := 0, 0
	for i, at := range r.sent {
		for at-r.sent[from] >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func mustRate(t testing.TB, s string) pace.Rate {
	t.Helper()
	r, err := pace.ParseRate(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func after(d time.Duration) func(int64, time.Duration) (int, time.Duration) {
	return func(int64, time.Duration) (int, time.Duration) { return 200, d }
}
