package cli

import (
	"slices"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
)

// probeAnswers is how a service that is probed says that it refuses, and how it tells
// its limits, for the policy file that is written of it.
type probeAnswers struct {
	refused bool // one was seen in this session
	status  int  // of the first refusal
	no, yes header.Dialect
	wait    bool // refusals carry Retry-After
}

// see takes in an answer and what its headers tell.
func (p *probeAnswers) see(a *hit.Answer, told *header.Reading, refused bool) {
	d := header.Dialect("")
	if told != nil {
		d = told.Dialect
	}
	switch {
	case !refused && p.yes == "" && d != header.RetryAfterOnly:
		p.yes = d
	case refused && !p.refused:
		p.refused, p.status, p.no, p.wait = true, a.Status, d, told != nil && told.RetryAfterSet
	}
}

// answer is what a policy file says of refusals; what it cannot say is in lost.
func (p *probeAnswers) answer() (a policy.Answer, tell policy.Tell, lost string) {
	if !p.refused {
		return a, tell, ""
	}
	if slices.Contains(plainDialects, p.yes) {
		tell.Dialect = p.yes
	}
	if p.status < 400 {
		return a, tell, "refusals have a status that tells of success"
	}
	a.Status = p.status
	if slices.Contains(plainDialects, p.no) {
		a.Dialect = p.no
	} else if p.wait {
		a.Dialect = header.RetryAfterOnly
	}
	return a, tell, ""
}

// plainDialects are those that can tell any limit.
var plainDialects = []header.Dialect{header.Draft, header.OldDraft, header.XRateLimit, header.XRateLimitDashed, header.GitHub, header.Discord, header.RetryAfterOnly}
