package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestUnderWayIsNoReplica: a limit on what is under way lets the first of each wave
// pass, which have the first connections. That is no replica for each connection.
func TestUnderWayIsNoReplica(t *testing.T) {
	for _, c := range []struct {
		n       int64
		network time.Duration
	}{{3, 2}, {2, 4 * time.Millisecond}} { // in order, and not
		w := newWorld(limit.Policy{Algorithm: limit.Concurrency, Limit: c.n}, c.network, 3)
		w.hold = 300 * time.Millisecond
		v, err := New(w, w, Options{Seed: 1, MaxRequests: 300}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Family != Concurrency || v.Policies[0].Limit != c.n || v.Refused > 60 {
			t.Errorf("%d at once, network %v: found %v %v with %d requests, %d refused", c.n, c.network, v.Family, v.Policies, v.Requests, v.Refused)
		}
	}
}
