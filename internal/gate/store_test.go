//go:build unix

package gate_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/internal/gate"
)

// redisServer is a server of the test's own.
type redisServer struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

func (s *redisServer) start() {
	s.t.Helper()
	name := "redis-server"
	if _, err := exec.LookPath("valkey-server"); err == nil {
		name = "valkey-server"
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(program(s.t, name), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the store answers", func() bool { return s.do("PING") == "+PONG" })
}

func (s *redisServer) stop() {
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGCONT)
		s.cmd.Process.Kill()
		s.cmd.Wait() // it was killed: its error says so
		s.cmd = nil
	}
}

// do sends a command and returns the first line of the answer.
func (s *redisServer) do(words string) string {
	c, err := net.DialTimeout("tcp", s.addr, 10*time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s\r\n", words)
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

// TestStoreFaults holds, for a real server that is stopped, frozen, slow,
// restarted or has lost its scripts, that each policy does what its
// on-store-error says, that the answers tell it, and that no request waits for
// the store much longer than the budget.
func TestStoreFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts other programs, and runs without -short")
	}
	free := listen(t)
	server := &redisServer{t: t, addr: free.Addr().String()}
	free.Close()
	server.start()
	t.Cleanup(server.stop)
	store, err := redis.New(redis.Options{Addresses: []string{server.addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	const budget = 25 * time.Millisecond
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	g := start(t, `policies:
  - {name: local, match: /local, limit: 100000, window: 1000h, algorithm: fixed-window, on-store-error: local}
  - {name: open, match: /open, limit: 100000, window: 1000h, algorithm: fixed-window, on-store-error: open}
  - {name: closed, match: /closed, limit: 100000, window: 1000h, algorithm: fixed-window, on-store-error: closed}
`, func(o *gate.Options) {
		o.Guard.Store, o.Guard.Shared.Budget = store, budget
		o.Guard.Shared.Probe = 30 * time.Millisecond
	}, up)
	c := client(t, "")
	well := func() bool {
		if s := g.Stats(); s.StoreDegraded {
			return false
		}
		_, h, _ := get(t, c, g.url+"/local")
		return h.Get("Weir-Store") == ""
	}
	eventually(t, "the gate has the store", well)

	faults := []struct {
		name       string
		bring, end func()
		away       bool // no decision can come from the store
	}{
		{"frozen", func() { server.cmd.Process.Signal(syscall.SIGSTOP) }, func() { server.cmd.Process.Signal(syscall.SIGCONT) }, true},
		// A pause of all has no end but its own, or the server's.
		{"slow", func() { server.do("CLIENT PAUSE 60000 ALL") }, func() { server.stop(); server.start() }, true},
		{"stopped", server.stop, server.start, true},
		{"scripts flushed", func() { server.do("SCRIPT FLUSH") }, func() {}, false},
		{"restarted", func() { server.stop(); server.start() }, func() {}, false},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			f.bring()
			degraded := map[string]bool{}
			var longest time.Duration
			for range 12 {
				for path, want := range map[string]int{"/local": 200, "/open": 200, "/closed": 429} {
					begin := time.Now()
					status, h, _ := get(t, c, g.url+path)
					longest = max(longest, time.Since(begin))
					d := h.Get("Weir-Store") == "degraded"
					degraded[path] = degraded[path] || d
					if f.away && (status != want || !d) {
						t.Errorf("%s: %d, degraded %v; want %d and degraded", path, status, d, want)
					}
					if !d && status != 200 {
						t.Errorf("%s: %d, though the store decided", path, status)
					}
				}
			}
			// A busy machine is slow, too: what is held is that nobody waits for the
			// store, which stays away for as long as this takes.
			if longest > 200*budget {
				t.Errorf("a request took %v, with a budget of %v", longest, budget)
			}
			if f.away {
				eventually(t, "the gate says that it is without its store", func() bool { return g.Stats().StoreDegraded })
				if status, _, _ := get(t, c, g.admin+"/readyz"); status != 200 {
					t.Errorf("not ready without the store: %d", status)
				}
				if _, _, m := get(t, c, g.admin+"/metrics"); !strings.Contains(m, "\nweir_store_degraded 1\n") {
					t.Error("the metric does not say so")
				}
			}
			told := func(what string) {
				if f.name == "stopped" {
					eventually(t, "the operator is told: "+what, func() bool { return strings.Contains(g.said.String(), what) })
				}
			}
			told("the store does not answer")
			f.end()
			eventually(t, "the store is back", well)
			told("the store answers again")
			t.Logf("longest request %v", longest)
		})
	}
	if len(faults) != 5 {
		t.Fatal("cases are missing")
	}
	by := map[any]int{}
	for _, l := range g.lines(5 * 36) {
		by[l["by"]]++
	}
	if by["local"] == 0 || by["open"] == 0 || by["closed"] == 0 {
		t.Errorf("the access log does not say who decided: %v", by)
	}
}

// TestTwoGates holds that gates with one store keep one limit together.
func TestTwoGates(t *testing.T) {
	if testing.Short() {
		t.Skip("starts other programs, and runs without -short")
	}
	free := listen(t)
	server := &redisServer{t: t, addr: free.Addr().String()}
	free.Close()
	server.start()
	t.Cleanup(server.stop)
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	var gates []*running
	for range 2 {
		store, err := redis.New(redis.Options{Addresses: []string{server.addr}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		g := start(t, "policies:\n  - {name: all, limit: 10, window: 24h, algorithm: fixed-window, on-store-error: closed}\n", func(o *gate.Options) {
			o.Guard.Store, o.Guard.Shared.Budget = store, 5*time.Second
		}, up)
		gates = append(gates, g)
	}
	for _, g := range gates {
		// A reader that takes nothing: its answer shows that the store is there.
		eventually(t, "the gate has the store", func() bool { s := g.Stats(); return !s.StoreDegraded && s.Store.Gates == 2 })
	}
	c := client(t, "")
	admitted := 0
	for i := range 24 {
		if status, _, _ := get(t, c, gates[i%2].url); status == 200 {
			admitted++
		}
	}
	if admitted != 10 {
		t.Errorf("%d admitted, want 10", admitted)
	}
}
