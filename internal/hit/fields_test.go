package hit

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFields(t *testing.T) {
	cases := []struct {
		name  string
		block string
		want  [][2]string
	}{
		{"empty", "", nil},
		{"one", "A: b\r\n", [][2]string{{"A", "b"}}},
		{"no last line end", "A: b", [][2]string{{"A", "b"}}},
		{"bare LF", "A: b\nC:d\n", [][2]string{{"A", "b"}, {"C", "d"}}},
		{"white space around the value", "A: \t b \t\r\n", [][2]string{{"A", "b"}}},
		{"white space before the colon", "A : b\r\n", [][2]string{{"A", "b"}}},
		{"empty value", "A:\r\nB: \r\n", [][2]string{{"A", ""}, {"B", ""}}},
		{"value with colons", "Location: http://h:1/\r\n", [][2]string{{"Location", "http://h:1/"}}},
		{"end at the empty line", "A: b\r\n\r\nC: d\r\n", [][2]string{{"A", "b"}}},
		{"garbage lines", "nonsense\r\n: x\r\n   : y\r\nA: b\r\n", [][2]string{{"A", "b"}}},
		{"folded", "A: b\r\n c\r\n\td\r\nE: f\r\n", [][2]string{{"A", "b c d"}, {"E", "f"}}},
		{"folded with an empty part", "A: b\r\n \r\n c\r\n", [][2]string{{"A", "b c"}}},
		{"folded, first line empty", "A:\r\n b\r\n", [][2]string{{"A", "b"}}},
		{"colon only in the continuation", "A\r\n b: c\r\nD: e\r\n", [][2]string{{"D", "e"}}},
		{"a fold at the start", " A: b\r\nC: d\r\n", [][2]string{{"A", "b"}, {"C", "d"}}},
		{"repeated", "A: 1\r\na: 2\r\n", [][2]string{{"A", "1"}, {"a", "2"}}},
	}
	ran := 0
	for _, c := range cases {
		ran++
		var got [][2]string
		for k, v := range Fields(c.block).All() {
			got = append(got, [2]string{k, v})
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: All() = %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: field %d = %q, want %q", c.name, i, got[i], c.want[i])
			}
		}
	}
	if ran < 16 {
		t.Fatalf("%d cases ran, want at least 16", ran)
	}
}

func TestFieldsLookUp(t *testing.T) {
	f := Fields("Retry-After: 5\r\nX-A: 1\r\nx-a: 2\r\nEmpty:\r\nFold: a\r\n b\r\n")
	if got := f.Get("retry-AFTER"); got != "5" {
		t.Errorf("Get(retry-AFTER) = %q, want 5", got)
	}
	if got := f.Values("X-a"); len(got) != 2 || got[0] != "1" || got[1] != "2" {
		t.Errorf("Values(X-a) = %q, want [1 2]", got)
	}
	if got := f.Get("Fold"); got != "a b" {
		t.Errorf("Get(Fold) = %q, want %q", got, "a b")
	}
	for name, want := range map[string]bool{"empty": true, "X-A": true, "absent": false, "X": false, "": false} {
		if got := f.Has(name); got != want {
			t.Errorf("Has(%q) = %v, want %v", name, got, want)
		}
		if _, got := f.Find(name); got != want {
			t.Errorf("Find(%q) found %v, want %v", name, got, want)
		}
	}
	if got := f.Get("absent"); got != "" {
		t.Errorf("Get(absent) = %q, want empty", got)
	}
	// Iteration can be left early.
	for range f.All() {
		break
	}
}

func TestFieldsAllocations(t *testing.T) {
	f := Fields("Content-Type: application/json\r\nDate: today\r\nServer: x\r\n")
	var sink bool
	for name, fn := range map[string]func(){
		"Has":         func() { sink = f.Has("Server") },
		"Find":        func() { _, sink = f.Find("server") },
		"Get, absent": func() { sink = f.Get("Retry-After") == "" },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
	_ = sink
}

// Appended fields read back as they are, one field each, whatever is in them.
func TestFieldsAppendRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "fields")
		var f Fields
		var want [][2]string
		for range n {
			name := rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]{0,8}`).Draw(t, "name")
			value := rapid.StringOf(rapid.RuneFrom([]rune("ab :,\"\r\n\x00\t\x7fé"))).Draw(t, "value")
			f = f.Append(name, value)
			clean := strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' || r == 0x7f {
					return ' '
				}
				return r
			}, value)
			want = append(want, [2]string{name, strings.Trim(clean, " \t")})
		}
		i := 0
		for k, v := range f.All() {
			if i >= n || want[i] != [2]string{k, v} {
				t.Fatalf("field %d of %q = %q: %q, want %q", i, f, k, v, want)
			}
			i++
		}
		if i != n {
			t.Fatalf("%d fields in %q, want %d", i, f, n)
		}
	})
}

func TestFieldsAppendNeutralises(t *testing.T) {
	f := Fields(nil).Append("X\r\nEvil: 1", "a\r\nSet-Cookie: b\x00")
	if got, want := string(f), "X--Evil--1: a  Set-Cookie: b \r\n"; got != want {
		t.Errorf("Append = %q, want %q", got, want)
	}
	if got := f.Append("", "x"); len(got) != len(f) {
		t.Errorf("Append with an empty name added %q", got[len(f):])
	}
}

func FuzzFields(f *testing.F) {
	for _, s := range []string{"A: b\r\n", "A: b\r\n c\r\n\r\n", ":\r\n", " \n:\n", "A\n :b\nC:d", "a:b\n\r \n:", strings.Repeat("x:\n ", 9)} {
		f.Add([]byte(s), "a")
	}
	f.Fuzz(func(t *testing.T, block []byte, name string) {
		b := Fields(block)
		first, count := "", 0
		for k, v := range b.All() {
			if k == "" {
				t.Fatalf("All() of %q yields a field without a name", block)
			}
			if strings.ContainsAny(k, "\n") || strings.ContainsAny(v, "\n") {
				t.Fatalf("All() of %q yields a line end in %q: %q", block, k, v)
			}
			if equalFold([]byte(k), name) {
				if count == 0 {
					first = v
				}
				count++
			}
		}
		if got := b.Get(name); got != first {
			t.Fatalf("Get(%q) of %q = %q, All gives %q", name, block, got, first)
		}
		if got := b.Values(name); len(got) != count {
			t.Fatalf("Values(%q) of %q has %d values, All gives %d", name, block, len(got), count)
		}
		if got := b.Has(name); got != (count > 0) {
			t.Fatalf("Has(%q) of %q = %v, All gives %d", name, block, got, count)
		}
	})
}
