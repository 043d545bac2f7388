package verify_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/internal/verify/verifytest"
)

// ending is a world in which somebody presses Ctrl-C at a request.
type ending struct {
	*verifytest.Server
	left int
	stop context.CancelFunc
}

func (e *ending) Send(ctx context.Context, c *verify.Call, n int) []verify.Answer {
	if e.left--; e.left == 0 {
		e.stop()
	}
	return e.Server.Send(context.Background(), c, n)
}

// TestInterrupted: what was made until then is kept, and what was not is named.
func TestInterrupted(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: sliding-log, limit: 5, window: 3s}]")
	plan, err := verify.NewPlan(f, verify.PlanOptions{Trip: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	first := len(plan.Experiments[0].Steps)
	for _, at := range []int{2, first, first + 2} {
		s, err := verifytest.New(f, verifytest.Network{Low: time.Millisecond, High: 2 * time.Millisecond}, 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		rec := verify.Run(ctx, plan, &ending{s, at, stop}, verify.RunOptions{})
		stop()
		var left []string
		for _, l := range rec.LeftOut {
			left = append(left, l.Name)
		}
		var want []string
		for i, e := range plan.Experiments {
			if i > 0 && (i > 1 || at <= first) {
				want = append(want, e.Name)
			}
		}
		if !rec.Interrupted() || len(rec.Waves) != at || !slices.Equal(left, want) {
			t.Errorf("at request %d: interrupted %v, %d waves, left out %q, want %q", at, rec.Interrupted(), len(rec.Waves), left, want)
		}
	}
}
