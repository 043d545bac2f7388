package guard_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// TestReloadUnderWay reloads again and again while 32 clients ask: other names,
// another order, more policies and fewer. What was counted stays counted, so as
// many pass as without; a slot taken before a reload is given back after it.
func TestReloadUnderWay(t *testing.T) {
	const most = 500
	file := func(n int) *policy.File {
		count := policy.Policy{ID: "count", Policy: window(fmt.Sprint("count ", n), most)}
		slots := policy.Policy{ID: "slots", Policy: limit.Policy{Name: "slots", Algorithm: limit.Concurrency, Limit: 8}}
		other := policy.Policy{ID: fmt.Sprint("other ", n), Policy: window("", 1<<40), CountIf: response200}
		switch n % 3 {
		case 0:
			return &policy.File{Policies: []policy.Policy{count, slots}}
		case 1:
			return &policy.File{Policies: []policy.Policy{other, slots, count}}
		}
		return &policy.File{Policies: []policy.Policy{slots, other, count}}
	}
	c := &clock{at: origin}
	g, err := guard.New(file(0), guard.Options{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	var passed, busy atomic.Int64
	var clients, reloads sync.WaitGroup
	stop := make(chan struct{})
	reloads.Go(func() {
		for n := 1; n < 300; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := g.Replace(file(n)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 32 {
		clients.Go(func() {
			s := &expr.Subject{Method: "GET", Path: "/"}
			for range 300 {
				v := g.Check(context.Background(), s)
				switch {
				case v.Allowed:
					passed.Add(1)
				case v.Refused.Policy.ID == "slots":
					busy.Add(1)
				}
				v.Done(ok)
			}
		})
	}
	clients.Wait()
	close(stop)
	reloads.Wait()
	// Some were refused for want of a slot; now there are slots for the rest.
	for range most {
		v := g.Check(context.Background(), get("/", ""))
		if v.Allowed {
			passed.Add(1)
		}
		v.Done(ok)
	}
	if passed.Load() != most {
		t.Errorf("%d passed, want %d; %d found no slot", passed.Load(), most, busy.Load())
	}
	var held []*guard.Verdict
	if err := g.Replace(&policy.File{Policies: []policy.Policy{{ID: "slots", Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 8}}}}); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if v := g.Check(context.Background(), get("/", "")); v.Allowed {
			held = append(held, v)
		}
	}
	if len(held) != 8 {
		t.Errorf("%d slots are free when nobody is there, want 8", len(held))
	}
}
