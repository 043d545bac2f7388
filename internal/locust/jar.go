package locust

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

// jar is the cookies of one session, which the script looks at and changes while
// requests of it are under way. It is safe for concurrent use.
type jar struct {
	mu sync.Mutex
	j  cookie.Jar
}

// Append is of target.Cookies.
func (j *jar) Append(b []byte, at cookie.Place, now time.Time) []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.j.Append(b, at, now)
}

// Receive is of target.Cookies.
func (j *jar) Receive(at cookie.Place, fields hit.Fields, now time.Time) {
	if !fields.Has("Set-Cookie") {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.j.Receive(at, fields, now)
}

// with is a jar for one request, with cookies that belong to that request.
type with struct {
	*jar
	more string
}

// Append is of target.Cookies.
func (w *with) Append(b []byte, at cookie.Place, now time.Time) []byte {
	start := len(b)
	b = w.jar.Append(b, at, now)
	if w.more == "" {
		return b
	}
	if len(b) > start {
		b = append(b, "; "...)
	}
	return append(b, w.more...)
}

// jarCall is what a script asks of a jar.
type jarCall struct {
	User    uint32     `json:"user"`
	Session uint32     `json:"session"`
	Op      string     `json:"op"`
	Name    string     `json:"name"`
	Domain  string     `json:"domain"`
	Path    string     `json:"path"`
	Cookie  jarCookie  `json:"cookie"`
	Cookies []jarEntry `json:"cookies"`
}

type jarEntry = jarCookie

// jarCookie is a cookie as Python sees it.
type jarCookie struct {
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Domain   string   `json:"domain"`
	Path     string   `json:"path"`
	Expires  *float64 `json:"expires"`
	Secure   bool     `json:"secure"`
	HostOnly bool     `json:"host_only"`
	HTTPOnly bool     `json:"http_only"`
}

// do carries a call out and returns the answer.
func (j *jar) do(c *jarCall, now time.Time) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch c.Op {
	case "list":
		out := []jarCookie{}
		for _, k := range j.j.All(now) {
			x := jarCookie{Name: k.Name, Value: k.Value, Domain: k.Domain, Path: k.Path, Secure: k.Secure, HostOnly: k.HostOnly, HTTPOnly: k.HTTPOnly}
			if !k.Expires.IsZero() {
				at := float64(k.Expires.UnixNano()) / 1e9
				x.Expires = &at
			}
			out = append(out, x)
		}
		return map[string]any{"cookies": out}
	case "get":
		for _, k := range j.j.All(now) {
			if k.Name == c.Name && (c.Domain == "" || k.Domain == c.Domain) && (c.Path == "" || k.Path == c.Path) {
				return map[string]any{"value": k.Value}
			}
		}
		return map[string]any{"value": nil}
	case "set":
		j.set(&c.Cookie)
	case "update":
		for i := range c.Cookies {
			j.set(&c.Cookies[i])
		}
	case "remove":
		j.j.Remove(c.Domain, c.Path, c.Name)
	case "clear":
		j.j.Remove(c.Domain, c.Path, c.Name)
	case "clear_expired":
		j.j.Expire(now)
	default:
		return map[string]any{"error": "no such operation on cookies: " + c.Op}
	}
	return map[string]any{}
}

func (j *jar) set(x *jarCookie) {
	k := cookie.Cookie{Name: x.Name, Value: x.Value, Domain: x.Domain, Path: x.Path, Secure: x.Secure, HostOnly: x.HostOnly, HTTPOnly: x.HTTPOnly}
	if x.Expires != nil {
		k.Expires = time.Unix(0, int64(*x.Expires*1e9))
	}
	j.j.Add(k)
}

// cookies answers a frame about cookies.
func (c *child) cookies(id uint32, payload []byte) {
	var call jarCall
	var answer any
	if err := json.Unmarshal(payload, &call); err != nil {
		answer = map[string]any{"error": "the call is not JSON"}
	} else if call.Op == "close" {
		c.closeSession(call.Session)
		return
	} else if g := c.group(call.User, call.Session, true); g != nil {
		answer = g.jar.do(&call, time.Now())
	} else {
		answer = map[string]any{"cookies": []int{}, "value": nil}
	}
	c.reply(kindJar, id, answer)
}
