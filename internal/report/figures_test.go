package report

import (
	"math"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	cases := []struct{ got, want string }{
		{figCount(0), "0"}, {figCount(999), "999"}, {figCount(1000), "1,000"}, {figCount(-1234567), "-1,234,567"},
		{figRate(0), "0"}, {figRate(0.5), "0.50"}, {figRate(119.87), "119.9"}, {figRate(9.996), "10.0"},
		{figRate(999.96), "1,000"}, {figRate(33333), "33,333"}, {figRate(0.001), "0.001"}, {figRate(math.NaN()), "–"},
		{figRateShort(120), "120"}, {figRateShort(119.9), "119.9"}, {figRateShort(1200), "1,200"}, {figRateShort(0.5), "0.5"}, {figRateShort(0), "0"},
		{figShare(0), "0 %"}, {figShare(1), "100 %"}, {figShare(0.0001), "<0.1 %"}, {figShare(0.9999), ">99.9 %"}, {figShare(0.412), "41.2 %"},
		{figTime(0), "0 ms"}, {figTime(300), "<1 µs"}, {figTime(340 * time.Microsecond), "340 µs"}, {figTime(999600 * time.Nanosecond), "1.00 ms"},
		{figTime(5120 * time.Microsecond), "5.12 ms"}, {figTime(999600 * time.Microsecond), "1.00 s"}, {figTime(12340 * time.Millisecond), "12.3 s"},
		{figTime(59960 * time.Millisecond), "1 min"}, {figTime(125 * time.Second), "2 min 5 s"}, {figTime(-time.Second), "-1.00 s"},
		{figSpan(0), "0 s"}, {figSpan(21300 * time.Millisecond), "21.3 s"}, {figSpan(time.Hour), "1 h"}, {figSpan(192 * time.Minute), "3 h 12 min"},
		{figSpan(49 * time.Hour), "2 d 1 h"}, {figSpan(time.Hour - 100*time.Millisecond), "1 h"},
		{figAt(21340 * time.Millisecond), "21.3 s"}, {figAt(time.Minute), "60.0 s"}, {figAt(261340 * time.Millisecond), "4 min 21.3 s"}, {figAt(99960 * time.Millisecond), "1 min 40.0 s"},
		{figClock(34 * time.Second), "0:34"}, {figClock(3723 * time.Second), "1:02:03"}, {figClock(-1), "0:00"},
		{figBytes(812), "812 B"}, {figBytes(1234), "1.23 kB"}, {figBytes(999.6), "1.00 kB"}, {figBytes(34e6), "34.0 MB"}, {figBytes(0), "0 B"},
		{plural(1, "request", "requests"), "1 request"}, {plural(1200, "request", "requests"), "1,200 requests"},
	}
	for i, c := range cases {
		if c.got != c.want {
			t.Errorf("case %d: got %q, want %q", i, c.got, c.want)
		}
	}
	if len(cases) < 40 {
		t.Fatalf("only %d cases", len(cases))
	}
}
