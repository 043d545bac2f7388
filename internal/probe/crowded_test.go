package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// crowdedBy is a probe that has seen four replicas in turn, and believes in one limit that
// leaves so much to chance, of which others use a share.
func crowdedBy(t *testing.T, cost, share float64) *Probe {
	t.Helper()
	pol := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: 6 * time.Second}
	w := &quick{newSeveral(pol, 4, 5, func(n, _ int) int { return n % 4 })}
	p := New(w, w, Options{Seed: 1})
	for _, s := range []step{{n: 1}, {idle: 1.3, n: 1}, {idle: 1.1, n: 1}, {idle: 0.9, n: 1}, {idle: 0.4, n: 60}, {idle: 2.4, n: 16}, {idle: 1.2, n: 16}, {idle: 1.1, n: 16}, {idle: 1, n: 20}, {idle: 3.5, n: 30}} {
		if _, err := p.wave(context.Background(), s.idle, s.n, ""); err != nil {
			t.Fatal(err)
		}
	}
	if p.v.Refused < 20 {
		t.Fatalf("%d refused: too few to tell replicas by", p.v.Refused)
	}
	q := &particle{hypothesis: hypothesis{family: FixedFirst, n: 48, w: 6}, cost: cost}
	q.them = stream{a: share * q.through(p.rtt()), b: 1}
	p.share, p.fitted = 0.2, true
	for _, h := range p.herds {
		h.best = []*particle{{hypothesis: hypothesis{family: h.family, n: 48, m: 1, w: 6}, cost: 500}}
	}
	p.herd(FixedFirst).best = []*particle{q}
	return p
}

// TestInstead: when a probe ends, replicas are the verdict that make the answers likelier
// than one limit of which others would use half; where others would use little of it they
// have to be much likelier.
func TestInstead(t *testing.T) {
	for _, c := range []struct {
		cost, share float64
		want        bool
	}{
		{40, 0.5, true}, {16, 0.5, true}, {40, 0.1, true}, {16, 0.1, false}, {8, 0.5, false},
	} {
		p := crowdedBy(t, c.cost, c.share)
		j, got := p.instead()
		if got != c.want {
			t.Errorf("others use %g of a limit that leaves %g: replicas instead: %v (%v costs %.1f, off %.1f)", c.share, c.cost, got, j.fleet, j.cost, j.off())
		}
		if got && (j.r != 4 || j.n != 12) {
			t.Errorf("others use %g of a limit that leaves %g: %v", c.share, c.cost, j.fleet)
		}
	}
	p := crowdedBy(t, 40, 0.5)
	p.share = 0
	if j, got := p.instead(); got {
		t.Errorf("nobody else uses it: %v", j.fleet)
	}
}

// TestAgain: where others would have to use much of a limit, a burst asks once more whether
// they are replicas, and not where they use little.
func TestAgain(t *testing.T) {
	for _, share := range []float64{0.5, 0.1} {
		p := crowdedBy(t, 2, share)
		p.v.Refused, p.askedReplicas, p.askedFleet = 100, true, 2
		before := len(p.sights)
		if _, err := p.unexplained(context.Background()); err != nil {
			t.Fatal(err)
		}
		if sent := len(p.sights) > before; sent != (share > tooMuch) {
			t.Errorf("others use %g: a burst was sent: %v", share, sent)
		}
	}
}
