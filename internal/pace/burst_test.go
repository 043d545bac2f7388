package pace

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBurst(t *testing.T) {
	sec := time.Second
	start := time.Date(2026, 3, 1, 12, 34, 56, 789_000_000, time.UTC)
	cases := []struct {
		name string
		p    Pacer
		want []time.Duration
	}{
		{"two at once, thrice", Burst(2, sec, Phase{}, 3*sec), []time.Duration{0, 0, sec, sec, 2 * sec, 2 * sec}},
		{"the end is not included", Burst(1, sec, Phase{}, 2*sec+1), []time.Duration{0, sec, 2 * sec}},
		{"once", Burst(3, 0, Phase{}, 0), []time.Duration{0, 0, 0}},
		{"at the whole second", Burst(1, sec, Phase{Of: sec, Start: start}, 2*sec), []time.Duration{211e6, 1211e6}},
		{"a quarter past the second", Burst(1, sec, Phase{sec, 250e6, start}, 2*sec), []time.Duration{461e6, 1461e6}},
		{"before the second", Burst(1, sec, Phase{sec, -11e6, start}, 2*sec), []time.Duration{200e6, 1200e6}},
		{"at the minute", Burst(1, time.Minute, Phase{time.Minute, 0, start}, time.Minute), []time.Duration{3211e6}},
		{"at this very instant", Burst(1, sec, Phase{sec, 789e6, start}, sec), []time.Duration{0}},
		{"too late", Burst(1, sec, Phase{time.Minute, 0, start}, 3*sec), nil},
		{"nobody", Burst(0, sec, Phase{}, 3*sec), nil},
	}
	for _, c := range cases {
		if got := dues(c.p, 20); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if len(cases) != 10 {
		t.Fatalf("%d cases, want 10", len(cases))
	}
	if at, ok := Burst(1, time.Hour, Phase{}, 0).Due(math.MaxInt64); !ok || at != math.MaxInt64 {
		t.Errorf("without end, Due(2^63-1) = %v, %v", at, ok)
	}
	if n := Count(Burst(math.MaxInt64, 1, Phase{}, time.Hour)); n != math.MaxInt64 {
		t.Errorf("more than can be counted: %d", n)
	}
}

func TestPhaseLandsOnTheClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := time.Duration(rapid.Int64Range(1, int64(2*time.Hour)).Draw(t, "of"))
		at := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "at"))
		start := time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec"))
		wait := Phase{of, at, start}.Wait()
		if wait < 0 || wait >= of {
			t.Fatalf("Wait() = %v, want it in [0, %v)", wait, of)
		}
		if past := (start.Add(wait).UnixNano() - int64(at)) % int64(of); past != 0 {
			t.Fatalf("the burst is %d ns past the phase", past)
		}
	})
	for _, p := range []Phase{{}, {Of: -1}, {Of: time.Second, Start: time.Time{}}, {Of: 1}, {Of: time.Second, Start: time.Unix(1<<60, 0)}} {
		if w := p.Wait(); w != 0 {
			t.Errorf("%+v: Wait() = %v, want 0", p, w)
		}
	}
}

func TestSchedule(t *testing.T) {
	given := []time.Duration{5, -3, 9, 5}
	p := Schedule(given)
	given[0] = 100
	if got, want := dues(p, 9), []time.Duration{0, 5, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("Schedule: %v, want %v", got, want)
	}
	if _, ok := p.Due(-1); ok {
		t.Error("arrival -1 is due")
	}
}

func TestParseSchedule(t *testing.T) {
	got, err := ParseSchedule(strings.NewReader("# three\n\n0.5s\r\n  1m2s # late\n3\n\t\n1s"))
	if want := []time.Duration{500e6, 62e9, 3e9, 1e9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseSchedule = %v, %v, want %v", got, err, want)
	}
	if got, err := ParseSchedule(strings.NewReader("")); err != nil || len(got) != 0 {
		t.Errorf("ParseSchedule of nothing = %v, %v", got, err)
	}
	cases := []struct{ s, want string }{
		{"1s\n2s\nsoon\n", `schedule "soon": line 3, column 1: a duration begins with a digit`},
		{"1s 2\n", "line 1, column 5: a unit of time is missing"},
		{"1s\n1s, 2s\n", "line 2, column 3: ','"},
		{"1s\n" + strings.Repeat("1", 5000), "line 2, column 4096: the line is longer"},
		{"1s\n-2s", "negative"},
	}
	for _, c := range cases {
		if _, err := ParseSchedule(strings.NewReader(c.s)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseSchedule(%.20q) = %v, want %q", c.s, err, c.want)
		}
	}
	if len(cases) != 5 {
		t.Fatalf("%d cases, want 5", len(cases))
	}
	if _, err := ParseSchedule(broken{}); err == nil || !strings.Contains(err.Error(), "after line 0: broken") {
		t.Errorf("a reader that fails gives %v", err)
	}
}

type broken struct{}

func (broken) Error() string            { return "broken" }
func (broken) Read([]byte) (int, error) { return 0, broken{} }

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{"", "0.5s\n1s # x\n\n", "\r\n1\r\n", "1s 2s", "\xff\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseSchedule(strings.NewReader(s))
		if err == nil && len(at) > strings.Count(s, "\n")+1 {
			t.Fatalf("ParseSchedule(%q) has %d instants", s, len(at))
		}
		for _, d := range at {
			if d < 0 {
				t.Fatalf("ParseSchedule(%q) has %v", s, d)
			}
		}
	})
}
