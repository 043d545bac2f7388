package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Repeat returns the scenario of users who send req over and over, each
// waiting for wait after an answer. The open model does not use wait.
func Repeat(req *hit.Request, wait time.Duration) Scenario {
	return &repeat{req, wait, wait}
}

// RepeatBetween is Repeat with a wait that is drawn evenly from [low, high]
// each time, by Session.Rand.
func RepeatBetween(req *hit.Request, low, high time.Duration) Scenario {
	return &repeat{req, low, high}
}

type repeat struct {
	req       *hit.Request
	low, high time.Duration
}

func (r *repeat) validate() error {
	switch {
	case r.req == nil || r.req.URL == "":
		return errors.New("no request to repeat: it needs a URL")
	case r.low < 0:
		return fmt.Errorf("the wait between requests is negative: %v", r.low)
	case r.high < r.low:
		return fmt.Errorf("the longest wait between requests, %v, is shorter than the shortest, %v", r.high, r.low)
	}
	return nil
}

func (r *repeat) NewUser(_ int, s *Session) (User, error) { return &repeater{r, s}, nil }

type repeater struct {
	*repeat
	s *Session
}

func (u *repeater) Iterate(context.Context) (time.Duration, error) {
	// Nobody can mark the answer, so it is recorded at once.
	if u.s.deliver(u.req) {
		u.s.record()
	}
	wait := u.low
	if more := u.high - u.low; more > 0 {
		wait += time.Duration(u.s.Rand().Int64N(int64(more) + 1))
	}
	return wait, nil
}
