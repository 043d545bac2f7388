package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/weir-dev/weir/internal/drill"
)

const hostileText = `<script>alert(1)</script>"'&` + "\u202e\x1b[31m"

// drills are reports of drills, good and bad.
func drills() map[string]*drill.Report {
	stages := func(n int) []drill.StageResult {
		out := []drill.StageResult{
			{ID: "throttled", Title: "first refusal", Bound: 900}, {ID: "datapoint", Title: "datapoint readable", Bound: 420},
			{ID: "alarm", Title: "ALARM", Bound: 120}, {ID: "notified", Title: "notification received", Bound: 60},
			{ID: "ok", Title: "OK again", Bound: 540, After: true},
		}
		for i := range out {
			if i < n {
				out[i].Seen, out[i].Seconds, out[i].Gap, out[i].Text = true, float64(i*60+3), 60, "12 at 10:01:00"
			}
		}
		if n < len(out) {
			out[n].Missed, out[n].Text = true, "not within 7:00"
		}
		return out
	}
	load := &drill.LoadResult{Requests: 124, Admitted: 121, Throttled: 3, USD: 0.27, Seconds: 0.9, Bursts: []drill.Burst{{From: 1, To: 2, Requests: 124, Throttled: 3}}}
	base := func(v drill.Verdict, n int) *drill.Report {
		return &drill.Report{
			What: "the alarm throttled (us-east-1, account 000000000000)", Target: "https://example.com/oauth2/token", Verdict: v, Speed: 1, Seconds: 300,
			Started: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Stages: stages(n), Load: load, Plan: []drill.Fact{{Name: "Load", Text: "132 requests per second"}},
			Twin: &drill.Twin{Users: 300, Requests: 36022, Throttled: 21601, USD: 32.4},
		}
	}
	proved, failed, unrun := base(drill.Passed, 5), base(drill.Failed, 1), base(drill.NotRun, 0)
	proved.Rehearsal = stages(5)[3:]
	failed.Findings = []drill.Finding{{Code: "D006", Name: "wrong-dimensions", Level: drill.Fails, Text: hostileText, Detail: []string{hostileText}, Advice: hostileText}, {Code: "D013", Name: "insufficient-data", Level: drill.Note, Text: "x"}}
	failed.What, failed.Notes, failed.Plan[0].Text, failed.Stages[0].Text = hostileText, []string{hostileText}, hostileText, hostileText
	unrun.Load, unrun.Twin, unrun.Stages = nil, nil, stages(0)
	unrun.Findings = failed.Findings[1:]
	rehearsed := base(drill.Passed, 5) // without load there are no other stages
	rehearsed.Load, rehearsed.Twin, rehearsed.Stages, rehearsed.Rehearsal = nil, nil, []drill.StageResult{}, stages(5)[3:]
	cut := base(drill.Interrupted, 1)
	withCut := *load
	withCut.Cut = 7
	cut.Load = &withCut
	return map[string]*drill.Report{"proved": proved, "failed": failed, "unrun": unrun, "rehearsed": rehearsed, "cut": cut}
}

func drillPage(t *testing.T, r *drill.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteDrillHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDrillPage(t *testing.T) {
	for name, r := range drills() {
		page := drillPage(t, r)
		if strings.Contains(page, "<script") || strings.Contains(page, "ZgotmplZ") || !strings.Contains(page, "default-src 'none'") && !strings.Contains(page, "default-src &#39;none&#39;") {
			t.Errorf("%s: a script, or no policy", name)
		}
		if chart := strings.Contains(page, `<svg class="timeline"`); chart != (r.Load != nil) {
			t.Errorf("%s: chart: %v", name, chart)
		}
		if n := strings.Count(page, `<circle class="seen"`); r.Load != nil && n != seenStages(r) {
			t.Errorf("%s: %d stages in the chart, want %d", name, n, seenStages(r))
		}
	}
	if page := drillPage(t, drills()["proved"]); !strings.Contains(page, "36022 requests") || !strings.Contains(page, "$0.27") {
		t.Error("the load, or what it would have been, is not in the page")
	}
	if page := drillPage(t, drills()["cut"]); !strings.Contains(page, "7 under way when it was interrupted") {
		t.Error("what Ctrl-C broke off is not in the page")
	}
	if page := drillPage(t, drills()["rehearsed"]); !strings.Contains(page, "Rehearsal, without load") || strings.Contains(page, "<h2>Stages</h2>") {
		t.Error("a rehearsal has a table of other stages")
	}
}

func seenStages(r *drill.Report) (n int) {
	for _, s := range r.Stages {
		if s.Seen {
			n++
		}
	}
	return n
}

func TestDrillPageInABrowser(t *testing.T) {
	ctx := browser(t)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	c := &console{}
	c.listen(ctx)
	for name, r := range drills() {
		path := filepath.Join(t.TempDir(), name+".html")
		if err := os.WriteFile(path, []byte(drillPage(t, r)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, theme := range []string{"light", "dark"} {
			if err := chromedp.Do(ctx, chromedp.Navigate("file://"+path)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			eval[bool](t, ctx, fmt.Sprintf(`(document.documentElement.setAttribute('data-theme', %q), true)`, theme))
			if eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s: the page is wider than the window", name)
			}
			axe(t, ctx, name+" "+theme)
			if said := c.take(); len(said) > 0 {
				t.Errorf("%s: the console says %q", name, said)
			}
		}
	}
}
