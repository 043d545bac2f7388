package report

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// noisyRun admits about rate/s in times that are lognormal about a median, and
// drift from second to second as those of real services do.
func noisyRun(seed uint64, seconds int, rate, median float64, throttled int64) Run {
	rng := rand.New(rand.NewPCG(seed, 99))
	var ticks []*tally.Tick
	for i := range seconds {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Sends: make([]uint32, 100)}
		s := tally.Series{Method: "GET", Name: "/", Outcome: hit.Admitted, Response: &hist.Hist{}, Service: &hist.Hist{}}
		slow := math.Exp(rng.NormFloat64() * 0.05)
		for range int(rate) {
			d := time.Duration(median * 1e6 * slow * math.Exp(rng.NormFloat64()*0.3))
			s.Response.Record(d)
			s.Service.Record(d)
			s.Count++
		}
		k.Sends[0] = uint32(s.Count + throttled)
		k.Series = []tally.Series{s}
		if throttled > 0 {
			k.Series = append(k.Series, tally.Series{Method: "GET", Name: "/", Outcome: hit.Throttled, Count: throttled, Response: &hist.Hist{}, Service: &hist.Hist{}})
		}
		ticks = append(ticks, k)
	}
	m := testMeta()
	m.Length = time.Duration(seconds) * time.Second
	return Run{Meta: m, Ticks: each1(ticks), End: &End{Verdict: Passed}}
}

// uneven is a run that is now fast and now slow.
func uneven(t *testing.T) Run {
	t.Helper()
	var ticks []*tally.Tick
	for i := range 60 {
		for k := range noisyRun(uint64(i), 1, 100, 5+5*float64(i%7), 0).Ticks {
			k.Index, k.Start = i, time.Duration(i)*time.Second
			ticks = append(ticks, k)
		}
	}
	return Run{Meta: testMeta(), Ticks: each1(ticks), End: &End{Verdict: Passed}}
}

func verdicts(t *testing.T, a, b Run) (map[string]string, *Comparison) {
	t.Helper()
	c, err := Compare(a, b, "a.weir", "b.weir")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range c.Figures {
		out[d.Name] = d.Verdict
	}
	return out, c
}

func TestCompareSeesWhatChanged(t *testing.T) {
	base := noisyRun(1, 60, 100, 20, 0)
	cases := []struct {
		name string
		b    Run
		want map[string]string
	}{
		{"slower", noisyRun(2, 60, 100, 26, 0), map[string]string{"admitted p50": higher, "admitted p95": higher, "admitted": same, "failed": same}},
		{"faster", noisyRun(3, 60, 100, 15, 0), map[string]string{"admitted p50": lower, "p95 once sent": lower}},
		{"throttled", noisyRun(4, 60, 100, 20, 30), map[string]string{"throttled": higher, "offered": higher, "admitted": same}},
		{"uneven", uneven(t), map[string]string{"admitted p50": unclear, "failed": same}},
		{"too short", noisyRun(5, 8, 100, 40, 0), map[string]string{"admitted p50": unknown}},
		{"nothing", Run{Meta: testMeta(), Ticks: each1(nil)}, map[string]string{"admitted p50": unknown, "offered": unknown}},
	}
	for _, c := range cases {
		got, _ := verdicts(t, base, c.b)
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s: %s is %s, want %s", c.name, name, got[name], want)
			}
		}
	}
}

// Two runs of one service do not differ: of many pairs, about one figure in a
// hundred may be called different by chance, and they go together.
func TestCompareIsNotFooledByNoise(t *testing.T) {
	wrong, figures := 0, 0
	for seed := range uint64(60) {
		got, _ := verdicts(t, noisyRun(2*seed+1000, 40, 60, 20, 0), noisyRun(2*seed+1001, 40, 60, 20, 0))
		for _, name := range []string{"admitted p50", "admitted p95", "admitted p99"} {
			figures++
			if got[name] == higher || got[name] == lower {
				wrong++
			}
		}
	}
	if figures != 180 {
		t.Fatalf("%d figures", figures)
	}
	if wrong > 9 {
		t.Errorf("%d of %d figures differ, though nothing does", wrong, figures)
	}
}

// A ramp varies by plan. Compared part by part, that does not hide a difference.
func TestCompareARampWithARamp(t *testing.T) {
	ramp := func(seed uint64, slower float64) Run {
		var ticks []*tally.Tick
		for i := range 40 {
			for k := range noisyRun(seed+uint64(i), 1, 20+float64(i)*4, (10+float64(i))*slower, 0).Ticks {
				k.Index, k.Start = i, time.Duration(i)*time.Second
				ticks = append(ticks, k)
			}
		}
		m := testMeta()
		return Run{Meta: m, Ticks: each1(ticks), End: &End{Verdict: Passed}}
	}
	got, c := verdicts(t, ramp(1, 1), ramp(500, 1.15))
	if !c.Paired || got["admitted p50"] != higher || got["admitted"] != same {
		t.Errorf("paired %v, verdicts %v", c.Paired, got)
	}
}

func TestComparisonOutputs(t *testing.T) {
	_, c := verdicts(t, noisyRun(1, 60, 100, 20, 0), noisyRun(2, 60, 100, 26, 0))
	hostile, err := Compare(hostileRun(), rampRun(), attack, attack)
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{0, 40, 60, 120} {
		for _, c := range []*Comparison{c, hostile} {
			var b strings.Builder
			if err := c.WriteText(&b, TextOptions{Width: width}); err != nil {
				t.Fatal(err)
			}
			for _, l := range strings.Split(b.String(), "\n") {
				if n := cells(l); n > max(width, 40) && width > 0 {
					t.Errorf("width %d: a line has %d cells: %q", width, n, l)
				}
			}
			if strings.Contains(b.String(), "\x1b") {
				t.Errorf("width %d: a control code in the text", width)
			}
		}
	}
	var text, mark, js strings.Builder
	for _, err := range []error{c.WriteText(&text, TextOptions{}), c.WriteMarkdown(&mark), c.WriteJSON(&js)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, s := range map[string]string{"text": text.String(), "Markdown": mark.String()} {
		for _, want := range []string{"Admitted p50 is higher in B: ", "Nothing else differs"} {
			if !strings.Contains(strings.Join(strings.Fields(s), " "), want) {
				t.Errorf("the %s lacks %q:\n%s", what, want, s)
			}
		}
	}
	var back struct {
		Format  string
		Figures []map[string]any
	}
	if err := json.Unmarshal([]byte(js.String()), &back); err != nil || back.Format != ComparisonFormat || len(back.Figures) != 9 {
		t.Errorf("%v, %s, %d figures", err, back.Format, len(back.Figures))
	}
	if c.A.File != "a.weir" || fmt.Sprint(c.Parts) != "20" {
		t.Errorf("%+v, %d parts", c.A, c.Parts)
	}
}
