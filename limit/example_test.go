package limit_test

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/limit"
)

// A bucket of three that gains ten tokens a second.
func Example() {
	p := limit.Policy{Limit: 10, Window: time.Second, Burst: 3}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l, err := p.New(start)
	if err != nil {
		panic(err)
	}
	for _, ms := range []int{0, 0, 0, 0, 60, 100, 500} {
		at := start.Add(time.Duration(ms) * time.Millisecond)
		d := l.Take(at, 1)
		fmt.Printf("%3d ms: allowed=%-5t remaining=%d retry=%v\n", ms, d.Allowed, d.Remaining, d.RetryAfter)
	}
	// Output:
	//   0 ms: allowed=true  remaining=2 retry=0s
	//   0 ms: allowed=true  remaining=1 retry=0s
	//   0 ms: allowed=true  remaining=0 retry=0s
	//   0 ms: allowed=false remaining=0 retry=100ms
	//  60 ms: allowed=false remaining=0 retry=40ms
	// 100 ms: allowed=true  remaining=0 retry=0s
	// 500 ms: allowed=true  remaining=2 retry=0s
}

// The same ten requests at the border of a second, by four ways of counting
// "five per second".
func ExampleAlgorithm() {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, a := range []limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow} {
		l, err := limit.Policy{Algorithm: a, Limit: 5, Window: time.Second}.New(start)
		if err != nil {
			panic(err)
		}
		before, after := 0, 0
		for range 5 {
			if l.Take(start.Add(900*time.Millisecond), 1).Allowed {
				before++
			}
		}
		for range 5 {
			if l.Take(start.Add(1100*time.Millisecond), 1).Allowed {
				after++
			}
		}
		fmt.Printf("%-14v %d before the second, %d after\n", a, before, after)
	}
	// Output:
	// token-bucket   5 before the second, 1 after
	// fixed-window   5 before the second, 5 after
	// sliding-log    5 before the second, 0 after
	// sliding-window 5 before the second, 1 after
}

// A day of traffic in virtual time: no clock is read and nothing waits.
func ExampleLimiter_virtualTime() {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l, err := limit.Policy{Limit: 1000, Window: time.Hour, Burst: 50}.New(at)
	if err != nil {
		panic(err)
	}
	admitted := 0
	for end := at.Add(24 * time.Hour); at.Before(end); at = at.Add(time.Second) {
		if l.Take(at, 1).Allowed {
			admitted++
		}
	}
	fmt.Println(admitted, "of", 24*3600)
	// Output: 24049 of 86400
}

// Two limits on every request; the decision says which one binds.
func ExampleAll() {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	policies := []limit.Policy{
		{Name: "per second", Algorithm: limit.FixedWindow, Limit: 2, Window: time.Second},
		{Name: "per minute", Algorithm: limit.FixedWindow, Limit: 3, Window: time.Minute},
	}
	var each []limit.Limiter
	for _, p := range policies {
		l, err := p.New(start)
		if err != nil {
			panic(err)
		}
		each = append(each, l)
	}
	l := limit.All(each...)
	for _, s := range []int{0, 0, 0, 1, 1} {
		d := l.Take(start.Add(time.Duration(s)*time.Second), 1)
		fmt.Printf("%d s: allowed=%-5t retry=%-4v by %q\n", s, d.Allowed, d.RetryAfter, policies[d.Binding].Name)
	}
	// Output:
	// 0 s: allowed=true  retry=0s   by "per second"
	// 0 s: allowed=true  retry=0s   by "per second"
	// 0 s: allowed=false retry=1s   by "per second"
	// 1 s: allowed=true  retry=0s   by "per minute"
	// 1 s: allowed=false retry=59s  by "per minute"
}

// Azure API Management's rate-limit-by-key: two APIs, 3 and 5 calls, one
// counter-key. Calls that alternate are first refused at the 5th and the 8th.
func ExampleCounter() {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 3, Window: 10 * time.Second}
	q := p
	q.Limit = 5
	c, err := limit.NewCounter(start, p, q)
	if err != nil {
		panic(err)
	}
	for call := range 8 {
		if !c.Take(call%2, start, 1).Allowed {
			fmt.Println("refused: call", call+1)
		}
	}
	// Output:
	// refused: call 5
	// refused: call 7
	// refused: call 8
}

func ExampleParsePolicy() {
	p, err := limit.ParsePolicy(`"token endpoint" 120/s token-bucket warn 80%`)
	fmt.Println(p, err)
	_, err = limit.ParsePolicy("120/s burst many")
	fmt.Println(err)
	// Output:
	// "token endpoint" 120/1s token-bucket warn 80% <nil>
	// column 13: "many" is not a whole number
}

func ExampleReleaser() {
	l, err := limit.Policy{Algorithm: limit.Concurrency, Limit: 1}.New(time.Time{})
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println(l.Take(now, 1).Allowed, l.Take(now, 1).Allowed)
	l.(limit.Releaser).Release(now, 1)
	fmt.Println(l.Take(now, 1).Allowed)
	// Output:
	// true false
	// true
}
