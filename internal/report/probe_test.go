package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// sampleProbe is a report with everything in it, and names that try to break out.
func sampleProbe() *Probe {
	start := time.Unix(1_700_000_000, 0)
	v := &probe.Verdict{
		Found:      probe.Found{Family: probe.FixedClock, Policies: []limit.Policy{{Algorithm: limit.FixedWindow, Limit: 12, Window: 3 * time.Second, Phase: time.Second}}, LimitLow: 12, LimitHigh: 12},
		Confidence: 0.97, Sure: true, Foreign: 3, Stopped: "the bound on time was reached", Requests: 60, Refused: 10, Lost: 1, Elapsed: 9 * time.Second,
		Alternatives: []probe.Share{{Family: probe.TokenBucket, Share: 0.03, Found: probe.Found{Family: probe.TokenBucket, Policies: []limit.Policy{{Limit: 4, Window: time.Second, Burst: 12}}}, Separate: "rest 4 s and send 13: of the last 13 this one admits 12, that one 13"}},
	}
	for i := range 60 {
		v.Waves = append(v.Waves, probe.Wave{Sent: start.Add(time.Duration(i) * 150 * time.Millisecond), Done: start.Add(time.Duration(i)*150*time.Millisecond + time.Millisecond), Admitted: i % 5, Refused: i % 3, Lost: i / 59, Why: "burst from rest"})
	}
	p := NewProbe(v)
	p.Target = "GET http://127.0.0.1/<script>\x1b[31m"
	p.Headers = "contradict"
	p.Findings = []ProbeFinding{{Code: "P001", Name: "header-limit", Text: "a header tells another limit", Told: "a limit of <b>100</b>", Seen: "12", Seconds: 1.5, Requests: 13, Times: 2}}
	p.Scope = &ProbeScope{
		Sentence: "It is counted by the header X-Key.", Key: `request.header["X-Key"]`, Confidence: 0.99, Sure: true, BothWays: true, Notes: []string{"Above it is a second limit."},
		Things: []ProbeThing{{Name: "header:X-Key", Values: []string{"a", "b"}, Counted: true, Belief: 0.99, Apart: []string{"b"}}},
		Rounds: []ProbeRound{{Why: "x", As: "header:X-Key=a", Admitted: 12, Refused: 4, Asked: []ProbeAsked{{As: "header:X-Key=<b>", Admitted: 2}}}},
	}
	behind := *p.Scope
	behind.Sentence = "The longer limit is counted by the path."
	p.Scope.Behind = &behind
	return p
}

func TestProbeText(t *testing.T) {
	var b bytes.Buffer
	if err := sampleProbe().WriteText(&b, false, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"This is a fixed window by the clock: 12 requests in 3 s; windows begin 1 s after the clock's even 3 s.", "It is counted by the header X-Key.", "The longer limit is counted by the path.", "far less likely (3 %): token bucket, 12 at once, then 4 a second",
		"It was cut short: the bound on time was reached.", "Perhaps others use the same limit", "P001 header-limit: a header tells another limit. After 13 requests it told", "60 requests, 10 refused, 1 without an answer that counts, in 9 s.",
		"20 more waves", "meanwhile as header:X-Key=<b>: 2 of 2 admitted",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("the text has control codes")
	}
}

// TestRateWords: rates are said as people say them, and no more exactly than they are known.
func TestRateWords(t *testing.T) {
	ran := 0
	for _, c := range []struct {
		n    int64
		per  time.Duration
		off  float64
		want string
	}{
		{10, time.Second, 0, "10 a second"},
		{90, time.Minute, 0.001, "90 a minute"},
		{1, 2 * time.Second, 0, "one every 2 s"},
		{1, time.Second, 0, "1 a second"},
		{2, 5 * time.Second, 0, "2 every 5 s"},
		{1200, time.Minute, 0, "1200 a minute"},
		{603, time.Minute, 0.001, "about 10.05 a second"},
		{17784, time.Hour, 0.001, "about 4.94 a second"},
		{49, 10 * time.Second, 0.02, "about 4.9 a second (4.8 to 5)"},
		{30, time.Minute, 0.1, "about 30 a minute (27.3 to 33.3)"},
		{5, time.Hour, 0.1, "about 5 an hour (4.55 to 5.56)"},
	} {
		ran++
		if got := rateWords(c.n, c.per, c.off); got != c.want {
			t.Errorf("%d per %v, off by %v: %q, want %q", c.n, c.per, c.off, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{2 * time.Second: "about 2 s (1.96 s to 2.04 s)", 1230 * time.Millisecond: "about 1.23 s (1.21 s to 1.25 s)"} {
		ran++
		if got := lengthWords(d, 0.02); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if ran != 13 {
		t.Fatalf("%d cases ran", ran)
	}
}

// TestProbeUndecidedWords: what is not known is not said as if it were.
func TestProbeUndecidedWords(t *testing.T) {
	open := probe.Found{Family: probe.FixedClock, Policies: []limit.Policy{{Algorithm: limit.FixedWindow, Limit: 10, Window: 5 * time.Minute, Phase: 207 * time.Second}}, WindowOff: 0.9}
	v := &probe.Verdict{Found: open, Confidence: 0.5, Requests: 20, Refused: 4, Others: probe.Others{Share: 0.001, High: 0.012},
		Alternatives: []probe.Share{{Family: probe.TokenBucket, Share: 0.4, Found: probe.Found{Family: probe.TokenBucket, Policies: []limit.Policy{{Limit: 74001, Window: time.Minute, Burst: 12}}, WindowOff: 0.02}, Separate: "rest 4 s and send 13: of the last 13 this one admits 12, that one 13"}}}
	v.Open = "it ended early"
	p := NewProbe(v)
	p.Findings = []ProbeFinding{{Code: "P001", Name: "header-limit", Text: "x", Told: "a limit of 100", Seen: "12", Requests: 1, Times: 1}}
	var b bytes.Buffer
	if err := p.WriteText(&b, false, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"is a fixed window by the clock: 10 requests in a time that is not known yet.\n", "not excluded (40 %): token bucket, 12 at once, then about 1230 a second (1210 to 1260)\n", "To tell: rest 4 s and send 13", "It is not certain: it ended early.", "If it is so, others use less than 2 % of it, if there are any.", "After 1 request it told"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, b.String())
		}
	}
}

// TestProbeReplicasWords: a verdict on replicas reads as one.
func TestProbeReplicasWords(t *testing.T) {
	f := probe.Found{Family: probe.Replicas, Replicas: 3, Policies: []limit.Policy{{Algorithm: limit.FixedWindow, Limit: 20, Window: 3 * time.Second, Align: limit.AlignFirst}}}
	for sure, want := range map[bool]string{
		true:  "These are several replicas with one limit on each: 20 requests in 3 s from the first one on, on each of about 3 replicas.",
		false: "These are several replicas (99 %), with one limit on each: 20 requests in 3 s from the first one on, on each of about 3 replicas.",
	} {
		if got := NewProbe(&probe.Verdict{Found: f, Sure: sure, Confidence: 0.99, Requests: 9, Refused: 2}).Sentence; got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// TestProbeBanWords: whether asking makes a ban longer is said, in words and in figures.
func TestProbeBanWords(t *testing.T) {
	f := probe.Found{Family: probe.Ban, Ban: 9 * time.Second, Policies: []limit.Policy{{Algorithm: limit.FixedWindow, Limit: 20, Window: 3 * time.Second, Align: limit.AlignFirst}}}
	for anew, want := range map[bool]string{
		true:  "20 requests in 3 s from the first one on, refusing everything for 9 s once it is exceeded, counted from the latest request that was refused.",
		false: "20 requests in 3 s from the first one on, refusing everything for 9 s once it is exceeded.",
	} {
		f.Anew = anew
		p := NewProbe(&probe.Verdict{Found: f, Sure: true, Confidence: 0.99, Requests: 9, Refused: 2})
		if !strings.HasSuffix(p.Sentence, ": "+want) {
			t.Errorf("it says %q, want %q", p.Sentence, want)
		}
		if p.BanSeconds != 9 || p.BanRenewed != anew {
			t.Errorf("a ban of %v s, begun anew: %v; want %v", p.BanSeconds, p.BanRenewed, anew)
		}
	}
}

// TestProbeSinceWords: what portions count from is said, in words and in figures.
func TestProbeSinceWords(t *testing.T) {
	f := probe.Found{Family: probe.RefillBucket, Anew: true, Policies: []limit.Policy{{Algorithm: limit.RefillBucket, Limit: 2, Burst: 8, Window: 3 * time.Second}}}
	for since, want := range map[probe.Since]string{
		probe.SinceLet:     "since the latest that was let through, which begins the time anew.",
		probe.SincePortion: "since a request that found some more, which begins the time anew.",
		probe.SinceRest:    "from a request on, which begins the time anew when it was full.",
	} {
		f.Since = since
		p := NewProbe(&probe.Verdict{Found: f, Sure: true, Confidence: 0.99, Requests: 9, Refused: 2})
		if want = "8 at once, and 2 more each 3 s " + want; !strings.HasSuffix(p.Sentence, ": "+want) || p.Limits[0].PortionsSince != since.String() {
			t.Errorf("it says %q and %q, want %q", p.Sentence, p.Limits[0].PortionsSince, want)
		}
	}
}

// TestProbeStopWords: what was stopped before a limit was met is no verdict, and what
// was found before a bound is one.
func TestProbeStopWords(t *testing.T) {
	p := NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.None}, Requests: 1, Stopped: "1 request was answered with status 500"})
	p.Stop("errors")
	var b bytes.Buffer
	if err := p.WriteText(&b, false, 0); err != nil || !p.Unknown || !strings.HasPrefix(b.String(), "Nothing is known") || !strings.Contains(b.String(), "status 500") {
		t.Errorf("%v: %s", err, b.String())
	}
	p = NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.None}, Requests: 4, Stopped: "the bound on time was reached"})
	if p.Stop("time"); p.Unknown || !strings.HasPrefix(p.Sentence, "No limit was met within 4 requests") {
		t.Error(p.Sentence)
	}
	p = NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.None}, Requests: 400, Paced: 19.96, Elapsed: 20 * time.Second})
	if !strings.Contains(p.Sentence, "about 20 a second, however many were sent: it makes everybody wait") || len(p.Notes) != 1 {
		t.Error(p.Sentence, p.Notes)
	}
	p = NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.None}, Requests: 3000, Slowest: 2054 * time.Millisecond, Elapsed: 48 * time.Second})
	if want := "Nothing was refused within 3,000 requests in 48 s, but answers took up to 2.1 s: it makes who sends much wait"; !strings.HasPrefix(p.Sentence, want) {
		t.Error(p.Sentence)
	}
	p = NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.None}, Requests: 2, Lost: 2, Stopped: "it was interrupted"})
	if p.Stop("interrupted"); !p.Unknown || !strings.HasPrefix(p.Sentence, "Nothing is known") {
		t.Error(p.Sentence)
	}
	p = sampleProbe()
	if p.Stop("bound"); !strings.HasPrefix(p.Cut(), "It was not tried for longer") {
		t.Error(p.Cut())
	}
}

func TestProbeJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sampleProbe().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Probe
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Family != "fixed window by the clock" || len(back.Waves) != 60 || back.Scope == nil || back.Scope.Key == "" {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestProbeHTML(t *testing.T) {
	var b bytes.Buffer
	if err := sampleProbe().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"12 requests in 3 s", `<svg class="picture"`, "request.header[&#34;X-Key&#34;]", "header-limit", `class="head"`, "<h3>The longer limit</h3>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, bad := range []string{"<script", "\x1b", "http-equiv=\"refresh", "<b>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	// What has no waves, and no limit, is a page too.
	empty := NewProbe(&probe.Verdict{})
	if err := empty.WriteHTML(&b); err != nil {
		t.Error(err)
	}
	if !strings.Contains(empty.Sentence, "No limit was met") {
		t.Error(empty.Sentence)
	}
}

// TestProbePageInBrowser: nothing is wider than the window, and the accessibility
// rules find nothing, light and dark, on a desk and on a phone.
func TestProbePageInBrowser(t *testing.T) {
	ctx := browser(t)
	path := filepath.Join(t.TempDir(), "probe.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := sampleProbe().WriteHTML(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	c := &console{}
	c.listen(ctx)
	looks := 0
	for _, width := range []int{1280, 390} {
		for _, theme := range []string{"light", "dark"} {
			looks++
			if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), 900), chromedp.Navigate("file://"+path)); err != nil {
				t.Fatal(err)
			}
			eval[bool](t, ctx, `document.documentElement.dataset.theme = "`+theme+`"; true`)
			if eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%d wide: the page is wider than the window", width)
			}
			axe(t, ctx, "probe "+theme)
		}
	}
	if said := c.take(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
	if looks != 4 {
		t.Fatalf("%d looks", looks)
	}
}

func TestSpanWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1 h", 90 * time.Minute: "90 min", time.Minute: "1 min", 90 * time.Second: "90 s", 1500 * time.Millisecond: "1.5 s", time.Second: "1 s", 20 * time.Millisecond: "20 ms", 12345 * time.Millisecond: "12.3 s", -5: "no time",
	} {
		if got := spanWords(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// TestProbeOthers: who else used the limit is said in the text, in JSON and on the page,
// and is then not guessed at.
func TestProbeOthers(t *testing.T) {
	v := &probe.Verdict{
		Found: probe.Found{Family: probe.TokenBucket, Policies: []limit.Policy{{Limit: 4, Window: time.Second, Burst: 12}}},
		Sure:  true, Foreign: 7, Requests: 60, Refused: 10, Others: probe.Others{Share: 0.08, Low: 0.05, High: 0.124},
	}
	p := NewProbe(v)
	var text, page bytes.Buffer
	if err := p.WriteText(&text, false, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"text": text.String(), "page": page.String()} {
		if !strings.Contains(s, "Others use about 8 % (5 to 12 %) of it.") || strings.Contains(s, "Perhaps others") {
			t.Errorf("the %s says of others:\n%s", name, s)
		}
	}
	if p.Others == nil || p.Others.Low != 0.05 || p.Others.High != 0.124 {
		t.Errorf("the figures are %+v", p.Others)
	}
	if none := NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.FixedClock}}); none.Others != nil || len(none.Notes) > 0 {
		t.Errorf("with nobody else: %+v %q", none.Others, none.Notes)
	}
}

// TestProbeTextFits: on a terminal no line is longer than it is wide, and no word is cut.
func TestProbeTextFits(t *testing.T) {
	p := sampleProbe()
	p.Waves = append(p.Waves, ProbeWave{Admitted: 90, Refused: 40, Why: "spend at full speed, in case a second limit is slower, and then some"})
	for _, width := range []int{60, 80, 120} {
		var b bytes.Buffer
		if err := p.WriteText(&b, false, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := cells(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d cells, the terminal has %d: %s", n, width, line)
			}
		}
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), p.Sentence) {
			t.Errorf("at %d cells the sentence is not whole", width)
		}
	}
}

// TestProbeShares: nothing that is open is said with 100 %, and windows do not begin a whole
// window after they begin.
func TestProbeShares(t *testing.T) {
	for x, want := range map[float64]string{0.9997: "more than 99 %", 1: "more than 99 %", 0.994: "99 %", 0.5: "50 %", 0.012: "1 %", 0.001: "less than 1 %"} {
		if got := PercentWords(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
	found := func(window, phase time.Duration) probe.Found {
		return probe.Found{Family: probe.FixedClock, Policies: []limit.Policy{{Algorithm: limit.FixedWindow, Limit: 60, Window: window, Phase: phase}}, LimitLow: 60, LimitHigh: 60}
	}
	f := found(time.Minute, 59984*time.Millisecond)
	p := NewProbe(&probe.Verdict{Found: f, Confidence: 0.9996, Requests: 100, Refused: 9, Alternatives: []probe.Share{{Family: probe.TokenBucket, Share: 0.0004, Found: f}}})
	var b bytes.Buffer
	if err := p.WriteText(&b, false, 0); err != nil || strings.Contains(b.String(), "100 %") || strings.Contains(b.String(), "(0 %)") || !strings.Contains(b.String(), "Likeliest (more than 99 %) is") {
		t.Errorf("%v: %s", err, b.String())
	}
	for _, c := range []struct {
		window, phase time.Duration
		want          string
	}{
		{time.Minute, 59984 * time.Millisecond, "on the clock's even 1 min"}, {time.Minute, 59900 * time.Millisecond, "59.9 s after the clock's even 1 min"},
		{time.Hour, 3599 * time.Second, "on the clock's even 1 h"}, {time.Minute, 0, "on the clock's even 1 min"}, {time.Second, 995 * time.Millisecond, "on the clock's even 1 s"},
		{2 * time.Second, 1500 * time.Millisecond, "1.5 s after the clock's even 2 s"},
	} {
		f := found(c.window, c.phase)
		if got := FoundWords(&f); !strings.HasSuffix(got, "windows begin "+c.want) {
			t.Errorf("%v in %v: %s, want %s", c.phase, c.window, got, c.want)
		}
	}
}

// TestProbeUnderWay: where nothing was refused it is said how many were under way at once.
func TestProbeUnderWay(t *testing.T) {
	none := probe.Found{Family: probe.None}
	p := NewProbe(&probe.Verdict{Found: none, Requests: 3000, Under: 31})
	if notes := strings.Join(p.Notes, " "); !strings.Contains(notes, "At most 31 requests were under way at once: a limit on that which is larger was not met.") || p.MostUnderWay != 31 {
		t.Error(notes)
	}
	p = NewProbe(&probe.Verdict{Found: none, Requests: 518, Under: 165, Paced: 10, Slowest: 16500 * time.Millisecond, Endless: true})
	if notes := strings.Join(p.Notes, " "); !strings.Contains(notes, "No more are sent: with 165 under way at once, the last of them waited for 17 s.") || strings.Contains(notes, "--max-requests") {
		t.Error(notes)
	}
	p = NewProbe(&probe.Verdict{Found: probe.Found{Family: probe.FixedFirst}, Sure: true, Requests: 90, Under: 9, Spent: 4.8, Wanted: 250})
	if notes := strings.Join(p.Notes, " "); strings.Contains(notes, "under way") || !strings.Contains(notes, "of up to 250 times it, as was asked for, takes more") {
		t.Error(notes)
	}
}

// TestProbeQuickWords: what a quick probe ended with is likely where it is far the likeliest and
// its figures are known, and never certain.
func TestProbeQuickWords(t *testing.T) {
	bucket := probe.Found{Family: probe.TokenBucket, Policies: []limit.Policy{{Limit: 5, Window: time.Second, Burst: 20}}}
	other := []probe.Share{{Family: probe.SlidingWindow, Share: 0.01, Found: probe.Found{Family: probe.SlidingWindow, Policies: []limit.Policy{{Algorithm: limit.SlidingWindow, Limit: 17, Window: 3 * time.Second}}}}}
	for _, c := range []struct {
		confidence float64
		settle     string
		others     []probe.Share
		want, head string
	}{
		{0.95, "", nil, "Likely this is a token bucket: 20 at once, then 5 a second.", ">Likely<"},
		{0.95, "", other, "Likely this is a token bucket: 20 at once, then 5 a second.", ">Likely<"},
		{0.7, "", other, "Undecided. Likeliest (70 %) is a token bucket", ">Undecided<"},
		{0.95, "rest 4 s and send 21", nil, "Undecided. Nearest comes a token bucket", ">Undecided<"},
	} {
		p := NewProbe(&probe.Verdict{Found: bucket, Quick: true, Confidence: c.confidence, Settle: c.settle, Alternatives: c.others, Requests: 90, Refused: 20})
		var text, page bytes.Buffer
		if err := errors.Join(p.WriteText(&text, false, 0), p.WriteHTML(&page)); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text.String(), c.want) || !strings.Contains(text.String(), "not put to the proof (--quick)") {
			t.Errorf("want %q:\n%s", c.want, text.String())
		}
		if !strings.Contains(page.String(), c.head) {
			t.Errorf("the page has no %s", c.head)
		}
	}
}
