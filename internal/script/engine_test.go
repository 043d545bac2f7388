package script

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
)

// gaps returns the times between the requests of each user.
func gaps(log []sent) map[int][]time.Duration {
	out, last := map[int][]time.Duration{}, map[int]time.Duration{}
	for _, s := range log {
		if before, ok := last[s.user]; ok {
			out[s.user] = append(out[s.user], s.at-before)
		}
		last[s.user] = s.at
	}
	return out
}

func TestThinkTimesAreUniform(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def flow(user):
    user.get("/x")
U = HttpUser(wait_time = between(2, 5), tasks = [flow])
`)
	o := run(t, sc, play{users: 1000, runTime: 100 * time.Second, seed: 7})
	const bins = 30
	var count [bins]float64
	n, sum := 0.0, 0.0
	for _, g := range gaps(o.log) {
		for _, d := range g {
			s := d.Seconds()
			if s < 2 || s > 5.000001 {
				t.Fatalf("a user waited %v, want 2 to 5 s", d)
			}
			n, sum = n+1, sum+s
			count[min(int((s-2)/3*bins), bins-1)]++
		}
	}
	if n < 25_000 {
		t.Fatalf("only %v waits were seen", n)
	}
	chi := 0.0
	for _, c := range count {
		chi += (c - n/bins) * (c - n/bins) / (n / bins)
	}
	// 29 degrees of freedom: 58.3 is exceeded once in a thousand seeds. The end of
	// the run cuts a few of the longest waits.
	if chi > 58.3 {
		t.Errorf("chi-square of %v waits is %.1f, want at most 58.3: %v", n, chi, count)
	}
	if mean := sum / n; math.Abs(mean-3.5) > 0.02 {
		t.Errorf("the mean wait is %.3f s, want 3.5", mean)
	}
	if len(o.errors) > 0 || o.totals.Outcome(hit.Admitted).Count != int64(len(o.log)) {
		t.Errorf("errors %v, admitted %d of %d", o.errors, o.totals.Outcome(hit.Admitted).Count, len(o.log))
	}
}

func TestWeightsOfTasks(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def a(user): user.get("/a")
def b(user): user.get("/b")
U = HttpUser(wait_time = constant(1), tasks = {a: 8, b: 2})
`)
	o := run(t, sc, play{users: 100, runTime: 200 * time.Second, seed: 3})
	n, a := float64(len(o.log)), 0.0
	for _, s := range o.log {
		if s.URL.Path == "/a" {
			a++
		}
	}
	if bound := 3.3 * math.Sqrt(0.8*0.2/n); math.Abs(a/n-0.8) > bound || n < 19_000 {
		t.Errorf("%v of %v were /a: %.4f, want 0.8 ± %.4f", a, n, a/n, bound)
	}
}

func TestClassesShareUsersExactly(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def a(user): user.get("/normal")
def b(user): user.get("/heavy")
def c(user): user.get("/admin")
NormalUser = HttpUser(wait_time = constant(10), weight = 8, tasks = [a])
HeavyUser = HttpUser(wait_time = constant(10), weight = 2, tasks = [b])
Admin = HttpUser(wait_time = constant(10), fixed_count = 3, tasks = [c])
`)
	for _, users := range []int{1, 3, 13, 103} {
		o := run(t, sc, play{users: users, runTime: time.Second})
		got := map[string]int{}
		for _, s := range o.log {
			got[s.URL.Path]++
		}
		admins := min(users, 3)
		heavy := math.Round(float64(users-admins) * 0.2)
		if got["/admin"] != admins || float64(got["/heavy"]) != heavy || got["/normal"] != users-admins-int(heavy) {
			t.Errorf("%d users: %v, want %d admins and %v heavy users", users, got, admins, heavy)
		}
	}
	// Any row of users has the mixture.
	for from := 0; from < 50; from++ {
		n := 0
		for i := from; i < from+10; i++ {
			if sc.whole.classes[sc.whole.staff.Arrival(int64(i))].name == "HeavyUser" {
				n++
			}
		}
		if n != 2 {
			t.Errorf("users %d to %d have %d heavy ones, want 2", from, from+9, n)
		}
	}
}

func TestArrivalsShareClasses(t *testing.T) {
	sc := mustLoad(t, Options{Arrivals: true}, `
host = "http://api.test"
def start(user):
    user.hello = user.get("/login").status
def a(user): user.get("/normal")
def b(user): user.get("/heavy")
NormalUser = HttpUser(weight = 8, tasks = [a], on_start = start)
HeavyUser = HttpUser(weight = 2, tasks = [b], on_start = start)
`)
	rate, err := pace.ParseRate("10/s")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	o := run(t, sc, play{users: 5, runTime: 100 * time.Second, arrivals: pace.Constant(rate, 100*time.Second), handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			http.SetCookie(w, &http.Cookie{Name: "id", Value: fmt.Sprint(n.Add(1))})
		}
	}})
	got, whose := map[string]int{}, map[string]string{}
	for _, s := range o.log {
		got[s.URL.Path]++
		if s.URL.Path == "/login" {
			continue
		}
		k := s.Header.Get("Cookie")
		if k == "" || whose[k] != "" && whose[k] != s.URL.Path {
			t.Fatalf("%s was sent with the cookie %q of %q: every self has its own", s.URL.Path, k, whose[k])
		}
		whose[k] = s.URL.Path
	}
	if got["/normal"] != 800 || got["/heavy"] != 200 || got["/login"] < 2 || got["/login"] > 10 {
		t.Errorf("1000 arrivals became %v, want 800 to 200 and at most 10 logins", got)
	}
}

func TestPacingIsExact(t *testing.T) {
	for _, c := range []struct {
		wait string
		want time.Duration
	}{
		{"constant_pacing(2)", 2 * time.Second},
		{"constant_throughput(0.5)", 2 * time.Second},
		{"constant_throughput(3)", time.Second / 3},
		{"constant(2)", 2*time.Second + 100*time.Millisecond}, // after the answer
		{"my_wait", 3*time.Second + 100*time.Millisecond},
	} {
		sc := mustLoad(t, Options{}, `
host = "http://api.test"
def my_wait(user): return 3
def flow(user): user.get("/x")
U = HttpUser(wait_time = `+c.wait+`, tasks = [flow])
`)
		o := run(t, sc, play{users: 3, runTime: 300 * time.Second, delay: 100 * time.Millisecond})
		n := 0
		for _, s := range o.log {
			n++
			at := s.at.Round(time.Microsecond)
			k := math.Round(float64(at) / float64(c.want))
			if off := at - time.Duration(k*float64(c.want)); off.Abs() > 2*time.Microsecond {
				t.Fatalf("%s: a request left at %v, want a multiple of %v", c.wait, s.at, c.want)
			}
		}
		if want := 3 * int(300*time.Second/c.want); n < want || n > want+3 {
			t.Errorf("%s: %d requests in 300 s, want %d", c.wait, n, want)
		}
	}
}

// TestPacingAfterALongTask holds that a task which takes longer than the period
// is followed at once, without a burst afterwards.
func TestPacingAfterALongTask(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def flow(user):
    user.get("/x")
    if not hasattr(user, "slow"):
        user.slow = True
        time.sleep(5)
U = HttpUser(wait_time = constant_pacing(2), tasks = [flow])
`)
	o := run(t, sc, play{users: 1, runTime: 12 * time.Second})
	want := []time.Duration{0, 5, 7, 9, 11}
	if len(o.log) != len(want) {
		t.Fatalf("%d requests, want %d", len(o.log), len(want))
	}
	for i, s := range o.log {
		if s.at.Round(time.Millisecond) != want[i]*time.Second {
			t.Errorf("request %d left at %v, want %v", i, s.at, want[i]*time.Second)
		}
	}
}

func TestNestingAndInterrupt(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def enter(user): user.get("/enter")
def exit(user): user.get("/exit")
def one(user): user.get("/1")
def two(user): user.get("/2")
def three(user):
    user.get("/3")
    user.interrupt()
def hello(user): user.get("/hello")
def bye(user): user.get("/bye")
Checkout = SequentialTaskSet([one, two, three], name = "checkout", on_start = enter, on_stop = exit, wait_time = constant(1))
U = HttpUser(wait_time = constant(10), tasks = [Checkout], on_start = hello, on_stop = bye)
`)
	o := run(t, sc, play{users: 1, runTime: 3500 * time.Millisecond})
	got := strings.Join(o.paths(), " ")
	want := "GET /hello GET /enter GET /1 GET /2 GET /3 GET /exit GET /enter GET /1 GET /2 GET /exit GET /bye"
	if got != want {
		t.Errorf("a user did\n%s, want\n%s", got, want)
	}
	if len(o.errors) > 0 {
		t.Errorf("errors: %v", o.errors)
	}
	if n := o.totals.Outcome(hit.Admitted).Count; n != int64(len(o.log)) {
		t.Errorf("%d of %d requests were counted: those of on_start and on_stop count too", n, len(o.log))
	}
}

func TestInterruptWithoutReschedule(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def one(user):
    user.get("/1")
    user.interrupt(reschedule = False)
Set = TaskSet([one], wait_time = constant(1))
U = HttpUser(wait_time = constant(10), tasks = [Set])
`)
	o := run(t, sc, play{users: 1, runTime: 25 * time.Second})
	if len(o.log) != 3 || o.log[1].at.Round(time.Second) != 10*time.Second {
		t.Errorf("%d requests, the second at %v, want 3 and 10 s: the wait of the class", len(o.log), o.log[1].at)
	}
}

func TestTags(t *testing.T) {
	src := `
host = "http://api.test"
def a(user): user.get("/a")
def b(user): user.get("/b")
def c(user): user.get("/c")
Inner = TaskSet([task(b, tags = ["slow"]), c], tags = ["inner"])
U = HttpUser(wait_time = constant(1), tasks = [task(a, tags = ["sms", "fast"]), Inner])
V = HttpUser(wait_time = constant(1), tasks = [a])
`
	for _, c := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, nil, "/a /b /c"},
		{[]string{"sms"}, nil, "/a"},
		{[]string{"inner"}, nil, "/b /c"},
		{[]string{"inner"}, []string{"slow"}, "/c"},
		{nil, []string{"inner"}, "/a"},
		{[]string{"fast", "slow"}, nil, "/a /b"},
	} {
		sc := mustLoad(t, Options{Tags: c.include, ExcludeTags: c.exclude}, src)
		o := run(t, sc, play{users: 10, runTime: 60 * time.Second})
		seen := map[string]bool{}
		for _, s := range o.log {
			seen[s.URL.Path] = true
		}
		if got := strings.Join(sortedKeys(seen), " "); got != c.want {
			t.Errorf("tags %v without %v: %s, want %s", c.include, c.exclude, got, c.want)
		}
	}
}

func TestFeeds(t *testing.T) {
	csv := "name,age\nanna,1\nben,2\ncleo,3\n"
	src := func(decl, body string) string {
		return `host = "http://api.test"
people = ` + decl + `
def flow(user):
    ` + body + `
U = HttpUser(wait_time = constant(1), tasks = [flow])
`
	}
	get := `user.get("/" + people.next()["name"])`
	for _, c := range []struct {
		decl string
		want string
	}{
		{`feed.csv("p.csv")`, "anna ben cleo anna ben cleo"},
		{`feed.csv("p.csv", order = "unique")`, "anna ben cleo"},
		{`feed.csv("p.csv", order = "unique", at_end = "stop")`, "anna ben cleo"},
		{`feed.json("p.json")`, "x y x y x y"},
		{`feed.json("p.jsonl")`, "u v u v u v"},
		{`feed.rows([{"name": "k"}])`, "k k k k k k"},
	} {
		sc := mustLoad(t, Options{}, src(c.decl, get), "p.csv", csv, "p.json", `[{"name": "x"}, {"name": "y"}]`, "p.jsonl", "{\"name\": \"u\"}\n{\"name\": \"v\"}\n")
		o := run(t, sc, play{users: 1, runTime: 5500 * time.Millisecond})
		var names []string
		for _, s := range o.log {
			names = append(names, strings.TrimPrefix(s.URL.Path, "/"))
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.decl, got, c.want)
		}
		exhausted := strings.Contains(c.decl, "unique") && !strings.Contains(c.decl, "stop")
		if exhausted && !strings.Contains(o.oneError(t), "p.csv is used up: it has 3 rows") || !exhausted && len(o.errors) > 0 {
			t.Errorf("%s: errors %v", c.decl, o.errors)
		}
	}
	// Random rows come from the seed.
	sc := mustLoad(t, Options{}, src(`feed.csv("p.csv", order = "random")`, get), "p.csv", csv)
	one := run(t, sc, play{users: 1, runTime: 119500 * time.Millisecond, seed: 5}).paths()
	two := run(t, sc, play{users: 1, runTime: 119500 * time.Millisecond, seed: 5}).paths()
	other := run(t, sc, play{users: 1, runTime: 119500 * time.Millisecond, seed: 6}).paths()
	if len(one) < 100 || strings.Join(one, " ") != strings.Join(two, " ") || strings.Join(one, " ") == strings.Join(other, " ") {
		t.Errorf("random rows: the same seed gives the same rows (%d), another seed others", len(one))
	}
}

func TestStopLeavesOnlyThatUser(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def flow(user):
    user.get("/%d" % user.id)
    if user.id == 1:
        user.stop()
def bye(user): user.get("/bye")
U = HttpUser(wait_time = constant(1), tasks = [flow], on_stop = bye)
`)
	o := run(t, sc, play{users: 3, runTime: 9500 * time.Millisecond})
	got := map[string]int{}
	for _, p := range o.paths() {
		got[p]++
	}
	if got["GET /1"] != 1 || got["GET /0"] != 10 || got["GET /2"] != 10 || got["GET /bye"] != 3 || len(o.errors) > 0 {
		t.Errorf("requests %v, errors %v", got, o.errors)
	}
	if n := o.totals.Outcome(hit.Admitted).Count; n != 24 {
		t.Errorf("%d requests were counted, want 24", n)
	}
}

func TestSeedRepeatsARun(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def flow(user):
    user.get("/%s/%d" % (uuid.uuid4(), random.randint(1, 1000)))
U = HttpUser(wait_time = between(1, 3), tasks = [flow])
`)
	join := func(seed uint64) string {
		var b strings.Builder
		for _, s := range run(t, sc, play{users: 1, runTime: 59500 * time.Millisecond, seed: seed}).log {
			b.WriteString(s.at.String() + s.URL.Path)
		}
		return b.String()
	}
	if first, again := join(1), join(1); first != again || first == join(2) {
		t.Error("a run is the same for the same seed, and another for another")
	}
}
