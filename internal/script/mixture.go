package script

import (
	"context"
	"errors"
	"time"

	"github.com/weir-dev/weir/internal/load"
)

// mixture is a user of the open model when there are several classes: it has one
// self in each of them, with cookies and data of its own, and each arrival is
// taken by the self whose turn it is in the mixture of all arrivals.
type mixture struct {
	sc    *Script
	s     *load.Session
	wire  *wire
	selfs map[*class]*user
}

// Iterate runs one task of the class whose turn it is.
func (c *mixture) Iterate(ctx context.Context) (time.Duration, error) {
	k := c.sc.arrivalClass(c.sc.arrivals.Add(1) - 1)
	u := c.selfs[k]
	if u == nil {
		u = c.sc.newUser(k, c.s, newWire(c.wire.Sender))
		if err := u.start(); err != nil {
			return 0, err
		}
		u.finish()
		if c.selfs == nil {
			c.selfs = map[*class]*user{}
			c.wire.leave = c.leave
		}
		c.selfs[k] = u
	}
	u.wire.use()
	_, err := u.Iterate(ctx)
	if errors.Is(err, errOver) {
		return 0, nil
	}
	return 0, err
}

func (c *mixture) leave() {
	for _, k := range c.sc.classes {
		if u := c.selfs[k]; u != nil {
			u.wire.use()
			u.leave()
		}
	}
}
