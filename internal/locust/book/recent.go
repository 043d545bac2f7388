package book

import "time"

// cache remembers what a row was at the end of the latest seconds.
type cache struct {
	at   []int64 // Unix seconds, rising
	were []past
}

type past struct {
	times buckets
	timed int64
}

// Locust keeps twenty seconds and looks about ten back.
const (
	cacheSize = 20
	lookBack  = 10
)

func (c *cache) put(unix int64, f *figures) {
	if n := len(c.at); n > 0 && c.at[n-1] >= unix {
		c.were[n-1] = past{f.times.clone(), f.requests - f.untimed}
		return
	}
	if len(c.at) >= cacheSize {
		c.at = append(c.at[:0], c.at[1:]...)
		c.were = append(c.were[:0], c.were[1:]...)
	}
	c.at = append(c.at, unix)
	c.were = append(c.were, past{f.times.clone(), f.requests - f.untimed})
}

// since is what was counted in about the last ten seconds: as far back as the
// cache allows, at least one second and at most 18. ok is false without a
// memory of that time.
func (c *cache) since(now int64, f *figures) (times buckets, n int64, ok bool) {
	find := func(unix int64) *past {
		for i, at := range c.at {
			if at == unix {
				return &c.were[i]
			}
		}
		return nil
	}
	was := find(now - lookBack)
	for i := int64(1); i < 9 && was == nil; i++ {
		if was = find(now - lookBack - i); was == nil {
			was = find(now - lookBack + i)
		}
	}
	if was == nil {
		return buckets{}, 0, false
	}
	times = f.times.clone()
	times.subtract(&was.times)
	return times, f.requests - f.untimed - was.timed, true
}

// moment is a point of the charts.
type moment struct {
	at                 int64 // Unix seconds
	users              int64
	requests, failures float64 // per second
	p50, p95           int64   // of about the last ten seconds, ms
}

// historyEvery is how far apart the points of the charts are.
const historyEvery = 5

// Second remembers the figures of this second, for what is said about the
// latest ten. It is to be called about once a second; every fifth call adds a
// point to the charts.
func (b *Book) Second(now time.Time) {
	rows := b.rows(false)
	b.window.Lock()
	defer b.window.Unlock()
	total := rows[len(rows)-1]
	b.recent.put(now.Unix(), total)
	if b.full {
		for _, f := range rows[:len(rows)-1] {
			b.mu.RLock()
			e := b.entries[f.key]
			b.mu.RUnlock()
			if e != nil {
				e.latest.put(now.Unix(), f)
			}
		}
	}
	if n := len(b.history); n == 0 || now.Unix()-b.history[n-1].at >= historyEvery {
		b.point(now, total)
	}
}

// point adds a point to the charts; b.window is held.
func (b *Book) point(now time.Time, total *figures) {
	m := moment{at: now.Unix(), users: b.users.Load()}
	m.requests, m.failures = total.current()
	if times, n, ok := b.recent.since(now.Unix(), total); ok {
		m.p50, m.p95 = times.percentile(n, 0.5), times.percentile(n, 0.95)
	}
	b.history = append(b.history, m)
}

// FullHistory lets every row remember its latest seconds, not only the sum:
// what --csv-full-history writes. To be called before the first request.
func (b *Book) FullHistory() {
	b.window.Lock()
	b.full = true
	b.window.Unlock()
}
