package limittest

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

func TestParseErrors(t *testing.T) {
	const policy = "policy 10/1s burst 3 token-bucket\n"
	cases := []struct{ text, want string }{
		{"", "x:1:1: the script compares nothing"},
		{"# only words\n\n", "x:2:1: the script compares nothing"},
		{policy, "x:1:1: the script compares nothing"},
		{"hello", `x:1:1: unknown word "hello"`},
		{"at 0s take 1 allow", "x:1:1: a request before any policy"},
		{"policy", "x:1:7: a policy is missing"},
		{"policy 10 token-bucket", "x:1:8: \"10\" has no window"},
		{"policy 10/1s burst token-bucket", "x:1:20: \"token-bucket\" is not a whole number"},
		{"policy   for a   10/1s leaky", "x:1:24: unknown word \"leaky\""},
		{"policy 0/1s", "x:1:8: limit: must be at least 1, is 0"},
		{"policy for", `x:1:11: "for" needs a route`},
		{"policy counter c 10/1s token-bucket", "x:1:18: counter c: policy 0: algorithm: token-bucket does not count"},
		{"policy counter c 1/1s sliding-log\npolicy counter c 1/2s sliding-log", "x:2:18: counter c: policy 1: window: differs"},
		{"start yesterday", "x:1:7: \"yesterday\" is not a time"},
		{policy + "start 2026-01-01T00:00:00Z", "x:2:1: the start belongs before"},
		{policy + "at 0s take 1 allow\nchain", "x:3:1: \"chain\" belongs before the first request"},
		{policy + "chain chain", "x:2:7: \"chain\" is too much"},
		{policy + "at", `x:2:3: "at" needs a time`},
		{policy + "at noon take 1 allow", `x:2:4: "noon" is not a time`},
		{policy + "at 2s take 1 allow\nat 1s take 1 allow", "x:3:4: 1s is before the latest time above, 2s; write back"},
		{policy + "at 0s x3 every 1s take 1 allow\nat 1s take 1 allow", "x:3:4: 1s is before the latest time above, 2s"},
		{policy + "back 1s take 1 allow", "x:2:6: 1s is not before the latest"},
		{policy + "at 0s", "x:2:6: what to do is missing"},
		{policy + "at 0s give 1", `x:2:7: unknown word "give"`},
		{policy + "at 0s x0 take 1 allow", `x:2:7: "x0" is not a repeat`},
		{policy + "at 0s every 1s take 1 allow", "x:2:16: every needs a repeat"},
		{policy + "at 0s x2 every -1s take 1 allow", "x:2:16: \"-1s\" is not a duration"},
		{policy + "at 0s x1000000 every 2000h take 1 allow", "the repeats take more than 292 years"},
		{policy + "at 0s x999999 take 1 allow\nat 0s x2 take 1 allow", "makes more than 1000000 requests"},
		{policy + "at 0s take", `x:2:11: "take" needs a cost`},
		{policy + "at 0s take one allow", `x:2:12: "one" is not a cost`},
		{policy + "at 0s take 1", `x:2:13: "1" needs allow or deny`},
		{policy + "at 0s take 1 maybe", `x:2:14: "maybe" is neither allow nor deny`},
		{policy + "at 0s take 1 allow colour=red", `x:2:20: unknown field "colour"; expected one of binding, delay`},
		{policy + "at 0s take 1 allow retry=soon", `x:2:26: "soon" is not a duration, never or unknown`},
		{policy + "at 0s take 1 allow warn=80%", `x:2:25: "80%" is not true or false`},
		{policy + "at 0s take 1 allow remaining", "x:2:20: remaining needs a value"},
		{policy + "at 0s take 1 allow limit=1 limit=1", "x:2:28: limit stands here twice"},
		{policy + "at 0s release 1", "x:2:7: there is nothing to release"},
		{"policy 1 concurrency\nat 0s x2 release 1", "x:2:10: a release cannot be repeated"},
		{"policy 1 concurrency\nat 0s release 1 allow", `x:2:17: "allow" is too much`},
		{"policy for a 1/1s\nat 0s for b take 1 allow", `x:2:18: no policy is for route "b"`},
	}
	for _, c := range cases {
		_, err := Parse("x", c.text)
		var pe *ParseError
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q)\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("x", `# a comment
start 2026-02-03T04:05:06Z
chain
policy for a counter c "with # in it" 3/10s sliding-log warn 80%   # that was the policy
policy 5 concurrency
at 1.5s for a key k x2 every 1s take 2 deny limit=3 remaining=0 retry=never reset=unknown delay=0s warn=true binding=1 # why
back 1s release 1`+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if !s.Setup.Start.Equal(start) || !s.Setup.Chain || len(s.Setup.Rules) != 2 || len(s.Lines) != 2 {
		t.Fatalf("Parse = %+v", s)
	}
	if r := s.Setup.Rules[0]; r.Route != "a" || r.Counter != "c" || r.Policy.Name != "with # in it" || r.Policy.WarnAt != 0.8 {
		t.Errorf("rule = %+v", r)
	}
	want := Line{
		Number: 6, Text: s.Lines[0].Text, Repeat: 2, Every: time.Second,
		Request: Request{At: start.Add(1500 * time.Millisecond), Route: "a", Key: "k", Cost: 2},
		Want:    Answer{Says: SaysAll, Decision: limit.Decision{Limit: 3, RetryAfter: limit.Never, ResetAfter: limit.Unknown, Warn: true, Binding: 1}},
	}
	if s.Lines[0] != want {
		t.Errorf("line\n got %+v\nwant %+v", s.Lines[0], want)
	}
	if l := s.Lines[1]; !l.Release || l.Request.Cost != 1 || !l.Request.At.Equal(start.Add(time.Second)) {
		t.Errorf("release = %+v", l)
	}
	if uses := UsesCost | UsesKeys | UsesRoutes | UsesCounter | UsesRelease | UsesBackwards | UsesStart; s.Setup.Uses != uses {
		t.Errorf("Uses = %b, want %b", s.Setup.Uses, uses)
	}
}

// FuzzParse looks for text that makes the parser panic, or give an error
// without a place, or a script that cannot be played.
func FuzzParse(f *testing.F) {
	seeds, err := fs.Glob(Scripts(), "*.limit")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range seeds {
		text, err := fs.ReadFile(Scripts(), name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("policy \"\\\"# 1/1s\nat 0s x3 every 292471h take 9223372036854775807 deny retry=-1ns")
	f.Add("policy 9223372036854775807/1ns\nat 2562047h47m16.854775807s take -9223372036854775808 allow")
	f.Add("start 0001-01-01T00:00:00Z\npolicy 1/9999h sliding-window phase 3h\nat 9999-12-31T23:59:59Z take 1 allow")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("x", text)
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Line < 1 || pe.Column < 1 || pe.Reason == "" {
				t.Fatalf("error without a place: %#v", err)
			}
			return
		}
		requests := 0
		for _, l := range s.Lines {
			requests += l.Repeat
		}
		if requests > 10_000 {
			return
		}
		if _, err := s.Play(Model); err != nil && !strings.Contains(err.Error(), ", want ") {
			t.Fatalf("Play: %v", err)
		}
	})
}
