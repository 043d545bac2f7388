package limit_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"golang.org/x/time/rate"
)

// TestTokenBucketAgreesWithXTimeRate compares a million decisions.
//
// x/time/rate counts tokens in float64. The first half of the traffic is made
// of what floats represent: rates of powers of two per second, instants that
// are multiples of 1/512 s. There every decision must agree. The second half is
// arbitrary; there a request is not made when the bucket is within a millionth
// of a token of the cost, since rounding may decide it. Time runs forwards
// only: x/time/rate follows a clock that runs backwards.
func TestTokenBucketAgreesWithXTimeRate(t *testing.T) {
	const decisions = 500_000
	random := rand.New(rand.NewPCG(1, 2))
	run := func(name string, tick time.Duration, draw func() (n int64, window time.Duration), hair float64) {
		compared, refused, skipped := 0, 0, 0
		for compared < decisions {
			n, window := draw()
			burst := 1 + random.Int64N(20)
			l := mustNew(t, limit.Policy{Limit: n, Window: window, Burst: burst}, benchOrigin)
			x := rate.NewLimiter(rate.Limit(float64(n)/window.Seconds()), int(burst))
			at := benchOrigin
			unit := max(1, int64(window)/n/int64(tick))
			for range 1000 {
				if random.IntN(3) > 0 {
					at = at.Add(tick * time.Duration(random.Int64N(3*unit+1)))
				}
				cost := 1 + random.Int64N(3)
				if math.Abs(x.TokensAt(at)-float64(cost)) < hair {
					skipped++
					continue
				}
				want := x.AllowN(at, int(cost))
				got := l.Take(at, cost).Allowed
				if got != want {
					t.Fatalf("%s: %d per %v, burst %d: Take(%v, %d) = %v, x/time/rate says %v", name, n, window, burst, at.Sub(benchOrigin), cost, got, want)
				}
				compared++
				if !got {
					refused++
				}
			}
		}
		t.Logf("%s: %d decisions agree, %d of them refusals; %d requests not made", name, compared, refused, skipped)
		if compared < decisions || refused < compared/20 || refused > compared*19/20 || skipped > compared/2 {
			t.Errorf("%s: compared %d, refused %d, skipped %d: too few to mean anything", name, compared, refused, skipped)
		}
	}
	run("exact", time.Second/512, func() (int64, time.Duration) { return 1 << random.IntN(9), time.Second }, 0)
	run("arbitrary", 1, func() (int64, time.Duration) {
		return 1 + random.Int64N(5000), time.Duration(1 + random.Int64N(int64(time.Minute)))
	}, 1e-6)
}
