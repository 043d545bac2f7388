package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

func pageOf(t *testing.T, run Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := build(t, run).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// nodes calls f for every element of the page.
func nodes(t *testing.T, src string, f func(n *html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			f(n)
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func TestPageStructure(t *testing.T) {
	pages := 0
	for name, run := range stories() {
		pages++
		src := pageOf(t, run)
		if !strings.HasPrefix(src, "<!doctype html>\n<html lang=\"en\">") {
			t.Errorf("%s: begins %.40q", name, src)
		}
		count := map[string]int{}
		ids := map[string]bool{}
		level := 0
		nodes(t, src, func(n *html.Node) {
			count[n.Data]++
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: id %q twice", name, id)
				}
				ids[id] = true
			}
			if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
				now := int(n.Data[1] - '0')
				if now > level+1 {
					t.Errorf("%s: heading %s after level %d", name, n.Data, level)
				}
				level = now
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s %s>", name, n.Data, a.Key)
				}
				if (a.Key == "src" || a.Key == "href" || a.Key == "action") && !strings.HasPrefix(a.Val, "#") && a.Val != "data:," {
					t.Errorf("%s: <%s %s=%q> leads out of the page", name, n.Data, a.Key, a.Val)
				}
			}
			if n.Data == "a" && strings.HasPrefix(attr(n, "href"), "#") && !strings.Contains(src, `id="`+attr(n, "href")[1:]+`"`) {
				t.Errorf("%s: nothing has the id of %s", name, attr(n, "href"))
			}
			if n.Data == "th" && attr(n, "scope") == "" {
				t.Errorf("%s: a heading cell without a scope: %s", name, textOf(n))
			}
		})
		if count["main"] != 1 || count["h1"] != 1 || count["header"] != 1 || count["footer"] != 1 || count["script"] != 3 {
			t.Errorf("%s: main, h1, header, footer, script: %d %d %d %d %d", name, count["main"], count["h1"], count["header"], count["footer"], count["script"])
		}
		if len(run.Meta.Target) > 0 && count["table"] == 0 && name != "empty" {
			t.Errorf("%s: no table", name)
		}
		if len(src) > 300_000 {
			t.Errorf("%s: %d bytes", name, len(src))
		}
	}
	if pages != 10 {
		t.Fatalf("%d pages, want 10", pages)
	}
}

// What the target, the user or the network wrote is text in the page, nothing else.
func TestPageIsSafeFromItsData(t *testing.T) {
	src := pageOf(t, hostileRun())
	for _, bad := range []string{"<img", "onerror=alert(1)>", "</script><", "\x1b", "\u202e", "<b>"} {
		// The scripts and styles are ours; look at everything else.
		rest := scriptOrStyle.ReplaceAllString(src, "")
		if strings.Contains(rest, bad) {
			i := strings.Index(rest, bad)
			t.Errorf("the page has %q: …%.120s…", bad, rest[max(0, i-60):])
		}
	}
	shown := 0
	nodes(t, src, func(n *html.Node) {
		if n.Data == "img" || n.Data == "b" {
			t.Errorf("the data made an element <%s>", n.Data)
		}
		if n.Data == "th" && strings.Contains(textOf(n), `</script><img src=x onerror=alert(1)>`) {
			shown++
		}
		if n.Data == "script" && attr(n, "id") == "data" {
			var d chartData
			if err := json.Unmarshal([]byte(textOf(n)), &d); err != nil {
				t.Errorf("data block: %v", err)
			}
			if len(d.At) != 8 {
				t.Errorf("data block has %d points, want 8", len(d.At))
			}
		}
	})
	if shown < 3 {
		t.Errorf("the hostile names are shown %d times as text, want at least 3", shown)
	}
}

var scriptOrStyle = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>`)

// The policy names exactly the scripts of the page.
func TestPolicyAllowsOnlyOurScripts(t *testing.T) {
	src := pageOf(t, rampRun())
	policy := ""
	var hashes []string
	nodes(t, src, func(n *html.Node) {
		if n.Data == "meta" && attr(n, "http-equiv") == "Content-Security-Policy" {
			policy = attr(n, "content")
		}
		if n.Data == "script" && attr(n, "type") == "" {
			hashes = append(hashes, scriptHash(textOf(n)))
		}
	})
	if len(hashes) != 2 || !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "script-src 'unsafe") {
		t.Fatalf("policy %q, scripts %v", policy, hashes)
	}
	if !strings.HasSuffix(policy, "script-src "+strings.Join(hashes, " ")) {
		t.Errorf("policy %q does not end with the hashes %v", policy, hashes)
	}
}

// Charts can be read without JavaScript: every chart has a table.
func TestPageReadsWithoutScript(t *testing.T) {
	src := pageOf(t, rampRun())
	figures, tables := 0, 0
	nodes(t, src, func(n *html.Node) {
		if n.Data != "figure" {
			return
		}
		figures++
		for d := range n.Descendants() {
			if d.Data == "table" {
				tables++
				rows := 0
				for r := range d.Descendants() {
					if r.Data == "tr" {
						rows++
					}
				}
				if rows < 10 {
					t.Errorf("the table of %s has %d rows", attr(n, "id"), rows)
				}
			}
		}
	})
	if figures != 5 || tables != 5 {
		t.Errorf("%d charts and %d tables under them, want 5 and 5", figures, tables)
	}
	for _, want := range []string{
		"The limit began at 20.2\u00a0s: the first 429 came when 127 requests/s were offered.",
		"<noscript>", "10,063 requests were sent, at most 254 in any second.",
		"weir run https://idp.example/oauth2/token -X POST",
	} {
		if !strings.Contains(src, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// A part of the page without anything in it says why.
func TestEmptyPageHasNoEmptyParts(t *testing.T) {
	parts := 0
	nodes(t, pageOf(t, stories()["empty"]), func(n *html.Node) {
		if n.Data != "div" || attr(n, "class") != "body" {
			return
		}
		parts++
		if strings.TrimSpace(textOf(n)) == "" {
			t.Errorf("the part %q is empty", attr(n.Parent, "id"))
		}
	})
	if parts < 5 {
		t.Errorf("%d parts, want at least 5", parts)
	}
}

// A day at one tick a second, busy in every second, with many names.
func TestPageOfADayStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("a day takes a second or two")
	}
	var admitted, refused hist.Hist
	for i := range 200 {
		admitted.Record(time.Duration(3+i%40) * time.Millisecond)
		refused.Record(time.Duration(700+i) * time.Microsecond)
	}
	names := 400
	day := func(yield func(*tally.Tick, error) bool) {
		for i := range 86400 {
			name := fmt.Sprintf("/messages/%d/of/a/rather/long/path", i%names)
			k := &tally.Tick{
				Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Users: 100 + i%37, InFlight: i % 90, Due: 130,
				Sends: []uint32{uint32(120 + i%11)},
				Series: []tally.Series{
					{Method: "POST", Name: name, Outcome: hit.Admitted, Count: 100 + int64(i%19), Response: &admitted, Service: &admitted,
						Codes: []tally.Code{{Status: 200, Count: 90}, {Status: 201 + i%9, Count: 10 + int64(i%19)}}},
					{Method: "POST", Name: name, Outcome: hit.Throttled, Count: 3 + int64(i%7), Response: &refused, Service: &refused, Codes: []tally.Code{{Status: 429, Count: 3 + int64(i%7)}}},
				},
			}
			if i == 50_000 {
				k.Series[1].Count = 7777 // one bad second among 86,400 must show
			}
			if i%100 == 0 {
				k.Errors = []tally.Error{{Method: "POST", Name: name, Status: 500, Text: fmt.Sprintf("500 Internal Server Error, reference %d", i), Count: 1}}
				k.Events = []tally.Event{{At: k.Start, Kind: "warning", Text: fmt.Sprintf("warning number %d about something", i)}}
			}
			if !yield(k, nil) {
				return
			}
		}
	}
	s := build(t, Run{Meta: testMeta(), End: testEnd(), Ticks: day})
	var b bytes.Buffer
	if err := s.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	t.Logf("a day: %d bytes, %d points of %d s", b.Len(), len(s.Series.At), s.Series.Step)
	if b.Len() > 1_000_000 {
		t.Errorf("the page of a day has %d bytes, want less than a megabyte", b.Len())
	}
	if n := len(s.Series.At); n > maxPoints || n < maxPoints/2 {
		t.Errorf("%d points, want %d to %d", n, maxPoints/2, maxPoints)
	}
	if got := slices.Max(s.Series.ThrottledPeak); got != 7777 {
		t.Errorf("the worst second is %v, want 7777", got)
	}
	if !strings.Contains(b.String(), "and 100 more names") {
		t.Error("the page does not say that names are left out")
	}
}

func TestVendoredFilesAreWhatVersionsSays(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("assets", "VERSIONS"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, l := range strings.Split(string(b), "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		f := strings.Fields(l)
		if len(f) != 6 {
			t.Fatalf("line %q has %d fields, want 6", l, len(f))
		}
		content, err := os.ReadFile(filepath.Join("assets", f[4]))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != f[5] {
			t.Errorf("%s has the sum %x, VERSIONS says %s", f[4], sum, f[5])
		}
		listed[f[4]] = true
	}
	own := map[string]bool{"VERSIONS": true, "report.html": true, "report.css": true, "report.js": true,
		"head.html": true, "forecast.html": true, "verify.html": true, "verify.css": true, "probe.html": true, "probe.css": true,
		"drill.html": true, "drill.css": true}
	files, err := os.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !own[f.Name()] && !listed[f.Name()] {
			t.Errorf("assets/%s is neither ours nor in VERSIONS", f.Name())
		}
	}
	if len(listed) != 3 {
		t.Errorf("%d vendored files, want 3", len(listed))
	}
}

// Text on its background has a contrast of at least 4.5 (WCAG 2.2 §1.4.3), in
// both themes; the lines of charts at least 3 (§1.4.11).
func TestContrast(t *testing.T) {
	n := 0
	for _, block := range regexp.MustCompile(`(?s)color-scheme: (light|dark);\n(.*?)\}`).FindAllStringSubmatch(htmlCSS, -1) {
		colors := map[string][3]float64{}
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]{6});`).FindAllStringSubmatch(block[2], -1) {
			var rgb [3]float64
			for i := range 3 {
				b, err := hex.DecodeString(m[2][2*i : 2*i+2])
				if err != nil {
					t.Fatal(err)
				}
				rgb[i] = float64(b[0]) / 255
			}
			colors[m[1]] = rgb
		}
		for _, name := range []string{"ink", "soft", "admitted", "throttled", "failed", "missed", "offered", "extra", "good", "bad"} {
			for _, ground := range []string{"page", "wash"} {
				n++
				if c := contrast(colors[name], colors[ground]); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", block[1], name, ground, c)
				}
			}
		}
	}
	if n != 3*20 {
		t.Fatalf("%d pairs, want 60", n)
	}
}

func contrast(a, b [3]float64) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c [3]float64) float64 {
	lin := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c[0]) + 0.7152*lin(c[1]) + 0.0722*lin(c[2])
}
