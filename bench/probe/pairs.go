package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// pairing is what two limits, or three, are made of.
type pairing int

const (
	likePair     pairing = iota // two of a kind, the second 1.3 to 10 times the first
	bucketWindow                // a token bucket, and a fixed window above
	windowBucket                // a fixed window, and a token bucket above: sustained
	slidingFixed                // a sliding window, and a fixed one above
	logFirst                    // a sliding log, and a window from the first request above
	twoBuckets                  // burst and sustained
	threeLimits                 // of which a probe knows two at best
	pairingKinds
)

var pairingNames = [pairingKinds]string{
	"two of a kind, 1.3 to 10 times", "token bucket + fixed window", "fixed window + token bucket", "sliding window + fixed window",
	"sliding log + window from the first request", "two token buckets", "three limits",
}

// pair replaces the two limits of a truth by a pairing that the default does not have.
func (tr *truth) pair(r *rand.Rand) {
	if tr.family != probe.Stacked {
		return
	}
	tr.pairing = pairing(r.IntN(int(pairingKinds)))
	tr.paired = true
	log := func(lo, hi float64) float64 { return lo * math.Exp(r.Float64()*math.Log(hi/lo)) }
	round := func(s float64) time.Duration {
		if s > 20 && r.IntN(2) == 0 {
			for _, w := range []float64{3600, 1800, 900, 600, 300, 120, 60, 30} {
				if s > 0.8*w {
					return time.Duration(w * float64(time.Second))
				}
			}
		}
		return time.Duration(math.Round(s*10)) * 100 * time.Millisecond
	}
	kinds := []limit.Policy{
		{Algorithm: limit.FixedWindow}, {Algorithm: limit.FixedWindow, Align: limit.AlignFirst}, {Algorithm: limit.SlidingLog}, {Algorithm: limit.SlidingWindow},
	}
	make := func(kind limit.Policy, n, seconds float64) limit.Policy {
		if kind.Algorithm == limit.TokenBucket { // it gives back n in that time
			kind.Burst = int64(math.Ceil(n))
			kind.Limit, kind.Window = max(1, int64(math.Round(n/seconds))), time.Second
			if rate := n / seconds; rate < 5 {
				kind.Limit, kind.Window = max(1, int64(math.Round(60*rate))), time.Minute
			}
			return kind
		}
		kind.Limit, kind.Window = int64(math.Ceil(n)), round(seconds)
		if kind.Align != limit.AlignFirst && kind.Algorithm != limit.SlidingLog {
			kind.Phase = time.Duration(r.Int64N(int64(kind.Window)))
		}
		return kind
	}
	n, w := log(3, 120), log(1, 15)
	times, slower := 2+4*r.Float64(), 1.5+3*r.Float64() // how much larger, and how much less it gives
	one, two := kinds[r.IntN(3)], kinds[r.IntN(2)]
	bucket := limit.Policy{}
	switch tr.pairing {
	case likePair, threeLimits:
		two = one
		times = log(1.3, 10)
	case bucketWindow:
		one = bucket
	case windowBucket:
		one, two = kinds[r.IntN(2)], bucket
	case slidingFixed:
		one = kinds[3]
	case logFirst:
		one, two = kinds[2], kinds[1]
	case twoBuckets:
		one, two = bucket, bucket
	}
	tr.policies = []limit.Policy{make(one, n, w), make(two, n*times, w*times*slower)}
	if tr.pairing == threeLimits {
		tr.policies = append(tr.policies, make(two, n*times*3, w*times*slower*8))
	}
}

// alike compares what was found of two limits with the truth: how many they hold, their
// windows, and their kinds. Of three limits, any two.
func (tr *truth) alike(found []limit.Policy) (limits, windows, kinds bool) {
	limits, windows, kinds = true, true, true
	left := slices.Clone(tr.policies)
	for _, q := range found {
		if len(left) == 0 {
			return false, false, false
		}
		p := left[0]
		if len(tr.policies) > len(found) {
			for _, o := range left[1:] {
				if math.Abs(math.Log(float64(o.Capacity())/float64(q.Capacity()))) < math.Abs(math.Log(float64(p.Capacity())/float64(q.Capacity()))) {
					p = o
				}
			}
		}
		for left[0] != p {
			left = left[1:]
		}
		left = left[1:]
		limits = limits && p.Capacity() == q.Capacity()
		windows = windows && near(per(p), per(q), 0.01)
		kinds = kinds && p.Algorithm == q.Algorithm && p.Align == q.Align
	}
	return limits, windows, kinds
}
