package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/forecast"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

func foreseen(t *testing.T, name string) *forecast.Answer {
	t.Helper()
	s := &forecast.Study{
		Name: name, Start: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), For: time.Minute,
		Policies: []policy.Policy{{Policy: limit.Policy{Name: name, Limit: 5, Window: time.Second, Burst: 50}}},
		Works:    []forecast.Work{{Name: name, Arrivals: pace.Constant(pace.Rate{N: 10, Per: time.Second}, 0), Calls: []forecast.Step{{Request: "GET /x"}}}},
	}
	a, err := s.Answer(forecast.AnswerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestForecastPages: names from a file cannot break the page or the terminal, each
// line keeps the width, and the page asks for nothing from anywhere.
func TestForecastPages(t *testing.T) {
	const evil = "</script><b>x</b>\x1b[31m"
	a := foreseen(t, evil)
	var html, text bytes.Buffer
	if err := WriteForecastHTML(&html, a); err != nil {
		t.Fatal(err)
	}
	if s := html.String(); strings.Contains(s, "<b>x</b>") || strings.ContainsRune(s, 0x1b) || strings.Count(s, "</script>") != 3 {
		t.Errorf("the name gets into the page: %d ends of scripts", strings.Count(s, "</script>"))
	}
	for _, outside := range []string{"src=\"http", "href=\"http", "@import", "url(http"} {
		if strings.Contains(html.String(), outside) {
			t.Errorf("the page has %s", outside)
		}
	}
	_, rest, _ := strings.Cut(html.String(), `id="data">`)
	data, _, _ := strings.Cut(rest, "</script>")
	var d chartData
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		t.Fatalf("the data of the charts: %v", err)
	}
	if len(d.At) != 60 || len(d.Rates.Throttled) != 60 || len(d.Watched) != 2 || len(d.Episodes) != 1 || d.Onset == nil {
		t.Errorf("data: %d columns, %d refused, %d charts, %d episodes", len(d.At), len(d.Rates.Throttled), len(d.Watched), len(d.Episodes))
	}
	if err := WriteForecast(&text, a, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(text.String(), 0x1b) {
		t.Error("the name gets into the terminal as a command")
	}
	for _, want := range []string{"DOES NOT FIT", "9.9 s", "What a change makes of it", "  left     "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, text.String())
		}
	}
}

func TestSpark(t *testing.T) {
	if got := spark([]float64{-1, 0, 0.001, 0.5, 0.999, 1, 2}); got != "░░▁▅███" {
		t.Errorf("spark = %q", got)
	}
}
