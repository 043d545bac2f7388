package hit

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func answer(status int, fields, body string) *Answer {
	return &Answer{Status: status, Fields: Fields(fields), Body: []byte(body)}
}

func TestDefaultRules(t *testing.T) {
	const cognito = `{"__type":"com.amazonaws.cognito.identity#TooManyRequestsException","message":"Rate exceeded"}`
	cases := []struct {
		name string
		a    *Answer
		want Outcome
	}{
		{"200", answer(200, "", ""), Admitted},
		{"100", answer(100, "", ""), Admitted},
		{"101", answer(101, "", ""), Admitted},
		{"204", answer(204, "", ""), Admitted},
		{"304", answer(304, "", ""), Admitted},
		{"302", answer(302, "", ""), Admitted},
		{"400", answer(400, "", `{"error":"invalid_client"}`), Failed},
		{"404", answer(404, "", ""), Failed},
		{"500", answer(500, "Retry-After: 1\r\n", ""), Failed},
		{"no answer", answer(0, "", ""), Failed},
		{"a status beyond all classes", answer(999, "", ""), Failed},
		{"a status that cannot be", answer(100000, "", ""), Failed},
		{"a negative status", answer(-1, "", ""), Failed},
		{"429", answer(429, "", ""), Throttled},
		{"503 alone", answer(503, "", ""), Failed},
		{"503 with Retry-After", answer(503, "Server: x\r\nretry-after: 5\r\n", ""), Throttled},
		{"200 with Retry-After", answer(200, "Retry-After: 5\r\n", ""), Admitted},
		{"400 __type", answer(400, "", cognito), Throttled},
		{"400 __type, spaced", answer(400, "", "{ \"__type\" : \n \"ThrottlingException\" }"), Throttled},
		{"400 header", answer(400, "x-amzn-ErrorType: TooManyRequestsException:http://internal.amazon.com/coral/\r\n", ""), Throttled},
		{"400 header of another error", answer(400, "x-amzn-ErrorType: NotAuthorizedException\r\n", cognito), Failed},
		{"400 code", answer(400, "", `{"code":"RequestLimitExceeded"}`), Throttled},
		{"400 Code", answer(400, "", `{"Error":{"Code":"Throttling"}}`), Throttled},
		{"400 numeric code first", answer(400, "", `{"code":7,"errors":[{"code":"Throttling"}]}`), Throttled},
		{"400 XML", answer(400, "", "<ErrorResponse><Error><Code> Throttling </Code></Error></ErrorResponse>"), Throttled},
		{"400 the word elsewhere", answer(400, "", `{"message":"no ThrottlingException here"}`), Failed},
		{"400 a code inside a text", answer(400, "", `{"message":"\"__type\":\"ThrottlingException\""}`), Failed},
		{"400 conflict, no limit", answer(400, "", `{"__type":"TransactionInProgressException"}`), Failed},
		{"503 SlowDown", answer(503, "", "<Error><Code>SlowDown</Code></Error>"), Throttled},
		{"500 is no AWS throttling", answer(500, "", cognito), Failed},
		{"cut body", answer(400, "", `{"__type":"Throttling`), Failed},
		{"cut XML", answer(400, "", `<Code>Throttling`), Failed},
		{"failure after a 200", &Answer{Status: 200, Failure: ClosedEarly}, Failed},
		{"failure after a 429", &Answer{Status: 429, Failure: CheckFailed}, Failed},
		{"interrupted", &Answer{Failure: Interrupted}, Failed},
	}
	r := DefaultRules()
	ran := 0
	for _, c := range cases {
		ran++
		if got := r.Outcome(c.a); got != c.want {
			t.Errorf("%s: Outcome = %v, want %v", c.name, got, c.want)
		}
	}
	for _, code := range throttlingCodes {
		ran++
		if got := r.Outcome(answer(400, "", `{"__type":"`+code+`"}`)); got != Throttled {
			t.Errorf("400 with %s: Outcome = %v, want throttled", code, got)
		}
	}
	if ran < 40 {
		t.Fatalf("%d cases ran, want at least 40", ran)
	}
	for status := -1; status < 1200; status++ {
		if got, want := r.NeedsBody(status), status == 400 || status == 503; got != want {
			t.Errorf("NeedsBody(%d) = %v, want %v", status, got, want)
		}
	}
}

func TestParseRules(t *testing.T) {
	cases := []struct {
		name          string
		throttled, ok []string
		a             *Answer
		want          Outcome
	}{
		{"a status", []string{"509"}, nil, answer(509, "", ""), Throttled},
		{"defaults stay", []string{"509"}, nil, answer(429, "", ""), Throttled},
		{"a class", []string{"5xx"}, nil, answer(502, "", ""), Throttled},
		{"a class in capitals", []string{"5XX"}, nil, answer(599, "", ""), Throttled},
		{"a class ends", []string{"4xx"}, nil, answer(500, "", ""), Failed},
		{"with a header", []string{"403+X-Quota"}, nil, answer(403, "x-quota: 0\r\n", ""), Throttled},
		{"without the header", []string{"403+X-Quota"}, nil, answer(403, "", ""), Failed},
		{"text in the body", []string{"403:quota exceeded"}, nil, answer(403, "", "Your QUOTA exceeded!"), Throttled},
		{"text in a header", []string{"403:quota exceeded"}, nil, answer(403, "X-Error: Quota Exceeded\r\n", ""), Throttled},
		{"text in a header's name", []string{"403:quota"}, nil, answer(403, "Quota: 1\r\n", ""), Failed},
		{"text nowhere", []string{"403:quota exceeded"}, nil, answer(403, "", "forbidden"), Failed},
		{"quotes are literal", []string{`200:"error"`}, nil, answer(200, "", `{"error":"slow down"}`), Throttled},
		{"quotes are literal, no match", []string{`200:"error"`}, nil, answer(200, "", `error`), Admitted},
		{"text with a colon and a plus", []string{"403:a:b+c"}, nil, answer(403, "", "xa:b+cx"), Throttled},
		{"ok", nil, []string{"404"}, answer(404, "", ""), Admitted},
		{"ok leaves others", nil, []string{"404"}, answer(405, "", ""), Failed},
		{"ok over a default", nil, []string{"429"}, answer(429, "", ""), Admitted},
		{"ok over the AWS shapes", nil, []string{"400"}, answer(400, "", `{"__type":"Throttling"}`), Admitted},
		{"a class over the AWS shapes", nil, []string{"4xx"}, answer(400, "", `{"__type":"Throttling"}`), Admitted},
		{"status over class", []string{"4xx"}, []string{"404"}, answer(404, "", ""), Admitted},
		{"status over class, the other way", []string{"404"}, []string{"4xx"}, answer(404, "", ""), Throttled},
		{"class over default", nil, []string{"4xx"}, answer(429, "", ""), Admitted},
		{"text over status", []string{"200:limit"}, []string{"200"}, answer(200, "", "limit"), Throttled},
		{"ok text over status", []string{"403"}, []string{"403:fine"}, answer(403, "", "fine"), Admitted},
		{"throttled text over ok text", []string{"403:a"}, []string{"403:b"}, answer(403, "", "b a"), Throttled},
		{"no text, so the status decides", []string{"200:limit"}, []string{"200"}, answer(200, "", ""), Admitted},
		{"throttled none", []string{"none"}, nil, answer(429, "", ""), Failed},
		{"throttled none, 503", []string{"none"}, nil, answer(503, "Retry-After: 1\r\n", ""), Failed},
		{"throttled none, then one", []string{"none", "420"}, nil, answer(420, "", ""), Throttled},
		{"ok none", nil, []string{"none", "200"}, answer(201, "", ""), Failed},
		{"ok none keeps its list", nil, []string{"none", "200"}, answer(200, "", ""), Admitted},
		{"ok none keeps throttling", nil, []string{"none", "200"}, answer(429, "", ""), Throttled},
		{"ok over the defaults where a text was asked for too", []string{"503:gone"}, []string{"503"}, answer(503, "Retry-After: 1\r\n", ""), Admitted},
		{"a conditional term keeps the default", []string{"503+x-limit"}, nil, answer(503, "Retry-After: 1\r\n", ""), Throttled},
	}
	ran := 0
	for _, c := range cases {
		ran++
		r, err := ParseRules(c.throttled, c.ok)
		if err != nil {
			t.Errorf("%s: ParseRules(%q, %q): %v", c.name, c.throttled, c.ok, err)
			continue
		}
		if got := r.Outcome(c.a); got != c.want {
			t.Errorf("%s: Outcome = %v, want %v", c.name, got, c.want)
		}
	}
	if ran < 30 {
		t.Fatalf("%d cases ran, want at least 30", ran)
	}
}

func TestNeedsBody(t *testing.T) {
	cases := []struct {
		throttled, ok []string
		status        int
		want          bool
	}{
		{[]string{"403:quota"}, nil, 403, true},
		{[]string{"403+quota"}, nil, 403, false},
		{[]string{"2xx:busy"}, nil, 204, true},
		{nil, []string{"404:gone"}, 404, true},
		{[]string{"none"}, nil, 400, false},
		{[]string{"503"}, nil, 503, false},
		{nil, []string{"400"}, 400, false},
		{[]string{"400:x"}, []string{"400"}, 400, true},
	}
	for _, c := range cases {
		r, err := ParseRules(c.throttled, c.ok)
		if err != nil {
			t.Fatalf("ParseRules(%q, %q): %v", c.throttled, c.ok, err)
		}
		if got := r.NeedsBody(c.status); got != c.want {
			t.Errorf("ParseRules(%q, %q).NeedsBody(%d) = %v, want %v", c.throttled, c.ok, c.status, got, c.want)
		}
	}
}

func TestParseRulesErrors(t *testing.T) {
	cases := []struct {
		term string
		want string // must be in the error
	}{
		{"", "column 1"},
		{"4", "column 2"},
		{"42", "column 3"},
		{"4299", "column 4"},
		{"abc", "column 1"},
		{"029", "column 1"},
		{"4y9", "column 2"},
		{"4x9", "whole classes"},
		{"42x", "whole classes"},
		{"429+", "column 5"},
		{"429+retry after", "column 10"},
		{"429:", "column 5"},
		{"429:  ", "column 7"},
		{" 429", "column 1"},
		{"429 ", "column 4"},
	}
	ran := 0
	for _, c := range cases {
		ran++
		_, err := ParseRules([]string{"500", c.term}, nil)
		if err == nil {
			t.Errorf("ParseRules with %q succeeds, want an error", c.term)
			continue
		}
		for _, want := range []string{c.want, "throttled term 2"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("ParseRules with %q: %q, want %q in it", c.term, err, want)
			}
		}
		if _, err := ParseRules(nil, []string{c.term}); err == nil || !strings.Contains(err.Error(), "ok term 1") {
			t.Errorf("ParseRules with ok %q: %v, want an error about ok term 1", c.term, err)
		}
	}
	if ran < 15 {
		t.Fatalf("%d cases ran, want at least 15", ran)
	}
	for _, c := range [][2][]string{{{"404"}, {"404"}}, {{"403:x"}, {"403:X"}}, {{"500", "none"}, nil}, {nil, {"200", "none"}}} {
		if _, err := ParseRules(c[0], c[1]); err == nil {
			t.Errorf("ParseRules(%q, %q) succeeds, want an error", c[0], c[1])
		}
	}
}

func TestOutcomeAllocations(t *testing.T) {
	custom, err := ParseRules([]string{"403:quota exceeded", "5xx+retry-after"}, []string{"404"})
	if err != nil {
		t.Fatal(err)
	}
	answers := []*Answer{
		answer(200, "Content-Type: a\r\n", "x"),
		answer(429, "Retry-After: 1\r\n", ""),
		answer(503, "Retry-After: 1\r\n", ""),
		answer(400, "A: b\r\n", `{"__type":"x#TooManyRequestsException"}`),
		answer(400, "A: b\r\n", `<Code>Throttling</Code>`),
		answer(403, "A: b\r\n", "the quota exceeded"),
		{Failure: ConnectRefused},
	}
	for name, r := range map[string]*Rules{"default": DefaultRules(), "custom": custom} {
		for _, a := range answers {
			var o Outcome
			if n := testing.AllocsPerRun(100, func() { o = r.Outcome(a) }); n != 0 {
				t.Errorf("%s: Outcome of status %d (%v) allocates %v times, want 0", name, a.Status, o, n)
			}
		}
	}
}

// twin decides an answer by the text of the rule, term by term, without tables.
func twin(throttled, ok []term, std bool, a *Answer) Outcome {
	if a.Failure != NoFailure {
		return Failed
	}
	both := append(append([]term(nil), throttled...), ok...)
	for _, exact := range []func(term) bool{
		func(t term) bool { return t.conditional() },
		func(t term) bool { return !t.conditional() && t.low == t.high },
		func(t term) bool { return !t.conditional() && t.low != t.high },
	} {
		for _, t := range both {
			if exact(t) && a.Status >= t.low && a.Status <= t.high && t.matches(a) {
				return t.outcome
			}
		}
	}
	switch {
	case std && a.Status == 429,
		std && a.Status == 503 && a.Fields.Has("retry-after"),
		std && (a.Status == 400 || a.Status == 503) && awsThrottled(a):
		return Throttled
	case a.Status >= 100 && a.Status < 400:
		return Admitted
	}
	return Failed
}

func TestRulesAgainstTwin(t *testing.T) {
	words := rapid.SampledFrom([]string{"400", "403", "404", "429", "503", "200", "4xx", "5xx", "2xx", "503+retry-after", "400+x-a", "403:quota", "200:busy", "4xx:quota", "400:throttling"})
	rapid.Check(t, func(t *rapid.T) {
		throttledWords := rapid.SliceOfNDistinct(words, 0, 4, rapid.ID).Draw(t, "throttled")
		okWords := rapid.SliceOfNDistinct(words.Filter(func(s string) bool {
			for _, w := range throttledWords {
				if w == s {
					return false
				}
			}
			return true
		}), 0, 4, rapid.ID).Draw(t, "ok")
		parse := func(list []string, o Outcome) (out []term) {
			for _, w := range list {
				x, err := parseTerm(w, o)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, x)
			}
			return out
		}
		std := rapid.Bool().Draw(t, "defaults")
		list := throttledWords
		if !std {
			list = append([]string{"none"}, list...)
		}
		r, err := ParseRules(list, okWords)
		if err != nil {
			t.Fatal(err)
		}
		a := answer(
			rapid.SampledFrom([]int{0, 100, 200, 204, 302, 400, 403, 404, 429, 500, 503, 599, 600}).Draw(t, "status"),
			rapid.SampledFrom([]string{"", "Retry-After: 1\r\n", "X-A: quota\r\n"}).Draw(t, "fields"),
			rapid.SampledFrom([]string{"", "quota", "busy", `{"__type":"Throttling"}`}).Draw(t, "body"),
		)
		want := twin(parse(throttledWords, Throttled), parse(okWords, Admitted), std, a)
		if got := r.Outcome(a); got != want {
			t.Fatalf("ParseRules(%q, %q).Outcome(%d, %q, %q) = %v, want %v", list, okWords, a.Status, a.Fields, a.Body, got, want)
		}
		// A body that NeedsBody does not ask for cannot change the outcome.
		if !r.NeedsBody(a.Status) {
			bare := *a
			bare.Body = nil
			if got := r.Outcome(&bare); got != want {
				t.Fatalf("ParseRules(%q, %q): without its body %d is %v, with it %v, and NeedsBody is false", list, okWords, a.Status, got, want)
			}
		}
	})
}

func FuzzRules(f *testing.F) {
	f.Add("429", "404", 400, []byte("A: b\r\n"), []byte(`{"__type":"a#Throttling:"}`))
	f.Add("5xx+retry-after", "403:x", 503, []byte("Retry-After"), []byte(`<Code>`))
	f.Add("none", "none", -5, []byte(nil), []byte(`"code" "code":"`))
	f.Fuzz(func(t *testing.T, throttled, ok string, status int, fields, body []byte) {
		r, err := ParseRules([]string{throttled}, []string{ok})
		if err != nil {
			r = DefaultRules()
		}
		a := &Answer{Status: status, Fields: fields, Body: body}
		if got := r.Outcome(a); got != Admitted && got != Throttled && got != Failed {
			t.Fatalf("Outcome = %v", got)
		}
	})
}
