package track

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// TestUnrestedExplainsAnyPast: whatever a limiter was used for before, it is
// consistent with a state of which nothing was known.
func TestUnrestedExplainsAnyPast(t *testing.T) {
	runs, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		if p.Algorithm == limit.Concurrency {
			return
		}
		l, err := p.New(start.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
		for range r.IntN(60) {
			l.Take(start.Add(-time.Duration(r.Int64N(int64(3*time.Second)))), 1+r.Int64N(2))
		}
		tr, err := New([]State{{Policy: p, Unrested: start}}, Options{Origin: start.Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if tr.Lost() != "" {
			t.Fatalf("%+v: %s", p, tr.Lost())
		}
		runs++
		now := start.Add(time.Millisecond)
		for step := range 40 {
			s := now.Add(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
			at := s.Add(time.Duration(r.Int64N(int64(30*time.Millisecond) + 1)))
			d := at.Add(time.Duration(r.Int64N(int64(30*time.Millisecond) + 1)))
			ok := l.Take(at, 1).Allowed
			if !ok {
				refused++
			}
			if v := tr.See(Wave{[]Ask{{Cost: 1}}, []Request{{s, d, ok}}}); v != Consistent {
				t.Fatalf("step %d of %+v: %v", step, p, v)
			}
			now = d
		}
	})
	if runs == 0 || refused == 0 {
		t.Errorf("%d runs with %d refusals show nothing", runs, refused)
	}
}

// TestUnrestedStillConvicts: after a rest it is as strict as any other state.
func TestUnrestedStillConvicts(t *testing.T) {
	for _, p := range []limit.Policy{
		{Algorithm: limit.TokenBucket, Limit: 5, Window: time.Second},
		{Algorithm: limit.SlidingLog, Limit: 5, Window: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignFirst},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignLast},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignFirst, Ban: 2 * time.Second},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second},
		{Algorithm: limit.RefillBucket, Limit: 5, Window: time.Second},
	} {
		tr, err := New([]State{{Policy: p, Unrested: start}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		now := start.Add(4*time.Second + 800*time.Millisecond)
		verdict := Consistent
		for range 8 {
			now = now.Add(time.Millisecond)
			if verdict = tr.See(Wave{[]Ask{{Cost: 1}}, []Request{{now, now, true}}}); verdict != Consistent {
				break
			}
		}
		if verdict != TooMany {
			t.Errorf("%s: eight at once where five may be: %v", p, verdict)
		}
	}
}
