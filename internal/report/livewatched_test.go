package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// liveBeside shows a run with watched figures up to its end.
func liveBeside(t *testing.T, cols, rows int, seconds int, figures ...tally.Watched) string {
	t.Helper()
	v := newVT(t, cols, rows)
	l := liveOn(v, Run{Meta: Meta{Target: "GET http://a.test/", Length: time.Minute}}, Mode{Redraw: true})
	for i := range seconds {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		for _, w := range figures {
			w.At = k.Start
			if w.Value *= float64(i + 1); w.Limit > 0 {
				w.Value = min(w.Value, w.Limit)
			}
			k.Watched = append(k.Watched, w)
		}
		l.Tick(k)
	}
	l.Draw(time.Duration(seconds) * time.Second)
	return v.String()
}

var besideFigures = []tally.Watched{
	{Source: "PostgreSQL", Group: "cache", Name: "hit ratio", Unit: "%", Value: 9},
	{Source: "PostgreSQL", Group: "connections", Name: "active", Value: 2},
	{Source: "PostgreSQL", Group: "connections", Name: "connections", Value: 20, Limit: 97},
	{Source: "PostgreSQL", Group: "locks", Name: "locks not granted", Value: 0},
	{Source: "Prometheus", Group: "CPU", Name: "CPU", Unit: "%", Value: 3, Limit: 200},
}

func TestLiveShowsWhatIsWatched(t *testing.T) {
	text := liveBeside(t, 80, 24, 10, besideFigures...)
	for _, want := range []string{
		"PostgreSQL connections", "  97  of 97, 100 %, FULL since 4.0 s",
		"Prometheus CPU", "30 %  of 200 %, 15.0 %",
		"PostgreSQL cache: hit ratio", "90 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "locks") || strings.Contains(text, "active") {
		t.Errorf("more than three lines of figures at the usual height:\n%s", text)
	}
	if full, cpu := strings.Index(text, "PostgreSQL connections"), strings.Index(text, "Prometheus CPU"); full > cpu {
		t.Errorf("the fullest figure is not the first one:\n%s", text)
	}
	high := liveBeside(t, 80, 40, 10, besideFigures...)
	if !strings.Contains(high, "locks not granted") {
		t.Errorf("a high terminal has room for all of them:\n%s", high)
	}
	if none := liveBeside(t, 80, 24, 3); strings.Contains(none, "PostgreSQL") {
		t.Errorf("nothing is watched:\n%s", none)
	}
}

func TestLiveSaysWhenAFigureIsOld(t *testing.T) {
	v := newVT(t, 80, 24)
	l := liveOn(v, Run{}, Mode{Redraw: true})
	for i := range 12 {
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		if i < 3 {
			k.Watched = []tally.Watched{{At: k.Start, Source: "PostgreSQL", Group: "connections", Name: "connections", Value: 5, Limit: 97}}
		}
		l.Tick(k)
	}
	l.Draw(12 * time.Second)
	if !strings.Contains(v.String(), "not read since 2.0 s") {
		t.Errorf("an old reading looks like a new one:\n%s", v)
	}
}

func TestPlainLinesShowWhatHasALimit(t *testing.T) {
	var b bytes.Buffer
	l := NewLive(&b, LiveOptions{Interval: time.Second})
	k := &tally.Tick{Length: time.Second, Watched: []tally.Watched{
		{Source: "PostgreSQL", Group: "connections", Name: "connections", Value: 5, Limit: 97},
		{Source: "PostgreSQL", Group: "connections", Name: "active", Value: 5},
		{Source: "P\x1b[2J", Group: "g", Name: "g", Value: 1, Limit: 2},
	}}
	l.Tick(k)
	if out := b.String(); !strings.Contains(out, "PostgreSQL connections 5 of 97") || strings.Contains(out, "active") || strings.Contains(out, "\x1b") {
		t.Errorf("the line is %q", out)
	}
}
