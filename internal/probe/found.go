package probe

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Size is what a client may get at once, from rest.
func (f *Found) Size() int {
	if len(f.Policies) == 0 {
		return 0
	}
	return int(min(f.Policies[0].Capacity(), 1e6))
}

// Rest is how long until the limit is as good as new after it was exhausted.
func (f *Found) Rest() time.Duration {
	most := time.Duration(0)
	for _, p := range f.Policies {
		d := p.Window
		switch {
		case p.Limit <= 0:
		case p.Algorithm == limit.TokenBucket, p.Algorithm == limit.LeakyBucket, p.Algorithm == limit.RefillBucket:
			d = time.Duration(float64(p.Window) * math.Ceil(float64(p.Capacity()+1)/float64(p.Limit)))
			if p.Algorithm != limit.RefillBucket {
				d = time.Duration(float64(p.Window) * float64(p.Capacity()+1) / float64(p.Limit))
			}
		case p.Algorithm == limit.SlidingWindow:
			d = 2 * p.Window
		}
		most = max(most, d)
	}
	return time.Duration(float64(most+f.Ban) * (1 + 2*math.Min(f.WindowOff, 0.5)))
}

// Rate is how many a second the tightest limit lets through for good; 0 where nothing comes back
// before the window ends.
func (f *Found) Rate() float64 {
	least := math.Inf(1)
	for _, p := range f.Policies {
		if p.Window > 0 {
			switch p.Algorithm {
			case limit.TokenBucket, limit.LeakyBucket, limit.RefillBucket:
				least = min(least, float64(p.Limit)/p.Window.Seconds())
			}
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}
