package guard_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit/limittest"
)

// TestMemoryPerKey holds what a key costs, and that the number of keys has a
// ceiling. WEIR_MEMORY_KEYS says how many, such as 1000000 with a subtest of one
// algorithm: then the memory of the whole process is told, too.
func TestMemoryPerKey(t *testing.T) {
	n, most := 20_000, 700.0
	if text := os.Getenv("WEIR_MEMORY_KEYS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	done := map[string]bool{}
	for _, p := range limittest.Policies() {
		if done[p.Algorithm.String()] {
			continue
		}
		done[p.Algorithm.String()] = true
		t.Run(p.Algorithm.String(), func(t *testing.T) {
			c := &clock{at: origin}
			g, err := guard.New(&policy.File{Policies: []policy.Policy{{Policy: p, Key: policy.Key{Kind: policy.IP}}}}, guard.Options{Clock: c.now, MaxKeys: n})
			if err != nil {
				t.Fatal(err)
			}
			before, resident := heap(), rss()
			s := &expr.Subject{Method: "GET", Path: "/"}
			for i := range n + 1000 {
				s.IP = fmt.Sprintf("2001:db8:%x:%x::%x", i>>16, i&0xffff, i)
				g.Check(context.Background(), s)
			}
			per := float64(heap()-before) / float64(n)
			t.Logf("%d keys of about 22 bytes: %.0f bytes of heap a key; resident memory of the process %.0f MB, before %.0f MB", n, per, rss(), resident)
			if st := g.Stats().Table; st.Keys != n || st.Spilled == 0 {
				t.Errorf("%d keys, %d beyond the ceiling, want %d and some", st.Keys, st.Spilled, n)
			}
			if per > most {
				t.Errorf("%.0f bytes a key, want at most %.0f", per, most)
			}
		})
	}
	if len(done) == 0 {
		t.Error("no policies")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rss is the resident memory of the process in MB, 0 where the system does not
// tell.
func rss() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseFloat(kb, 64)
	return n / 1024
}
