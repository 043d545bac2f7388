package cli

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
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
		if got, want := due[len(due)-1].Sub(start).Seconds(), float64(len(due))/min(rate, float64(most)); got > want+0.1 {
			t.Errorf("rate %v: %d requests took %.2f s, at that rate it is %.2f s", rate, len(due), got, want)
		}
		cases++
	}
	if cases != 5 {
		t.Fatalf("%d cases", cases)
	}
}

// TestProbePaceOfWhatGoesLate: in no second there are more than the rate allows, though
// requests go later than planned: a connection has to be made first, or becomes free late.
func TestProbePaceOfWhatGoesLate(t *testing.T) {
	for _, rate := range []float64{0.8, 5, 7.5, 50, 400} {
		synctest.Test(t, func(t *testing.T) {
			p, r := newProbePace(rate), rand.New(rand.NewPCG(1, 2))
			var mu sync.Mutex
			var went []time.Time
			var wg sync.WaitGroup
			began := time.Now()
			n := int(min(8*max(rate, 2), 1000))
			for i := range n {
				due := p.after(began)
				late := time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
				if i%9 == 4 { // longer than a second
					late += 1200 * time.Millisecond
				}
				takes := time.Duration(r.ExpFloat64() * float64(300*time.Millisecond))
				wg.Go(func() {
					time.Sleep(time.Until(due))
					s, err := p.start(context.Background())
					if err != nil {
						t.Error(err)
						return
					}
					if i%50 == 7 { // no connection
						time.Sleep(late)
						p.end(s, time.Time{})
						return
					}
					time.Sleep(late)
					at := time.Now()
					p.sent(s, at)
					mu.Lock()
					went = append(went, at)
					mu.Unlock()
					time.Sleep(takes)
					p.end(s, at)
				})
			}
			wg.Wait()
			slices.SortFunc(went, time.Time.Compare)
			most := max(1, int(rate))
			for i := most; i < len(went); i++ {
				if d := went[i].Sub(went[i-most]); d <= p.window {
					t.Fatalf("rate %v: %d requests within %v", rate, most+1, d)
				}
			}
			if len(went) < n*9/10 || p.window < time.Second {
				t.Errorf("rate %v: %d of %d went, windows of %v", rate, len(went), n, p.window)
			}
			if got, want := went[len(went)-1].Sub(began).Seconds(), float64(n)/min(rate, float64(most)); got > 1.5*want+3 {
				t.Errorf("rate %v: %d requests took %.2f s, at that rate it is %.2f s", rate, n, got, want)
			}
		})
	}
}
