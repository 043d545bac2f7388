package feed

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

func deal(t *testing.T, f *Feed, n int) []int {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var out []int
	for range n {
		i, err := f.Next(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

func make1(t *testing.T, rows int, order Order, atEnd string) *Feed {
	t.Helper()
	f, err := New("people.csv", rows, order, atEnd)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOrders(t *testing.T) {
	for _, order := range []Order{"", Sequential} {
		if got := deal(t, make1(t, 3, order, ""), 7); !slices.Equal(got, []int{0, 1, 2, 0, 1, 2, 0}) {
			t.Errorf("%q: %v", order, got)
		}
	}
	unique := make1(t, 3, Unique, Error)
	if got := deal(t, unique, 3); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("unique: %v", got)
	}
	for range 2 {
		_, err := unique.Next(nil)
		var usedUp *UsedUp
		if !errors.As(err, &usedUp) || err.Error() != "people.csv is used up: it has 3 rows, and each is unique" {
			t.Errorf("used up: %v", err)
		}
	}
	stops := make1(t, 1, Unique, Stop)
	deal(t, stops, 1)
	if _, err := stops.Next(nil); !errors.Is(err, ErrStop) {
		t.Errorf("used up, with stop: %v", err)
	}
	random := make1(t, 5, Random, "")
	one := deal(t, random, 200)
	seen := map[int]int{}
	for _, i := range one {
		seen[i]++
	}
	if len(seen) != 5 || !slices.Equal(one, deal(t, random, 200)) {
		t.Errorf("random rows %v: want every one of 5, and the same from the same seed", seen)
	}
}

// TestUniqueAcrossUsers holds that no row is given twice, whoever asks.
func TestUniqueAcrossUsers(t *testing.T) {
	const rows, users = 10_000, 8
	f := make1(t, rows, Unique, "")
	var mu sync.Mutex
	given := map[int]bool{}
	var wg sync.WaitGroup
	for range users {
		wg.Go(func() {
			for {
				i, err := f.Next(nil)
				if err != nil {
					return
				}
				mu.Lock()
				if given[i] {
					t.Errorf("row %d is given twice", i)
				}
				given[i] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(given) != rows {
		t.Errorf("%d rows are given, want %d", len(given), rows)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, c := range []struct {
		rows  int
		order Order
		atEnd string
		want  string
	}{
		{0, "", "", "people.csv has no rows"},
		{1, "unqiue", "", "want sequential, random or unique"},
		{1, Unique, "halt", "want error or stop"},
		{1, Random, Stop, "random has no end"},
		{1, "", Stop, "sequential has no end"},
	} {
		if _, err := New("people.csv", c.rows, c.order, c.atEnd); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, s := range []string{"ab", "\n", "\"", "\xff"} {
		if _, err := Delimiter(s); err == nil {
			t.Errorf("Delimiter(%q) is taken", s)
		}
	}
	for s, want := range map[string]rune{"": ',', ";": ';', "\t": '\t', "→": '→'} {
		if d, err := Delimiter(s); err != nil || d != want {
			t.Errorf("Delimiter(%q) = %q, %v", s, d, err)
		}
	}
}

func TestCSV(t *testing.T) {
	columns, rows, err := CSV("p.csv", []byte("\xef\xbb\xbfname; age\n\"an;na\";1\nben;2\n"), ';')
	if err != nil || !slices.Equal(columns, []string{"name", "age"}) || len(rows) != 2 || rows[0][0] != "an;na" || rows[1][1] != "2" {
		t.Errorf("%q %q %v", columns, rows, err)
	}
	for text, want := range map[string]string{
		"":               "p.csv is empty",
		"a,a\n1,2\n":     "column 2 of the first line has no name of its own",
		"a,\n1,2\n":      "column 2 of the first line has no name of its own",
		"a,b\n1,2\n3\n":  "p.csv: record on line 3: wrong number of fields",
		"a,b\n1,\"2\n3":  "p.csv:",
		"\"a,b\n1,2\n3,": "p.csv:",
	} {
		if _, _, err := CSV("p.csv", []byte(text), ','); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	err := Lines("x.json", []byte("1\n\n 2 \r\n3"), func(line []byte) error { got = append(got, string(line)); return nil })
	if err != nil || !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("%q, %v", got, err)
	}
	err = Lines("x.json", []byte("1\n\n{\n"), func(line []byte) error {
		if !json.Valid(line) {
			return errors.New("is not JSON")
		}
		return nil
	})
	if err == nil || err.Error() != "x.json:3 is not JSON" {
		t.Errorf("%v", err)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,2\n")
	f.Add("\xef\xbb\xbfa;b\n\"1\n\";2")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		columns, rows, err := CSV("f.csv", []byte(text), ',')
		if err != nil {
			return
		}
		for _, r := range rows {
			if len(r) != len(columns) {
				t.Fatalf("a row has %d values for %d columns", len(r), len(columns))
			}
		}
	})
}
