package script

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// instant is a sender that answers at once.
type instant struct {
	jar    *cookie.Jar
	fields hit.Fields
	body   []byte
	n      *atomic.Int64
}

func (s *instant) SetJar(j *cookie.Jar)     { s.jar = j }
func (s *instant) Tune(time.Duration, bool) {}
func (s *instant) URL() string              { return "" }

func (s *instant) Send(_ context.Context, req *hit.Request, a *hit.Answer) {
	a.Sent = time.Now()
	if a.OnSent != nil {
		a.OnSent(a.Sent)
	}
	a.Status = 200
	a.Fields = append(a.Fields[:0], s.fields...)
	if strings.HasSuffix(req.URL, "/login") {
		a.Fields = append(a.Fields, "Set-Cookie: csrftoken=0123456789abcdef0123456789abcdef; Path=/; Max-Age=31449600\r\nSet-Cookie: sessionid=0123456789abcdef0123456789abcdef; Path=/; HttpOnly\r\n"...)
	}
	a.Body = append(a.Body[:0], s.body...)
	s.jar.Receive(cookie.Place{Host: "api.test", Path: "/"}, a.Fields, a.Sent)
	a.Done = a.Sent
	if s.n != nil {
		s.n.Add(1)
	}
}

const costly = `
host = "http://api.test"
def start(user):
    r = user.post("/api/auth/login", json = {"username": "admin", "password": "password123"})
    user.headers["X-CSRFToken"] = r.cookies["csrftoken"]
    user.headers["Referer"] = user.host
    user.customer = 7
def flow(user):
    r = user.post("/api/customers", json = {"phone_number": "09012345678", "customer": user.customer})
    check(r, r.status == 200, "not created")
    user.customer = r.json()["id"]
U = HttpUser(tasks = [flow], on_start = start, wait_time = constant(WAIT))
`

func answerOf(s *atomic.Int64) *instant {
	return &instant{
		n:      s,
		fields: hit.Fields("Content-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"),
		body:   []byte(`{"id": 17, "phone_number": "09012345678", "created": "2026-11-21T12:00:00Z", "token": "0123456789abcdef"}`),
	}
}

// TestMemoryOfIdleUsers holds that a user between tasks, with cookies, headers
// and data, takes at most 8 KB, its goroutine and the engine's share included.
func TestMemoryOfIdleUsers(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector needs memory of its own")
	}
	const users = 2000
	sc := mustLoad(t, Options{}, "WAIT = 3600\n"+costly)
	var n atomic.Int64
	model := answerOf(&n)
	plan := load.Plan{
		Scenario:  sc,
		NewSender: sc.Senders(func(int) (Sender, error) { s := *model; return &s, nil }),
		Users:     pace.Users(users, pace.Rate{}),
		RunTime:   time.Hour,
	}
	e, err := load.New(plan)
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
	time.Sleep(50 * time.Millisecond)
	heap, stack := used()
	heap, stack = (heap-heap0)/users, (stack-stack0)/users
	cancel()
	wg.Wait()
	t.Logf("an idle user takes %.0f bytes of heap and %.0f of stack", heap, stack)
	if heap+stack > 8<<10 {
		t.Errorf("an idle user takes %.0f bytes, want at most 8192", heap+stack)
	}
}

// deep is a Sender that needs as much stack as one that opens a connection.
type deep struct{ *instant }

func (d deep) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	dig(14)
	d.instant.Send(ctx, req, ans)
}

//go:noinline
func dig(n int) byte {
	var room [1 << 10]byte
	room[n] = 1
	if n > 0 {
		room[n+1] = dig(n - 1)
	}
	return room[n] + room[n+1]
}

// TestStacksOfIdleUsers holds that users who wait do not keep the stacks that
// their first requests needed, also before anything was collected.
func TestStacksOfIdleUsers(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector needs memory of its own")
	}
	const users = 1000
	sc := mustLoad(t, Options{}, "WAIT = 3600\n"+costly)
	var n atomic.Int64
	model := answerOf(&n)
	e, err := load.New(load.Plan{
		Scenario:  sc,
		NewSender: sc.Senders(func(int) (Sender, error) { s := *model; return deep{&s}, nil }),
		Users:     pace.Users(users, pace.Rate{N: 5000, Per: time.Second}),
		RunTime:   time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.StackInuse
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = e.Run(ctx, func(*tally.Tick) {}) })
	for n.Load() < 2*users {
		time.Sleep(5 * time.Millisecond)
	}
	runtime.ReadMemStats(&m)
	per := float64(m.StackInuse-before) / users
	cancel()
	wg.Wait()
	t.Logf("%.0f bytes of stack for each user", per)
	if per > 8<<10 {
		t.Errorf("%.0f bytes of stack for each user who waits, want at most 8192: it has 4096 of its own, and its tasks run on stacks that others use next", per)
	}
}

// TestAllocationsOfAStep is a ceiling on what a typical step costs: a POST with
// JSON, a check and the JSON of the answer.
func TestAllocationsOfAStep(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector allocates")
	}
	perTask := allocations(t, "WAIT = 0\n"+costly)
	get := allocations(t, `
host = "http://api.test"
def flow(user): user.get("/x")
U = HttpUser(tasks = [flow])
`)
	t.Logf("%.1f allocations for POST, check and JSON, %.1f for a plain GET", perTask, get)
	if perTask > 60 || get > 7 {
		t.Errorf("%.1f and %.1f allocations, want at most 60 and 7", perTask, get)
	}
}

func allocations(t testing.TB, src string) float64 {
	sc := mustLoad(t, Options{}, src)
	var per float64
	plan := load.Plan{
		Scenario: &probe{sc, func(u load.User) {
			ctx := context.Background()
			per = testing.AllocsPerRun(1000, func() {
				if _, err := u.Iterate(ctx); err != nil {
					t.Error(err)
				}
			})
		}},
		NewSender:   sc.Senders(func(int) (Sender, error) { return answerOf(nil), nil }),
		Users:       pace.Users(1, pace.Rate{}),
		MaxRequests: 3000,
		RunTime:     time.Minute,
	}
	e, err := load.New(plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Run(t.Context(), func(*tally.Tick) {}); err != nil {
		t.Fatal(err)
	}
	return per
}

// probe lets a function use the first user.
type probe struct {
	*Script
	use func(load.User)
}

func (p *probe) NewUser(id int, s *load.Session) (load.User, error) {
	u, err := p.Script.NewUser(id, s)
	if err == nil {
		p.use(u)
	}
	return u, err
}

func benchmark(b *testing.B, src string) {
	sc := mustLoad(b, Options{}, src)
	var done func()
	plan := load.Plan{
		Scenario: &probe{sc, func(u load.User) {
			defer func() { done() }()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := u.Iterate(context.Background()); err != nil {
					b.Error(err)
				}
			}
		}},
		NewSender: sc.Senders(func(int) (Sender, error) { return answerOf(nil), nil }),
		Users:     pace.Users(1, pace.Rate{}),
		RunTime:   time.Hour, MaxRequests: 1 << 40,
	}
	e, err := load.New(plan)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done = cancel
	if _, err := e.Run(ctx, func(*tally.Tick) {}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkStep(b *testing.B) { benchmark(b, "WAIT = 0\n"+costly) }

func BenchmarkGet(b *testing.B) {
	benchmark(b, "host = \"http://api.test\"\ndef flow(user): user.get(\"/x\")\nU = HttpUser(tasks = [flow])\n")
}
