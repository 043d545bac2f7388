package cli

import (
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// forbidsForLimit tells whether an answer refuses for a limit as GitHub's does: status 403,
// with limit headers that say that nothing is left. A 403 without these may lock out.
func forbidsForLimit(a *hit.Answer) bool {
	if a.Status != 403 || a.Failure != hit.NoFailure {
		return false
	}
	r := header.Parse(a.Fields, a.Done)
	l, ok := r.Tightest()
	return ok && l.Remaining == 0
}

// tellsSpent is how the headers of an answer say that a limit is used up, "" where they do not.
func tellsSpent(a *hit.Answer) string {
	r := header.Parse(a.Fields, a.Done)
	if l, ok := r.Tightest(); ok && l.Remaining == 0 {
		return "its limit headers say that nothing is left"
	}
	if r.RetryAfterSet {
		return "it has a Retry-After header"
	}
	return ""
}
