package crowd

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestUsersOfClasses(t *testing.T) {
	cases := []struct {
		shares []Share
		want   []int
	}{
		{[]Share{{Weight: 1}}, []int{0, 0, 0}},
		{[]Share{{Weight: 8}, {Weight: 2}}, []int{0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}},
		{[]Share{{Weight: 2}, {Fixed: 2}, {Fixed: 1}}, []int{1, 2, 1, 0, 0, 0}},
		{[]Share{{Fixed: 1}, {Fixed: 2}}, []int{0, 1, 1, 0, 1, 0, 1}},
	}
	for _, c := range cases {
		s := New(c.shares)
		for id, want := range c.want {
			if got := s.User(id); got != want {
				t.Errorf("%v: user %d is of class %d, want %d", c.shares, id, got, want)
			}
		}
	}
	if len(cases) < 4 {
		t.Fatalf("only %d cases", len(cases))
	}
}

// TestMixture holds that every cycle has exactly the weights, and that no class
// is ever ahead of its share or behind it by as much as its neighbours' number.
func TestMixture(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int64Range(1, 12), 1, 5).Draw(t, "weights")
		var shares []Share
		var total int64
		for _, w := range weights {
			shares = append(shares, Share{Weight: w})
			total += w
		}
		s := New(shares)
		got := make([]int64, len(shares))
		for n := range 2 * total {
			got[s.Arrival(n)]++
			for i, w := range weights {
				share := float64(n+1) * float64(w) / float64(total)
				if off := math.Abs(float64(got[i]) - share); off >= float64(len(weights)) {
					t.Fatalf("after %d of %v class %d has %d, its share is %.2f", n+1, weights, i, got[i], share)
				}
			}
		}
		for i, w := range weights {
			if got[i] != 2*w {
				t.Fatalf("two cycles of %v gave class %d of weight %d %d turns", weights, i, w, got[i])
			}
		}
	})
}

func TestHugeWeights(t *testing.T) {
	s := New([]Share{{Weight: 999_983}, {Weight: 1}, {Fixed: 3}})
	if len(s.cycle) > maxCycle+3 {
		t.Errorf("the table has %d entries, want about %d at most", len(s.cycle), maxCycle)
	}
	seen := map[int]int{}
	for i := range len(s.cycle) {
		seen[s.Arrival(int64(i))]++
	}
	if seen[0] < 9000 || seen[1] != 1 || seen[2] != 0 {
		t.Errorf("classes of the arrivals: %v", seen)
	}
}

func TestRow(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	var r Row
	if r.Begun() {
		t.Error("a new row has begun")
	}
	for _, c := range []struct {
		begun, now, want float64
	}{
		{0, 1, 4},      // began at 0, took 1 s of 5
		{5.2, 6, 4},    // woke 0.2 s late: the next is due at 10 all the same
		{10, 15, 0},    // took exactly the period
		{15, 27, 0},    // took too long: the row begins anew at 27
		{27, 28, 4},    // due at 32
		{32, 32, 5},    // took no time
		{37, 41.5, .5}, // due at 42
	} {
		if got := r.Next(5*time.Second, at(c.begun), at(c.now)); got != time.Duration(c.want*float64(time.Second)) {
			t.Errorf("at %v s: wait %v, want %v s", c.now, got, c.want)
		}
	}
	if !r.Begun() {
		t.Error("a row with tasks has not begun")
	}
}
