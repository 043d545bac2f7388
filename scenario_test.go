package weir

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

const second = time.Second

// mixed is a scenario that uses weights, waits, sets and a fixed count, with
// what mixedStar says in Starlark.
func mixed(fixed int) []Declaration {
	get := func(path string) func(*User) error { return func(u *User) error { u.Get(path); return nil } }
	leave := func(*User) error { return ErrInterrupt }
	browsing := &TaskSet[User]{Name: "browsing", Wait: Between(second, 3*second), OnStart: get("/in"), OnStop: get("/out"),
		Tasks: []Task[User]{
			{Name: "search", Do: get("/search"), Weight: 5}, {Name: "product", Do: get("/product"), Weight: 10}, {Name: "leave", Do: leave},
		}}
	buying := &TaskSet[User]{Name: "buying", InOrder: true, Tasks: []Task[User]{
		{Name: "cart", Do: func(u *User) error { u.Post("/cart", JSON(map[string]int{"n": u.Rand().IntN(100)})); return nil }},
		{Name: "pay", Do: func(u *User) error { u.Post("/pay"); return ErrInterrupt }},
	}}
	return []Declaration{
		Class[User]{Name: "Visitor", Host: "http://a.test/", Weight: 8, Wait: Between(2*second, 5*second), OnStart: get("/login"), Tasks: []Task[User]{
			{Name: "index", Do: get("/"), Weight: 3}, {Set: browsing, Weight: 6}, {Set: buying},
		}},
		Class[User]{Name: "Heavy", Host: "http://b.test", Weight: 2, Wait: ConstantThroughput(0.5), Tasks: []Task[User]{{Name: "work", Do: get("work")}}},
		Class[User]{Name: "Monitor", Host: "http://c.test", FixedCount: fixed, Wait: ConstantPacing(10 * second), Tasks: []Task[User]{{Name: "look", Do: get("/look")}}},
	}
}

const mixedStar = `
def get(path):
    def task(user):
        user.get(path)
    return task
def leave(user):
    user.interrupt()
def cart(user):
    user.post("/cart", json = {"n": random.randint(0, 99)})
def pay(user):
    user.post("/pay")
    user.interrupt()
browsing = TaskSet(name = "browsing", wait_time = between(1, 3), on_start = get("/in"), on_stop = get("/out"),
    tasks = [task(get("/search"), weight = 5), task(get("/product"), weight = 10), leave])
buying = SequentialTaskSet(name = "buying", tasks = [cart, pay])
Visitor = HttpUser(host = "http://a.test/", weight = 8, wait_time = between(2, 5), on_start = get("/login"),
    tasks = [task(get("/"), weight = 3), task(browsing, weight = 6), buying])
Heavy = HttpUser(host = "http://b.test", weight = 2, wait_time = constant_throughput(0.5), tasks = [get("work")])
Monitor = HttpUser(host = "http://c.test", FIXEDwait_time = constant_pacing(10), tasks = [get("/look")])
`

// TestSameLoadAsStarlark holds that a scenario in Go and the same one in
// Starlark send the same requests, of the same users, at the same instants.
func TestSameLoadAsStarlark(t *testing.T) {
	// Nothing is due at the very end, where it may be sent or not.
	closed := virtual{users: 60, runTime: 5*time.Minute + time.Second, delay: 30 * time.Millisecond}
	rate, err := pace.ParseRate("7/s")
	if err != nil {
		t.Fatal(err)
	}
	open := virtual{users: 1, runTime: time.Minute, delay: 30 * time.Millisecond, arrivals: pace.Constant(rate, time.Minute)}
	for name, c := range map[string]struct {
		v     virtual
		fixed int
		star  string
	}{
		"users":    {closed, 3, "fixed_count = 3, "},
		"arrivals": {open, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.v.goes(t, mixed(c.fixed)...)
			b := c.v.starlark(t, strings.Replace(mixedStar, "FIXED", c.star, 1))
			if len(a) < 400 || len(a) != len(b) {
				t.Fatalf("%d requests in Go, %d in Starlark", len(a), len(b))
			}
			slices.SortStableFunc(a, func(x, y sent) int { return x.user - y.user })
			slices.SortStableFunc(b, func(x, y sent) int { return x.user - y.user })
			for i := range a {
				if a[i] != b[i] {
					t.Fatalf("request %d: Go sent %+v, Starlark %+v", i, a[i], b[i])
				}
			}
		})
	}
}

// TestThinkTimesAndWeights is a statistical test with a fixed seed.
func TestThinkTimesAndWeights(t *testing.T) {
	get := func(u *User) error { u.Get("/"); return nil }
	tasks := []Task[User]{{Name: "get", Do: get}}
	log := virtual{users: 1000, runTime: time.Minute}.goes(t,
		Class[User]{Name: "A", Host: "http://a.test", Weight: 8, Wait: Between(2*second, 5*second), Tasks: tasks},
		Class[User]{Name: "B", Host: "http://b.test", Weight: 2, Wait: Between(2*second, 5*second), Tasks: tasks},
	)
	last := map[int]time.Duration{}
	hosts := map[int]string{}
	var waits []float64
	count := map[int]int{}
	for _, s := range log {
		if at, ok := last[s.user]; ok && count[s.user] < 11 { // 11 waits of at most 5 s end before the run does
			count[s.user]++
			waits = append(waits, (s.at - at).Seconds())
		}
		last[s.user], hosts[s.user] = s.at, s.line
	}
	a := 0
	for _, line := range hosts {
		if strings.HasPrefix(line, "GET http://a.test/") {
			a++
		}
	}
	if a != 800 || len(hosts) != 1000 {
		t.Errorf("%d of %d users are of class A, want 800 of 1000", a, len(hosts))
	}
	// Kolmogorov and Smirnov against the uniform distribution. Waits that would
	// end after the run are missing, so only the first of each user count.
	if len(waits) < 10_000 {
		t.Fatalf("only %d waits", len(waits))
	}
	slices.Sort(waits)
	worst := 0.0
	for i, w := range waits {
		if w < 2 || w > 5 {
			t.Fatalf("a wait of %v s, want from 2 to 5 s", w)
		}
		worst = max(worst, math.Abs((w-2)/3-float64(i)/float64(len(waits))))
	}
	if bound := 1.95 / math.Sqrt(float64(len(waits))); worst > bound { // one in a thousand
		t.Errorf("the waits are off by %.4f from an even distribution, want below %.4f", worst, bound)
	}
}

func TestPacing(t *testing.T) {
	tasks := []Task[User]{{Name: "get", Do: func(u *User) error { u.Get("/"); return nil }}}
	for _, w := range []Wait{ConstantPacing(4 * second), ConstantThroughput(0.25)} {
		log := virtual{users: 3, runTime: time.Minute - second, delay: 700 * time.Millisecond}.goes(t, Class[User]{Name: "A", Host: "http://a.test", Wait: w, Tasks: tasks})
		if len(log) != 3*15 {
			t.Errorf("%v: %d requests in a minute, want 45", w, len(log))
		}
		for _, s := range log {
			if s.at%(4*second) != 0 {
				t.Errorf("%v: a request at %v, want every 4 s", w, s.at)
			}
		}
	}
}

// TestLifeOfAUser holds the order of hooks and tasks, and that a stopped user
// leaves by its OnStop.
func TestLifeOfAUser(t *testing.T) {
	say := func(word string) func(*User) error { return func(u *User) error { u.Get("/" + word); return nil } }
	set := &TaskSet[User]{Name: "set", InOrder: true, OnStart: say("in"), OnStop: say("out"), Tasks: []Task[User]{
		{Name: "a", Do: say("a")},
		{Name: "b", Do: func(u *User) error { u.Get("/b"); return fmt.Errorf("wrapped: %w", ErrInterrupt) }},
	}}
	stop := Class[User]{Name: "A", Host: "http://x.test", Wait: Constant(second), OnStart: say("start"), OnStop: say("stop"), Tasks: []Task[User]{{Set: &TaskSet[User]{
		Name: "all", InOrder: true, OnStop: say("left"), Tasks: []Task[User]{{Set: set}, {Name: "last", Do: func(u *User) error {
			u.Get("/last")
			if !u.Sleep(3 * second) {
				t.Error("the run was stopped hard")
			}
			return ErrStop
		}}},
	}}}}
	log := virtual{users: 1, runTime: 20 * second}.goes(t, stop)
	var got []string
	for _, s := range log {
		got = append(got, fmt.Sprint(strings.Trim(strings.TrimPrefix(s.line, "GET http://x.test/"), " "), "@", s.at))
	}
	want := []string{"start@0s", "in@0s", "a@0s", "b@1s", "out@1s", "last@1s", "left@4s", "stop@4s"}
	if !slices.Equal(got, want) {
		t.Errorf("the user sent %v, want %v", got, want)
	}
}
