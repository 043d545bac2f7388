package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// driven is a probe that has seen waves of the given sizes, some time apart, answered
// by replicas; route says which replica gets a request.
func driven(t *testing.T, pol limit.Policy, replicas int, route func(n, conn int) int, phases bool) *Probe {
	t.Helper()
	w := newSeveral(pol, replicas, 9, route)
	if phases {
		for i := range w.each {
			one := pol
			one.Phase = time.Duration(i) * pol.Window * 618 / 1000 % pol.Window
			l, err := one.New(w.now.Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			w.each[i] = l
		}
	}
	p := New(w, w, Options{Seed: 1})
	r := rand.New(rand.NewPCG(8, 8))
	for range 90 {
		idle, n := pol.Window.Seconds()/float64(pol.Limit)*r.Float64()*1.2, 1+r.IntN(8)
		if r.IntN(6) == 0 {
			n = 1
		}
		if _, err := p.wave(context.Background(), idle, n, "drive"); err != nil {
			t.Fatal(err)
		}
	}
	if p.v.Refused < 20 {
		t.Fatalf("only %d were refused", p.v.Refused)
	}
	return p
}

// TestJudge: the truth explains what was seen about as well as the truth would on
// average, and other numbers of replicas and other ways to reach them do not.
func TestJudge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	windows := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: 20 * time.Second}
	clock := limit.Policy{Algorithm: limit.FixedWindow, Limit: 9, Window: 15 * time.Second}
	bucket := limit.Policy{Limit: 1, Window: 4 * time.Second, Burst: 6}
	turn := func(n, _ int) int { return n % 4 }
	chance := func(int, int) int { return r.IntN(4) }
	cases := 0
	for _, c := range []struct {
		name   string
		pol    limit.Policy
		route  func(n, conn int) int
		phases bool
		truth  fleet
		by     float64 // by how much less likely the others are
	}{
		{"windows in turn", windows, turn, false, fleet{byTurn, FixedFirst, 4, 12, 20, false}, 3},
		{"windows of each one's clock in turn", clock, turn, true, fleet{byTurn, FixedClock, 4, 9, 15, false}, 3},
		{"buckets in turn", bucket, turn, false, fleet{byTurn, TokenBucket, 4, 6, 4, false}, 3},
		{"windows by chance", windows, chance, false, fleet{byChance, FixedFirst, 4, 12, 20, false}, 3},
		{"buckets by chance", bucket, chance, false, fleet{byChance, TokenBucket, 4, 6, 4, false}, 3},
		{"windows of one clock by chance", clock, chance, false, fleet{byChance, FixedClock, 4, 9, 15, true}, 1},
		{"windows of each one's clock by chance", clock, chance, true, fleet{byChance, FixedClock, 4, 9, 15, false}, 3},
	} {
		p := driven(t, c.pol, 4, c.route, c.phases)
		all := p.upTo(1e6)
		is := all.judge(c.truth, 150, 1e9)
		if is.off() > 3 {
			t.Errorf("%s: the truth costs %.1f, %.1f on average: %.1f off", c.name, is.cost, is.mean, is.off())
		}
		for _, other := range []fleet{
			{c.truth.way, c.truth.kind, 2, 2 * c.truth.n, boolTo(c.truth.kind == TokenBucket, c.truth.w/2), c.truth.same},
			{c.truth.way, c.truth.kind, 6, c.truth.n * 2 / 3, c.truth.w, c.truth.same},
			{c.truth.way, c.truth.kind, 4, c.truth.n * 3 / 2, c.truth.w, c.truth.same},
			{(c.truth.way + 1) % 2, c.truth.kind, 4, c.truth.n, c.truth.w, false},
		} {
			if other.w == 0 {
				other.w = c.truth.w
			}
			cases++
			if o := all.judge(other, 150, 1e9); o.cost < is.cost+c.by {
				t.Errorf("%s: %v costs %.1f, the truth %.1f", c.name, other, o.cost, is.cost)
			}
		}
	}
	if cases != 28 {
		t.Errorf("%d cases", cases)
	}
}

// TestParts: how many replicas there are is told by how many were admitted over each
// connection, when each of these is left out once it was refused.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	right, runs := 0, 60
	for range runs {
		replicas, each := 2+r.IntN(7), 20+r.IntN(180)
		conns := make([][]int, replicas)
		for c := range 64 {
			i := r.IntN(replicas)
			conns[i] = append(conns[i], c)
		}
		of, total := map[int]int{}, 0
		for _, mine := range conns {
			for k := 0; k < each && len(mine) > 0; k++ {
				of[mine[k%len(mine)]]++
				total++
			}
		}
		switch got, n := parts(of, total, each); {
		case got == replicas && n == each:
			right++
		case got != 0:
			t.Errorf("%d replicas of %d are taken for %d of %d", replicas, each, got, n)
		}
	}
	if right < runs*9/10 {
		t.Errorf("right in %d of %d", right, runs)
	}
}

// TestLeaks: what one bucket gives back after a burst is told from what replicas at
// random have left.
func TestLeaks(t *testing.T) {
	for _, c := range []struct {
		name     string
		pol      limit.Policy
		replicas int
		want     bool
	}{
		{"one bucket", limit.Policy{Limit: 40, Window: time.Second, Burst: 60}, 1, true},
		{"windows", limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 20, Window: time.Minute}, 3, false},
	} {
		r := rand.New(rand.NewPCG(6, 6))
		w := newSeveral(c.pol, c.replicas, 4, func(int, int) int { return r.IntN(c.replicas) })
		p := New(w, w, Options{Seed: 1})
		if err := p.ramp(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := false
		for i := 0; i < 6 && !got; i++ {
			if _, err := p.wave(context.Background(), 0, 5+2*(i%2), "on"); err != nil {
				t.Fatal(err)
			}
			got = p.leaks()
		}
		if got != c.want {
			t.Errorf("%s: one bucket explains it: %v", c.name, got)
		}
	}
}

// TestProved: buckets in turn are recognised, with their number and size.
func TestProved(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, c := range []struct {
		pol      limit.Policy
		replicas int
	}{
		{limit.Policy{Limit: 3, Window: time.Second, Burst: 17}, 8},
		{limit.Policy{Limit: 2, Window: time.Second, Burst: 60}, 5},
	} {
		w := &quick{newSeveral(c.pol, c.replicas, 5, func(n, _ int) int { return n % c.replicas })}
		v, err := New(w, w, Options{Seed: 3}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Family != Replicas || v.Replicas != c.replicas || v.Policies[0].Capacity() != c.pol.Capacity() {
			t.Errorf("%d × %v: found %v, %d × %v, with %d requests", c.replicas, c.pol, v.Family, v.Replicas, v.Policies, v.Requests)
		}
	}
}

// TestAlike: windows of one clock are said to be what replicas in turn would answer,
// and those from the first request are not, because that was asked.
func TestAlike(t *testing.T) {
	for _, c := range []struct {
		pol  limit.Policy
		want int
	}{
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 36, Window: 10 * time.Second}, 2},
		{limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 36, Window: 10 * time.Second}, 0},
	} {
		w := newWorld(c.pol, 4*time.Millisecond, 2)
		v, err := New(w, w, Options{Seed: 1}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Family == Replicas || v.Alike != c.want {
			t.Errorf("%v: found %v, %d replicas would answer alike, want %d", c.pol, v.Family, v.Alike, c.want)
		}
	}
}

// quick is replicas whose balancer gets the requests of a wave one right after the other.
type quick struct{ *several }

func (q *quick) Send(ctx context.Context, at []time.Duration) ([]Answer, error) {
	out := make([]Answer, len(at))
	start := q.now
	for i, d := range at {
		out[i].Sent, out[i].Conn = start.Add(d), 1+i%50
		came := out[i].Sent.Add(2*time.Millisecond + time.Duration(i)*20*time.Microsecond)
		if !q.each[q.route(q.n, i%50)].Take(came, 1).Allowed {
			out[i].Outcome = Refused
		}
		q.n++
		out[i].Done = came.Add(time.Duration(2+4*q.rng.Float64()) * time.Millisecond)
		if out[i].Done.After(q.now) {
			q.now = out[i].Done
		}
	}
	return out, ctx.Err()
}

// TestCrowdIn: where the one with the fewest under way gets the next, replicas that refuse
// are free at once, and draw the requests away from one that still admits.
func TestCrowdIn(t *testing.T) {
	seen := &evidence{sights: []sight{
		{s: 0, last: 0, d: 0.01, a: 1},
		{s: 0.5, last: 0.51, d: 0.55, a: 296},
		{s: 0.6, last: 0.6, d: 0.62, r: 3},
		{s: 5.1, last: 5.1, d: 5.13, a: 9, r: 65},
	}}
	f := fleet{byLoad, FixedFirst, 3, 99, 5, false}
	if j := seen.judge(f, 60, math.Inf(1)); j.off() > 2.5 {
		t.Errorf("%v: cost %.1f, %.1f on average", f, j.cost, j.mean)
	}
	if f.way = byTurn; seen.judge(f, 60, math.Inf(1)).off() < 2.5 {
		t.Errorf("strict turns explain that 9 of 74 are admitted, of which 25 have an open one's turn")
	}
}

// TestSuppositions: what two limits are taken for, which explain everything, does not
// crowd out the bucket that explains it nearly.
func TestSuppositions(t *testing.T) {
	p := New(nil, nil, Options{})
	p.sights = []sight{{a: 130}, {a: 2, r: 9}}
	for i := range 9 {
		q := &particle{hypothesis: hypothesis{family: Stacked, kind: SlidingLog, n: 60 + 10*float64(i), w: float64(i + 1)}}
		p.herds = append(p.herds, &herd{family: Stacked, kind: SlidingLog, best: []*particle{q}})
	}
	p.herd(TokenBucket).best = []*particle{{hypothesis: hypothesis{family: TokenBucket, n: 114, w: 0.0629}, cost: 1.6}}
	for _, s := range p.suppositions() {
		if s.kind == TokenBucket && s.total == 114 {
			return
		}
	}
	t.Error("a bucket of 114 is not among them")
}
