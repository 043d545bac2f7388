package probe

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/header"
)

func drawRecords(t *rapid.T) (out []Record) {
	at := int64(1_700_000_000_000_000_000)
	for range rapid.IntRange(0, 6).Draw(t, "waves") {
		r := Record{Why: rapid.String().Draw(t, "why"), As: rapid.SampledFrom([]string{"", "several"}).Draw(t, "as")}
		r.Why = strings.ToValidUTF8(r.Why, "?")
		for range rapid.IntRange(1, 4).Draw(t, "requests") {
			at += rapid.Int64Range(0, 1e9).Draw(t, "idle")
			a := Answer{Sent: time.Unix(0, at), Done: time.Unix(0, at+rapid.Int64Range(0, 1e9).Draw(t, "took")), Outcome: Outcome(rapid.IntRange(0, 3).Draw(t, "outcome"))}
			if rapid.Bool().Draw(t, "tells") {
				l := header.NoLimit()
				l.Quota, l.Remaining = rapid.Int64Range(0, 100).Draw(t, "quota"), rapid.Int64Range(-1, 100).Draw(t, "left")
				a.Told = &Told{Limits: []header.Limit{l}, RetryAfter: time.Second, RetryAfterSet: true}
			}
			r.Answers = append(r.Answers, a)
		}
		out = append(out, r)
	}
	return out
}

func TestJournalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := Journal{Head: JournalHead{Weir: journalForm, Started: time.Unix(1_700_000_000, 0).UTC(), Target: "GET http://127.0.0.1/", Print: "ab", Args: []string{"x"}}, Records: drawRecords(t)}
		text := write(t, &j)
		got, err := ReadJournal(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, j) {
			t.Fatalf("got %+v\nwant %+v", *got, j)
		}
		// A machine that lost its power in the middle of a line loses that wave only.
		if n := len(j.Records); n > 0 {
			cut, err := ReadJournal(bytes.NewReader(text[:len(text)-rapid.IntRange(2, 20).Draw(t, "cut")]))
			if err != nil || len(cut.Records) != n-1 {
				t.Fatalf("cut short: %v", err)
			}
		}
	})
}

func write(t interface{ Fatal(...any) }, j *Journal) []byte {
	b, err := j.Head.Line()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range j.Records {
		l, err := r.Line()
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, l...)
	}
	return b
}

func TestJournalErrors(t *testing.T) {
	const head = `{"weir":"probe journal 1","started":"2026-01-01T00:00:00Z","target":"x","print":"y"}` + "\n"
	const wave = `{"why":"x","answers":[{"sent":5,"done":6,"outcome":"refused"}]}` + "\n"
	ran := 0
	for _, c := range []struct{ text, want string }{
		{"", "line 1: this is no journal"},
		{"{}\n", "line 1: this is no journal"},
		{"hello\n", "line 1: this is no journal"},
		{head + "nonsense\n" + wave, "line 2: not a wave"},
		{head + `{"why":"x","answers":[]}` + "\n" + wave, "line 2: a wave without requests"},
		{head + strings.Replace(wave, "refused", "denied", 1) + wave, `line 2: request 1: outcome "denied"`},
		{head + strings.Replace(wave, `"done":6`, `"done":4`, 1) + wave, "answered before it was sent"},
		{head + wave + strings.Replace(wave, `"sent":5`, `"sent":4`, 1) + wave, "line 3: it was sent before"},
		{head + strings.Repeat(" ", maxJournalLine+1), "line 2"},
	} {
		ran++
		if _, err := ReadJournal(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
	if ran < 9 {
		t.Fatalf("%d cases ran", ran)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"weir":"probe journal 1"}` + "\n" + `{"why":"x","answers":[{"sent":5,"done":6,"outcome":"refused","told":{"RetryAfterSet":true}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := ReadJournal(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := ReadJournal(bytes.NewReader(write(t, j)))
		if err != nil || len(again.Records) != len(j.Records) {
			t.Fatalf("%d waves came back as %v, %v", len(j.Records), again, err)
		}
	})
}

// recorded probes, and keeps what was seen.
func recorded(t *testing.T, w *world, o Options) (*Verdict, []Record) {
	t.Helper()
	var seen []Record
	o.Seed, o.Record = 7, func(r Record) { seen = append(seen, r) }
	v, err := New(w, w, o).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v, seen
}

// TestResume: a probe that goes on from another's journal comes to the same family,
// sends no more than the bound in all, and does not begin from nothing.
func TestResume(t *testing.T) {
	c := cases[5]
	w := newWorld(c.policy, 8*time.Millisecond, 5)
	first, seen := recorded(t, w, Options{MaxRequests: 45})
	if first.Sure || len(seen) == 0 {
		t.Fatalf("the first came to an end: %v", first.Found)
	}
	w.now = w.now.Add(3 * time.Hour)
	second, more := recorded(t, w, Options{Past: seen})
	if second.Family != c.family || second.Policies[0].Capacity() != c.policy.Capacity() {
		t.Errorf("resumed: %v %v, sure %v (%v), %d requests after %d, %q, %v", second.Family, second.Policies, second.Sure, second.Confidence, second.Requests, first.Requests, second.Stopped, second.Foreign)
	}
	if second.Elapsed > time.Hour {
		t.Errorf("the pause between the sessions counts: %v", second.Elapsed)
	}
	if second.Requests != w.sent || second.Requests < first.Requests {
		t.Errorf("the verdict tells of %d requests, %d were sent", second.Requests, w.sent)
	}
	if n := len(more); n > 0 && !more[0].Answers[0].Sent.After(seen[len(seen)-1].Answers[0].Sent) {
		t.Error("earlier waves were recorded once more")
	}
}

// TestQuick: a quick probe names the kind with fewer requests, is certain of nothing and
// says so, and what goes on from it comes to what it would have come to.
func TestQuick(t *testing.T) {
	t.Parallel()
	tried := 0
	for i, c := range cases {
		if c.hold > 0 || testing.Short() && i%3 != 0 {
			continue
		}
		tried++
		w := newWorld(c.policy, 8*time.Millisecond, uint64(i))
		quick, seen := recorded(t, w, Options{Quick: true})
		if quick.Family != c.family || quick.Sure || !quick.Quick || quick.Stopped != "" || quick.Confidence > openMost {
			t.Errorf("%v: %v, sure %v (%v), quick %v, %q", c.policy, quick.Found, quick.Sure, quick.Confidence, quick.Quick, quick.Stopped)
		}
		w.now = w.now.Add(time.Hour)
		whole, _ := recorded(t, w, Options{Past: seen})
		if whole.Family != c.family || whole.Quick || whole.Requests < quick.Requests+int(c.policy.Capacity()) {
			t.Errorf("%v: gone on: %v, quick %v, %d requests after %d", c.policy, whole.Found, whole.Quick, whole.Requests, quick.Requests)
		}
	}
	if tried == 0 {
		t.Error("nothing was tried")
	}
}
