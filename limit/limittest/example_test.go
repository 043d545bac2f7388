package limittest_test

import (
	"fmt"

	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// naive is somebody's limiter: it admits three requests and forgets to refill.
type naive struct{ taken int64 }

func (n *naive) Take(r limittest.Request) (limittest.Answer, error) {
	if n.taken+r.Cost > 3 {
		return limittest.Answer{}, nil
	}
	n.taken += r.Cost
	return limittest.Answer{Decision: limit.Decision{Allowed: true, Remaining: 3 - n.taken}, Says: limittest.SaysRemaining}, nil
}

// A script against a limiter that says no more than whether a request is
// allowed, and what remains.
func ExampleScript() {
	script, err := limittest.Parse("three.limit", `
policy 10/1s burst 3 token-bucket
at 0s    take 3    allow remaining=0
at 0s    take 1    deny  retry=100ms
at 0.1s  take 1    allow remaining=0
`)
	if err != nil {
		panic(err)
	}
	compared, err := script.Play(func(limittest.Setup) (limittest.Subject, error) { return &naive{}, nil })
	fmt.Println(compared)
	fmt.Println(err)
	// Output:
	// 3
	// three.limit:5: at 0.1s  take 1    allow remaining=0: denied, want allowed
}
