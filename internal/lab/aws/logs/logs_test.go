package logs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type fields = map[string]any

func ask(s *Service, op string, in fields) (wire.Out, error) {
	return s.Ops()[op](&wire.Call{Service: wire.Logs, Op: op, In: wire.NewParams(in), Now: start})
}

func newStream(t testing.TB) *Service {
	t.Helper()
	s := New("000000000000", "us-east-1")
	for _, op := range []string{"CreateLogGroup", "CreateLogStream"} {
		if _, err := ask(s, op, fields{"logGroupName": "g", "logStreamName": "s"}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func batch(events ...any) fields {
	return fields{"logGroupName": "g", "logStreamName": "s", "logEvents": events}
}

func at(d time.Duration, text string) any {
	return fields{"timestamp": start.Add(d).UnixMilli(), "message": text}
}

func times(n int, e any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = e
	}
	return out
}

// TestPutLimits holds every limit of PutLogEvents on both sides.
func TestPutLimits(t *testing.T) {
	half := strings.Repeat("x", maxBatch/2-overhead)
	cases := []struct {
		name   string
		events []any
		wrong  string // "" is taken
	}{
		{"one", times(1, at(0, "x")), ""},
		{"none", nil, "length greater than or equal to 1"},
		{"empty", times(1, at(0, "")), "length greater than or equal to 1"},
		{"10000", times(10000, at(0, "x")), ""},
		{"10001", times(10001, at(0, "x")), "10000"},
		{"1 MiB in two", times(2, at(0, half)), ""},
		{"more", append(times(2, at(0, half)), at(0, "x")), "Upload too large"},
		{"a long one", times(1, at(0, strings.Repeat("x", maxEvent-overhead))), ""},
		{"too long a one", times(1, at(0, strings.Repeat("x", maxEvent-overhead+1))), "too large"},
		{"24 hours", []any{at(-24*time.Hour, "a"), at(0, "b")}, ""},
		{"a longer time", []any{at(-24*time.Hour-time.Millisecond, "a"), at(0, "b")}, "24 hours"},
		{"disorder", []any{at(time.Millisecond, "a"), at(0, "b")}, "chronological"},
		{"a text for a time", []any{fields{"timestamp": "soon", "message": "x"}}, "want a whole number"},
	}
	for _, c := range cases {
		s := newStream(t)
		out, err := ask(s, "PutLogEvents", batch(c.events...))
		var e *wire.Error
		if (err == nil) != (c.wrong == "") || err != nil && (!errors.As(err, &e) || e.Status != 400 || !strings.Contains(err.Error(), c.wrong)) || err == nil && out["rejectedLogEventsInfo"] != nil {
			t.Errorf("%s: %v %v, want %q", c.name, out, err, c.wrong)
		}
		if got := len(s.groups["g"].streams["s"].events); err != nil && got != 0 || err == nil && got != len(c.events) {
			t.Errorf("%s: %d events stored", c.name, got)
		}
	}
	if len(cases) != 13 {
		t.Errorf("%d cases", len(cases))
	}
}

// TestRejected holds that events out of the time that is taken are told in the answer,
// and that the others of the batch are stored.
func TestRejected(t *testing.T) {
	cases := []struct {
		events []any
		want   string
		stored int
	}{
		{[]any{at(-14*24*time.Hour-time.Millisecond, "a"), at(-14*24*time.Hour, "b")}, "map[tooOldLogEventEndIndex:1]", 1},
		{[]any{at(2*time.Hour, "a"), at(2*time.Hour+time.Millisecond, "b")}, "map[tooNewLogEventStartIndex:1]", 1},
		{[]any{at(-15*24*time.Hour, "a"), at(-15*24*time.Hour, "b")}, "map[tooOldLogEventEndIndex:2]", 0},
		{[]any{at(0, "a")}, "<nil>", 1},
	}
	for _, c := range cases {
		s := newStream(t)
		out, err := ask(s, "PutLogEvents", batch(c.events...))
		got := "<nil>"
		if info, ok := out["rejectedLogEventsInfo"].(wire.Out); ok {
			got = fmt.Sprint(map[string]any(info))
		}
		if err != nil || got != c.want || len(s.groups["g"].streams["s"].events) != c.stored {
			t.Errorf("%v: %s %v, want %s", c.events, got, err, c.want)
		}
	}
}

// TestPages holds that both ways through a stream read every event once, in order.
func TestPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStream(t)
		n := rapid.IntRange(0, 30).Draw(rt, "n")
		limit := rapid.IntRange(1, 12).Draw(rt, "limit")
		var want []string
		for i := range n {
			text := fmt.Sprint("event ", i)
			want = append(want, text)
			if _, err := ask(s, "PutLogEvents", batch(at(time.Duration(i)*time.Second, text))); err != nil {
				rt.Fatal(err)
			}
		}
		for _, forward := range []bool{true, false} {
			var got []string
			in := fields{"logGroupName": "g", "logStreamName": "s", "limit": int64(limit), "startFromHead": forward}
			for range 100 {
				out, err := ask(s, "GetLogEvents", in)
				if err != nil {
					rt.Fatal(err)
				}
				var page []string
				for _, e := range out["events"].([]wire.Out) {
					page = append(page, e["message"].(string))
				}
				next := out["nextForwardToken"]
				if forward {
					got = append(got, page...)
				} else {
					got, next = append(page, got...), out["nextBackwardToken"]
				}
				if next == in["nextToken"] {
					break
				}
				in["nextToken"] = next
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("forward %v, %d a page: %v, want %v", forward, limit, got, want)
			}
		}
	})
}

// TestFilter is patterns by example.
func TestFilter(t *testing.T) {
	s := newStream(t)
	for i, text := range []string{"stage 1 begins", "stage 1 ends: ok", `verdict "fail" now`} {
		if _, err := ask(s, "PutLogEvents", batch(at(time.Duration(i)*time.Second, text))); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]int{"": 3, "stage": 2, "stage ends": 1, "stage -ends": 1, `"1 begins"`: 1, "nothing": 0, "Stage": 0, "-stage": 1} {
		out, err := ask(s, "FilterLogEvents", fields{"logGroupName": "g", "filterPattern": pattern})
		if err != nil || len(out["events"].([]wire.Out)) != want {
			t.Errorf("%q: %v %v, want %d", pattern, out["events"], err, want)
		}
	}
	for _, bad := range []fields{{"filterPattern": "{ $.x = 1 }"}, {"filterPattern": `"open`}, {"nextToken": "x"}, {"limit": int64(10001)}, {"logStreamNames": []any{"s"}, "logStreamNamePrefix": "s"}} {
		bad["logGroupName"] = "g"
		if _, err := ask(s, "FilterLogEvents", bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	out, err := ask(s, "FilterLogEvents", fields{"logGroupIdentifier": "arn:aws:logs:us-east-1:000000000000:log-group:g:*", "startTime": start.Add(time.Second).UnixMilli(), "endTime": start.Add(2 * time.Second).UnixMilli()})
	if err != nil || len(out["events"].([]wire.Out)) != 1 {
		t.Errorf("by time: %v %v", out, err)
	}
}
