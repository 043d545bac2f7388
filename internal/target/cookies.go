package target

import (
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

// What a scenario asks of single requests, and the cookies of its user.

// SetJar gives the user's cookies: every hop of a request, redirects included,
// sends those that belong there, unless the request has a Cookie field that
// goes there, and every complete answer may set some. nil, the default: none.
// It is not called during a Send.
func (c *Client) SetJar(j *cookie.Jar) { c.jar = j }

// Tune sets what holds for the next Send only: its time-out, 0 for that of the
// options, and whether a redirect is an answer like any other.
func (c *Client) Tune(timeout time.Duration, noRedirects bool) {
	c.tuned.timeout, c.tuned.still = timeout, noRedirects
}

// URL returns where the latest answer came from, after redirects, without
// credentials. It is "" before the first Send.
func (c *Client) URL() string {
	if c.from == nil {
		return ""
	}
	scheme := "http://"
	if c.from.https {
		scheme = "https://"
	}
	return scheme + c.from.authority + c.fromTarget
}

// tuning is what Tune set.
type tuning struct {
	timeout time.Duration
	still   bool
}

// take makes t that of the Send that begins.
func (c *Client) take() (t tuning) {
	t, c.tuned = c.tuned, tuning{}
	c.limit = c.t.opts.Timeout
	if t.timeout > 0 {
		c.limit = t.timeout
	}
	t.still = t.still || c.t.opts.MaxRedirects < 0
	return t
}

func (h *hop) place() cookie.Place {
	return cookie.Place{Host: h.at.o.host, Path: h.target, HTTPS: h.at.o.https}
}

// bake notes which cookies go with a hop.
func (c *Client) bake(h *hop) {
	if c.jar != nil {
		c.baked = c.jar.Append(c.baked[:0], h.place(), time.Now())
		h.cookie = c.baked
	}
}

// taste takes what the answer to a hop sets, and notes where it came from.
func (c *Client) taste(h *hop, ans *hit.Answer) {
	c.from, c.fromTarget = h.at.o, h.target
	if c.jar != nil {
		c.jar.Receive(h.place(), ans.Fields, ans.Done)
	}
}
