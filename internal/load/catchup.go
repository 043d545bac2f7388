package load

import "time"

const (
	// spreadSaved is the part of the gaps of the plan that late arrivals save
	// under Spread: one eleventh, so that they leave 11/10 as fast.
	spreadSaved = 11

	// spreadGrace is how far ahead of that pace an arrival may leave, so that the
	// clock may wake late for a few of them without consequences.
	spreadGrace = 10 * time.Millisecond
)

// spreader holds arrivals back under Spread. After arrival n has left, the next
// one waits for 10/11 of the time that the plan puts between the two: late
// arrivals are the plan itself, played a tenth faster. That needs no estimate
// of a rate and keeps the shape of ramps and bursts.
//
// In any window of length w the arrivals that leave are therefore at most those
// that the plan has in some window of 1.1 × (w + spreadGrace), plus one.
type spreader struct{ next time.Duration }

// earliest returns when the next arrival may leave.
func (s *spreader) earliest() time.Duration { return s.next - spreadGrace }

// leave notes that an arrival left now, gap before the next one of the plan.
func (s *spreader) leave(now, gap time.Duration) {
	s.next = max(s.next, now) + gap - gap/spreadSaved
}
