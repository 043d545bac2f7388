package tenantlog

import "time"

// The performance burst of a tenant of the public cloud: 48 hours a month, used
// up in blocks of 15 minutes (seed report 001; log event type codes, "appi":
// "for up to 48 hours per month", read 2026-11-21).
const (
	BurstBlock     = 15 * time.Minute
	BurstAllotment = 48 * time.Hour
)

// Allotted is how much of the performance burst a tenant has used this month, by
// the calendar of UTC. The zero value has used nothing. It is not safe for
// concurrent use; those of a Log are.
type Allotted struct {
	month int       // year·12 + month of used
	used  int       // blocks begun
	until time.Time // end of the block under way
}

// Over notes that the tenant is over its sustained limit at an instant. ok is
// whether the burst is there for it: within a block, or since a block was left
// to begin, which began says.
func (a *Allotted) Over(at time.Time) (ok, began bool) {
	if at.Before(a.until) {
		return true, false
	}
	at = at.UTC()
	if m := at.Year()*12 + int(at.Month()); m != a.month {
		a.month, a.used = m, 0
	}
	if a.Left() < BurstBlock {
		return false, false
	}
	a.used++
	a.until = at.Add(BurstBlock)
	return true, true
}

// Used and Left are the time that the blocks begun this month take, and what is
// left of the allotment.
func (a *Allotted) Used() time.Duration { return time.Duration(a.used) * BurstBlock }
func (a *Allotted) Left() time.Duration { return BurstAllotment - a.Used() }

// Burst is Over for a bucket of the log's tenant, which has an entry of type
// appi for each block that begins.
func (l *Log) Burst(at time.Time, b Bucket, r Request) (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.blocks[b.ID]
	if a == nil {
		a = &Allotted{}
		l.blocks[b.ID] = a
	}
	ok, began := a.Over(at)
	if began {
		e := l.entry(at, PerformanceUsed, "API Peak Performance initiated", r)
		if e.Details == nil {
			e.Details = map[string]any{}
		}
		// The page says that the entry tells what is used and what is left; how the
		// two are called is not published.
		e.Details["consumed_minutes"] = int(a.Used() / time.Minute)
		e.Details["remaining_minutes"] = int(a.Left() / time.Minute)
		l.add(e)
	}
	return ok
}
