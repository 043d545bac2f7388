package pace

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDelay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{N: rapid.Int64Range(1, 1000).Draw(t, "n"), Per: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "per"))}
		by := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "by"))
		p := Constant(r, time.Minute)
		late := Delay(p, by)
		for n := range int64(20) {
			a, ok := p.Due(n)
			b, ok2 := late.Due(n)
			if ok != ok2 || ok && b != a+by {
				t.Fatalf("arrival %d of %v is due at %v (%v), %v later at %v (%v)", n, r, a, ok, by, b, ok2)
			}
		}
	})
	l, err := ParseLevel("0..3:3s,5:2s")
	if err != nil {
		t.Fatal(err)
	}
	late := l.Delay(10 * time.Second)
	for at := -time.Second; at < 20*time.Second; at += 250 * time.Millisecond {
		want := 0
		if at >= 10*time.Second {
			want = l.At(at - 10*time.Second)
		}
		if got := late.At(at); got != want {
			t.Errorf("%d users at %v, want %d", got, at, want)
		}
	}
	if late.Length() != 15*time.Second || late.Max() != 5 || late.String() != "0:10s,0..3:3s,5:2s" {
		t.Errorf("the later level is %s, at most %d, until %v", late, late.Max(), late.Length())
	}
	if s := Users(10, Rate{5, time.Second}).Delay(15 * time.Second).String(); s != "10 users, 5/s, from 15s" {
		t.Errorf("users from 15 s are %q", s)
	}
	if at, ok := Delay(Constant(Rate{1, math.MaxInt64}, 0), 10).Due(1); !ok || at != math.MaxInt64 {
		t.Errorf("an arrival at the end of time moved to %v", at)
	}
}

// TestTurn holds a turned schedule against counting: at any instant it has called
// for what was planned until the turn, and the share of the rest.
func TestTurn(t *testing.T) {
	stages, err := ParseStages("0..50/s:10s,50/s:10s,50..5/s:20s")
	if err != nil {
		t.Fatal(err)
	}
	bases := map[string]Pacer{"constant": Constant(Rate{7, time.Second}, 30*time.Second), "stages": stages.Pacer(),
		"delayed": Delay(stages.Pacer(), 3*time.Second), "poisson": Poisson(Constant(Rate{20, time.Second}, 30*time.Second), 3)}
	for name, base := range bases {
		rapid.Check(t, func(t *rapid.T) {
			p := base
			planned := func(at time.Duration) float64 { return float64(CountBefore(base, at)) }
			called, last, share := 0.0, time.Duration(0), 1.0
			for range rapid.IntRange(1, 5).Draw(t, "turns") {
				n := CountBefore(p, last) + rapid.Int64Range(0, 60).Draw(t, "after")
				at, ok := p.Due(n)
				if !ok {
					break
				}
				called += (planned(at) - planned(last)) * share
				percent := rapid.Int64Range(1, 40).Draw(t, "tenths") * 10
				p, last, share = Turn(p, n, percent), at, float64(percent)/100
				if again, ok := p.Due(n); !ok || again != at {
					t.Fatalf("%s: arrival %d, where it turned, moved from %v to %v", name, n, at, again)
				}
			}
			before := time.Duration(-1)
			for n := int64(0); ; n++ {
				at, ok := p.Due(n)
				if !ok {
					break
				}
				if at < before {
					t.Fatalf("%s: arrival %d is due at %v, before the one before it at %v", name, n, at, before)
				}
				before = at
			}
			for at := last; at < 45*time.Second; at += 700 * time.Millisecond {
				want := called + (planned(at)-planned(last))*share
				if got := float64(CountBefore(p, at)); math.Abs(got-want) > 2+7*max(share, 1) {
					t.Fatalf("%s: %v arrivals before %v, want about %.1f", name, got, at, want)
				}
			}
		})
	}
	if len(bases) < 4 {
		t.Fatal("too few schedules")
	}
	// Exactly twice the rate, from the fourth arrival on.
	p := Turn(Constant(Rate{1, time.Second}, 10*time.Second), 3, 200)
	for n, want := range []time.Duration{0, 1000, 2000, 3000, 3500, 4000, 4500, 5000, 5500, 6000, 6500, 7000, 7500, 8000, 8500, 9000, 9500} {
		if at, ok := p.Due(int64(n)); !ok || at != want*time.Millisecond {
			t.Errorf("arrival %d is due at %v (%v), want %v", n, at, ok, want*time.Millisecond)
		}
	}
	if _, ok := p.Due(17); ok {
		t.Error("the schedule goes on after its end")
	}
}

func users(n int, spawn int64) Point {
	p := Point{Users: n}
	if spawn > 0 {
		p.Spawn = Rate{spawn, time.Second}
	}
	return p
}

// TestDrawLevel holds the level of a shape against walking through it.
func TestDrawLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point {
			return users(rapid.IntRange(0, 30).Draw(t, "users"), rapid.Int64Range(0, 9).Draw(t, "spawn"))
		}), 1, 12).Draw(t, "points")
		points[0].Users++
		d, err := Draw(func(at time.Duration) (Point, bool, error) {
			if i := int(at / time.Second); i < len(points) {
				return points[i], true, nil
			}
			return Point{}, false, nil
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Duration(len(points)) * time.Second; d.Length != want || d.Level.Length() != want || d.Open {
			t.Fatalf("the shape takes %v, want %v", d.Length, want)
		}
		// The slow twin: one user at once and then one each 1/spawn, as long as the
		// shape asks for the same.
		now, since, from := 0, time.Duration(0), 0
		for i, p := range points {
			at := time.Duration(i) * time.Second
			if i == 0 || p != points[i-1] {
				since, from = at, now
			}
			for part := time.Duration(0); part < time.Second; part += 50 * time.Millisecond {
				now = p.Users
				if !p.Spawn.IsZero() {
					steps := 1 + int((at+part-since+1)*time.Duration(p.Spawn.N)/time.Second)
					if p.Users > from {
						now = min(p.Users, from+steps)
					} else {
						now = max(p.Users, from-steps)
					}
				}
				if got := d.Level.At(at + part); got != now && absInt(got-now) > 1 {
					t.Fatalf("%d users at %v, want %d (%+v)", got, at+part, now, points)
				}
			}
			now = d.Level.At(at + time.Second - 1)
		}
		// Next visits every change.
		last := d.Level.At(0)
		for at, ok := d.Level.Next(0); ok; at, ok = d.Level.Next(at) {
			if d.Level.At(at) == last || d.Level.At(at-1) != last {
				t.Fatalf("no change at %v, or one before it", at)
			}
			last = d.Level.At(at)
		}
	})
}

func absInt(n int) int { return max(n, -n) }

func TestDrawRatesAndErrors(t *testing.T) {
	rate := func(n int64) Point { return Point{Open: true, Rate: Rate{n, time.Second}} }
	d, err := Draw(func(at time.Duration) (Point, bool, error) {
		return rate(int64(at/time.Second) / 2 * 10), at < 5*time.Second, nil
	}, 0)
	if err != nil || !d.Open || d.Stages.String() != "0/s:2s,10/s:2s,20/s:1s" || Count(d.Stages.Pacer()) != 40 {
		t.Errorf("rates drew as %v, %v", d, err)
	}
	d, err = Draw(func(time.Duration) (Point, bool, error) { return rate(10), true, nil }, 2500*time.Millisecond)
	if err != nil || d.Length != 2500*time.Millisecond || Count(d.Stages.Pacer()) != 25 {
		t.Errorf("a shape cut at 2.5 s drew as %v, %v", d, err)
	}
	cases := map[string]Shape{
		"ends before it begins": func(time.Duration) (Point, bool, error) { return Point{}, false, nil },
		"does not end":          func(time.Duration) (Point, bool, error) { return users(1, 0), true, nil },
		"at 3s: no": func(at time.Duration) (Point, bool, error) {
			return users(1, 0), true, map[bool]error{true: errors.New("no")}[at == 3*time.Second]
		},
		"keep to one":         func(at time.Duration) (Point, bool, error) { return Point{Users: 1, Open: at > 0}, true, nil },
		"-1 users":            func(time.Duration) (Point, bool, error) { return users(-1, 0), true, nil },
		"never has any users": func(at time.Duration) (Point, bool, error) { return users(0, 0), at < time.Second, nil },
	}
	for want, shape := range cases {
		if _, err := Draw(shape, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
	if len(cases) < 6 {
		t.Fatal("too few cases")
	}
}

func TestParseProfile(t *testing.T) {
	good := map[string]Profile{
		"users=10":                                     {Users: 10},
		" Admin : users=10, start = 15s, for=1m":       {Name: "Admin", Users: 10, Start: "15s", RunTime: "1m"},
		"rate=1000/h,classes=Clerk,Admin":              {Rate: "1000/h", Classes: []string{"Clerk", "Admin"}},
		"ramp: stages=0..300:30s,300:1m,start=5s":      {Name: "ramp", Stages: "0..300:30s,300:1m", Start: "5s"},
		"users=10,spawn_rate=5,run-time=20,requests=7": {Users: 10, SpawnRate: "5", RunTime: "20", Requests: 7},
		"rate=5/s,max-users=30":                        {Rate: "5/s", MaxUsers: 30},
	}
	for text, want := range good {
		got, err := ParseProfile(text)
		if err != nil || got.Name != want.Name || strings.Join(got.Classes, "|") != strings.Join(want.Classes, "|") || got.Users != want.Users ||
			got.SpawnRate != want.SpawnRate || got.Rate != want.Rate || got.Stages != want.Stages || got.Start != want.Start ||
			got.RunTime != want.RunTime || got.MaxUsers != want.MaxUsers || got.Requests != want.Requests {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	bad := map[string]string{
		"":                    "column 1: want one of",
		"Admin":               "column 6: want one of",
		": users=1":           "column 1: a name is missing",
		"usres=1":             `column 1: "usres" is nothing`,
		"users=":              "column 7: users has no value",
		"users=0":             "column 7: users: want a whole number",
		"users=1,users=2":     "column 9: users is given twice",
		"rate=5":              "column 6: rate: ",
		"users=3,rate=5/s":    "keep one",
		"rate=5/s,spawn=3":    "belongs to users",
		"users=3,for=0":       "no time at all",
		"users=3,start=soon":  "column 15: start: ",
		"users=3,max-users=4": "max_users bounds",
		"stages=0..3":         "how long does this stage last",
		"users=3,":            "column 9: want one of",
	}
	for text, want := range bad {
		_, err := ParseProfile(text)
		var pe *ParseError
		if !errors.As(err, &pe) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: err = %v, want %q", text, err, want)
		}
	}
	if len(good) < 6 || len(bad) < 15 {
		t.Fatal("too few cases")
	}
}

func FuzzParseProfile(f *testing.F) {
	for _, s := range []string{"users=10", "A: rate=5/s, start=3", "x:stages=0..3:3s,..5:1s,for=2s", ",", "a=,b=", "é: classes=ü,ö"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseProfile(s)
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Column < 1 || pe.Column > len([]rune(s))+1 {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if err := p.Check(); err != nil {
			t.Fatalf("%q was read and is wrong: %v", s, err)
		}
	})
}
