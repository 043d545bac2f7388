package load

import "github.com/weir-dev/weir/internal/hit"

// tellHit gives a finished request to Plan.OnHit.
func (s *Session) tellHit() {
	h, l := &s.hit, s.e.names.label(int(s.hit.name))
	s.e.plan.OnHit(&hit.Hit{
		User: s.id, Method: l.method, Name: l.name, Intended: h.intended, Sent: h.sent, Done: h.done,
		Outcome: h.outcome, Status: h.status, Failure: h.failure, Err: h.why, BytesIn: s.ans.BytesIn, BytesOut: s.ans.BytesOut,
	})
}
