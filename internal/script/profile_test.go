package script

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

const twoClasses = `
host = "http://api.test"
def a(user): user.get("/a/%d" % user.id)
def b(user): user.get("/b/%d" % user.id)
A = HttpUser(wait_time = constant(1), tasks = [a])
B = HttpUser(wait_time = constant(1), tasks = [b])
`

func TestProfiles(t *testing.T) {
	sc := mustLoad(t, Options{}, twoClasses+`
profile(name = "readers", classes = [A], users = 100, spawn_rate = 2.5, run_time = "2m", warm_up = 10)
profile(classes = B, rate = "1000/h", start = "15s", run_time = 60, max_users = 7, requests = 20)
profile(stages = "0..5:10s")
`)
	got := sc.Profiles()
	if len(got) != 3 {
		t.Fatalf("%d profiles, want 3", len(got))
	}
	a, b, c := got[0], got[1], got[2]
	if a.Name != "readers" || strings.Join(a.Classes, " ") != "A" || a.Users != 100 || a.SpawnRate != "2.5" || a.RunTime != "2m" || a.WarmUp != "10s" {
		t.Errorf("the first profile is %+v", a)
	}
	if strings.Join(b.Classes, " ") != "B" || b.Rate != "1000/h" || b.Start != "15s" || b.RunTime != "1m0s" || b.MaxUsers != 7 || b.Requests != 20 {
		t.Errorf("the second profile is %+v", b)
	}
	if c.Stages != "0..5:10s" || len(c.Classes) != 0 {
		t.Errorf("the third profile is %+v", c)
	}
	if strings.Join(sc.Classes(), " ") != "A B" {
		t.Errorf("classes %v", sc.Classes())
	}
}

func TestShapes(t *testing.T) {
	sc := mustLoad(t, Options{Seed: 3}, twoClasses+`
stages = [(3, 10), (6, 20)]
def steps(t):
    for end, users in stages:
        if t < end:
            return users, 5
    return None
def wave(t):
    if t < 4:
        return 10.4 + t + random.randint(0, 0)
def hourly(t): return "3600/h" if t < 2 else None
def dice(t): return random.randint(1, 1000)
profile(shape = steps)
profile(shape = wave)
profile(shape = hourly)
profile(rate = lambda t: 2.5 * t)
profile(shape = dice)
`)
	draw := func(i int, length time.Duration) *pace.Drawing {
		d, err := pace.Draw(sc.Profiles()[i].Shape, length)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := draw(0, 0)
	for at, want := range map[time.Duration]int{0: 1, time.Second: 6, 2 * time.Second: 10, 3 * time.Second: 11, 5 * time.Second: 20} {
		if got := d.Level.At(at); got != want {
			t.Errorf("%d users at %v, want %d", got, at, want)
		}
	}
	if d.Length != 6*time.Second {
		t.Errorf("the shape takes %v", d.Length)
	}
	if d := draw(1, 0); d.Level.String() != "10:1s,11:1s,12:1s,13:1s" {
		t.Errorf("the wave is %s", d.Level)
	}
	if d := draw(2, 0); d.Stages.String() != "1/s:2s" {
		t.Errorf("the rate is %s", d.Stages)
	}
	if d := draw(3, 3*time.Second); d.Stages.String() != "0/s:1s,2.5/s:1s,5/s:1s" {
		t.Errorf("the rate is %s", d.Stages)
	}
	// It may be asked again, in any order: the answer is the same.
	shape := sc.Profiles()[4].Shape
	first, _, _ := shape(5 * time.Second)
	other, _, _ := shape(6 * time.Second)
	again, _, err := shape(5 * time.Second)
	if err != nil || first != again || first == other {
		t.Errorf("a shape with random numbers gives %v, %v, and then %v (%v)", first, other, again, err)
	}
}

func TestShapeErrors(t *testing.T) {
	for body, want := range map[string]string{
		"return 3 if t < 2 else {}[\"a\"]": `the shape at 2s: sms.star:8:30 in f: key "a" not in dict`,
		"return True":                      "returned True: want a number of users",
		"return (3, 0)":                    "a spawn rate of 0",
		"return -1":                        "returned -1: want a number of users from 0",
		"return \"5\"":                     "per what time",
		"return (3, 1, [A])":               "want a number of users, (users, spawn_rate)",
		"while True: pass":                 "endless loop",
		"return f(t - 1)":                  "recursion",
		"time.sleep(1)":                    "a shape is asked before there are users",
		"HttpUser(tasks = [a])":            "belongs at the top of the file",
		"return 1 if t < 2 else \"5/s\"":   "keep to one",
		"return None":                      "ends before it begins",
		"return 1":                         "does not end within",
	} {
		sc := mustLoad(t, Options{}, twoClasses+"def f(t):\n    "+body+"\nprofile(shape = f)\n")
		_, err := pace.Draw(sc.Profiles()[0].Shape, 0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", body, err, want)
		}
	}
}

// Part gives each load its classes, and users numbers of their own.
func TestPart(t *testing.T) {
	sc := mustLoad(t, Options{}, twoClasses)
	if _, err := sc.Part([]string{"C"}, false); err == nil || !strings.Contains(err.Error(), "there is no user class C") {
		t.Errorf("err = %v", err)
	}
	some := mustLoad(t, Options{Classes: []string{"A"}}, twoClasses)
	if _, err := some.Part([]string{"B"}, false); err == nil || !strings.Contains(err.Error(), "leave out") {
		t.Errorf("err = %v", err)
	}
	part, err := sc.Part([]string{"B"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if c := part.(*cast); len(c.classes) != 1 || c.classes[c.staff.User(0)].name != "B" {
		t.Errorf("the part has %d classes", len(c.classes))
	}
}
