package pace

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// dues returns the first arrivals of p, at most most of them.
func dues(p Pacer, most int64) []time.Duration {
	var all []time.Duration
	for n := range most {
		at, ok := p.Due(n)
		if !ok {
			break
		}
		all = append(all, at)
	}
	return all
}

func mustRate(t testing.TB, s string) Rate {
	t.Helper()
	r, err := ParseRate(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConstantTotals(t *testing.T) {
	cases := []struct {
		rate string
		d    time.Duration
		want int64
	}{
		{"1/s", 5 * time.Second, 5},
		{"7/s", time.Hour, 25_200},
		{"0.5/s", time.Minute, 30},
		{"1/min", 10 * time.Minute, 10},
		{"1000/h", day, 24_000},
		{"33,333/s", time.Minute, 1_999_980},
		{"1/3s", time.Hour, 1200},
		{"100/100ms", time.Minute, 60_000},
		{"1000/s", time.Minute, 60_000},
		{"1000000/s", 365 * day, 31_536_000_000_000},
		{"1/s", 1500 * time.Millisecond, 2}, // half rounds up
		{"1/s", 1499 * time.Millisecond, 1},
		{"1/s", 499 * time.Millisecond, 0},
		{"0/s", time.Hour, 0},
		{"1/s", 0, math.MaxInt64}, // no end
		{"1/s", -1, math.MaxInt64},
	}
	for _, c := range cases {
		p := Constant(mustRate(t, c.rate), c.d)
		if got := Count(p); got != c.want {
			t.Errorf("Constant(%s, %v) has %d arrivals, want %d", c.rate, c.d, got, c.want)
		}
		if at, ok := p.Due(c.want - 1); c.want > 0 && c.d > 0 && (!ok || at >= c.d) {
			t.Errorf("Constant(%s, %v): the last arrival is at %v, %v", c.rate, c.d, at, ok)
		}
	}
	if len(cases) != 16 {
		t.Fatalf("%d cases, want 16", len(cases))
	}
}

func TestConstantInstants(t *testing.T) {
	sec := time.Second
	if got, want := dues(Constant(Rate{1, sec}, 5*sec), 9), []time.Duration{0, sec, 2 * sec, 3 * sec, 4 * sec}; !slices.Equal(got, want) {
		t.Errorf("1/s for 5s: %v, want %v", got, want)
	}
	if got, want := dues(Constant(Rate{3, sec}, sec), 9), []time.Duration{0, 333_333_333, 666_666_666}; !slices.Equal(got, want) {
		t.Errorf("3/s for 1s: %v, want %v", got, want)
	}
	// Not a nanosecond is lost over a year of thirds.
	if at, ok := Constant(Rate{3, sec}, 0).Due(3 * 365 * 86400); at != 365*day || !ok {
		t.Errorf("3/s after a year: %v, %v, want %v", at, ok, 365*day)
	}
	for _, p := range []Pacer{Constant(Rate{1, sec}, 0), Constant(Rate{1, math.MaxInt64}, 0)} {
		if at, ok := p.Due(math.MaxInt64); at != math.MaxInt64 || !ok {
			t.Errorf("without end, Due(2^63-1) = %v, %v, want the longest duration", at, ok)
		}
	}
	if _, ok := Constant(Rate{1, sec}, 0).Due(-1); ok {
		t.Error("arrival -1 is due")
	}
}

func TestShardsAreTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := stages().Draw(t, "stages").Pacer()
		shards := rapid.IntRange(1, 7).Draw(t, "shards")
		var sum int64
		for k := range shards {
			s := Shard(p, k, shards)
			count := Count(s)
			sum += count
			for _, n := range []int64{0, count / 2, count - 1} {
				got, ok := s.Due(n)
				want, wantOK := p.Due(n*int64(shards) + int64(k))
				if n >= 0 && (got != want || ok != wantOK) {
					t.Fatalf("shard %d of %d: Due(%d) = %v, %v, want %v, %v", k, shards, n, got, ok, want, wantOK)
				}
			}
		}
		if sum != Count(p) {
			t.Fatalf("%d shards have %d arrivals together, want %d", shards, sum, Count(p))
		}
	})
	endless := Constant(Rate{1, 1}, 0)
	for _, s := range []Pacer{Shard(endless, -1, 2), Shard(endless, 2, 2), Shard(endless, 0, 0), Shard(endless, 0, -1)} {
		if n := Count(s); n != 0 {
			t.Errorf("a shard that does not exist has %d arrivals", n)
		}
	}
	for _, n := range []int64{-1, math.MaxInt64, math.MaxInt64 / 3} {
		if at, ok := Shard(endless, 2, 3).Due(n); ok {
			t.Errorf("Shard(…, 2, 3).Due(%d) = %v", n, at)
		}
	}
}

// Run with -race, this shows that Due changes nothing.
func TestConcurrentUse(t *testing.T) {
	s := Stages{{Rate{}, Rate{200, time.Second}, 30 * time.Second}}
	for _, p := range []Pacer{s.Pacer(), Constant(Rate{100, time.Second}, 0), Poisson(s.Pacer(), 3), Shard(s.Pacer(), 0, 2)} {
		want := dues(p, 1000)
		got := make(chan []time.Duration)
		for range 4 {
			go func() { got <- dues(p, 1000) }()
		}
		for range 4 {
			if g := <-got; !slices.Equal(g, want) {
				t.Errorf("%T: a goroutine sees another schedule", p)
			}
		}
	}
}

func TestCountBefore(t *testing.T) {
	p := Constant(Rate{10, time.Second}, 2*time.Second)
	cases := []struct {
		t    time.Duration
		want int64
	}{{-1, 0}, {0, 0}, {1, 1}, {100 * time.Millisecond, 1}, {100*time.Millisecond + 1, 2}, {time.Second, 10}, {time.Hour, 20}}
	for _, c := range cases {
		if got := CountBefore(p, c.t); got != c.want {
			t.Errorf("CountBefore(10/s for 2s, %v) = %d, want %d", c.t, got, c.want)
		}
	}
	if len(cases) != 7 {
		t.Fatalf("%d cases, want 7", len(cases))
	}
	for per, want := range map[time.Duration]int64{1: math.MaxInt64, 2: 1 << 62, 4: 1 << 61} {
		if got := CountBefore(Constant(Rate{1, per}, 0), math.MaxInt64); got != want {
			t.Errorf("one in %d ns for 292 years: %d arrivals, want %d", per, got, want)
		}
	}
	if got := Count(Schedule(make([]time.Duration, 1000))); got != 1000 {
		t.Errorf("Count of 1000 instants = %d", got)
	}
}

func TestAllocations(t *testing.T) {
	s, err := ParseStages("0..200/s:30s,200/s:1m,200/s..0.5/s:10s,0/s:5s,1000/h:1h")
	if err != nil {
		t.Fatal(err)
	}
	level, err := ParseLevel("0..300:30s,300:1m,..0:10s")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	cases := map[string]Pacer{
		"Constant": Constant(Rate{33_333, time.Second}, time.Hour),
		"Stages":   s.Pacer(),
		"Poisson":  Poisson(s.Pacer(), 1),
		"Burst":    Burst(10, time.Second, Phase{}, 0),
		"Schedule": Schedule([]time.Duration{1, 2, 3}),
		"Shard":    Shard(s.Pacer(), 1, 3),
	}
	for name, p := range cases {
		if a := testing.AllocsPerRun(200, func() { p.Due(n % 15_000); n += 977 }); a != 0 {
			t.Errorf("%s: Due allocates %v times, want 0", name, a)
		}
	}
	if a := testing.AllocsPerRun(200, func() { level.At(time.Duration(n)); level.Next(time.Duration(n)); n += 977e6 }); a != 0 {
		t.Errorf("At and Next allocate %v times, want 0", a)
	}
}

func BenchmarkDue(b *testing.B) {
	s, err := ParseStages("0..200/s:30s,200/s:1m,200/s..0/s:10s")
	if err != nil {
		b.Fatal(err)
	}
	year := Stages{{Rate{}, Rate{1e6, time.Second}, 365 * day}}
	for _, c := range []struct {
		name string
		p    Pacer
		n    int64
	}{
		{"Constant", Constant(Rate{33_333, time.Second}, time.Hour), 1e6},
		{"Stages", s.Pacer(), 16_000},
		{"StagesUp", s[:1].Pacer(), 3000},
		{"StagesFlat", s[1:2].Pacer(), 12_000},
		{"StagesDown", s[2:].Pacer(), 1000},
		{"StagesYear", year.Pacer(), 15e12},
		{"Poisson", Poisson(Constant(Rate{33_333, time.Second}, time.Hour), 1), 1e6},
		{"Burst", Burst(100, time.Second, Phase{}, 0), 1e6},
	} {
		b.Run(c.name, func(b *testing.B) {
			var n int64
			for b.Loop() {
				c.p.Due(n)
				if n += 7919; n >= c.n {
					n %= c.n
				}
			}
		})
	}
}
