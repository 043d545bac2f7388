package locust

import (
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hist"
)

// lags measures how long scripts take between an answer and the next request of
// the same user, waits that the script asked for left out: the time in which the
// load stands still because of Python.
type lags struct {
	mu sync.Mutex
	h  hist.Hist
}

func (s *lags) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h.Record(max(d, 0))
}

// lag notes the lag before a request: since the user had its latest answer, whichever
// of its requests that was to. While others are under way nobody waits for Python.
func (c *child) lag(l *lane, m *message) {
	if l != l.g.main {
		return
	}
	if last, ok := l.g.quiet(); ok {
		c.b.lags.add(m.came.Sub(last) - m.rested)
	}
}

// Lag returns that of nearly half, and of nearly all requests, and how many there were.
func (b *Bridge) Lag() (p50, p99 time.Duration, n uint64) {
	b.lags.mu.Lock()
	defer b.lags.mu.Unlock()
	n = b.lags.h.Count()
	if n == 0 {
		return 0, 0, 0
	}
	return b.lags.h.Quantile(0.5), b.lags.h.Quantile(0.99), n
}
