package drill

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Twin is what the usual load would have been for the same proof: that of seed
// report 000, whose author ran 300 users, 100 more each second, one request a second
// each, until the notification came.
type Twin struct {
	Users     int     `json:"users"`
	Seconds   float64 `json:"seconds"`
	Requests  int     `json:"requests"`
	Throttled int     `json:"throttled"`
	USD       float64 `json:"usd"`
	Limit     float64 `json:"limit"` // per second, that it was played against
}

const (
	twinUsers = 300
	twinSpawn = 100
)

// newTwin plays that load against the limit that was met, in virtual time. It is nil
// where nothing was refused or noticed.
func newTwin(d *Drill, r *Report) *Twin {
	last := 0.0
	for i, s := range d.plan.Stages {
		if !s.After && !s.Aside && i < len(r.Stages) {
			if !r.Stages[i].Seen {
				return nil
			}
			last = max(last, r.Stages[i].Seconds)
		}
	}
	if r.Load.First == nil || len(r.Load.Bursts) == 0 {
		return nil
	}
	seconds := last - r.Load.Bursts[0].From
	quota := d.brief.Quota
	if quota == 0 {
		quota = d.o.Rate
	}
	if quota == 0 {
		quota = math.Max(1, r.Load.First.Rate-1)
	}
	t := &Twin{Users: twinUsers, Seconds: seconds, Limit: quota}
	p := limit.Policy{Algorithm: limit.SlidingLog, Limit: int64(math.Ceil(quota)), Window: time.Second}
	start := time.Unix(0, 0)
	l, err := p.New(start)
	if err != nil || seconds > 7200 {
		return nil
	}
	admitted := 0
	for second := range int(math.Ceil(seconds)) {
		users := min(twinUsers, (second+1)*twinSpawn)
		for u := range users {
			at := float64(second) + float64(u)/float64(users)
			if at > seconds {
				break
			}
			t.Requests++
			if l.Take(start.Add(time.Duration(at*float64(time.Second))), 1).Allowed {
				admitted++
			} else {
				t.Throttled++
			}
		}
	}
	t.USD = float64(admitted) * d.o.USD
	return t
}
