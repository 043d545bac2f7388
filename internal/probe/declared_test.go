package probe

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestDeclared: what is found is said as a policy, which can be read again.
func TestDeclared(t *testing.T) {
	t.Parallel()
	first := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 5, Window: 4 * time.Second}
	denied, log := first, limit.Policy{Algorithm: limit.SlidingLog, Limit: 3, Window: time.Second}
	denied.CountDenied = true
	cases := []struct {
		found Found
		want  string
	}{
		{Found{Family: FixedFirst, Policies: []limit.Policy{first}}, "5/4s fixed-window align first-request"},
		{Found{Family: FixedFirst, Policies: []limit.Policy{first}, Anew: true}, "5/4s fixed-window align last-request"},
		{Found{Family: FixedFirst, Policies: []limit.Policy{denied}, Anew: true}, "5/4s fixed-window align last-request count-denied"},
		{Found{Family: Ban, Policies: []limit.Policy{first}, Ban: 9 * time.Second}, "5/4s fixed-window align first-request ban 9s"},
		{Found{Family: Ban, Policies: []limit.Policy{log}, Ban: 9 * time.Second, Anew: true}, "3/1s sliding-log ban 9s count-denied"},
		{Found{Family: Ban, Policies: []limit.Policy{first}, Ban: 3 * time.Second}, "5/4s fixed-window align first-request"}, // too short to be said
		{Found{Family: RefillBucket, Policies: []limit.Policy{{Algorithm: limit.RefillBucket, Limit: 1, Window: time.Second, Burst: 3}}, Anew: true}, "1/1s burst 3 refill-bucket"},
	}
	for _, c := range cases {
		got := c.found.Declared()
		if len(got) != 1 || got[0].String() != c.want {
			t.Errorf("%v: %v, want %s", c.found, got, c.want)
			continue
		}
		if again, err := limit.ParsePolicy(c.want); err != nil || again != got[0] {
			t.Errorf("%s reads as %v, %v", c.want, again, err)
		}
	}
	if none := (&Found{}).Declared(); len(none) != 0 {
		t.Errorf("of no limit: %v", none)
	}
}
