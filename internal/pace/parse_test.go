package pace

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseRate(t *testing.T) {
	cases := []struct {
		s    string
		want Rate
		text string // what String prints
	}{
		{"500/s", Rate{500, time.Second}, "500/s"},
		{"7/s", Rate{7, time.Second}, "7/s"},
		{"0.5/s", Rate{1, 2 * time.Second}, "0.5/s"},
		{"2.50/s", Rate{5, 2 * time.Second}, "2.5/s"},
		{"3.000/s", Rate{3, time.Second}, "3/s"},
		{"0.001/s", Rate{1, 1000 * time.Second}, "0.001/s"},
		{"0.0005/s", Rate{1, 2000 * time.Second}, "0.03/min"},
		{"1/min", Rate{1, time.Minute}, "1/min"},
		{"1/m", Rate{1, time.Minute}, "1/min"},
		{"1000/h", Rate{1000, time.Hour}, "1000/h"},
		{"1000/hour", Rate{1000, time.Hour}, "1000/h"},
		{"10/d", Rate{10, day}, "10/d"},
		{"10/day", Rate{10, day}, "10/d"},
		{"60/min", Rate{60, time.Minute}, "1/s"},
		{"33333/s", Rate{33333, time.Second}, "33333/s"},
		{"33,333/s", Rate{33333, time.Second}, "33333/s"},
		{"1_000_000/sec", Rate{1000000, time.Second}, "1000000/s"},
		{"1,234.5/s", Rate{2469, 2 * time.Second}, "1234.5/s"},
		{"5/ms", Rate{5, time.Millisecond}, "5000/s"},
		{"100/100ms", Rate{100, 100 * time.Millisecond}, "1000/s"},
		{"5/10s", Rate{5, 10 * time.Second}, "0.5/s"},
		{"1/3s", Rate{1, 3 * time.Second}, "20/min"},
		{"1/1.5s", Rate{1, 1500 * time.Millisecond}, "40/min"},
		{"1/7s", Rate{1, 7 * time.Second}, "1/7s"},
		{"2/14s", Rate{2, 14 * time.Second}, "1/7s"},
		{"2/1h30m", Rate{2, 90 * time.Minute}, "32/d"},
		{" 12 / s ", Rate{12, time.Second}, "12/s"},
		{"0/s", Rate{0, time.Second}, "0/s"},
		{"0.0/h", Rate{0, time.Hour}, "0/s"},
		{"9223372036854775799/ns", Rate{9223372036854775799, 1}, "9223372036854775799/1ns"},
	}
	for _, c := range cases {
		got, err := ParseRate(c.s)
		if err != nil || got != c.want {
			t.Errorf("ParseRate(%q) = %+v, %v, want %+v", c.s, got, err, c.want)
			continue
		}
		if got.String() != c.text {
			t.Errorf("ParseRate(%q).String() = %q, want %q", c.s, got.String(), c.text)
		}
		if again, err := ParseRate(got.String()); err != nil || !same(again, got) {
			t.Errorf("ParseRate(%q) = %v, %v, want %v again", got.String(), again, err, got)
		}
	}
	if len(cases) != 30 {
		t.Fatalf("%d cases, want 30", len(cases))
	}
}

// same says whether two rates are equal rationals.
func same(a, b Rate) bool { return a.rat().Cmp(b.rat()) == 0 }

// Every mistake has a column and says what to write.
func TestParseMistakes(t *testing.T) {
	rate := func(s string) error { _, err := ParseRate(s); return err }
	stages := func(s string) error { _, err := ParseStages(s); return err }
	level := func(s string) error { _, err := ParseLevel(s); return err }
	duration := func(s string) error { _, err := ParseDuration(s); return err }
	cases := []struct {
		parse  func(string) error
		s      string
		column int
		want   string
	}{
		{rate, "", 1, "begins with a digit, not with the end"},
		{rate, "500", 4, "Write 500/s"},
		{rate, " 500 ", 5, "Write 500/s"},
		{rate, "500rps", 4, "write 500/s"},
		{rate, "10rpm", 3, "write 10/min"},
		{rate, "10 rph", 4, "write 10/h"},
		{rate, ".5/s", 1, "not with '.'"},
		{rate, "500 per second", 4, "500/s"},
		{rate, "fast", 1, "not with 'f'"},
		{rate, "-5/s", 1, "negative"},
		{rate, "5/", 3, "unit of time is missing before the end"},
		{rate, "5/S", 3, `write "s"`},
		{rate, "5/sekunde", 3, `"sekunde" is no unit of time`},
		{rate, "5/3", 4, "unit of time is missing here"},
		{rate, "5/0s", 3, "longer than 0"},
		{rate, "5/s/s", 4, "remove the rest"},
		{rate, "0,5/s", 2, "groups of three"},
		{rate, "33,3333/s", 3, "groups of three"},
		{rate, "3333,333/s", 5, "groups of three"},
		{rate, "1,000_000/s", 6, "per what time"},
		{rate, "1./s", 3, "digits are missing"},
		{rate, "99999999999999999999/s", 1, "too many digits"},
		{rate, "9223372036854775808/s", 1, "too many digits"},
		{rate, "0.0000000000000000001/s", 1, "too many digits"},
		{rate, "0.000000001/300y", 16, "no unit"},
		{rate, "0.000000001/d", 1, "higher rate"},
		{rate, "5/µ", 3, "no unit"},
		{rate, "ü5/s", 1, "'ü'"},
		{rate, "5/\xff", 3, "missing before"},
		{stages, "", 1, "begins with a digit"},
		{stages, "200/s", 6, "200/s:30s"},
		{stages, "200:30s", 4, "Write 200/s"},
		{stages, "0..200:30s", 7, "Write 200/s"},
		{stages, "..200/s:30s", 1, "no stage before"},
		{stages, "0..200/s:", 10, "a duration begins with a digit"},
		{stages, "0..200/s:30s,", 14, "begins with a digit"},
		{stages, "0..200/s:30s,200/s", 19, "how long"},
		{stages, "0..200/s:30s;200/s:5s", 13, "';'"},
		{stages, "0..200/s:0s", 10, "longer than 0"},
		{stages, "x..200/s:30s", 1, "'x'"},
		{stages, "5/x..200/s:30s", 3, `"x"`},
		{stages, "5 6..200/s:30s", 2, "write .. between"},
		{stages, "0...200/s:30s", 4, "not with '.'"},
		{stages, "50/s,100/s:10s", 5, "how long"},
		{stages, "1/s:200d,1/s:290d,1/s:292y", 26, "no unit"},
		{stages, "1/s:106751d,1/s:1d", 17, "292 years"},
		{level, "300", 4, "300:30s"},
		{level, "0..200/s:30s", 7, "rate"},
		{level, "0..1.5:30s", 5, "whole number"},
		{level, "0..3000000000:30s", 4, "more than 2147483647"},
		{level, "..5:1s", 1, "no stage before"},
		{level, "-5:1s", 1, "negative"},
		{level, "5:1s,", 6, "begins with a digit"},
		{level, "5:1s 6:1s", 7, "unit of time is missing here"},
		{duration, "", 1, "begins with a digit"},
		{duration, "soon", 1, "'s'"},
		{duration, "-1s", 1, "negative"},
		{duration, "5 parsecs", 3, `"parsecs" is no unit`},
		{duration, "1h20", 5, "unit of time is missing here"},
		{duration, "5 6s", 2, "unit of time is missing here"},
		{duration, "10S", 3, `write "s"`},
		{duration, "1h,5m", 3, "','"},
		{duration, "1,000", 2, "','"},
		{duration, "293y", 4, "no unit"},
		{duration, "106752d", 1, "292 years"},
		{duration, "106751d 1d", 1, "292 years"},
		{duration, "9999999999999999d", 1, "292 years"},
		{duration, "1.", 3, "digits are missing"},
		{duration, "1..5s", 2, "'.'"},
		{duration, "1e3", 2, `"e"`},
	}
	for _, c := range cases {
		err := c.parse(c.s)
		var mistake *ParseError
		if !errors.As(err, &mistake) {
			t.Errorf("%q: error %v, want a *ParseError", c.s, err)
			continue
		}
		if mistake.Column != c.column || !strings.Contains(mistake.Reason, c.want) {
			t.Errorf("%q: column %d: %s; want column %d with %q", c.s, mistake.Column, mistake.Reason, c.column, c.want)
		}
	}
	if len(cases) != 70 {
		t.Fatalf("%d cases, want 70", len(cases))
	}
}

func TestParseErrorText(t *testing.T) {
	_, err := ParseRate("500")
	if want := `rate "500": column 4: per what time? Write 500/s, 500/min or 500/h`; err == nil || err.Error() != want {
		t.Errorf("ParseRate(500) = %v, want %s", err, want)
	}
	_, err = ParseDuration(strings.Repeat("1s", 5000) + "\x1b[2J")
	if got := err.Error(); len(got) > 300 || strings.ContainsRune(got, '\x1b') || !strings.Contains(got, "column 10001") {
		t.Errorf("a long text with control characters gives %q", got)
	}
	_, err = ParseDuration(strings.Repeat("x", 5000))
	if got := err.Error(); len(got) > 300 {
		t.Errorf("a long text gives %q", got)
	}
}

func TestParseDuration(t *testing.T) {
	cases := []struct {
		s    string
		want time.Duration
		text string
	}{
		{"30", 30 * time.Second, "30s"},
		{"0", 0, "0s"},
		{"0.5", 500 * time.Millisecond, "500ms"},
		{"90s", 90 * time.Second, "1m30s"},
		{"1h20m", 80 * time.Minute, "1h20m"},
		{"1h 20m", 80 * time.Minute, "1h20m"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"2d", 48 * time.Hour, "48h"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"10 minutes", 10 * time.Minute, "10m"},
		{"1 hour 1 sec", time.Hour + time.Second, "1h0m1s"},
		{"100ms", 100 * time.Millisecond, "100ms"},
		{"5µs", 5 * time.Microsecond, "5µs"},
		{"5μs", 5 * time.Microsecond, "5µs"},
		{"5us7ns", 5007, "5.007µs"},
		{" 3m ", 3 * time.Minute, "3m"},
		{"0.1s", 100 * time.Millisecond, "100ms"},
		{"0.25s", 250 * time.Millisecond, "250ms"},
		{"0.3ns", 0, "0s"},
		{"1.0000000000000000000000s", time.Second, "1s"},
		{"9223372036.854775807s", math.MaxInt64, "2562047h47m16.854775807s"},
	}
	for _, c := range cases {
		got, err := ParseDuration(c.s)
		if err != nil || got != c.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", c.s, got, err, c.want)
			continue
		}
		if text := formatDuration(got); text != c.text {
			t.Errorf("formatDuration(%v) = %q, want %q", got, text, c.text)
		}
		if again, err := ParseDuration(formatDuration(got)); err != nil || again != got {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v again", formatDuration(got), again, err, got)
		}
	}
	if len(cases) != 21 {
		t.Fatalf("%d cases, want 21", len(cases))
	}
}

func TestParseStages(t *testing.T) {
	sec := time.Second
	zero, two, fifty := Rate{0, sec}, Rate{200, sec}, Rate{50, sec}
	cases := []struct {
		s     string
		want  Stages
		text  string
		total float64
	}{
		{"0..200/s:30s,200/s:1m", Stages{{zero, two, 30 * sec}, {two, two, 60 * sec}}, "0/s..200/s:30s,200/s:1m", 15_000},
		{"50/s:10s,..200/s:20s", Stages{{fifty, fifty, 10 * sec}, {fifty, two, 20 * sec}}, "50/s:10s,50/s..200/s:20s", 3000},
		{"0/s:10s", Stages{{zero, zero, 10 * sec}}, "0/s:10s", 0},
		{"200/s..0/s:30", Stages{{two, zero, 30 * sec}}, "200/s..0/s:30s", 3000},
		{" 0 .. 200/s : 30s , 200/s : 1m ", Stages{{zero, two, 30 * sec}, {two, two, 60 * sec}}, "0/s..200/s:30s,200/s:1m", 15_000},
		{"0..33,333/s:30s,33,333/s:1m", Stages{{zero, Rate{33333, sec}, 30 * sec}, {Rate{33333, sec}, Rate{33333, sec}, 60 * sec}}, "0/s..33333/s:30s,33333/s:1m", 2499975},
		{"1..0.5/s:10s", Stages{{Rate{1, sec}, Rate{1, 2 * sec}, 10 * sec}}, "1/s..0.5/s:10s", 7.5},
		{"1/s..120/min:10s", Stages{{Rate{1, sec}, Rate{120, 60 * sec}, 10 * sec}}, "1/s..2/s:10s", 15},
		{"5..50/100ms:1s", Stages{{Rate{5, sec / 10}, Rate{50, sec / 10}, sec}}, "50/s..500/s:1s", 275},
	}
	for _, c := range cases {
		got, err := ParseStages(c.s)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("ParseStages(%q) = %+v, %v, want %+v", c.s, got, err, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("ParseStages(%q): stage %d is %+v, want %+v", c.s, i, got[i], c.want[i])
			}
		}
		if got.String() != c.text {
			t.Errorf("ParseStages(%q).String() = %q, want %q", c.s, got.String(), c.text)
		}
		if math.Abs(got.Total()-c.total) > 1e-9*c.total {
			t.Errorf("ParseStages(%q).Total() = %v, want %v", c.s, got.Total(), c.total)
		}
		if n := Count(got.Pacer()); n != int64(math.Floor(c.total+0.5)) {
			t.Errorf("ParseStages(%q) has %d arrivals, want %v", c.s, n, c.total)
		}
	}
	if len(cases) != 9 {
		t.Fatalf("%d cases, want 9", len(cases))
	}
	for s, want := range map[string]bool{"0..200/s:30s": true, "0..300:30s,300:1m": false, "": false} {
		if got := IsRateStages(s); got != want {
			t.Errorf("IsRateStages(%q) = %v, want %v", s, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "500/s", "0.5/s", "33,333/s", "1/3s", "100/100ms", "500", "5/1h30m", "0..200/s:30s,200/s:1m", "50/s:10s,..200/s:20s",
		"0..300:30s,300:1m,..0:10s", "1d12h", "10 minutes", "\xff..\x00:µs", "9223372036854775807/ns:1d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(err error) bool {
			if err == nil {
				return true
			}
			var mistake *ParseError
			if !errors.As(err, &mistake) || mistake.Column < 1 || mistake.Column > utf8.RuneCountInString(s)+1 || mistake.Reason == "" {
				t.Fatalf("%q: error %#v", s, err)
			}
			return false
		}
		if r, err := ParseRate(s); check(err) {
			again, err := ParseRate(r.String())
			if err != nil || !same(again, r) {
				t.Fatalf("ParseRate(%q) = %v, and its text gives %v, %v", s, r, again, err)
			}
		}
		if d, err := ParseDuration(s); check(err) {
			if again, err := ParseDuration(formatDuration(d)); err != nil || again != d || d < 0 {
				t.Fatalf("ParseDuration(%q) = %v, and its text gives %v, %v", s, d, again, err)
			}
		}
		if st, err := ParseStages(s); check(err) {
			again, err := ParseStages(st.String())
			if err != nil || len(again) != len(st) {
				t.Fatalf("ParseStages(%q) = %v, and its text gives %v, %v", s, st, again, err)
			}
			for i := range st {
				if !same(st[i].From, again[i].From) || !same(st[i].To, again[i].To) || st[i].For != again[i].For {
					t.Fatalf("ParseStages(%q) = %v, and its text gives %v", s, st, again)
				}
			}
			p := st.Pacer()
			last := time.Duration(0)
			for n := int64(0); n >= 0 && n < math.MaxInt64/3; n = 3*n + 1 {
				at, ok := p.Due(n)
				if !ok {
					break
				}
				if at < last || at >= st.Length() {
					t.Fatalf("ParseStages(%q): Due(%d) = %v after %v", s, n, at, last)
				}
				last = at
			}
		}
		if l, err := ParseLevel(s); check(err) {
			if again, err := ParseLevel(l.String()); err != nil || again.String() != l.String() {
				t.Fatalf("ParseLevel(%q) = %v, and its text gives %v, %v", s, l, again, err)
			}
			at := time.Duration(-1)
			for range 50 {
				next, ok := l.Next(at)
				if !ok {
					break
				}
				if next <= at || next > l.Length() || l.At(next) == l.At(next-1) || l.At(next) > l.Max() {
					t.Fatalf("ParseLevel(%q): Next(%v) = %v, with %d users before and %d then", s, at, next, l.At(next-1), l.At(next))
				}
				at = next
			}
		}
	})
}
