package postgres

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

func TestWithoutValues(t *testing.T) {
	cases := []struct{ sql, want string }{
		{"SELECT 1", "SELECT ?"},
		{"select * from t2 where a = 'x''y' and b=-1.5e-7 or c = $1", "select * from t2 where a = ? and b=-? or c = $1"},
		{`SELECT E'it\'s', b'01', x'ff', N'n', U&'d!0061'`, `SELECT ?, ?, ?, ?, U&?`},
		{`SELECT "odd 1 'name'" FROM "a""b"`, `SELECT "odd 1 'name'" FROM "a""b"`},
		{"SELECT $$a 'b' c$$, $x$ $$ $y$ $x$, a$b$c", "SELECT ?, ?, a$b$c"},
		{"/* secret 'x' /* nested */ */ SELECT 1 -- and 'this'\n, 2", "SELECT ? , ?"},
		{"SELECT 'cut in the middle", "SELECT ?"},
		{"SELECT $tag$cut", "SELECT ?"},
		{"SELECT /* cut", "SELECT"},
		{`SELECT 'a\' , 'secret'`, "SELECT ?"}, // with standard_conforming_strings off the first one goes on
		{"ALTER ROLE app PASSWORD 'geheim'", "ALTER ROLE app PASSWORD ?"},
		{"SELECT\n\t 1 ,\x00 0x1F, 1_000", "SELECT ? , ?, ?"},
		{"INSERT INTO kunden VALUES ('山田', 42)", "INSERT INTO kunden VALUES (?, ?)"},
		{"", ""},
	}
	for _, c := range cases {
		if got := withoutValues(c.sql); got != c.want {
			t.Errorf("withoutValues(%q) = %q, want %q", c.sql, got, c.want)
		}
	}
	if len(cases) < 14 {
		t.Fatal("cases are missing")
	}
	if got := withoutValues(strings.Repeat("é", 500)); utf8.RuneCountInString(got) != statementLength || !strings.HasSuffix(got, "é…") {
		t.Errorf("a long statement becomes %q", got)
	}
}

// TestNoValueIsShown puts statements together of parts and cuts them anywhere, as
// the server does.
func TestNoValueIsShown(t *testing.T) {
	const secret = "ZZ9SECRET"
	parts := []string{
		"SELECT ", " FROM t ", "a.b", ", ", "(", ")", " = ", "::text", " || ", "$1", "\"name\"", "x1", "\n", "-- " + secret + " ' \n", "/* " + secret + " ' */",
		"'" + secret + "'", "'it''s " + secret + "'", "E'\\'" + secret + "\\\\'", "$$" + secret + "'$$", "$q$ $$" + secret + " $q$",
	}
	drawn := 0
	rapid.Check(t, func(t *rapid.T) {
		sql := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 4, 16).Draw(t, "parts"), " ")
		sql = sql[:rapid.IntRange(len(sql)/2, len(sql)).Draw(t, "cut")]
		if strings.Contains(sql, secret) {
			drawn++
		}
		if got := withoutValues(sql); strings.Contains(got, secret) {
			t.Errorf("withoutValues(%q) = %q shows a value", sql, got)
		}
	})
	want := 20
	if testing.Short() { // a fifth of the draws
		want = 3
	}
	if drawn < want {
		t.Fatalf("only %d statements had a value", drawn)
	}
}

func FuzzWithoutValues(f *testing.F) {
	for _, s := range []string{"SELECT 'a', E'\\'', $$b$$, 1e+5 -- c\n/* d */ \"e\"", "'", "$", "\"", "/*", "e'", "1e", "\xff'\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		got := withoutValues(sql)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > statementLength || strings.ContainsAny(got, "\n\r\x00") {
			t.Errorf("withoutValues(%q) = %q", sql, got)
		}
	})
}

// TestGrowthAcrossBreaks looks at the arithmetic alone: what is not known must be
// missing.
func TestGrowthAcrossBreaks(t *testing.T) {
	list := figures()
	committed, deadlocks := -1, colDeadlocks
	for i, f := range list {
		if f.name == "committed" {
			committed = i
		}
	}
	look := func(at, reset, commits, dead float64) []float64 {
		v := make([]float64, len(list))
		v[colTime], v[colReset], v[committed], v[deadlocks] = at, reset, commits, dead
		return v
	}
	s := &Source{}
	steps := []struct {
		name      string
		look      []float64
		forget    bool
		rate      float64 // -1: missing
		deadlocks float64 // -1: missing
	}{
		{"first look", look(100, 1, 1000, 5), false, -1, 0},
		{"two seconds on", look(102, 1, 1100, 5), false, 50, 0},
		{"a deadlock", look(103, 1, 1100, 7), false, 0, 2},
		{"statistics were reset", look(104, 2, 10, 0), false, -1, -1},
		{"after it", look(105, 2, 40, 1), false, 30, 3},
		{"a crash reset them", look(106, 2, 5, 0), false, -1, 3},
		{"the clock stands still", look(106, 2, 9, 0), false, -1, -1},
		{"connection lost", look(120, 2, 5000, 4), true, -1, 3},
		{"and back", look(121, 2, 5010, 4), false, 10, 3},
	}
	for _, c := range steps {
		if c.forget {
			s.counters.forget()
		}
		var out watch.Sample
		s.growth(list, c.look, &out)
		s.counters.values = c.look
		if got := value(out, "transactions", "committed"); math.Abs(got-c.rate) > 1e-9 {
			t.Errorf("%s: %v commits a second, want %v", c.name, got, c.rate)
		}
		if got := value(out, "locks", "deadlocks since the start"); got != c.deadlocks {
			t.Errorf("%s: %v deadlocks, want %v", c.name, got, c.deadlocks)
		}
	}
}

func TestGrownStatements(t *testing.T) {
	before := map[int64]spent{1: {calls: 10, ms: 100, rows: 10}, 2: {calls: 5, ms: 5}, 3: {calls: 7, ms: 70}}
	now := map[int64]spent{1: {calls: 12, ms: 160, rows: 14}, 2: {calls: 5, ms: 5}, 3: {calls: 1, ms: 40, rows: 1}, -4: {calls: 4, ms: 4}}
	got := grown(before, now)
	want := []string{"3", "1", "-4"} // 40 ms after a reset, 30 ms, 1 ms; 2 was not called
	if len(got) != len(want) {
		t.Fatalf("grown = %+v, want the statements %v", got, want)
	}
	for i := range want {
		if got[i].ID != want[i] {
			t.Errorf("place %d is %+v, want statement %s", i, got[i], want[i])
		}
	}
	if got[1].Calls != 2 || got[1].Rows != 4 || got[1].Mean().Milliseconds() != 30 {
		t.Errorf("statement 1: %+v, want 2 calls of 30 ms, 4 rows", got[1])
	}
}

func find(s watch.Sample, group, name string) (tally.Watched, bool) {
	for _, r := range s.Readings {
		if r.Group == group && r.Name == name {
			return r, true
		}
	}
	return tally.Watched{}, false
}

// value returns a figure, -1 when it is missing.
func value(s watch.Sample, group, name string) float64 {
	if r, ok := find(s, group, name); ok {
		return r.Value
	}
	return -1
}
