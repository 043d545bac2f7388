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
func (c *Client) SetJar(j *cookie.Jar) {
	c.jar = nil
	if j != nil {
		c.jar = j
	}
}

// Cookies is what a Client needs of a jar. *cookie.Jar is one.
type Cookies interface {
	// Append appends the value of the Cookie field of a request that goes there.
	Append(b []byte, at cookie.Place, now time.Time) []byte
	// Receive takes the cookies that an answer sets.
	Receive(at cookie.Place, fields hit.Fields, now time.Time)
}

// SetCookies is SetJar for a jar of another kind, such as one that several
// clients share.
func (c *Client) SetCookies(j Cookies) { c.jar = j }

// OnRedirect makes f be called with each answer that is followed, and where it
// came from, before the next request is sent. ans is valid during the call. nil: nobody.
func (c *Client) OnRedirect(f func(url string, ans *hit.Answer)) { c.hopped = f }

// Tune sets what holds for the next Send only: its time-out, 0 for that of the
// options, and whether a redirect is an answer like any other.
func (c *Client) Tune(timeout time.Duration, noRedirects bool) {
	c.tuned = Tuning{Timeout: timeout, NoRedirects: noRedirects}
}

// Tuning is what a Client does otherwise for one request. The zero value changes
// nothing. Other clients than Weir's differ in these things.
type Tuning struct {
	Timeout      time.Duration // of the whole request. 0: as the options say
	Connect      time.Duration // longest time to connect, and again for TLS. 0: as the options say
	Read         time.Duration // longest time in which not one byte comes. 0: no such bound
	NoRedirects  bool          // a redirect is an answer like any other
	MaxRedirects int           // 0: as the options say
	Found, Moved bool          // 302, or 301, is followed by a GET after every method but HEAD
	Pieces       Pieces        // takes the body while it comes; nil: nobody
}

// TuneAs is Tune with more to say.
func (c *Client) TuneAs(t Tuning) { c.tuned = t }

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

// take makes what was tuned that of the Send that begins.
func (c *Client) take() Tuning {
	t := c.tuned
	c.tuned = Tuning{}
	c.limit = c.t.opts.Timeout
	if t.Timeout > 0 {
		c.limit = t.Timeout
	}
	if c.t.opts.HTTP != HTTP1 && t.Read > 0 && (c.limit <= 0 || t.Read < c.limit) {
		t.Read, c.limit = 0, t.Read // net/http has no such bound
	}
	t.NoRedirects = t.NoRedirects || c.t.opts.MaxRedirects < 0
	c.tune = t
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
	if c.tasted {
		return
	}
	c.tasted = true
	c.from, c.fromTarget = h.at.o, h.target
	if c.jar != nil {
		at := ans.Done
		if at.IsZero() {
			at = time.Now()
		}
		c.jar.Receive(h.place(), ans.Fields, at)
	}
}
