package hit

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	seen := map[string]bool{}
	for i := range NumFailures {
		f := Failure(i)
		w := f.String()
		if w == "" || w != strings.ToLower(w) || strings.ContainsAny(w, " _") || seen[w] {
			t.Errorf("Failure(%d).String() = %q, want a lower-case word of its own", i, w)
		}
		seen[w] = true
		if got, ok := ParseFailure(w); !ok || got != f {
			t.Errorf("ParseFailure(%q) = %v, %v, want %v", w, got, ok, f)
		}
	}
	if len(seen) != int(OtherFailure)+1 {
		t.Errorf("%d words for %d failures", len(seen), int(OtherFailure)+1)
	}
	for o := range Outcome(NumOutcomes) {
		if got, ok := ParseOutcome(o.String()); !ok || got != o {
			t.Errorf("ParseOutcome(%q) = %v, %v, want %v", o, got, ok, o)
		}
	}
	if got := Failure(200).String() + Outcome(200).String(); got != "unknownunknown" {
		t.Errorf("words of unknown values = %q", got)
	}
	if _, ok := ParseFailure("x"); ok {
		t.Error("ParseFailure(x) succeeds")
	}
	if _, ok := ParseOutcome("unknown"); ok {
		t.Error("ParseOutcome(unknown) succeeds")
	}
}

// RFC 9110 §9.2.1 and §9.2.2 list them; PATCH and POST are not among them.
func TestIdempotent(t *testing.T) {
	want := map[string]bool{
		"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "get": false, "PURGE": false,
	}
	for method, w := range want {
		if got := Idempotent(method); got != w {
			t.Errorf("Idempotent(%q) = %v, want %v", method, got, w)
		}
	}
}

func TestReason(t *testing.T) {
	cases := []struct {
		a    Answer
		want string
	}{
		{Answer{Status: 429}, "429 Too Many Requests"},
		{Answer{Status: 200}, "200 OK"},
		{Answer{Status: 799}, "799"},
		{Answer{}, "no answer"},
		{Answer{Failure: ConnectRefused, Err: "connection refused"}, "connect-refused: connection refused"},
		{Answer{Failure: AnswerTimeout}, "timeout"},
		{Answer{Failure: OtherFailure, Err: "a\r\nb\x00c  d\u2028e"}, "other: a b c d e"},
		{Answer{Failure: OtherFailure, Err: "\xff"}, "other: \uFFFD"},
		{Answer{Failure: CheckFailed, Status: 200, Err: "no token"}, "check: no token"},
	}
	for _, c := range cases {
		if got := c.a.Reason(); got != c.want {
			t.Errorf("Reason(%v, %d, %q) = %q, want %q", c.a.Failure, c.a.Status, c.a.Err, got, c.want)
		}
	}
	for n := range 400 {
		got := oneLine(strings.Repeat("é", n) + "x")
		if len(got) > maxReason || !utf8.ValidString(got) {
			t.Fatalf("oneLine of %d letters: %d bytes, valid %v", n, len(got), utf8.ValidString(got))
		}
	}
}

func TestReset(t *testing.T) {
	called := false
	a := Answer{Status: 200, Body: make([]byte, 10, 100), Fields: make(Fields, 5, 50), Failure: DNSFailed, Err: "x", OnSent: func(time.Time) { called = true }}
	a.Reset()
	if a.Status != 0 || len(a.Body) != 0 || cap(a.Body) != 100 || len(a.Fields) != 0 || cap(a.Fields) != 50 || a.Failure != NoFailure || a.Err != "" {
		t.Errorf("after Reset: %+v", a)
	}
	a.OnSent(time.Time{})
	if !called {
		t.Error("Reset lost OnSent")
	}
}

func TestStatusText(t *testing.T) {
	n := 0
	for status := range maxStatus {
		if StatusText(status) != "" {
			n++
		}
	}
	if n < 60 {
		t.Errorf("%d statuses have a text, want at least 60", n)
	}
	if got := StatusText(429); got != "Too Many Requests" {
		t.Errorf("StatusText(429) = %q", got)
	}
}
