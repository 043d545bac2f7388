package stand

import (
	"strconv"
	"time"
)

// Stats is what a stand-in has counted, as served in JSON under the admin path.
// When nothing is in progress, Requests equals the sum of Answers plus Aborted.
type Stats struct {
	Standin string    `json:"standin"`
	Started time.Time `json:"started"`
	Now     time.Time `json:"now"`

	// Requests reached the stand-in, whatever became of them.
	Requests uint64 `json:"requests"`
	// Answers by status code, and Aborted: connections cut or left without an answer.
	Answers map[string]uint64 `json:"answers"`
	Aborted uint64            `json:"aborted"`

	Categories []Category `json:"categories"`
}

// Category is one quota with its counts since the start and by minute.
type Category struct {
	Category string `json:"category"`

	// Algorithm, Limit and WindowSeconds are empty for a category without a quota.
	Algorithm     string  `json:"algorithm,omitempty"`
	Limit         int64   `json:"limit,omitempty"`
	WindowSeconds float64 `json:"windowSeconds,omitempty"`
	Burst         int64   `json:"burst,omitempty"`

	// CallCount counts all calls, ThrottleCount those of them that were refused:
	// the names and meanings of Cognito's usage metrics (Amazon Cognito Developer
	// Guide, "Quotas in Amazon Cognito", section "Track quota usage", 2023).
	CallCount     uint64 `json:"callCount"`
	ThrottleCount uint64 `json:"throttleCount"`

	// Minutes are the latest ones with any call, oldest first.
	Minutes []Minute `json:"minutes"`
}

// Minute is what one category counted in one minute of the stand's clock.
type Minute struct {
	Start         time.Time `json:"minute"` // UTC, on the minute
	CallCount     uint64    `json:"callCount"`
	ThrottleCount uint64    `json:"throttleCount"`
}

// Stats returns the counts so far, with at most last minutes per category, or
// all that are kept when last is negative. The parts are read one after the
// other: under traffic they may differ by the requests in progress.
func (s *Stand) Stats(last int) Stats {
	st := Stats{
		Started:    s.started.UTC(),
		Now:        s.clock().UTC(),
		Requests:   s.requests.Load(),
		Aborted:    s.aborted.Load(),
		Answers:    map[string]uint64{},
		Categories: make([]Category, 0, len(s.desks)),
	}
	for code := range s.answers {
		if n := s.answers[code].Load(); n > 0 {
			st.Answers[strconv.Itoa(code)] = n
		}
	}
	for _, d := range s.desks {
		st.Categories = append(st.Categories, d.stats(last))
	}
	return st
}

func (d *desk) stats(last int) Category {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := Category{
		Category:      d.category,
		CallCount:     d.calls,
		ThrottleCount: d.throttled,
		Minutes:       d.minutes.latest(last),
	}
	if p := d.policy; p != nil {
		c.Algorithm, c.Limit, c.Burst = p.Algorithm.String(), p.Limit, p.Burst
		c.WindowSeconds = p.Window.Seconds()
	}
	return c
}

// minutes is a bounded history: a ring of the latest minutes that had a call.
type minutes struct {
	keep int
	ring []count // grows up to keep, then wraps
	head int     // where the oldest is once the ring is full
}

type count struct {
	minute           int64 // since the Unix epoch
	calls, throttled uint64
}

// at returns the minute of now. A clock that went back counts in the newest
// minute, so that the history stays in order.
func (m *minutes) at(now time.Time) *count {
	minute := floorDiv(now.Unix(), 60)
	if n := len(m.ring); n > 0 {
		newest := &m.ring[(m.head+n-1)%n]
		if minute <= newest.minute {
			return newest
		}
	}
	if len(m.ring) < m.keep {
		m.ring = append(m.ring, count{minute: minute})
		return &m.ring[len(m.ring)-1]
	}
	oldest := &m.ring[m.head]
	*oldest = count{minute: minute}
	m.head = (m.head + 1) % len(m.ring)
	return oldest
}

func (m *minutes) latest(last int) []Minute {
	n := len(m.ring)
	if last < 0 || last > n {
		last = n
	}
	out := make([]Minute, 0, last)
	for i := n - last; i < n; i++ {
		c := m.ring[(m.head+i)%n]
		out = append(out, Minute{Start: time.Unix(c.minute*60, 0).UTC(), CallCount: c.calls, ThrottleCount: c.throttled})
	}
	return out
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
