package weir

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// instant answers at once, as a login or as the making of a customer.
type instant struct {
	jar *cookie.Jar
	n   *atomic.Int64
}

func (i *instant) SetJar(j *cookie.Jar)   { i.jar = j }
func (*instant) Tune(time.Duration, bool) {}
func (*instant) URL() string              { return "" }

func (i *instant) Send(_ context.Context, req *hit.Request, ans *hit.Answer) {
	ans.Sent = time.Now()
	ans.Done, ans.Status = ans.Sent, 200
	ans.Fields = append(ans.Fields, "Content-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"...)
	if strings.HasSuffix(req.URL, "/login") {
		ans.Fields = append(ans.Fields, "Set-Cookie: csrftoken=0123456789abcdef0123456789abcdef; Path=/; Max-Age=31449600\r\nSet-Cookie: sessionid=0123456789abcdef0123456789abcdef; Path=/; HttpOnly\r\n"...)
	}
	ans.Body = append(ans.Body, `{"id": 17, "phone_number": "09012345678", "created": "2026-11-21T12:00:00Z", "token": "0123456789abcdef"}`...)
	i.jar.Receive(cookie.Place{Host: "a.test", Path: "/"}, ans.Fields, ans.Sent)
	i.n.Add(1)
}

// inTask runs fn as a task of a user whose requests cost nothing, once.
func inTask(t testing.TB, fn func(u *User)) {
	t.Helper()
	class := Class[User]{Name: "U", Host: "http://a.test", Wait: Constant(time.Hour), Tasks: []Task[User]{{Name: "task", Do: func(u *User) error { fn(u); return nil }}}}
	sc, err := newScenario([]Declaration{class}, cli.ProgramOptions{}, false)
	if err != nil {
		t.Fatal(err)
	}
	e, err := load.New(load.Plan{
		Scenario: sc, Users: pace.Users(1, pace.Rate{}), RunTime: time.Millisecond, StopTimeout: time.Minute,
		NewSender: sc.senders(func(int) (sender, error) { return &instant{n: new(atomic.Int64)}, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), func(k *tally.Tick) {
		for _, x := range k.Errors {
			t.Errorf("%d × %s", x.Count, x.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

type created struct {
	ID    int    `json:"id"`
	Phone string `json:"phone_number"`
}

// step is a request with a JSON body, its check, and its answer decoded.
func step(u *User, body *created) {
	r := u.Post("/api/customers", JSON(body), Name("/api/customers"))
	r.Check(r.Status == 200, "not created")
	var v created
	if err := r.JSON(&v); err != nil || v.ID != 17 {
		r.Failure("no id")
	}
}

// TestAllocations holds what a request costs beyond its sender. An answer is kept
// for as long as the program looks at it, so it, its header and its body are
// allocated, and the URL. Decoding JSON is what encoding/json needs.
func TestAllocations(t *testing.T) {
	inTask(t, func(u *User) {
		if got := testing.AllocsPerRun(500, func() { u.Get("/") }); got > 4 {
			t.Errorf("Get allocates %v times, want at most 4", got)
		}
		body := &created{7, "09012345678"}
		if got := testing.AllocsPerRun(500, func() { step(u, body) }); got > 12 {
			t.Errorf("a step allocates %v times, want at most 12", got)
		} else {
			t.Logf("a step allocates %v times", got)
		}
	})
}

// TestMemoryOfIdleUsers holds that a user between tasks, with cookies, headers
// and state, takes at most 8 KB, its goroutine and the engine's share included.
func TestMemoryOfIdleUsers(t *testing.T) {
	const users = 2000
	type state struct {
		*User
		customer int
	}
	class := Class[state]{Name: "U", Host: "http://a.test", Wait: Constant(time.Hour),
		New: func(u *User) *state { return &state{User: u} },
		OnStart: func(s *state) error {
			s.Post("/api/auth/login", JSON(&created{}))
			s.SetHeader("X-CSRFToken", s.Cookie("csrftoken"))
			s.SetHeader("Referer", s.Host())
			return nil
		},
		Tasks: []Task[state]{{Name: "task", Do: func(s *state) error {
			step(s.User, &created{ID: s.customer})
			s.customer++
			return nil
		}}},
	}
	sc, err := newScenario([]Declaration{class}, cli.ProgramOptions{}, false)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	e, err := load.New(load.Plan{
		Scenario: sc, Users: pace.Users(users, pace.Rate{}), RunTime: time.Hour,
		NewSender: sc.senders(func(int) (sender, error) { return &instant{n: &n}, nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	used := func() (heap, stack float64) {
		for range 5 { // each collection halves stacks that are mostly empty
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc), float64(m.StackInuse)
	}
	heap0, stack0 := used()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = e.Run(ctx, func(*tally.Tick) {}) })
	for n.Load() < 2*users {
		time.Sleep(10 * time.Millisecond)
	}
	heap, stack := used()
	heap, stack = (heap-heap0)/users, (stack-stack0)/users
	cancel()
	wg.Wait()
	t.Logf("an idle user takes %.0f bytes of heap and %.0f of stack", heap, stack)
	if heap+stack > 8<<10 {
		t.Errorf("an idle user takes %.0f bytes, want at most 8192", heap+stack)
	}
}

func BenchmarkGet(b *testing.B) {
	b.ReportAllocs()
	inTask(b, func(u *User) {
		for b.Loop() {
			u.Get("/")
		}
	})
}

func BenchmarkStep(b *testing.B) {
	b.ReportAllocs()
	inTask(b, func(u *User) {
		body := &created{7, "09012345678"}
		for b.Loop() {
			step(u, body)
		}
	})
}
