package weir

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
)

// TestSameProfilesAsStarlark holds that a Profile means what profile(…) means.
func TestSameProfilesAsStarlark(t *testing.T) {
	get := func(u *User) error { u.Get("/"); return nil }
	class := func(name string) Declaration {
		return Class[User]{Name: name, Host: "http://a.test", Tasks: []Task[User]{{Name: "t", Do: get}}}
	}
	sc, err := newScenario([]Declaration{
		class("A"), class("B"),
		Profile{Name: "first", Classes: []string{"A"}, Users: 10, SpawnRate: 2.5, RunTime: 90 * time.Second, WarmUp: 10 * time.Second},
		Profile{Classes: []string{"B", "A"}, Rate: "1000/h", Start: 15 * time.Second, MaxUsers: 7, Requests: 20},
		Profile{Stages: "0..5:10s"},
		Profile{Name: "steps", Shape: func(at time.Duration) Load {
			if at >= 6*time.Second {
				return Load{}
			}
			return Users(int(at/time.Second) + 1).Spawning(2)
		}},
		Profile{Shape: func(at time.Duration) Load { return PerSecond(at.Seconds() * 2.5) }, RunTime: 3 * time.Second},
	}, cli.ProgramOptions{}, false)
	if err != nil {
		t.Fatal(err)
	}
	star, err := script.Load("x.star", script.Options{ReadFile: func(string) ([]byte, error) {
		return []byte(`
host = "http://a.test"
def get(user): user.get("/")
A = HttpUser(tasks = [get])
B = HttpUser(tasks = [get])
profile(name = "first", classes = [A], users = 10, spawn_rate = 2.5, run_time = 90, warm_up = 10)
profile(classes = [B, A], rate = "1000/h", start = 15, max_users = 7, requests = 20)
profile(stages = "0..5:10s")
profile(name = "steps", shape = lambda t: None if t >= 6 else (t + 1, 2))
profile(rate = lambda t: 2.5 * t, run_time = 3)
`), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := sc.profiles, star.Profiles()
	if len(ours) != 5 || len(theirs) != 5 {
		t.Fatalf("%d and %d profiles, want 5", len(ours), len(theirs))
	}
	for i := range ours {
		a, b := ours[i], theirs[i]
		if a.Shape != nil {
			length := time.Duration(0)
			if a.RunTime != "" {
				length = 3 * time.Second
			}
			x, err := pace.Draw(a.Shape, length)
			y, err2 := pace.Draw(b.Shape, length)
			if err != nil || err2 != nil || x.Level.String() != y.Level.String() || x.Stages.String() != y.Stages.String() || x.Length != y.Length {
				t.Errorf("shape %d is %v (%v) here and %v (%v) there", i, x, err, y, err2)
			}
		}
		if a.Name != b.Name || strings.Join(a.Classes, ",") != strings.Join(b.Classes, ",") || a.Start != b.Start || a.RunTime != b.RunTime ||
			a.Users != b.Users || a.SpawnRate != b.SpawnRate || a.Rate != b.Rate || a.Stages != b.Stages || a.MaxUsers != b.MaxUsers ||
			a.Requests != b.Requests || a.WarmUp != b.WarmUp || (a.Shape == nil) != (b.Shape == nil) {
			t.Errorf("profile %d is\n%+v here and\n%+v there", i, a, b)
		}
	}
}

func TestProfileMistakes(t *testing.T) {
	visitor := Class[User]{Name: "V", Host: "http://127.0.0.1:9", Tasks: []Task[User]{{Name: "t", Do: func(*User) error { return nil }}}}
	bad := map[string]Profile{
		"keep one":                     {Users: 3, Rate: "5/s"},
		"cannot have a negative Start": {Users: 3, Start: -1},
		"rate: ":                       {Rate: "5"},
		"stages: ":                     {Stages: "5"},
		"there are V":                  {Classes: []string{"W"}, Users: 1},
		"ends before it begins":        {Shape: func(time.Duration) Load { return Load{} }},
		"does not end":                 {Shape: func(time.Duration) Load { return Users(1) }},
		"Spawning is for Users":        {Shape: func(time.Duration) Load { return PerSecond(1).Spawning(3) }},
		"want a number from 0":         {Shape: func(time.Duration) Load { return Users(-1) }},
		"is as long as the run":        {Users: 1, RunTime: time.Second, WarmUp: 5 * time.Second},
		"max_users bounds the users ":  {Users: 1, MaxUsers: 3},
	}
	for want, p := range bad {
		if _, err := Run(Options{}, visitor, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: err = %v, want %q", p, err, want)
		}
	}
	if len(bad) < 11 {
		t.Fatal("too few cases")
	}
	if _, err := Run(Options{}, nil); err == nil || !strings.Contains(err.Error(), "declaration is nil") {
		t.Errorf("err = %v", err)
	}
}

// Two profiles, the second one later; Options take their place.
func TestRunProfiles(t *testing.T) {
	host, seen := serve(t, nil)
	class := func(name string) Declaration {
		return Class[User]{Name: name, Host: host, Tasks: []Task[User]{{Name: "t", Do: func(u *User) error { u.Get("/" + name); return nil }}}}
	}
	all := []Declaration{class("first"), class("second"),
		Profile{Name: "first", Rate: "50/s", Requests: 10}, Profile{Name: "second", Rate: "20/s", Start: 300 * time.Millisecond, Requests: 4}}
	o := Options{Args: []string{"--max-send-lag", "20s"}}
	r, err := Run(o, all...)
	if err != nil || r.Admitted != 14 || !r.Passed() {
		t.Fatalf("%+v, %v", r, err)
	}
	got := seen()
	counts := map[string]int{}
	for _, line := range got {
		counts[line]++
	}
	if counts["GET /first"] != 10 || counts["GET /second"] != 4 {
		t.Errorf("sent %v", counts)
	}
	o.Requests, o.Users = 5, 1
	if r, err = Run(o, all...); err != nil || r.Admitted != 5 {
		t.Errorf("with Options.Users and Requests: %+v, %v", r, err)
	}
}
