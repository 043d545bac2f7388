package hit

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

func drawHit(t *rapid.T) Hit {
	text := rapid.String()
	instant := rapid.Int64Range(0, int64(1000*time.Hour))
	return Hit{
		Seq:      rapid.Int64Min(0).Draw(t, "seq"),
		User:     rapid.IntMin(0).Draw(t, "user"),
		Method:   rapid.SampledFrom([]string{"", "GET", "POST"}).Draw(t, "method"),
		Name:     text.Draw(t, "name"),
		Intended: time.Duration(instant.Draw(t, "intended")),
		Sent:     time.Duration(instant.Draw(t, "sent")),
		Done:     time.Duration(instant.Draw(t, "done")),
		Outcome:  Outcome(rapid.IntRange(0, NumOutcomes-1).Draw(t, "outcome")),
		Status:   rapid.IntRange(0, 999).Draw(t, "status"),
		Failure:  Failure(rapid.IntRange(0, NumFailures-1).Draw(t, "failure")),
		Err:      text.Draw(t, "err"),
		BytesIn:  rapid.Int64Min(0).Draw(t, "in"),
		BytesOut: rapid.Int64Min(0).Draw(t, "out"),
	}
}

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hits := rapid.SliceOfN(rapid.Custom(drawHit), 0, 5).Draw(t, "hits")
		var b []byte
		for i := range hits {
			line := hits[i].AppendJSON(nil)
			if !json.Valid(line) {
				t.Fatalf("AppendJSON(%+v) = %s, not JSON", hits[i], line)
			}
			b = append(append(b, line...), '\n')
		}
		d := NewDecoder(strings.NewReader(string(b)))
		for i := range hits {
			var got Hit
			if err := d.Decode(&got); err != nil {
				t.Fatalf("hit %d: %v", i, err)
			}
			want := hits[i]
			want.Name, want.Err = strings.ToValidUTF8(want.Name, "\uFFFD"), strings.ToValidUTF8(want.Err, "\uFFFD")
			if got != want {
				t.Fatalf("hit %d = %+v, want %+v", i, got, want)
			}
		}
		if err := d.Decode(new(Hit)); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last hit: %v, want EOF", err)
		}
	})
}

// The names are a promise to readers of the file.
func TestCodecNames(t *testing.T) {
	h := Hit{Seq: 7, User: 3, Method: "POST", Name: "/token", Intended: 1, Sent: 2, Done: 3, Outcome: Throttled, Status: 429, Failure: CheckFailed, Err: "a \"b\"\n\x01\xff", BytesIn: 8, BytesOut: 9}
	const want = `{"seq":7,"user":3,"method":"POST","name":"/token","intended_ns":1,"sent_ns":2,"done_ns":3,"outcome":"throttled","status":429,"failure":"check","err":"a \"b\"\n\u0001` + "\uFFFD" + `","bytes_in":8,"bytes_out":9}`
	if got := string(h.AppendJSON(nil)); got != want {
		t.Errorf("AppendJSON = %s, want %s", got, want)
	}
	const short = `{"seq":0,"user":0,"method":"","name":"","intended_ns":0,"sent_ns":0,"done_ns":0,"outcome":"admitted","bytes_in":0,"bytes_out":0}`
	if got := string((&Hit{}).AppendJSON(nil)); got != short {
		t.Errorf("AppendJSON of the zero Hit = %s, want %s", got, short)
	}
}

func TestAppendJSONAllocations(t *testing.T) {
	h := Hit{Seq: 7, Method: "POST", Name: "/tøken", Outcome: Failed, Failure: DNSFailed, Err: "no such \"host\""}
	b := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { b = h.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("AppendJSON allocates %v times, want 0", n)
	}
}

func TestDecodeErrors(t *testing.T) {
	const good = `{"seq":1,"intended_ns":0,"sent_ns":0,"done_ns":0,"outcome":"admitted"}`
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	cases := []struct{ line, want string }{
		{"nonsense", "line 3: column 2"},
		{"[]", "line 3: column 1: a JSON array"},
		{`"x"`, "line 3"},
		{good + "x", "line 3"},
		{with(`"seq":1,`, ""), `"seq" is missing`},
		{with(`"outcome":"admitted"`, `"x":0`), `"outcome" is missing`},
		{with(`"sent_ns":0,`, ""), `"sent_ns" is missing`},
		{with("admitted", "ok"), `outcome "ok"`},
		{with(`"seq":1`, `"seq":1,"failure":"x"`), `failure "x"`},
		{with(`"seq":1`, `"seq":1.5`), `"seq" cannot be number 1.5`},
		{with(`"seq":1`, `"seq":-1`), "negative"},
		{with(`"seq":1`, `"seq":1,"user":-1`), "negative"},
		{with(`"seq":1`, `"seq":1,"status":1000`), "status 1000"},
		{with(`"seq":1`, `"seq":1,"name":5`), `"name" cannot be number`},
	}
	ran := 0
	for _, c := range cases {
		ran++
		d := NewDecoder(strings.NewReader(good + "\r\n\n" + c.line + "\n" + good))
		var h Hit
		if err := d.Decode(&h); err != nil {
			t.Fatalf("first line: %v", err)
		}
		err := d.Decode(&h)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "line 3: ") {
			t.Errorf("Decode(%s) = %v, want line 3 and %q", c.line, err, c.want)
		}
		if err := d.Decode(&h); err != nil || d.Line() != 4 {
			t.Errorf("after %s: Decode = %v at line %d, want the hit of line 4", c.line, err, d.Line())
		}
	}
	if ran < 14 {
		t.Fatalf("%d cases ran, want at least 14", ran)
	}

	long := NewDecoder(strings.NewReader(good + "\n" + strings.Repeat(" ", MaxLine+1)))
	_ = long.Decode(new(Hit))
	if err := long.Decode(new(Hit)); err == nil || !strings.Contains(err.Error(), "line 2: longer than") {
		t.Errorf("a line too long: %v", err)
	}
	broken := NewDecoder(iotest.ErrReader(errors.New("disk on fire")))
	if err := broken.Decode(new(Hit)); err == nil || !strings.Contains(err.Error(), "line 1: disk on fire") {
		t.Errorf("a broken reader: %v", err)
	}
	// Members of later versions do not stop an older reader.
	later := NewDecoder(strings.NewReader(with(`"seq":1`, `"seq":1,"new":{"a":[1]}`)))
	if err := later.Decode(new(Hit)); err != nil {
		t.Errorf("an unknown member: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	h := Hit{Name: "/x", Outcome: Throttled, Status: 429}
	f.Add(h.AppendJSON(nil))
	f.Add([]byte("{}\n[]\nnull\n"))
	f.Add([]byte(`{"seq":1,"intended_ns":0,"sent_ns":0,"done_ns":0,"outcome":"missed","failure":"dns"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(strings.NewReader(string(data)))
		for range 100 {
			var h Hit
			err := d.Decode(&h)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				continue
			}
			var again Hit
			if err := NewDecoder(strings.NewReader(string(h.AppendJSON(nil)))).Decode(&again); err != nil || again != h {
				t.Fatalf("%+v came back as %+v, %v", h, again, err)
			}
		}
	})
}
