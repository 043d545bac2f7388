package threshold

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// goodExprs maps conditions to their canonical form; "" is the same as written.
var goodExprs = map[string]string{
	"admitted.p95 > 500ms":                     "",
	"throttled.ratio > 1%":                     "",
	"failed.count > 0":                         "",
	"throttled.rate > 20/s for 10s":            "",
	"admitted.per_hour < 1000":                 "",
	"admitted.per_hour < 1000/h":               "admitted.per_hour < 1000",
	"send_lag.p99 > 50ms":                      "",
	"offered.rate <= 33333/s":                  "",
	"status(503).count > 0":                    "",
	"status( 5XX ).ratio>.5%":                  "status(5xx).ratio > 0.5%",
	"status(0).rate != 0":                      "status(0).rate != 0/s",
	"goodput<100.50/sec":                       "goodput < 100.5/s",
	"  goodput == 60 /min ":                    "goodput == 60/min",
	"total.count >= 007":                       "total.count >= 7",
	"throttled.onset < 1m30s":                  "",
	"throttled.onset < 90s":                    "throttled.onset < 1m30s",
	"missed.ratio > 0.01":                      "",
	"admitted.service.p99.90 > 1.50s":          "admitted.service.p99.9 > 1.5s",
	"admitted.response.max > 0":                "admitted.max > 0s",
	"admitted.p100 > 250µs":                    "",
	"admitted.p50 > 250us":                     "admitted.p50 > 250µs",
	"connect.mean > 1ns":                       "",
	"wake_lag.count > 3 for 2m":                "wake_lag.count > 3 for 2m0s",
	"limit.rate < 118/s":                       "",
	"offered.peak_10s > 1200":                  "",
	"admitted{POST /oauth2/token}.p95 > 500ms": "",
	"admitted{ /a b }.count > 0":               "admitted{/a b}.count > 0",
	`failed{"a } \"b\""}.count > 0`:            "",
	`failed{"plain"}.count > 0`:                "failed{plain}.count > 0",
	`status(429){ü}.ratio > 100%`:              "",
	"goodput{/x} > 1/h":                        "",
	"expect admitted.per_hour>=1000":           "expect admitted.per_hour >= 1000",
	"admitted.per_minute < 20/min":             "admitted.per_minute < 20",
	"admitted{/sms}.per_hour.low < 1000":       "",
	"admitted.rate.high > 7/s":                 "",
	"watch{connections}.used > 90%":            "",
	"watch{longest time: transaction}.max>5s":  "watch{longest time: transaction}.max > 5s",
	"watch{CPU}.mean > 90.0% for 10s":          "watch{CPU}.mean > 90% for 10s",
	"expect watch{cache: hit ratio}.min >= 99": "",
}

func TestParseAndString(t *testing.T) {
	if len(goodExprs) < 30 {
		t.Fatalf("%d cases", len(goodExprs))
	}
	for in, want := range goodExprs {
		e, err := Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if want == "" {
			want = in
		}
		if e.String() != want {
			t.Errorf("Parse(%q).String() = %q, want %q", in, e, want)
		}
		checkRoundTrip(t, e)
	}
}

func checkRoundTrip(t interface{ Errorf(string, ...any) }, e *Expr) {
	again, err := Parse(e.String())
	if err != nil {
		t.Errorf("Parse(%q), which String wrote: %v", e, err)
	} else if !reflect.DeepEqual(e, again) {
		t.Errorf("Parse(%q) = %+v, want %+v", e, again, e)
	}
}

// badExprs gives the column of the mistake and a part of the message.
var badExprs = []struct {
	expr   string
	column int
	want   string
}{
	{"", 1, "as in admitted.p95 > 500ms"},
	{"   ", 4, "as in admitted.p95 > 500ms"},
	{"admited.p95 > 1s", 1, "did you mean admitted?"},
	{"errors.count > 0", 1, "did you mean failed?"},
	{"xyzzy.count > 0", 1, "known are admitted, throttled"},
	{"admitted > 1s", 9, "admitted.p95"},
	{"admitted. > 1s", 10, "a word is missing"},
	{"admitted.p95x > 1s", 10, "did you mean p95?"},
	{"admitted.rps > 1", 10, "did you mean rate?"},
	{"admitted.p(95) > 1s", 10, "without parentheses"},
	{"admitted.pNN > 1s", 10, "has no"},
	{"admitted.p0 > 1s", 10, "more than p0"},
	{"admitted.p101 > 1s", 10, "at most p100"},
	{"admitted.p9.9.9 > 1s", 14, "nothing may follow"},
	{"admitted.service > 1s", 17, "which of the service times"},
	{"admitted.service.count > 1", 18, "has no \"count\""},
	{"admitted.p95.max > 1s", 13, "nothing may follow admitted.p95"},
	{"total.p95 > 1s", 7, "admitted.p95"},
	{"status(503).p95 > 1s", 13, "by outcome"},
	{"missed.p95 > 1s", 8, "never sent"},
	{"total.ratio > 1%", 7, "did you mean rate?"},
	{"goodput.rate > 1/s", 8, "a rate already"},
	{"status.count > 1", 7, "in parentheses"},
	{"status(abc).count > 1", 8, "100 to 999"},
	{"status(99).count > 1", 8, "100 to 999"},
	{"status(503.count > 1", 11, "in parentheses"},
	{"send_lag{a}.p99 > 1s", 9, "leave out the braces"},
	{"admitted{a.p95 > 1s", 9, "not closed"},
	{"admitted{}.p95 > 1s", 9, "empty"},
	{`admitted{"a.p95 > 1s`, 10, "does not end"},
	{`admitted{"a" b}.p95 > 1s`, 14, "closed after the quoted name"},
	{"admitted.p95{a} > 1s", 13, "right after the first word"},
	{"admitted.p95 1s", 14, "one of > >="},
	{"admitted.p95", 13, "comparison is missing"},
	{"admitted.p95 = 1s", 14, "write =="},
	{"admitted.p95 => 1s", 14, "write >="},
	{"admitted.p95 >>= 1s", 14, "write one of"},
	{"admitted.p95 >", 15, "a value is missing"},
	{"admitted.p95 > fast", 16, "a number must follow"},
	{"admitted.p95 > -1s", 16, "ever negative"},
	{"admitted.p95 > 1.2.3s", 16, "is not a number"},
	{"admitted.p95 > 500", 16, "write 500ms or 500s"},
	{"admitted.p95 > 5%", 16, "or use admitted.ratio"},
	{"admitted.p95 > 5/s", 16, "or use admitted.rate"},
	{"admitted.p95 > 5parsecs", 16, "500ms"},
	{"throttled.ratio > 500ms", 19, "or use throttled.p95"},
	{"throttled{a}.ratio > 500ms", 22, "or use throttled{a}.p95"},
	{"throttled.ratio > 1", 19, "write 1%"},
	{"throttled.ratio > 101%", 19, "at most 100%"},
	{"throttled.rate > 20", 18, "write 20/s"},
	{"throttled.rate > 20%", 18, "or use throttled.ratio"},
	{"admitted.per_hour > 20/s", 21, "or use admitted.rate"},
	{"failed.count > 1.5", 16, "write 1"},
	{"admitted.per_minute > 20/s", 23, "or use admitted.rate"},
	{"admitted.per_hour.middle > 20", 18, "nothing may follow admitted.per_hour"},
	{"admitted.per_hour.lower > 20", 22, "nothing may follow admitted.per_hour.low"},
	{"admitted.per_hour.low > 20 for 3s", 28, "about the whole run"},
	{"admitted.count.low > 20", 15, "nothing may follow"},
	{"expect admitted.rate > 2/s for 3s", 28, "expected of the whole run"},
	{"expect", 1, "is not measured"},
	{"p95 > 1s", 1, `"p95" of what? Write admitted.p95`},
	{"count > 1", 1, "Write admitted.count"},
	{"watch.postgres.used > 90%", 6, "which figure in braces"},
	{"watch{connections} > 90%", 19, "say what of watch"},
	{"watch{connections}.p95 > 90", 20, "has no"},
	{"watch{connections}.used > 90", 27, "write 90%"},
	{"watch{connections}.max > 90/h", 26, "a number, with or without a unit"},
	{"failed.count > 1%", 16, "or use failed.ratio"},
	{"failed.count > 0 and failed.count < 9", 18, "each condition by itself"},
	{"failed.count > 0 for", 21, `must follow "for"`},
	{"failed.count > 0 for ever", 22, `must follow "for"`},
	{"failed.count > 0 for 10", 22, "is not a time"},
	{"failed.count > 0 for 0s", 22, "is not a time"},
	{"failed.count > 0 for 10s more", 26, "nothing may follow"},
	{"limit.rate > 1/s for 10s", 18, "leave out"},
	{"throttled.onset < 1s for 10s", 22, "leave out"},
	{"offered.peak_1s > 1 for 10s", 21, "leave out"},
	{"admitted{ü}.p95 > 5%", 19, "or use"},
	{"\x00\xff", 1, "as in"},
	{strings.Repeat("a", MaxLength+1), 1, "longer than"},
}

func TestParseErrorsPoint(t *testing.T) {
	if len(badExprs) < 60 {
		t.Fatalf("%d cases", len(badExprs))
	}
	for _, test := range badExprs {
		_, err := Parse(test.expr)
		var bad *SyntaxError
		if !errors.As(err, &bad) {
			t.Errorf("Parse(%q) = %v, want a SyntaxError", test.expr, err)
			continue
		}
		if bad.Column != test.column || !strings.Contains(bad.Msg, test.want) {
			t.Errorf("Parse(%q): column %d, %q; want column %d, %q", test.expr, bad.Column, bad.Msg, test.column, test.want)
		}
	}
}

func TestErrorHasACaretUnderTheMistake(t *testing.T) {
	_, err := Parse("throttled.ratio >\t500ms")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "column 19: ") || lines[1] != "  throttled.ratio > 500ms" || lines[2] != "                    ^" {
		t.Errorf("Error() = %q", lines)
	}
}

// genExpr draws conditions of every kind.
func genExpr(t *rapid.T) string {
	s := rapid.SampledFrom(subjects).Draw(t, "subject")
	var b strings.Builder
	wanted := rapid.Bool().Draw(t, "expect")
	if wanted {
		b.WriteString("expect ")
	}
	b.WriteString(s.name)
	if s.name == "status" {
		b.WriteString("(" + rapid.SampledFrom([]string{"0", "503", "4xx"}).Draw(t, "status") + ")")
	}
	if s.request && (s.name == "watch" || rapid.Bool().Draw(t, "braces")) {
		name := rapid.StringN(1, 9, -1).Draw(t, "request")
		b.WriteString("{" + quoteRequest(name) + "}")
	}
	stat := ""
	if len(s.stats) > 0 {
		stat = rapid.SampledFrom(s.stats).Draw(t, "stat")
		b.WriteByte('.')
		if unitOf(s.name, stat) == length && contains(s.stats, "onset") && rapid.Bool().Draw(t, "which") {
			b.WriteString(rapid.SampledFrom([]string{"service.", "response."}).Draw(t, "time"))
		}
		b.WriteString(strings.Replace(stat, "pNN", rapid.SampledFrom([]string{"p50", "p99.9", "p100", "p0.1"}).Draw(t, "p"), 1))
	}
	ended := (unitOf(s.name, stat) == rate || unitOf(s.name, stat) == perHour || unitOf(s.name, stat) == perMinute) && s.name != "limit" && stat != "" && rapid.Bool().Draw(t, "ended")
	if ended {
		b.WriteString(rapid.SampledFrom([]string{".low", ".high"}).Draw(t, "end"))
	}
	b.WriteString(rapid.SampledFrom([]string{">", " >= ", "<", "<=", "==", "!="}).Draw(t, "operator"))
	number := rapid.StringMatching(`[0-9]{1,5}`).Draw(t, "number")
	fraction := rapid.StringMatching(`(\.[0-9]{0,3})?`).Draw(t, "fraction")
	switch unitOf(s.name, stat) {
	case units:
		b.WriteString(number)
	case rate:
		b.WriteString(number + fraction + rapid.SampledFrom([]string{"/s", "/min", "/h", " /m"}).Draw(t, "per"))
	case perHour, perMinute:
		b.WriteString(number + fraction)
	case gauge:
		b.WriteString(number + fraction + rapid.SampledFrom([]string{"", "%", "/s", "ms", "s"}).Draw(t, "unit"))
	case share:
		b.WriteString("0" + fraction + rapid.SampledFrom([]string{"", "%"}).Draw(t, "%"))
	default:
		b.WriteString(number + fraction + rapid.SampledFrom([]string{"ns", "us", "ms", "s", "m", "h"}).Draw(t, "unit"))
	}
	if !wanted && !ended && s.name != "limit" && !strings.HasPrefix(stat, "peak") && stat != "onset" && rapid.Bool().Draw(t, "for") {
		b.WriteString(" for 10s")
	}
	return b.String()
}

func TestStringRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genExpr(t)
		e, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		checkRoundTrip(t, e)
	})
}

func FuzzParse(f *testing.F) {
	for text := range goodExprs {
		f.Add(text)
	}
	for _, test := range badExprs {
		f.Add(test.expr)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || bad.Column < 1 || bad.Column > len(text)+1 || strings.Count(bad.Error(), "\n") != 2 && !strings.Contains(bad.Msg, "\n") {
				t.Errorf("Parse(%q): %#v", text, err)
			}
			return
		}
		checkRoundTrip(t, e)
	})
}
