package target

import (
	"context"
	"errors"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Check tries the way to url once, as a user of t would go it: it resolves the
// name, connects and shakes hands, all within Options.Timeout, sends nothing and
// closes. The error says what
// is wrong and what to do about it; Why tells its kind.
func Check(ctx context.Context, t *Target, url string) error {
	c, err := t.NewSender(0)
	if err != nil {
		return err
	}
	if f := c.locate(url); f != nil {
		return f
	}
	if f := t.mayH2(c.at.o); f != nil {
		return f
	}
	c.take()
	var st sending
	st.begin(time.Now(), c.limit)
	k, f := c.connect(ctx, c.at, st.due)
	switch {
	case f != nil && ctx.Err() != nil:
		return interrupted()
	case f != nil:
		return f
	}
	k.close(true)
	return nil
}

// Why tells which step an error of Check is about, hit.OtherFailure when it
// is about none, hit.NoFailure for nil.
func Why(err error) hit.Failure {
	if err == nil {
		return hit.NoFailure
	}
	var f *fault
	if errors.As(err, &f) {
		return f.why
	}
	return hit.OtherFailure
}
