package drill

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-dev/weir/internal/junit"
	"github.com/weir-dev/weir/limit"
)

// reports are a drill that proves and one whose alarm sees nothing.
func reports(t *testing.T) (proved, failed *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		for _, blind := range []bool{false, true} {
			s := newService(t, limit.Policy{Algorithm: limit.SlidingLog, Limit: 20, Window: 1e9})
			a := newAlarm(s)
			a.brief.What = "the alarm \x1b[31m<b>"
			a.brief.Quota, a.blind = 20, blind
			r := run(t, Options{USD: 0.01, Rehearse: true}, s, a)
			if blind {
				failed = r
			} else {
				proved = r
			}
		}
	})
	return proved, failed
}

func TestText(t *testing.T) {
	proved, failed := reports(t)
	for _, c := range []struct {
		r     *Report
		wants []string
	}{
		{proved, []string{"PROVED: the alarm", "Rehearsal, without load:", "▓", "● first refusal", "● notified", "● OK", "The usual way, 300 users"}},
		{failed, []string{"NOT PROVED: the alarm", "× datapoint", "· ALARM", "not reached", "× D021 no-datapoint", "× D006 wrong-dimensions: other dimensions"}},
	} {
		for _, width := range []int{0, 40, 100, 300} {
			var b bytes.Buffer
			if err := c.r.WriteText(&b, TextOptions{Width: width}); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "\x1b") {
				t.Error("a text of a service reaches the terminal as it is")
			}
			for _, want := range c.wants {
				if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) { // it may be wrapped
					t.Errorf("width %d: no %q in\n%s", width, want, &b)
				}
			}
		}
	}
}

func TestJSON(t *testing.T) {
	proved, _ := reports(t)
	var b bytes.Buffer
	if err := proved.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"weir_drill_report", "what", "target", "started", "seconds", "clock_speed", "real_seconds", "verdict", "plan", "rehearsal", "stages", "load", "twin", "findings"} {
		if _, ok := out[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

func TestJUnit(t *testing.T) {
	proved, failed := reports(t)
	for _, c := range []struct {
		r                        *Report
		tests, failures, skipped int
	}{{proved, 7, 0, 0}, {failed, 7, 1, 3}} {
		var b bytes.Buffer
		if err := c.r.WriteJUnit(&b); err != nil {
			t.Fatal(err)
		}
		var suite junit.Suite
		if err := xml.Unmarshal(b.Bytes(), &suite); err != nil {
			t.Fatal(err)
		}
		if suite.Tests != c.tests || suite.Failures != c.failures || suite.Skipped != c.skipped || len(suite.Cases) != c.tests {
			t.Errorf("%d tests, %d failures, %d skipped\n%s", suite.Tests, suite.Failures, suite.Skipped, &b)
		}
	}
}

func TestSpan(t *testing.T) {
	for s, want := range map[float64]string{0: "0:00.0", 1.26: "0:01.3", 9.94: "0:09.9", 59.6: "1:00", 125: "2:05", 3725: "1:02:05", -3: "-0:03.0"} {
		if got := Span(s); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}
