package limit_test

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestBanned tells who is banned from who has used up all there is.
func TestBanned(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, ban := range []time.Duration{time.Minute, limit.Never} {
		l, err := limit.Policy{Algorithm: limit.SlidingLog, Limit: 2, Window: time.Second, Ban: ban}.New(at)
		if err != nil {
			t.Fatal(err)
		}
		banned := func(at time.Time, want time.Duration) {
			t.Helper()
			if got := l.(interface{ Banned(time.Time) time.Duration }).Banned(at); got != want {
				t.Errorf("ban %v: banned for %v, want %v", ban, got, want)
			}
		}
		l.Take(at, 2)
		banned(at, 0)
		l.Take(at, 1)
		banned(at, ban)
		if ban == limit.Never {
			banned(at.Add(time.Hour), limit.Never)
			continue
		}
		banned(at.Add(59*time.Second), time.Second)
		banned(at.Add(time.Minute), 0)
		banned(at.Add(-time.Second), 0) // an instant before the latest counts as that one
	}
}
