package cli

import (
	"testing"
	"time"
)

// In no second are there more than the rate allows, waves go nearly at once, and
// no time is lost.
func TestProbePace(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	cases := 0
	for _, rate := range []float64{0.5, 1, 3, 7.5, 400} {
		p := newProbePace(rate)
		var due []time.Time
		for i := range 1500 {
			due = append(due, p.after(start.Add(time.Duration(i/40)*30*time.Millisecond)))
		}
		most := max(1, int(rate))
		for i := range due {
			if i > 0 && !due[i].After(due[i-1]) {
				t.Fatalf("rate %v: request %d is due %v after the one before", rate, i, due[i].Sub(due[i-1]))
			}
			if i >= most && due[i].Sub(due[i-most]) < p.window {
				t.Fatalf("rate %v: %d requests in %v", rate, most+1, due[i].Sub(due[i-most]))
			}
		}
		if rate == 400 && due[39].Sub(start) > 40*time.Millisecond {
			t.Errorf("a wave of 40 takes %v", due[39].Sub(start))
		}
		if got, want := due[len(due)-1].Sub(start).Seconds(), float64(len(due))/rate; got > want+0.1 {
			t.Errorf("rate %v: %d requests took %.2f s, at that rate it is %.2f s", rate, len(due), got, want)
		}
		cases++
	}
	if cases != 5 {
		t.Fatalf("%d cases", cases)
	}
}
