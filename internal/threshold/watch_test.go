package threshold

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// second is what happened in one second of a test run, to /a by GET unless a row says more.
type second struct {
	admitted, throttled, failed, missed int64
	ms                                  int // response time of each; service time is a tenth
	rows                                []tally.Series
}

func row(method, name string, o hit.Outcome, n int64, ms int, status int, at time.Duration) tally.Series {
	s := tally.Series{Method: method, Name: name, Outcome: o, Count: n, First: at, Last: at}
	if o != hit.Missed {
		s.Codes = []tally.Code{{Status: status, Count: n}}
		s.Response, s.Service = &hist.Hist{}, &hist.Hist{}
		s.Response.RecordN(time.Duration(ms)*time.Millisecond, uint64(n))
		s.Service.RecordN(time.Duration(ms)*time.Millisecond/10, uint64(n))
	}
	return s
}

func ticksOf(run []second) []*tally.Tick {
	var ticks []*tally.Tick
	for i, s := range run {
		at := time.Duration(i) * time.Second
		k := &tally.Tick{Index: i, Start: at, Length: time.Second, Series: append([]tally.Series(nil), s.rows...)}
		for _, x := range []struct {
			o      hit.Outcome
			n      int64
			status int
		}{{hit.Admitted, s.admitted, 200}, {hit.Throttled, s.throttled, 429}, {hit.Failed, s.failed, 503}, {hit.Missed, s.missed, 0}} {
			if x.n > 0 {
				k.Series = append(k.Series, row("GET", "/a", x.o, x.n, s.ms, x.status, at+time.Second/2))
			}
		}
		var sent int64
		for _, r := range k.Series {
			if r.Outcome != hit.Missed {
				sent += r.Count
			}
		}
		if sent > 0 {
			k.Sends = make([]uint32, 51)
			k.Sends[50] = uint32(sent)
			k.SendLag = &hist.Hist{}
			k.SendLag.RecordN(time.Millisecond, uint64(sent))
		}
		ticks = append(ticks, k)
	}
	return ticks
}

// judge follows a condition over a run; stopped is the tick after which a stop
// rule would have stopped, -1 for never.
func judge(t testing.TB, expr string, ticks []*tally.Tick) (c Check, stopped int) {
	t.Helper()
	e, err := Parse(expr)
	if err != nil {
		t.Fatalf("Parse(%q): %v", expr, err)
	}
	w := NewWatch(e)
	var totals tally.Totals
	stopped = -1
	for i, k := range ticks {
		totals.Add(k)
		if w.Tick(k, &totals) && stopped < 0 {
			stopped = i
		}
	}
	c = w.Check(&totals)
	if again := w.Check(&totals); again != c {
		t.Errorf("Check(%q) = %+v, then %+v", expr, c, again)
	}
	return c, stopped
}

func times(n int, s second) []second {
	var out []second
	for range n {
		out = append(out, s)
	}
	return out
}

func TestVerdicts(t *testing.T) {
	// 10 s: 97 admitted at 200 ms, 2 throttled, 1 failed each; and 5 missed.
	steady := times(10, second{admitted: 97, throttled: 2, failed: 1, missed: 5, ms: 200})
	other := times(10, second{admitted: 10, ms: 100, rows: []tally.Series{
		row("POST", "/b", hit.Admitted, 30, 900, 201, 0), row("GET", "/b", hit.Admitted, 10, 300, 200, 0), row("POST", "/b", hit.Failed, 10, 5, 500, 0)}})
	late := append(times(5, second{admitted: 10, ms: 10}), times(5, second{admitted: 10, throttled: 10, ms: 10})...)
	none := times(3, second{})
	missed := times(3, second{missed: 4})
	refused := times(3, second{failed: 4})
	tests := []struct {
		expr string
		run  []second
		want Verdict
		text string
		at   time.Duration
	}{
		{"admitted.count > 969", steady, Fail, "970", 10 * time.Second},
		{"admitted.count > 970", steady, Pass, "970", 0},
		{"admitted.count >= 970", steady, Fail, "970", 10 * time.Second},
		{"admitted.count == 970", steady, Fail, "970", 10 * time.Second},
		{"admitted.count != 970", steady, Pass, "970", 0},
		{"admitted.count < 970", steady, Pass, "970", 0},
		{"admitted.count <= 970", steady, Fail, "970", time.Second},
		{"throttled.ratio > 2%", steady, Pass, "2% (20 of 1000)", 0},
		{"throttled.ratio >= 2%", steady, Fail, "2% (20 of 1000)", time.Second},
		{"throttled.ratio > 0.0199", steady, Fail, "2% (20 of 1000)", time.Second},
		{"missed.ratio > 4%", steady, Fail, "4.762% (50 of 1050)", time.Second},
		{"throttled.rate == 2/s", steady, Fail, "2/s", time.Second},
		{"throttled.rate == 120/min", steady, Fail, "120/min", time.Second},
		{"throttled.rate == 7200/h", steady, Fail, "7200/h", time.Second},
		{"throttled.per_hour == 7200", steady, Fail, "7200/h", time.Second},
		{"goodput < 97/s", steady, Pass, "97/s", 0},
		{"goodput <= 97/s", steady, Fail, "97/s", time.Second},
		{"total.rate != 100/s", steady, Pass, "100/s", 0},
		{"total.count == 1000", steady, Fail, "1000", 10 * time.Second},
		{"missed.count > 0", steady, Fail, "50", time.Second},
		{"missed.rate > 5/s", steady, Pass, "5/s", 0},
		{"offered.rate == 100/s", steady, Fail, "100/s", time.Second},
		{"offered.count == 1000", steady, Fail, "1000", 10 * time.Second},
		{"offered.peak_1s > 100", steady, Pass, "100", 0},
		{"offered.peak_10s >= 1000", steady, Fail, "1000", 10 * time.Second},
		{"offered.peak_60s > 1000", steady, Pass, "1000", 0},
		{"status(429).count == 20", steady, Fail, "20", 10 * time.Second},
		{"status(5xx).ratio > 0.1%", steady, Fail, "1% (10 of 1000)", time.Second},
		{"status(404).count > 0", steady, Pass, "0", 0},
		{"status(0).rate > 0", steady, Pass, "0/s", 0},
		{"admitted.p95 > 200ms", steady, Pass, "200ms", 0},
		{"admitted.p95 > 199ms", steady, Fail, "200ms", time.Second},
		{"admitted.service.p95 > 20ms", steady, Pass, "20ms", 0},
		{"admitted.response.min < 200ms", steady, Pass, "200ms", 0},
		{"admitted.mean != 200ms", steady, Pass, "200ms", 0},
		{"admitted.max >= 200ms", steady, Fail, "200ms", time.Second},
		{"send_lag.p99 > 1ms", steady, Pass, "1ms", 0},
		{"send_lag.count == 1000", steady, Fail, "1000", 10 * time.Second},
		{"wake_lag.p99 > 1ms", steady, NoData, "no wake_lag", 0},
		{"connect.count > 0", steady, Pass, "0", 0},
		{"throttled.onset < 1s", steady, Fail, "500ms", time.Second},
		{"limit.rate < 1000/s", steady, Fail, "/s", 2 * time.Second},

		{"admitted.max > 800ms", other, Fail, "900ms", time.Second},
		{"admitted{/a}.max > 100ms", other, Pass, "100ms", 0},
		{"admitted{/b}.count == 400", other, Fail, "400", 10 * time.Second},
		{"admitted{/b}.min < 301ms", other, Fail, "300ms", time.Second},
		{"admitted{/b}.mean == 750ms", other, Fail, "750ms", time.Second},
		{"admitted{POST /b}.min < 900ms", other, Pass, "900ms", 0},
		{"admitted{GET /b}.rate > 10/s", other, Pass, "10/s", 0},
		{"failed{POST /b}.ratio > 25%", other, Pass, "25% (100 of 400)", 0},
		{"failed{/a}.p95 > 1s", other, NoData, "no failed hits", 0},
		{"failed{/a}.count > 0", other, Pass, "0", 0},
		{"status(5xx){/a}.count > 0", other, Pass, "0", 0},
		{"status(201){/b}.count == 300", other, Fail, "300", 10 * time.Second},
		{"goodput{/b} == 40/s", other, Fail, "40/s", time.Second},
		{"total{/b}.count == 500", other, Fail, "500", 10 * time.Second},
		{"failed{/c}.count > 0", other, NoData, `"/c"`, 0},
		{"failed{PUT /b}.count > 0", other, NoData, `"PUT /b"`, 0},
		{"throttled.p95 > 1s", other, NoData, "no throttled hits", 0},
		{"throttled.onset < 10s", other, Pass, "never", 0},
		{"throttled.onset > 10s", other, Fail, "never", time.Second},
		{"limit.rate < 100/s", other, NoData, "too little was throttled", 0},

		{"throttled.onset < 5s", late, Pass, "5.5s", 0},
		{"throttled.count > 20", late, Fail, "50", 8 * time.Second},
		{"throttled.rate > 9/s", late, Pass, "5/s", 0},

		{"failed.count > 0", none, NoData, "nothing was sent", 0},
		{"failed.ratio > 0%", none, NoData, "nothing was sent", 0},
		{"admitted.p95 > 1s", none, NoData, "nothing was sent", 0},
		{"missed.count > 0", none, NoData, "nothing was sent", 0},
		{"throttled.onset > 1s", none, NoData, "nothing was sent", 0},
		{"offered.peak_1s > 1", none, NoData, "nothing was sent", 0},
		{"failed.count > 0", nil, NoData, "nothing was sent", 0},
		{"missed.count > 0", missed, Fail, "12", time.Second},
		{"missed.ratio > 99%", missed, Fail, "100%", time.Second},
		{"failed.count > 0", missed, NoData, "nothing was sent", 0},
		{"failed.ratio >= 100%", refused, Fail, "100% (12 of 12)", time.Second},

		{"throttled.rate > 9/s for 5s", late, Fail, "held for 5s, from 5s", 10 * time.Second},
		{"throttled.rate > 9/s for 3s", late, Fail, "held for 5s, from 5s", 8 * time.Second},
		{"throttled.rate > 9/s for 6s", late, Pass, "held for 5s at most", 0},
		{"throttled.rate > 10/s for 3s", late, Pass, "never", 0},
		{"throttled.count >= 10 for 5s", late, Fail, "held for 5s", 10 * time.Second},
		{"throttled.ratio > 49% for 4500ms", late, Fail, "held for 5s", 10 * time.Second},
		{"throttled.per_hour > 35999 for 5s", late, Fail, "held for 5s", 10 * time.Second},
		{"admitted.p95 > 1ms for 10s", late, Fail, "held for 10s, from 0s", 10 * time.Second},
		{"admitted{GET /a}.p95 > 1ms for 10s", late, Fail, "held for 10s", 10 * time.Second},
		{"failed.p95 > 1ms for 10s", late, NoData, "no failed hits", 0},
		{"goodput < 1/s for 3s", append(times(5, second{}), second{admitted: 1}), Pass, "never", 0},
		{"goodput > 1/s for 11s", late, NoData, "shorter than 11s", 0},
		{"goodput{/z} > 1/s for 3s", late, NoData, `"/z"`, 0},
		{"goodput < 1/s for 3s", none, NoData, "nothing was sent", 0},
		{"offered.rate >= 20/s for 5s", late, Fail, "held for 5s", 10 * time.Second},
		{"send_lag.max >= 1ms for 10s", late, Fail, "held for 10s", 10 * time.Second},
		{"status(429).count == 10 for 5s", late, Fail, "held for 5s", 10 * time.Second},
	}
	if len(tests) < 80 {
		t.Fatalf("%d cases", len(tests))
	}
	for _, test := range tests {
		c, _ := judge(t, test.expr, ticksOf(test.run))
		if test.want != Fail && c.Verdict == Fail || test.want != NoData && c.Verdict == NoData || c.Verdict != test.want {
			t.Errorf("%s: %v (%s), want %v", test.expr, c.Verdict, c.Value, test.want)
			continue
		}
		// A rate so far may have crossed its value before the end.
		if !strings.Contains(c.Value, test.text) || c.At != test.at {
			t.Errorf("%s: %q at %v, want %q at %v", test.expr, c.Value, c.At, test.text, test.at)
		}
		if c.Failed() != (test.want != Pass) {
			t.Errorf("%s: Failed() = %v", test.expr, c.Failed())
		}
	}
}

func TestStopRules(t *testing.T) {
	late := ticksOf(append(times(5, second{admitted: 10, ms: 10}), times(5, second{admitted: 10, throttled: 10, ms: 10})...))
	tests := []struct {
		expr string
		want int // tick after which the run stops; -1 never
	}{
		{"throttled.count > 0", 5}, {"throttled.count > 25", 7}, {"throttled.rate > 2/s", 6}, {"throttled.ratio > 30%", 8},
		{"throttled.rate > 9/s for 1s", 5}, {"throttled.rate > 9/s for 2s", 6}, {"throttled.rate > 9/s for 2500ms", 7},
		{"throttled.rate > 9/s for 5s", 9}, {"throttled.rate > 9/s for 6s", -1}, {"failed.ratio > 1%", -1}, {"failed.p95 > 0", -1},
	}
	for _, test := range tests {
		if _, got := judge(t, test.expr, late); got != test.want {
			t.Errorf("stop-if %s stops after tick %d, want %d", test.expr, got, test.want)
		}
	}
	if len(tests) != 11 {
		t.Fatalf("%d cases", len(tests))
	}
}

// TestForIsEveryTickOfTheStretch compares with looking at every window of ticks.
func TestForIsEveryTickOfTheStretch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var run []second
		for range rapid.IntRange(0, 25).Draw(rt, "seconds") {
			run = append(run, second{admitted: rapid.Int64Range(0, 2).Draw(rt, "n"), throttled: 1, ms: rapid.IntRange(1, 2).Draw(rt, "ms")})
		}
		hold := rapid.IntRange(1, 5).Draw(rt, "for")
		byTime := rapid.Bool().Draw(rt, "by time")
		expr := fmt.Sprintf("admitted.count >= 1 for %ds", hold)
		if byTime {
			expr = fmt.Sprintf("admitted.max >= 2ms for %ds", hold)
		}
		want := -1
		for end := range run {
			for start := 0; start+hold <= end+1 && want < 0; start++ {
				all := true
				for i := start; i <= end; i++ {
					switch s := run[i]; {
					case byTime && s.admitted == 0:
						all = all && i != start && i != end // no data: goes on, begins and ends nothing
					case byTime:
						all = all && s.ms >= 2
					default:
						all = all && s.admitted >= 1
					}
				}
				if all {
					want = end
				}
			}
		}
		c, got := judge(t, expr, ticksOf(run))
		if got != want {
			rt.Fatalf("%s over %+v: true after tick %d, want %d", expr, run, got, want)
		}
		if (c.Verdict == Fail) != (want >= 0) || want >= 0 && c.At != time.Duration(want+1)*time.Second {
			rt.Fatalf("%s: %+v, want it to break after tick %d", expr, c, want)
		}
	})
}

func TestSinceWhen(t *testing.T) {
	// Broken after 1 s, mended after 3 s, broken again after 5 s.
	run := []second{{admitted: 1, failed: 1}, {admitted: 1, failed: 0}, {admitted: 9}, {failed: 1}, {failed: 9}, {failed: 9}}
	c, stopped := judge(t, "failed.ratio > 40%", ticksOf(run))
	if c.At != 5*time.Second || stopped != 0 {
		t.Errorf("broken since %v, stopped after tick %d; want 5s and 0", c.At, stopped)
	}
}

// The value shown must not seem to contradict the verdict.
func TestValueIsAsLongAsItNeedsToBe(t *testing.T) {
	run := []second{{admitted: 99999, throttled: 1001, ms: 1}}
	for expr, want := range map[string]string{
		"throttled.ratio > 0.991%":   "0.9911% (1001 of 101000)",
		"throttled.ratio > 0.9%":     "0.9911% (1001 of 101000)",
		"throttled.ratio >= 0.9911%": "0.99109% (1001 of 101000)",
		"admitted.rate < 100000/s":   "99999/s",
		"admitted.rate > 99000/s":    "100000/s",
	} {
		if c, _ := judge(t, expr, ticksOf(run)); c.Value != want {
			t.Errorf("%s: %q, want %q", expr, c.Value, want)
		}
	}
}

func TestVerdictText(t *testing.T) {
	for _, v := range []Verdict{Pass, Fail, NoData} {
		b, err := json.Marshal(Check{Expr: "e", Verdict: v})
		var back Check
		if err != nil || json.Unmarshal(b, &back) != nil || back.Verdict != v || !strings.Contains(string(b), `"`+v.String()+`"`) {
			t.Errorf("%v: %s, back %v", v, b, back)
		}
	}
	var v Verdict
	if err := v.UnmarshalText([]byte("maybe")); err == nil || Verdict(9).String() != "unknown" {
		t.Error("an unknown verdict was taken")
	}
}

func TestUnknownOutcomeIsLeftOut(t *testing.T) {
	ticks := ticksOf(times(2, second{admitted: 1, rows: []tally.Series{{Outcome: 200, Count: 9}}}))
	if c, _ := judge(t, "total.count > 1 for 1s", ticks); c.Verdict != Pass {
		t.Errorf("%+v", c)
	}
}
