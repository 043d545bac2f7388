package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// judged is a run of that many seconds with one admitted hit each, and the checks on it.
func judged(t *testing.T, seconds int, exprs ...string) Run {
	t.Helper()
	var ticks []*tally.Tick
	var totals tally.Totals
	var watches []*threshold.Watch
	for _, x := range exprs {
		e, err := threshold.Parse(x)
		if err != nil {
			t.Fatal(err)
		}
		watches = append(watches, threshold.NewWatch(e))
	}
	for i := range seconds {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Sends: []uint32{1}, Series: []tally.Series{{Method: "GET", Name: "/a", Count: 1}}}
		ticks = append(ticks, k)
		totals.Add(k)
		for _, w := range watches {
			w.Tick(k, &totals)
		}
	}
	end := &End{Verdict: Passed}
	for _, w := range watches {
		c := w.Check(&totals)
		end.Checks = append(end.Checks, c)
		if c.Failed() {
			end.Verdict, end.ExitCode = Failed, 1
		}
	}
	return Run{Ticks: each1(ticks), End: end}
}

// TestEveryOutputSaysThatItExtrapolates holds that no verdict on an hour from less
// than an hour is shown without saying so, from how long and how sure.
func TestEveryOutputSaysThatItExtrapolates(t *testing.T) {
	s := build(t, judged(t, 600, "expect admitted.per_hour >= 3000", "failed.per_hour > 10"))
	var text, page, junit, md, data bytes.Buffer
	for _, err := range []error{s.WriteText(&text, TextOptions{}), s.WriteHTML(&page), s.WriteJUnit(&junit), s.WriteMarkdown(&md), s.WriteJSON(&data)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	outputs := map[string]string{"text": text.String(), "HTML": page.String(), "JUnit": junit.String(), "Markdown": md.String(), "JSON": data.String()}
	for name, out := range outputs {
		out = strings.Join(strings.Fields(strings.ReplaceAll(out, "&#xA;", " ")), " ")
		for _, want := range []string{
			"EXTRAPOLATED: the run counted 600 admitted in 10 min, not in an hour. That is 3,600/h, with a 95 % interval from 3,594/h to 3,606/h (from how far the running count strayed from an even rate).",
			"EXTRAPOLATED: the run counted 0 failed in 10 min, not in an hour. That is 0/h, with a 95 % interval from 0/h to 22/h (Poisson: they are too few to see how they came). 10/h lies in it: PASSED ON THE ESTIMATE, NOT PROVED. A longer run tells.",
			"A limit over more than 10 min does not show in this run.",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out[:min(len(out), 3000)])
			}
		}
	}
	if len(outputs) < 5 {
		t.Fatal("an output is missing")
	}
	var sum Summary
	if err := json.Unmarshal(data.Bytes(), &sum); err != nil {
		t.Fatal(err)
	}
	if e := sum.Verdict.Checks[0].Estimate; e == nil || e.From != 600 || e.Per != 3600 || e.Rate != 3600 || e.Method != threshold.Range || e.Low != 3594 || e.High != 3606 {
		t.Errorf("the estimate in the JSON is %+v", e)
	}
}

func TestWordsOfPromises(t *testing.T) {
	cases := []struct {
		exprs   []string
		seconds int
		want    string // in the reason
		not     string
	}{
		{[]string{"expect admitted.per_hour >= 3600"}, 60, "That is 3,600/h to within one request.", "PROVED"},
		{[]string{"expect admitted.per_hour >= 3700"}, 20, "That is 3,700/h to within one request.", "failed"},
		{[]string{"expect failed.per_hour >= 10"}, 60, "10/h lies in it: the failure is likely, not proved.", "PASSED"},
		{[]string{"expect admitted{GET /a}.per_hour.low >= 3000"}, 60, "counted 60 admitted{GET /a} in 1 min", "lies in it"},
		{[]string{"expect admitted.per_minute >= 60"}, 30, "in 30 s, not in a minute. That is 60/min", "an hour"},
		{[]string{"expect admitted.per_hour >= 3600", "expect admitted.per_hour.low >= 1000"}, 60, "All 2 checks passed. EXTRAPOLATED: ", "request. EXTRAPOLATED"},
		{[]string{"expect admitted.per_hour >= 3600"}, 3600, "The one check passed.", "EXTRAPOLATED"},
		{[]string{"expect admitted.rate >= 1/s"}, 60, "The one check passed.", "EXTRAPOLATED"},
	}
	for _, c := range cases {
		s := build(t, judged(t, c.seconds, c.exprs...))
		if r := s.Verdict.Reason; !strings.Contains(r, c.want) || strings.Contains(r, c.not) {
			t.Errorf("%q in %d s: %q, want %q and no %q", c.exprs, c.seconds, r, c.want, c.not)
		}
	}
	if len(cases) < 7 {
		t.Fatal("cases are missing")
	}
}
