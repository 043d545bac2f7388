package weir

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/crowd"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
)

// User is one virtual user: it sends requests, one at a time, on a connection
// and with cookies of its own. Only its own functions may use it, on the
// goroutine they are called on. Weir makes it; the zero value is not usable.
type User struct {
	sc    *scenario
	class *class
	s     *load.Session
	wire  *wire

	actor  actor
	places []place   // the task sets it is in, innermost last
	row    crowd.Row // the tasks so far, with a paced wait
	sent   int       // requests of the iteration under way
	misuse error     // the first thing the task under way did wrong, besides what it returned

	header []hit.Field // of every request
	auth   string      // value of Authorization, of every request

	// Of requests, reused:
	req    hit.Request
	fields []hit.Field
	body   writer
	scrap  []byte
	last   *Response // the latest answer, while the session still has it
	mark   *Response // the latest answer, while it can be marked
}

// place is a task set that a user is in.
type place struct {
	set  *set
	done int // tasks begun in it
}

// ID returns the number of the user in the run, from 0.
func (u *User) ID() int { return u.s.ID() }

// Host returns the host of the user's class, or what --host replaced it by,
// without a slash at its end; "" when there is none.
func (u *User) Host() string { return u.class.host }

// Rand returns the user's own random numbers, the same ones in every run with
// the same --seed.
func (u *User) Rand() *rand.Rand { return u.s.Rand() }

// Sleep pauses inside a task. It reports false, at once, when the run was
// stopped hard; the task should return then.
func (u *User) Sleep(d time.Duration) bool {
	u.mark = nil
	return u.s.Pause(d)
}

// Stopping reports whether the run is over and no further task will begin.
func (u *User) Stopping() bool { return u.s.Stopping() }

// SetHeader sends a header line with every further request, in place of one of
// the same name. "" takes it away.
func (u *User) SetHeader(name, value string) {
	if err := checkField(name, value); err != nil {
		u.complain(err)
		return
	}
	for i := range u.header {
		if strings.EqualFold(u.header[i].Name, name) {
			if value == "" {
				u.header = append(u.header[:i], u.header[i+1:]...)
			} else {
				u.header[i].Value = value
			}
			return
		}
	}
	if value != "" {
		u.header = append(u.header, hit.Field{Name: name, Value: value})
	}
}

// SetBasicAuth sends a name and a password with every further request that has
// no Authorization of its own.
func (u *User) SetBasicAuth(name, password string) { u.auth = basic(name, password) }

// Cookie returns the value of a cookie that is kept for the host of the class,
// whatever its path, "" when there is none.
func (u *User) Cookie(name string) string {
	v, _ := u.wire.jar.Get(hostOf(u.class.host), name, time.Now())
	return v
}

// SetCookie keeps a cookie for the host of the class, as if it had set it.
func (u *User) SetCookie(name, value string) {
	if name == "" || strings.ContainsAny(name, " ;=,\t\r\n\x00") || strings.ContainsAny(value, ";\r\n\x00") {
		u.complain(fmt.Errorf("SetCookie %q: neither name nor value may have a semicolon or a line break, nor the name a space or an equals sign", name))
		return
	}
	u.wire.jar.Put(hostOf(u.class.host), name, value)
}

// Get sends a request and returns its answer, never nil. target is a path under
// the host of the class, or an absolute URL. Redirects are followed. The other
// methods differ in their verb alone.
func (u *User) Get(target string, opts ...Option) *Response { return u.Do("GET", target, opts...) }

// Post is Get with the method POST.
func (u *User) Post(target string, opts ...Option) *Response { return u.Do("POST", target, opts...) }

// Put is Get with the method PUT.
func (u *User) Put(target string, opts ...Option) *Response { return u.Do("PUT", target, opts...) }

// Patch is Get with the method PATCH.
func (u *User) Patch(target string, opts ...Option) *Response { return u.Do("PATCH", target, opts...) }

// Delete is Get with the method DELETE.
func (u *User) Delete(target string, opts ...Option) *Response {
	return u.Do("DELETE", target, opts...)
}

// Head is Get with the method HEAD. It follows no redirects.
func (u *User) Head(target string, opts ...Option) *Response { return u.Do("HEAD", target, opts...) }

// Options is Get with the method OPTIONS.
func (u *User) Options(target string, opts ...Option) *Response {
	return u.Do("OPTIONS", target, opts...)
}

// Do is Get with any method. A request that cannot be made as it was asked for
// is not sent: the answer has an Err, which is listed among the errors of the run.
func (u *User) Do(method, target string, opts ...Option) *Response {
	u.release()
	timeout, still, err := u.build(method, target, opts)
	if err != nil {
		err = fmt.Errorf("%s %s: %w", method, cut(target), err)
		u.complain(err)
		return &Response{u: u, Method: method, Name: target, URL: u.req.URL, err: err, failure: hit.OtherFailure, outcome: hit.Missed}
	}
	if timeout > 0 || still {
		u.wire.Tune(timeout, still)
	}
	u.sent++
	r := u.receive(u.s.Send(&u.req))
	u.body.shrink()
	return r
}

// complain remembers what a task did wrong, for its end.
func (u *User) complain(err error) {
	if u.misuse == nil {
		u.misuse = err
	}
}

// build fills in u.req.
func (u *User) build(method, target string, opts []Option) (timeout time.Duration, still bool, err error) {
	if !isToken(method) {
		return 0, false, fmt.Errorf("%q is not a method", method)
	}
	u.req = hit.Request{Method: method}
	if err := u.address(target, opts); err != nil {
		return 0, false, err
	}
	u.fields = append(u.fields[:0], u.header...)
	own := len(u.fields)
	u.body.b = u.body.b[:0]
	still = method == "HEAD"
	kind, auth := "", u.auth
	var raw []byte
	bodies, form := 0, false
	for i := range opts {
		o := &opts[i]
		switch o.kind {
		case optJSON:
			bodies++
			kind = "application/json"
			err = u.body.json(o.data)
		case optForm:
			if !form {
				form = true
				bodies++
			}
			kind = "application/x-www-form-urlencoded"
			u.body.b = appendPair(u.body.b, len(u.body.b) > 0, o.name, o.value)
		case optBody:
			bodies++
			raw = o.body
		case optHeader:
			own, err = u.putField(own, o.name, o.value)
		case optTimeout:
			if timeout = o.d; timeout <= 0 {
				err = fmt.Errorf("Timeout is %v: want a time above zero", timeout)
			}
		case optNoRedirects:
			still = true
		case optBasicAuth:
			auth = basic(o.name, o.value)
		case optReplay:
			u.req.Replay = true
		}
		if err != nil {
			return 0, false, err
		}
	}
	if hasFiles(opts) {
		if kind, err = u.multipart(opts); err != nil {
			return 0, false, err
		}
		bodies, raw = 1, nil
	}
	if bodies > 1 {
		return 0, false, errors.New("JSON, Form and Body each give a body; keep one")
	}
	if kind != "" && !u.hasField("Content-Type") {
		u.fields = append(u.fields, hit.Field{Name: "Content-Type", Value: kind})
	}
	if auth != "" && !u.hasField("Authorization") {
		u.fields = append(u.fields, hit.Field{Name: "Authorization", Value: auth})
	}
	if raw == nil {
		raw = u.body.b
	}
	u.req.Header, u.req.Body = u.fields, raw
	return timeout, still, nil
}

// address fills in URL and Name.
func (u *User) address(target string, opts []Option) error {
	full, start := target, 0 // start of the path in full
	if i := strings.Index(full, "://"); i >= 0 && i < 10 {
		start = i + len("://")
		if slash := strings.IndexAny(full[start:], "/?#"); slash >= 0 {
			start += slash
		} else {
			start = len(full)
		}
		if err := u.sc.mayReach(full); err != nil {
			return err
		}
	} else {
		if u.class.host == "" {
			return fmt.Errorf("there is no host: set Host in class %s, or give --host", u.class.name)
		}
		full, start = u.class.join(full), len(u.class.host)
	}
	if i := strings.IndexByte(full, '#'); i >= 0 {
		full = full[:i]
	}
	end := len(full)
	if i := strings.IndexByte(full[start:], '?'); i >= 0 {
		end = start + i
	}
	u.req.Name = full[start:end]
	u.req.URL = full
	u.scrap = u.scrap[:0]
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optQuery:
			if len(u.scrap) == 0 {
				u.scrap = append(u.scrap, full...)
				if end == len(full) {
					u.scrap = append(u.scrap, '?')
				} else {
					u.scrap = append(u.scrap, '&')
				}
				u.scrap = appendPair(u.scrap, false, o.name, o.value)
				continue
			}
			u.scrap = appendPair(u.scrap, true, o.name, o.value)
		case optName:
			u.req.Name = o.value
		}
	}
	if len(u.scrap) > 0 {
		u.req.URL = string(u.scrap)
	}
	if u.req.Name == "" {
		u.req.Name = "/"
	}
	return nil
}

// join returns the URL of a path.
func (c *class) join(path string) string {
	if strings.HasPrefix(path, "/") {
		return c.host + path
	}
	return c.host + "/" + path
}

// putField lays a header line over those of the user, of which there are own.
func (u *User) putField(own int, name, value string) (int, error) {
	if err := checkField(name, value); err != nil {
		return own, err
	}
	for i := range own {
		if strings.EqualFold(u.fields[i].Name, name) {
			u.fields[i].Value = value
			return own, nil
		}
	}
	u.fields = append(u.fields, hit.Field{Name: name, Value: value})
	return own, nil
}

func (u *User) hasField(name string) bool {
	for i := range u.fields {
		if strings.EqualFold(u.fields[i].Name, name) {
			return true
		}
	}
	return false
}

// isToken tells whether s can be a method or the name of a header, RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

func checkField(name, value string) error {
	if !isToken(name) {
		return fmt.Errorf("%q is not the name of a header", name)
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("header %s has a line break in it", name)
	}
	return nil
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

func appendPair(b []byte, more bool, name, value string) []byte {
	if more {
		b = append(b, '&')
	}
	b = append(b, url.QueryEscape(name)...)
	b = append(b, '=')
	return append(b, url.QueryEscape(value)...)
}

// hostOf returns the host of a URL as package cookie wants it.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// cut makes a target short enough for an error, without its query, which may
// hold a secret.
func cut(target string) string {
	target, _, _ = strings.Cut(target, "?")
	if len(target) > 100 {
		return target[:100] + "…"
	}
	return target
}

// newUser makes a user of a class, without its state.
func (sc *scenario) newUser(c *class, s *load.Session, w *wire) *User {
	return &User{sc: sc, class: c, s: s, wire: w}
}
