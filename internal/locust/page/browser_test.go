package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPageInABrowser looks at the page in Chromium: charts are drawn in light and
// dark, it fits a phone, it asks for nothing, and axe-core finds nothing.
func TestPageInABrowser(t *testing.T) {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		const why = "no Chromium found in PATH, so nobody looked at the page"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if testing.Short() {
		t.Skip("a browser takes some seconds")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 1000))...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(text(t, story(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(a ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, a...); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(js string, o ...chromedp.EvaluateOption) string {
		t.Helper()
		v, err := chromedp.Run(ctx, chromedp.Evaluate[string](js, o...))
		if err != nil {
			t.Fatalf("%.80s: %v", js, err)
		}
		return v
	}
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			what := fmt.Sprintf("%s, %d pixels", theme, width)
			do(chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+path))
			ask(fmt.Sprintf(`document.documentElement.setAttribute('data-theme', %q), window.dispatchEvent(new Event('resize')), 'ok'`, theme))
			if n := ask(`String(document.documentElement.getAttribute('data-ready'))`); n != "3" {
				t.Errorf("%s: %s charts drawn, want 3", what, n)
			}
			if n := ask(`String(document.documentElement.scrollWidth)`); n != fmt.Sprint(width) {
				t.Errorf("%s: the page is %s wide", what, n)
			}
			if n := ask(`String(performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length)`); n != "0" {
				t.Errorf("%s: the page asked for %s other things", what, n)
			}
			// A chart that is not blank has the colours of its lines.
			if n := ask(`String(Math.min(...Array.from(document.querySelectorAll('.plot canvas')).map(c => new Set(new Uint32Array(
				c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size)))`); len(n) < 2 && n < "5" {
				t.Errorf("%s: a chart has %s colours", what, n)
			}
			file := os.Getenv("AXE_JS")
			if file == "" {
				t.Log("AXE_JS is not set, so axe-core did not look at the page")
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ask(string(src) + ";'ok'")
			if found := ask(`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary.slice(0, 200)).join(' | '))))`, chromedp.EvalAwaitPromise); found != "[]" {
				t.Errorf("%s: axe: %s", what, found)
			}
		}
	}
}
