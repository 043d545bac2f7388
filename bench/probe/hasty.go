package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// hasten makes a single limit one that is easily taken for several replicas: it gives
// back much between two waves, behind a slow network that loses answers or does not, or
// gives little and the network is quick; every fifth is used by others, too.
func (tr *truth) hasten(r *rand.Rand, i int) {
	if len(tr.policies) != 1 {
		return
	}
	log := func(lo, hi float64) float64 { return lo * math.Exp(r.Float64()*math.Log(hi/lo)) }
	tr.network = time.Duration(log(20, 250) * float64(time.Millisecond))
	p := &tr.policies[0]
	switch p.Algorithm {
	case limit.Concurrency:
		p.Limit = int64(math.Round(log(2, 40)))
	case limit.TokenBucket, limit.LeakyBucket:
		p.Burst = int64(math.Round(log(4, 400)))
		p.Limit, p.Window = int64(math.Round(log(5, 600))), time.Second
		if p.Undelayed > p.Burst {
			p.Undelayed = 0
		}
		if i%3 == 0 {
			p.Burst, p.Limit, p.Window = int64(math.Round(log(4, 60))), int64(math.Round(log(20, 100))), time.Minute
			tr.network /= 20
		}
		if p.Algorithm == limit.LeakyBucket && p.Undelayed > p.Burst {
			p.Undelayed = 0
		}
	default:
		p.Window = time.Duration(math.Round(log(3, 30))) * 100 * time.Millisecond
		if p.Phase >= p.Window {
			p.Phase %= p.Window
		}
		if p.Algorithm == limit.RefillBucket {
			p.Burst = int64(math.Round(log(4, 400)))
			p.Limit = max(1, min(p.Limit, p.Burst/2))
		}
		if tr.ban > 0 {
			tr.ban = p.Window * 3
		}
	}
	if i%4 == 1 {
		tr.lossy = 0.01
	}
	if i%5 == 2 {
		tr.others(0.1)
	}
}

// alarms says how many single limits were taken for replicas.
func alarms(scores []score) {
	said, sure := 0, 0
	for _, s := range scores {
		if s.family != probe.Replicas && s.got == probe.Replicas {
			said++
			sure += boolInt(s.sure)
		}
	}
	fmt.Printf("single limits taken for replicas: %d of %d, %d of them sure\n", said, len(scores), sure)
}
