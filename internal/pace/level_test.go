package pace

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// levelTwin lists the instants at which the number of users changes by one, or
// jumps, in big integers.
type levelTwin struct {
	at    []time.Duration
	users []int
}

func (w *levelTwin) set(at time.Duration, users int) {
	w.at, w.users = append(w.at, at), append(w.users, users)
}

func (w *levelTwin) line(start, length time.Duration, from, to int) {
	w.set(start, from)
	n := max(to-from, from-to)
	for k := 1; k <= n; k++ {
		at := new(big.Int).Mul(big.NewInt(int64(k)), big.NewInt(int64(length)))
		at.Div(at, big.NewInt(int64(n)))
		w.set(start+time.Duration(at.Int64()), from+k*(to-from)/n)
	}
}

func (w *levelTwin) lookup(t time.Duration) int {
	now := w.users[0]
	for i, at := range w.at {
		if at <= t {
			now = w.users[i]
		}
	}
	return now
}

func checkLevel(t *rapid.T, l Level, w *levelTwin) {
	t.Helper()
	for i, at := range w.at {
		for _, x := range []time.Duration{at - 1, at, at + 1} {
			if got, want := l.At(x), w.lookup(max(x, 0)); got != want {
				t.Fatalf("%v: At(%v) = %d, want %d (change %d of %d)", l, x, got, want, i, len(w.at))
			}
		}
	}
	// Walking by Next meets every change, and nothing else.
	now, at := w.lookup(0), time.Duration(0)
	for i := range w.at {
		want := w.lookup(w.at[i])
		if want == now {
			continue
		}
		next, ok := l.Next(at)
		if !ok || next != w.at[i] {
			t.Fatalf("%v: Next(%v) = %v, %v, want %v", l, at, next, ok, w.at[i])
		}
		now, at = want, next
	}
	if next, ok := l.Next(at); ok {
		t.Fatalf("%v: Next(%v) = %v, want none", l, at, next)
	}
}

func TestLevelAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Level
		var w levelTwin
		var start time.Duration
		last := rapid.IntRange(0, 20).Draw(t, "users")
		for range rapid.IntRange(1, 5).Draw(t, "stages") {
			from := last
			if rapid.Bool().Draw(t, "jump") {
				from = rapid.IntRange(0, 20).Draw(t, "from")
			}
			last = rapid.IntRange(0, 20).Draw(t, "to")
			d := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "for"))
			if rapid.IntRange(0, 3).Draw(t, "short") == 0 {
				d = min(d, 7)
			}
			w.line(start, d, from, last)
			size := uint64(max(last-from, from-last))
			l.steps = append(l.steps, slant{start: start, from: from, to: last, n: size, per: uint64(d), last: size})
			start += d
			l.end = start
		}
		// Lines over less time than users change several at an instant.
		checkLevel(t, l, w.compact())
	})
}

// compact keeps the last change of each instant.
func (w *levelTwin) compact() *levelTwin {
	var c levelTwin
	for i := range w.at {
		if n := len(c.at); n > 0 && c.at[n-1] == w.at[i] {
			c.users[n-1] = w.users[i]
			continue
		}
		c.set(w.at[i], w.users[i])
	}
	return &c
}

func TestUsersAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "users")
		r := rates().Draw(t, "spawn")
		var w levelTwin
		if r.IsZero() {
			w.set(0, n)
		} else {
			p := Constant(r, 0)
			for k := range n {
				at, _ := p.Due(int64(k))
				w.set(at, k+1)
			}
		}
		l := Users(n, r)
		checkLevel(t, l, w.compact())
		if l.Max() != n || l.Length() != 0 {
			t.Fatalf("Users(%d, %v): Max, Length = %d, %v", n, r, l.Max(), l.Length())
		}
	})
}

func TestLevelByHand(t *testing.T) {
	l, err := ParseLevel("0..300:30s,300:1m,..0:10s")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		at   time.Duration
		want int
	}{
		{-time.Second, 0}, {0, 0}, {100*time.Millisecond - 1, 0}, {100 * time.Millisecond, 1}, {10 * time.Second, 100},
		{30*time.Second - 1, 299}, {30 * time.Second, 300}, {time.Minute, 300}, {90 * time.Second, 300},
		{95 * time.Second, 150}, {100*time.Second - 1, 1}, {100 * time.Second, 0}, {time.Hour, 0}, {math.MaxInt64, 0},
	}
	for _, c := range cases {
		if got := l.At(c.at); got != c.want {
			t.Errorf("%v: At(%v) = %d, want %d", l, c.at, got, c.want)
		}
	}
	if len(cases) != 14 {
		t.Fatalf("%d cases, want 14", len(cases))
	}
	if l.Length() != 100*time.Second || l.Max() != 300 || l.String() != "0..300:30s,300:1m,300..0:10s" {
		t.Errorf("Length, Max, String = %v, %d, %q", l.Length(), l.Max(), l.String())
	}
	if at, ok := l.Next(30 * time.Second); !ok || at != 90*time.Second+33_333_333 {
		t.Errorf("Next(30s) = %v, %v, want the first to leave", at, ok)
	}
	if l, err := ParseLevel("0..300:30,1,000:60"); err != nil || l.Length() != 90*time.Second || l.At(40*time.Second) != 1000 {
		t.Errorf("durations in bare seconds: %v, %v", l, err)
	}
}

func TestLevelEdges(t *testing.T) {
	for text, l := range map[string]Level{
		"0 users":               {},
		"1 user":                Users(1, Rate{1, time.Hour}),
		"300 users":             Users(300, Rate{}),
		"300 users, 100/s":      Users(300, Rate{100, time.Second}),
		"5 users, 1/106751d":    Users(5, Rate{1, 106751 * day}),
		"2147483647 users, 1/d": Users(math.MaxInt32, Rate{1, day}),
	} {
		if text != "5 users, 1/106751d" && l.String() != text {
			t.Errorf("String() = %q, want %q", l.String(), text)
		}
		for _, at := range []time.Duration{math.MinInt64, -1, 0, math.MaxInt64 - 1, math.MaxInt64} {
			if n := l.At(at); n < 0 || n > l.Max() {
				t.Errorf("%s: At(%d) = %d", text, at, n)
			}
			if next, ok := l.Next(at); ok && next <= at {
				t.Errorf("%s: Next(%d) = %d", text, at, next)
			}
		}
	}
	if l := Users(-3, Rate{}); l.At(0) != 0 || l.Max() != 0 {
		t.Errorf("Users(-3) has %d users", l.At(0))
	}
	if got := Users(3, Rate{1, 106751 * day}).At(math.MaxInt64); got != 2 {
		t.Errorf("after the longest duration there are %d users, want 2", got)
	}
}
