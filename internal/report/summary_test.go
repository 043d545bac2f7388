package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/junit"
	"github.com/weir-dev/weir/internal/tally"
)

// drawTicks makes any run: few names, any counts, silent seconds, a short last second.
func drawTicks(t *rapid.T, most int) []*tally.Tick {
	n := rapid.IntRange(0, most).Draw(t, "seconds")
	ticks := make([]*tally.Tick, n)
	names := []string{"/a", "/b"}
	for i := range ticks {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Users: rapid.IntRange(0, 50).Draw(t, "users")}
		if i == n-1 {
			k.Length = time.Duration(rapid.IntRange(1, 1000).Draw(t, "last")) * time.Millisecond
		}
		k.Sends = []uint32{uint32(rapid.IntRange(0, 300).Draw(t, "sends"))}
		k.Due = int64(rapid.IntRange(0, 300).Draw(t, "due"))
		for _, name := range names {
			for o := range hit.Outcome(hit.NumOutcomes) {
				c := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 17, 400}).Draw(t, "count")
				if c == 0 {
					continue
				}
				s := tally.Series{Method: "GET", Name: name, Outcome: o, Count: int64(c), First: k.Start, Last: k.Start + k.Length - 1}
				if o != hit.Missed {
					s.Response, s.Service = &hist.Hist{}, &hist.Hist{}
					d := time.Duration(rapid.IntRange(1, 1e9).Draw(t, "took"))
					s.Response.RecordN(d, uint64(c))
					s.Service.RecordN(d/2, uint64(c))
					s.Codes = []tally.Code{{Status: []int{200, 429, 0}[o], Count: int64(c)}}
				}
				k.Series = append(k.Series, s)
			}
		}
		ticks[i] = k
	}
	return ticks
}

func counts(ticks []*tally.Tick) (c [hit.NumOutcomes]int64, sent int64, length time.Duration) {
	for _, k := range ticks {
		for _, s := range k.Series {
			c[s.Outcome] += s.Count
		}
		sent += sends(k)
		length = k.Start + k.Length
	}
	return c, sent, length
}

func TestSummaryAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks := drawTicks(t, 8)
		s, err := Build(Run{Meta: testMeta(), End: testEnd(), Ticks: each1(ticks)})
		if err != nil {
			t.Fatal(err)
		}
		want, sent, length := counts(ticks)
		o := &s.Outcomes
		got := [...]int64{o.Admitted.Count, o.Throttled.Count, o.Failed.Count, o.Missed.Count}
		if got != want || s.Offered.Sent != sent || s.Offered.Missed != want[hit.Missed] {
			t.Fatalf("counts %v sent %d, want %v and %d", got, s.Offered.Sent, want, sent)
		}
		if s.length != length {
			t.Fatalf("length %v, want %v", s.length, length)
		}
		if answered := got[0] + got[1] + got[2]; answered > 0 {
			if sum := o.Admitted.Ratio + o.Throttled.Ratio + o.Failed.Ratio; math.Abs(sum-1) > 1e-5 {
				t.Fatalf("the ratios of the answered outcomes add up to %v, want 1", sum)
			}
		}
		var byName, byCode int64
		for _, n := range s.Names {
			byName += n.Outcomes.Admitted.Count + n.Outcomes.Throttled.Count + n.Outcomes.Failed.Count + n.Outcomes.Missed.Count
		}
		for _, c := range s.StatusCodes {
			byCode += c.Count
		}
		all := got[0] + got[1] + got[2]
		if byName != all+got[3] || byCode != all {
			t.Fatalf("by name %d, by status %d, want %d and %d", byName, byCode, all+got[3], all)
		}
		var spread int64
		for _, b := range s.Spread {
			spread += b.Admitted + b.Throttled + b.Failed
			if b.From >= b.To {
				t.Fatalf("band %v to %v", b.From, b.To)
			}
		}
		if spread != all {
			t.Fatalf("the distribution has %d, want %d", spread, all)
		}
	})
}

// However long a run is, its points keep every hit and the worst second.
func TestThinningLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks := drawTicks(t, 70)
		most := rapid.IntRange(1, 8).Draw(t, "half") * 2
		tr := &track{most: most}
		for _, k := range ticks {
			tr.add(k)
		}
		if len(tr.points) > most {
			t.Fatalf("%d points, want at most %d", len(tr.points), most)
		}
		var got [hit.NumOutcomes]int64
		var worst float64
		var length time.Duration
		var merged hist.Hist
		for i, p := range tr.points {
			for o, n := range p.count {
				got[o] += n
			}
			if i+1 < len(tr.points) && p.start+p.length != tr.points[i+1].start {
				t.Fatalf("point %d ends at %v, the next begins at %v", i, p.start+p.length, tr.points[i+1].start)
			}
			worst = max(worst, p.worst[hit.Throttled])
			length += p.length
			merged.Merge(&p.admitted)
		}
		want, _, total := counts(ticks)
		if got != want || length != total {
			t.Fatalf("points have %v over %v, want %v over %v", got, length, want, total)
		}
		var slowWorst float64
		var all hist.Hist
		for _, k := range ticks {
			var n int64
			for _, s := range k.Series {
				if s.Outcome == hit.Throttled {
					n += s.Count
				}
				if s.Outcome == hit.Admitted {
					all.Merge(s.Response)
				}
			}
			slowWorst = max(slowWorst, float64(n)/max(k.Length.Seconds(), 0.5))
		}
		if worst != slowWorst {
			t.Fatalf("worst second %v, want %v", worst, slowWorst)
		}
		if !merged.Equal(&all) {
			t.Fatal("the latencies of the points are not those of the run")
		}
	})
}

// The last, cut-off tick of a run is no spike, neither in the report nor live.
func TestShortLastTickIsNoSpike(t *testing.T) {
	tick := func(i int, length time.Duration, n int64) *tally.Tick {
		return &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: length,
			Sends: []uint32{uint32(n)}, Series: []tally.Series{{Name: "/", Outcome: hit.Admitted, Count: n}}}
	}
	ticks := []*tally.Tick{tick(0, time.Second, 100), tick(1, time.Second, 100), tick(2, 20*time.Millisecond, 4)}
	s := build(t, Run{Ticks: each1(ticks)})
	if got := s.Series.Admitted; len(got) != 2 || got[1] < 100 || got[1] > 104 || s.Series.Length[1] != 1.02 {
		t.Errorf("admitted per second %v over %v, want two points near 100", got, s.Series.Length)
	}
	l := NewLive(io.Discard, LiveOptions{})
	for _, k := range ticks {
		l.Tick(k)
	}
	if got := rate(l.last.count[hit.Admitted], l.last.length); got < 100 || got > 104 {
		t.Errorf("live rate %v, want about 102", got)
	}
	if got := l.flow.rates(2, 2*time.Second)[1][hit.Admitted]; got < 100 || got > 104 {
		t.Errorf("live chart %v, want about 102", got)
	}
}

func TestFlowKeepsEverything(t *testing.T) {
	var f flow
	total := 0.0
	for i := range 5000 {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second,
			Series: []tally.Series{{Outcome: hit.Throttled, Count: int64(i % 7)}}}
		f.add(k)
		total += float64(i % 7)
	}
	var got float64
	for _, c := range f.cols {
		got += c.count[hit.Throttled]
	}
	if got != total || len(f.cols) > maxFlow {
		t.Errorf("%d columns with %v, want %v in at most %d", len(f.cols), got, total, maxFlow)
	}
}

// The verdict has one source, so it must read the same everywhere.
func TestVerdictIsTheSameEverywhere(t *testing.T) {
	n := 0
	all := stories()
	// Failed for a reason that is no check.
	stopped := all["free"]
	stopped.End = &End{Verdict: Failed, ExitCode: 1, Reason: "The budget of 50 throttled requests was used up."}
	all["stopped"] = stopped
	for name, run := range all {
		n++
		s := build(t, run)
		render := func(f func(*bytes.Buffer) error) string {
			var b bytes.Buffer
			if err := f(&b); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return b.String()
		}
		text := render(func(b *bytes.Buffer) error { return s.WriteText(b, TextOptions{}) })
		md := render(func(b *bytes.Buffer) error { return s.WriteMarkdown(b) })
		js := render(func(b *bytes.Buffer) error { return s.WriteJSON(b) })
		results := render(func(b *bytes.Buffer) error { return s.WriteJUnit(b) })
		html := render(func(b *bytes.Buffer) error { return s.WriteHTML(b) })
		word := s.headline()
		if !strings.HasPrefix(text, word+"  ") || !strings.HasPrefix(md, "### weir: "+strings.ToLower(word)+"\n") {
			t.Errorf("%s: want %s first in text and Markdown:\n%.40s\n%.40s", name, word, text, md)
		}
		if !strings.Contains(html, "<h1><strong>"+title1(word)+"</strong>") {
			t.Errorf("%s: the page does not say %s", name, word)
		}
		var back Summary
		if err := json.Unmarshal([]byte(js), &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if back.Verdict.Passed != s.Verdict.Passed || back.Verdict.Result != s.Verdict.Result {
			t.Errorf("%s: JSON verdict %+v", name, back.Verdict)
		}
		if (run.End == nil) != (back.Verdict.ExitCode == nil) || run.End != nil && *back.Verdict.ExitCode != run.End.ExitCode {
			t.Errorf("%s: JSON exit code %v", name, back.Verdict.ExitCode)
		}
		var suite junit.Suite
		if err := xml.Unmarshal([]byte(results), &suite); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		failing := 0
		for _, c := range suite.Cases {
			if c.Failure != nil {
				failing++
			}
		}
		if failing != suite.Failures || len(suite.Cases) != suite.Tests || suite.Tests < len(s.Verdict.Checks)+2 {
			t.Errorf("%s: JUnit has %d cases, %d failing; it says %d and %d", name, len(suite.Cases), failing, suite.Tests, suite.Failures)
		}
		if (failing == 0) != s.Verdict.Passed {
			t.Errorf("%s: JUnit has %d failing cases and the verdict is %q", name, failing, s.Verdict.Result)
		}
	}
	if n != 11 {
		t.Fatalf("%d stories, want 11", n)
	}
}

// JSON names are a promise: lists are never null, names carry their unit.
func TestJSONPromises(t *testing.T) {
	for name, run := range stories() {
		var b bytes.Buffer
		if err := build(t, run).WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(b.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		for _, list := range []string{"answer", "throttling", "names", "status_codes", "errors", "events", "latency_distribution", "watched", "slowest_statements"} {
			if _, ok := v[list].([]any); !ok {
				t.Errorf("%s: %q is %v, want a list", name, list, v[list])
			}
		}
		series, _ := v["series"].(map[string]any)
		points := -1
		for key, column := range series {
			list, ok := column.([]any)
			if key == "step_seconds" || key == "status_codes" || key == "watched" {
				continue
			}
			if !ok {
				t.Errorf("%s: series %q is no list", name, key)
				continue
			}
			if points >= 0 && len(list) != points {
				t.Errorf("%s: series %q has %d points, others %d", name, key, len(list), points)
			}
			points = len(list)
		}
		if v["format"] != Format {
			t.Errorf("%s: format %v", name, v["format"])
		}
	}
}

func TestBuildTellsWhereReadingFailed(t *testing.T) {
	broken := errors.New("disk I/O error")
	_, err := Build(Run{Ticks: func(yield func(*tally.Tick, error) bool) {
		if yield(&tally.Tick{Length: time.Second}, nil) {
			yield(nil, broken)
		}
	}})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "1.0 s") {
		t.Errorf("Build = %v, want %v with the place", err, broken)
	}
}

// A service chooses how long its errors are and how many statuses it has; it
// does not choose how long the summary is.
func TestLongTextsFromOutsideStayShort(t *testing.T) {
	sim := simulation{seconds: 12, rate: func(float64) float64 { return 40 }, users: func(float64) int { return 4 }, failing: 1,
		names: []string{"/" + strings.Repeat("n", 700), "/b"},
		failure: func(i int) (hit.Failure, int, string) {
			return hit.CheckFailed, 500 + i%45, "it said " + strings.Repeat("x", 5000)
		}}
	s := build(t, Run{Meta: testMeta(), Ticks: each1(sim.ticks()), End: testEnd()})
	for _, a := range s.Answer {
		if n := len([]rune(a)); n > 300 {
			t.Errorf("a sentence has %d characters: %.80s…", n, a)
		}
	}
	var text, md strings.Builder
	if err := s.WriteText(&text, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteMarkdown(&md); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "\n"); n > 90 {
		t.Errorf("the summary has %d lines", n)
	}
	if want := "and 25 statuses more, in the JSON"; !strings.Contains(text.String(), want) {
		t.Errorf("the summary lacks %q:\n%s", want, text.String())
	}
	// A comment on GitHub takes 65,536 characters.
	if md.Len() > 10_000 {
		t.Errorf("the Markdown has %d bytes", md.Len())
	}
}

// Why a run was interrupted is said when it says more than that it was.
func TestInterruptedIsSaidOnce(t *testing.T) {
	for reason, want := range map[string]string{
		"interrupted": "The run was stopped before its plan was done.",
		"":            "The run was stopped before its plan was done.",
		"SIGTERM":     "The run was stopped before its plan was done: SIGTERM.",
	} {
		s := build(t, Run{Meta: testMeta(), Ticks: each1(nil), End: &End{Verdict: Interrupted, Reason: reason, ExitCode: 130}})
		if s.StateReason != want || s.Verdict.Reason != want {
			t.Errorf("%q: state %q, verdict %q; want %q", reason, s.StateReason, s.Verdict.Reason, want)
		}
	}
}

func TestWords(t *testing.T) {
	has := func(name, want string) {
		t.Helper()
		s := build(t, stories()[name])
		all := strings.Join(s.Answer, "\n")
		if !strings.Contains(all, want) {
			t.Errorf("%s: the answer lacks %q:\n%s", name, want, all)
		}
	}
	has("ramp", "The limit began at 20.2 s: the first 429 came when 127 requests/s were offered. From then on 119.7/s were admitted and 44.9 % of the requests were refused.")
	has("ramp", "Admitted requests took 4.34 ms (p50) to 9.14 ms (p99); refusals came after 997 µs (p50).")
	has("free", "No request was throttled")
	has("free", "None failed.")
	has("stall", "From the moment it was sent (service time) it took 4.21 ms (p50) to 8.88 ms (p99)")
	has("stall", "23 requests (0.4 % of those due) could not be sent in time and were missed")
	has("empty", "Nothing was sent.")
	has("missed", "Nothing was sent: all 501 requests that were due were missed")
	has("interrupted", "3 requests were still under way at the end")
	for name, first := range map[string]string{
		"invalid": "INVALID. The generator was the limit", "partial": "PARTIAL. The record stops at 60.0 s", "interrupted": "INTERRUPTED. The run was stopped before its plan was done: Ctrl-C.",
	} {
		if s := build(t, stories()[name]); !strings.HasPrefix(s.Answer[0], first) {
			t.Errorf("%s: the answer begins %q, want %q", name, s.Answer[0], first)
		}
	}
	for name, run := range stories() {
		for _, a := range build(t, run).Answer {
			if !strings.HasSuffix(a, ".") && name != "hostile" {
				t.Errorf("%s: %q is no sentence", name, a)
			}
		}
	}
}

// Half refused in 1 ms and half admitted in 200 ms: no figure may hide it.
func TestRefusalsNeverFlatterLatency(t *testing.T) {
	k := &tally.Tick{Length: time.Second}
	for o, d := range map[hit.Outcome]time.Duration{hit.Admitted: 200 * time.Millisecond, hit.Throttled: time.Millisecond} {
		var h hist.Hist
		h.RecordN(d, 500)
		k.Series = append(k.Series, tally.Series{Name: "/", Outcome: o, Count: 500, Response: &h, Service: &h})
	}
	slices.SortFunc(k.Series, func(a, b tally.Series) int { return int(a.Outcome) - int(b.Outcome) })
	s := build(t, Run{Ticks: each1([]*tally.Tick{k}), End: &End{Verdict: Passed}})
	near := func(got, want float64) bool { return math.Abs(got-want) <= want*0.005 }
	if a, r := s.Outcomes.Admitted.Response.P50, s.Outcomes.Throttled.Response.P50; !near(a, 200) || !near(r, 1) {
		t.Errorf("p50 admitted %v and throttled %v ms, want 200 and 1", a, r)
	}
	if !strings.Contains(strings.Join(s.Answer, " "), "Admitted requests took 200 ms (p50) to 200 ms (p99); refusals came after 1.00 ms (p50).") {
		t.Errorf("answer: %v", s.Answer)
	}
}
