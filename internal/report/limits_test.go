package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// limitRun is a run whose answers tell of a limit that is used up after four seconds.
func limitRun(name string) Run {
	var ticks []*tally.Tick
	for i := range 8 {
		start := time.Duration(i) * time.Second
		k := &tally.Tick{Index: i, Start: start, Length: time.Second, Due: 10, Sends: []uint32{10}}
		row := tally.Series{Method: "GET", Name: name, Outcome: hit.Admitted, Count: 10, Response: &hist.Hist{}, Service: &hist.Hist{}, First: start, Last: start}
		told := tally.Told{Method: "GET", Name: name, Dialect: "x-ratelimit", Quota: 40, Left: int64(max(0, 30-10*i)), Reset: 10 * time.Second, Read: 10, Used: 10,
			Binds: true, Forecast: "within", Soonest: max(0, time.Duration(3-i)*time.Second), Latest: time.Duration(max(5-i, 0)) * time.Second}
		told.Least = told.Left
		if i >= 4 {
			row.Outcome, row.Codes = hit.Throttled, []tally.Code{{Status: 429, Count: 10}}
		}
		row.Response.RecordN(time.Millisecond, 10)
		row.Service.RecordN(time.Millisecond, 10)
		k.Series = []tally.Series{row}
		k.Limits = &tally.Limits{Told: []tally.Told{told}}
		if i == 6 {
			h := &hist.Hist{}
			h.Record(2 * time.Second)
			k.Limits.Clashes = []tally.Clash{{Method: "GET", Name: name, Kind: "refused-with-left", Text: "refused with status 429 while the answer told 5 of 40 left", Count: 3, First: start}}
			k.Limits.Waits = []tally.Waits{{Method: "GET", Name: name, Told: 9, Longest: 6 * time.Second, KeptPassed: 4, KeptRefused: 1, EarlyPassed: 2}}
			k.Limits.Work = []tally.Work{{Method: "GET", Name: name, Done: 20, GaveUp: 5, Requests: 50, Again: 4, Last: start, Total: h, Held: 7, HeldFor: h, Unsent: 3}}
		}
		ticks = append(ticks, k)
	}
	return Run{
		Meta: Meta{Target: "GET http://x" + name, Plan: "10/s"},
		End:  &End{Verdict: Passed, Reason: "done"},
		Ticks: func(yield func(*tally.Tick, error) bool) {
			for _, k := range ticks {
				if !yield(k, nil) {
					return
				}
			}
		},
	}
}

func TestLimitStoryInEveryOutput(t *testing.T) {
	s, err := Build(limitRun("/orders"))
	if err != nil {
		t.Fatal(err)
	}
	var text, page, md, js bytes.Buffer
	for _, err := range []error{s.WriteText(&text, TextOptions{Width: 120}), s.WriteHTML(&page), s.WriteMarkdown(&md), s.WriteJSON(&js)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	oneLine := strings.Join(strings.Fields(text.String()), " ")
	for _, want := range []string{
		"The first throttled request was GET /orders; throttling lasted 3 s.",
		"It had been foretold just before: in 0–2 s.",
		"Refusals said to wait up to 6 s: of 5 clients that waited so long 4 were admitted and 1 was refused again",
		"2 clients came back more than a second too early and were admitted: the wait was longer than needed",
		"What the service told contradicts itself or what it did, 3 times in the answers that were read",
		"25 pieces of work took 50 requests, 2.00 each: 20 were done (2.5/s), 4 of them after retries; 5 were given up.",
		"To respect the limits 7 requests were held back, for 2.00 s (p50)",
		"3 more were held to the end and never sent",
		"held to the end",
		"GET /orders (binds)",
	} {
		if !strings.Contains(oneLine, want) {
			t.Errorf("the text lacks %q:\n%s", want, oneLine)
		}
	}
	for name, out := range map[string]string{"page": page.String(), "markdown": md.String()} {
		for _, want := range []string{"GET /orders", "refused with status 429 while the answer told 5 of 40 left"} {
			if !strings.Contains(out, want) {
				t.Errorf("the %s lacks %q", name, want)
			}
		}
	}
	for _, want := range []string{`id="limits"`, "Where requests were throttled", "Pieces of work", `href="#limits"`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var back struct {
		Limits LimitStory `json:"limits"`
	}
	if err := json.Unmarshal(js.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	l := back.Limits
	if len(l.Told) != 1 || *l.Told[0].Quota != 40 || *l.Told[0].Least != 0 || l.Told[0].Before == nil || l.Told[0].Before.At != 4 ||
		l.Refusals[0].At != 4 || l.Refusals[0].Throttled != 40 || l.Work[0].Each != 2 || l.Work[0].Goodput != 2.5 {
		t.Errorf("%+v", l)
	}
}

// A run whose answers told nothing of limits says nothing of them.
func TestNoLimitStory(t *testing.T) {
	run := limitRun("/x")
	all := run.Ticks
	run.Ticks = func(yield func(*tally.Tick, error) bool) {
		for k := range all {
			k.Limits = nil
			if !yield(k, nil) {
				return
			}
		}
	}
	s, err := Build(run)
	if err != nil {
		t.Fatal(err)
	}
	var page, js bytes.Buffer
	if err := s.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), `id="limits"`) || strings.Contains(js.String(), `"limits"`) || s.Limits.held() || s.Limits.unsent() != 0 {
		t.Error("there is a chapter on limits")
	}
}

func TestForecastWords(t *testing.T) {
	for want, f := range map[string]tally.Told{
		"never at this rate":               {Forecast: "never"},
		"now":                              {Forecast: "within"},
		"in 40–55 s":                       {Forecast: "within", Soonest: 40 * time.Second, Latest: 55 * time.Second},
		"in 40 s or later":                 {Forecast: "within", Soonest: 40 * time.Second},
		"not before 12 s: it is not known": {Forecast: "after", Soonest: 12 * time.Second, Why: "it is not known"},
		"unknown: too few answers so far":  {Forecast: "unknown", Why: "too few answers so far"},
	} {
		if got := forecastWords(&f); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Names from outside cannot write control codes, nor break the frame.
func TestLiveLimits(t *testing.T) {
	for _, name := range []string{"/orders", "/\x1b[31mred\x07\u202e" + strings.Repeat("long", 40)} {
		l := NewLive(&bytes.Buffer{}, LiveOptions{Mode: Mode{Redraw: true}, Meta: Meta{Target: "GET /"}})
		for k := range limitRun(name).Ticks {
			if k.Index == 3 {
				break
			}
			l.Tick(k)
		}
		lines := l.limitLines(79, 24)
		if len(lines) != 1 || lines[0].cells() > 79 {
			t.Fatalf("%d lines", len(lines))
		}
		var b strings.Builder
		lines[0].appendTo(&b, false)
		if got := b.String(); strings.ContainsAny(got, "\x1b\x07\u202e") || name == "/orders" && !strings.Contains(got, "10 of 40 left") {
			t.Errorf("%q", got)
		}
		if got := l.limitsPlain(); strings.ContainsAny(got, "\x1b\x07\u202e") || !strings.Contains(got, "throttled in 1–3 s") {
			t.Errorf("%q", got)
		}
	}
}
