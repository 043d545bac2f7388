package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts Chromium, or says why not. In CI it has to be there.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		const why = "no Chromium found in PATH, so the charts were not looked at"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if testing.Short() {
		t.Skip("a browser takes some seconds")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 1000))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// console gathers what the page complains about.
type console struct {
	mu   sync.Mutex
	said []string // guarded by mu
}

func (c *console) listen(ctx context.Context) {
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			c.mu.Lock()
			c.said = append(c.said, m.String())
			c.mu.Unlock()
		}
	}()
}

func (c *console) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.said
	c.said = nil
	return out
}

func pageFile(t *testing.T, run Run) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(pageOf(t, run)), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

func eval[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		t.Fatalf("%.80s: %v", js, err)
	}
	return v
}

// colours counts the different colours of each canvas: an empty one has one.
const colours = `JSON.stringify(Array.from(document.querySelectorAll('.plot canvas')).map(c => {
	const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
	for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 24 | d[i+1] << 16 | d[i+2] << 8 | d[i+3]);
	return seen.size;
}))`

func TestPageInABrowser(t *testing.T) {
	ctx := browser(t)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	c := &console{}
	c.listen(ctx)
	charts := map[string]int{"ramp": 5, "stall": 5, "hostile": 6, "watched": 11, "empty": 0, "missed": 2, "partial": 5, "free": 5}
	pages := 0
	for name, want := range charts {
		pages++
		for _, theme := range []string{"light", "dark"} {
			if err := chromedp.Do(ctx, chromedp.Navigate(pageFile(t, stories()[name]))); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			eval[bool](t, ctx, fmt.Sprintf(`(document.documentElement.setAttribute('data-theme', %q), window.dispatchEvent(new Event('resize')), true)`, theme))
			ready := eval[string](t, ctx, `String(document.documentElement.getAttribute('data-ready'))`)
			if ready != fmt.Sprint(want) {
				t.Errorf("%s: %s charts drawn, want %d", name, ready, want)
			}
			var seen []int
			if err := json.Unmarshal([]byte(eval[string](t, ctx, colours)), &seen); err != nil {
				t.Fatal(err)
			}
			if len(seen) != want {
				t.Errorf("%s: %d canvases, want %d", name, len(seen), want)
			}
			for i, n := range seen {
				if n < 5 {
					t.Errorf("%s: chart %d has %d colours: it is blank", name, i, n)
				}
			}
			if n := eval[int](t, ctx, `performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length`); n != 0 {
				t.Errorf("%s: the page asked for %d other things", name, n)
			}
			if eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s: the page is wider than the window", name)
			}
			axe(t, ctx, name+" "+theme)
			if said := c.take(); len(said) > 0 {
				t.Errorf("%s: the console says %q", name, said)
			}
		}
	}
	if pages != 8 {
		t.Fatalf("%d pages, want 8", pages)
	}
}

// axe runs axe-core over the page when AXE_JS names the file axe.min.js of it.
func axe(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	path := os.Getenv("AXE_JS")
	if path == "" {
		t.Log("AXE_JS is not set, so axe-core did not look at the page")
		return
	}
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	eval[bool](t, ctx, string(src)+";true")
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary.slice(0, 200)).join(' | '))))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if found != "[]" {
		t.Errorf("%s: axe: %s", what, found)
	}
}

// What a reader does with the page: move along a line with the keys, hide a
// line, change the theme, open and copy a table, read it on a phone.
func TestPageWorksByKeyboard(t *testing.T) {
	ctx := browser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(pageFile(t, rampRun()))); err != nil {
		t.Fatal(err)
	}
	said := eval[string](t, ctx, `(() => {
		const plot = document.querySelector('#chart-rates .plot');
		plot.focus();
		const press = k => plot.dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true, cancelable: true}));
		press('Home'); press('ArrowRight'); press('ArrowRight');
		return document.activeElement === plot ? document.getElementById('live').textContent : 'no focus';
	})()`)
	if !strings.HasPrefix(said, "0:02: sent 26, admitted 26") {
		t.Errorf("after two steps the page says %q", said)
	}
	if v := eval[string](t, ctx, `document.querySelector('#chart-users .legend .v').textContent`); v != "24" {
		t.Errorf("the cursor of the other charts did not follow: users %q, want 24", v)
	}
	if on := eval[string](t, ctx, `(() => { const b = document.querySelector('#chart-rates .legend button'); b.click(); return b.getAttribute('aria-pressed'); })()`); on != "false" {
		t.Errorf("a line cannot be hidden: aria-pressed %q", on)
	}
	themes := eval[string](t, ctx, `(() => { const b = document.getElementById('theme'); const out = [];
		for (let i = 0; i < 3; i++) { b.click(); out.push(document.documentElement.getAttribute('data-theme') + ' ' + getComputedStyle(document.body).backgroundColor); }
		return out.join('; '); })()`)
	if themes != "light rgb(252, 252, 250); dark rgb(21, 24, 27); null rgb(252, 252, 250)" {
		t.Errorf("themes: %s", themes)
	}
	if !eval[bool](t, ctx, `(() => { const d = document.querySelector('details.data'); d.open = true; return d.querySelector('button').textContent === 'Copy table' && d.querySelector('table').offsetHeight > 500; })()`) {
		t.Error("the table under the chart does not open")
	}
	for _, width := range []int64{400, 320, 1600} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
			t.Fatal(err)
		}
		// The browser lays out again; nothing tells when.
		for try := 0; ; try++ {
			time.Sleep(300 * time.Millisecond)
			wide := eval[int](t, ctx, `document.documentElement.scrollWidth`)
			fit := eval[bool](t, ctx, `Array.from(document.querySelectorAll('.uplot')).every(u => u.offsetWidth <= u.closest('figure').clientWidth + 4)`)
			if int64(wide) <= width && fit {
				break
			}
			if try == 50 {
				t.Errorf("at %d pixels the page is %d wide; its charts are in their places: %v", width, wide, fit)
				break
			}
		}
	}
}
