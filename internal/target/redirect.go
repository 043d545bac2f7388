package target

import (
	"net/url"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// redirect turns h into the request that the answer asks for. again is false
// when there is nothing to follow: then the 3xx is the answer.
//
// The rules are those of RFC 9110 §15.4 as browsers practise them: 303, and 301
// or 302 after a POST, are followed by a GET without body (a HEAD stays one);
// 307 and 308, and 301 or 302 after any other method, repeat the request. To
// another origin go neither Authorization, Cookie, Proxy-Authorization, Host nor
// the credentials in the first URL; credentials in the new URL are not used.
func (c *Client) redirect(h *hop, ans *hit.Answer) (again bool, f *fault) {
	get := false
	switch ans.Status {
	case 301, 302:
		get = h.method == "POST" || h.method != "HEAD" && (c.tune.Found && ans.Status == 302 || c.tune.Moved && ans.Status == 301)
	case 303:
		get = h.method != "HEAD" && h.method != "GET"
	case 307, 308:
	default:
		return false, nil
	}
	location, ok := ans.Fields.Find("Location")
	if !ok {
		return false, nil
	}
	base, err := url.Parse(h.at.o.base + h.target)
	if err != nil {
		return false, faultf(hit.OtherFailure, "the URL cannot be the base of a redirect: it is malformed")
	}
	next, err := base.Parse(string(location))
	if err != nil || len(location) == 0 {
		return false, faultf(hit.BadAnswer, "Location is not a URL: %+q", cut(string(location), 40))
	}
	if scheme := strings.ToLower(next.Scheme); scheme != "http" && scheme != "https" {
		return false, nil // com.example.app://callback?code=… is for another program
	}
	most := c.t.opts.MaxRedirects
	if c.tune.MaxRedirects > 0 {
		most = c.tune.MaxRedirects
	}
	if ans.Redirects >= most {
		return false, faultf(hit.TooManyRedirects, "more than %d redirects", most)
	}
	next.User, next.Fragment, next.RawFragment = nil, "", ""
	at, target, f := c.resolve(next.String())
	if f != nil {
		return false, faultf(hit.BadAnswer, "Location is not a URL: %+q", cut(string(location), 40))
	}
	if c.hopped != nil {
		c.hopped(c.URL(), ans)
	}
	h.target = target
	if !at.o.same(h.at.o) { // else the slot stays, with its connection and credentials
		h.at, h.crossed = at, true
	}
	if get {
		h.method = "GET"
	}
	if get || c.t.opts.Bare && ans.Status < 307 {
		h.body, h.bare = nil, true
	}
	h.fresh = c.t.opts.Bare
	ans.Redirects++
	ans.Status, ans.Fields, ans.Phrase, ans.Body, ans.Proto = 0, ans.Fields[:0], ans.Phrase[:0], ans.Body[:0], ""
	ans.FirstByte, ans.Done = time.Time{}, time.Time{}
	return true, nil
}
