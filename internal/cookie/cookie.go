// Package cookie is Jar, the cookies of one user, kept by the rules of
// RFC 6265bis as browsers practise them.
//
// Every request counts as one of the site itself, as when a person clicks on
// its own pages: so SameSite never keeps a cookie back, but SameSite=None
// without Secure is refused as browsers refuse it. A Jar is a value of the
// caller: it reads no clock and takes no lock.
package cookie

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/weir-dev/weir/internal/hit"
)

const (
	maxCookies = 200  // of one jar; the oldest goes
	maxSize    = 4096 // bytes of name and value, RFC 6265bis §5.6
	maxAttr    = 1024 // bytes of an attribute's value
)

// Jar keeps the cookies of one user. The zero value is empty and ready. It is
// not safe for concurrent use.
type Jar struct {
	// Lenient takes what browsers refuse and programs commonly take: Secure over
	// http, SameSite=None without Secure, names that begin with __Host-.
	Lenient bool

	cookies  []Cookie // longest path first, then oldest first: the order of sending
	made     uint32
	extra    []Pair // sent with the request under way
	extraFor string // to this host
	refused  Pair   // name of the cookie that was refused last, and why
}

// Cookie is one cookie of a jar.
type Cookie struct {
	Name, Value  string
	Domain, Path string
	Expires      time.Time // zero: when the user leaves
	Secure       bool      // sent over https only
	HostOnly     bool      // sent to Domain itself only, not to hosts below it
	HTTPOnly     bool      // a page's scripts would not see it
	made         uint32
}

// Pair is a name and its value.
type Pair struct{ Name, Value string }

// Place is where a request goes: host in lower case without port or brackets,
// path as sent, with or without the query.
type Place struct {
	Host, Path string
	HTTPS      bool
}

// Receive takes the cookies that an answer sets. It allocates nothing when
// there is none, or when they are as they were.
func (j *Jar) Receive(at Place, fields hit.Fields, now time.Time) {
	if !fields.Has("Set-Cookie") {
		return
	}
	for _, line := range fields.Values("Set-Cookie") {
		j.Set(at, line, now)
	}
}

// Set takes one Set-Cookie line and reports whether it was kept, or did what it
// asked: to delete a cookie.
func (j *Jar) Set(at Place, line string, now time.Time) bool {
	p, ok := parse(line, now)
	if !ok {
		return false
	}
	if why := p.settle(at, j.Lenient); why != "" {
		j.refused = Pair{p.Name, why}
		return false
	}
	i := j.find(p.Name, p.Domain, p.Path)
	if !at.HTTPS && !p.Secure && !j.Lenient && j.shadowsSecure(&p.Cookie) {
		j.refused = Pair{p.Name, "it would replace a Secure cookie, and it came over http"}
		return false
	}
	if p.delete || !p.Expires.IsZero() && !p.Expires.After(now) {
		if i >= 0 {
			j.cookies = slices.Delete(j.cookies, i, i+1)
		}
		return true
	}
	if j.refused.Name == p.Name {
		j.refused = Pair{}
	}
	if i >= 0 {
		p.made = j.cookies[i].made
		j.cookies[i] = p.Cookie
		return true
	}
	if len(j.cookies) >= maxCookies {
		j.evict(now)
	}
	j.made++
	p.made = j.made
	at2, _ := slices.BinarySearchFunc(j.cookies, p.Cookie, before)
	j.cookies = slices.Insert(j.cookies, at2, p.Cookie)
	return true
}

// before is the order of sending, RFC 6265bis §5.8.3.
func before(a, b Cookie) int {
	if len(a.Path) != len(b.Path) {
		return len(b.Path) - len(a.Path)
	}
	return int(int64(a.made) - int64(b.made))
}

func (j *Jar) find(name, domain, path string) int {
	return slices.IndexFunc(j.cookies, func(c Cookie) bool { return c.Name == name && c.Domain == domain && c.Path == path })
}

// shadowsSecure tells whether c, set over http, would hide a Secure cookie.
func (j *Jar) shadowsSecure(c *Cookie) bool {
	return slices.ContainsFunc(j.cookies, func(o Cookie) bool {
		return o.Secure && o.Name == c.Name && (domainMatch(o.Domain, c.Domain) || domainMatch(c.Domain, o.Domain)) && pathMatch(c.Path, o.Path)
	})
}

func (j *Jar) evict(now time.Time) {
	oldest := 0
	for i := range j.cookies {
		if !j.cookies[i].Expires.IsZero() && !j.cookies[i].Expires.After(now) {
			oldest = i
			break
		}
		if j.cookies[i].made < j.cookies[oldest].made {
			oldest = i
		}
	}
	j.cookies = slices.Delete(j.cookies, oldest, oldest+1)
}

// Extra adds cookies to the requests to a host until it is called again. They
// replace kept ones of the same name. pairs may be nil.
func (j *Jar) Extra(host string, pairs []Pair) { j.extra, j.extraFor = pairs, host }

// Append appends the value of the Cookie field of a request to b, nothing when
// no cookie belongs there. It does not allocate when b has room.
func (j *Jar) Append(b []byte, at Place, now time.Time) []byte {
	start := len(b)
	extra := j.extra
	if at.Host != j.extraFor {
		extra = nil
	}
	for i := range j.cookies {
		c := &j.cookies[i]
		if !c.belongs(at, now) || slices.ContainsFunc(extra, func(p Pair) bool { return p.Name == c.Name }) {
			continue
		}
		b = appendPair(b, start, c.Name, c.Value)
	}
	for _, p := range extra {
		b = appendPair(b, start, p.Name, p.Value)
	}
	return b
}

func appendPair(b []byte, start int, name, value string) []byte {
	if len(b) > start {
		b = append(b, "; "...)
	}
	b = append(b, name...)
	b = append(b, '=')
	return append(b, value...)
}

// belongs tells whether c is sent there.
func (c *Cookie) belongs(at Place, now time.Time) bool {
	if c.HostOnly && c.Domain != at.Host || !c.HostOnly && !domainMatch(at.Host, c.Domain) {
		return false
	}
	return (at.HTTPS || !c.Secure) && pathMatch(at.Path, c.Path) && (c.Expires.IsZero() || c.Expires.After(now))
}

// Get returns the value of the cookie of that name that is kept for a host,
// whatever its path, the one with the shortest path when there are several.
func (j *Jar) Get(host, name string, now time.Time) (value string, ok bool) {
	for _, c := range slices.Backward(j.cookies) {
		if c.Name == name && c.visible(host, now) {
			return c.Value, true
		}
	}
	return "", false
}

func (c *Cookie) visible(host string, now time.Time) bool {
	return c.belongs(Place{Host: host, Path: c.Path, HTTPS: true}, now)
}

// For returns the cookies kept for a host, whatever their path, in the order
// of sending.
func (j *Jar) For(host string, now time.Time) []Cookie {
	var out []Cookie
	for _, c := range j.cookies {
		if c.visible(host, now) {
			out = append(out, c)
		}
	}
	return out
}

// Put keeps a cookie for the whole of a host, as if the host had set it.
func (j *Jar) Put(host, name, value string) {
	j.Add(Cookie{Name: name, Value: value, Domain: host, Path: "/", HostOnly: true})
}

// All returns the cookies that have not expired, in the order of sending.
func (j *Jar) All(now time.Time) []Cookie {
	var out []Cookie
	for _, c := range j.cookies {
		if c.Expires.IsZero() || c.Expires.After(now) {
			out = append(out, c)
		}
	}
	return out
}

// Add keeps a cookie as it is, in the place of one with the same name, domain and
// path. Its Path is "/" when there is none.
func (j *Jar) Add(c Cookie) {
	c.Domain = strings.ToLower(strings.TrimPrefix(c.Domain, "."))
	if c.Path == "" {
		c.Path = "/"
	}
	if i := j.find(c.Name, c.Domain, c.Path); i >= 0 {
		c.made = j.cookies[i].made
		j.cookies[i] = c
		return
	}
	if len(j.cookies) >= maxCookies {
		j.evict(time.Time{})
	}
	j.made++
	c.made = j.made
	at, _ := slices.BinarySearchFunc(j.cookies, c, before)
	j.cookies = slices.Insert(j.cookies, at, c)
}

// Remove forgets the cookies of that domain, path and name; "" is any.
func (j *Jar) Remove(domain, path, name string) {
	domain = strings.ToLower(strings.TrimPrefix(domain, "."))
	j.cookies = slices.DeleteFunc(j.cookies, func(c Cookie) bool {
		return (domain == "" || c.Domain == domain) && (path == "" || c.Path == path) && (name == "" || c.Name == name)
	})
}

// Expire forgets the cookies that have expired.
func (j *Jar) Expire(now time.Time) {
	j.cookies = slices.DeleteFunc(j.cookies, func(c Cookie) bool { return !c.Expires.IsZero() && !c.Expires.After(now) })
}

// Drop forgets the cookies of that name that are kept for a host, all cookies
// with name "".
func (j *Jar) Drop(host, name string) {
	if name == "" {
		j.cookies = nil
		return
	}
	j.cookies = slices.DeleteFunc(j.cookies, func(c Cookie) bool { return c.Name == name && c.visible(host, time.Time{}) })
}

// Refused returns why the cookie of that name was not kept when it was set
// last, "" when nothing is known of that.
func (j *Jar) Refused(name string) string {
	if j.refused.Name == name {
		return j.refused.Value
	}
	return ""
}

// settle completes a cookie with where it came from, or says why it is refused.
func (p *parsed) settle(at Place, lenient bool) (why string) {
	if p.Secure && !at.HTTPS && !lenient {
		return "it is Secure, and it came over http"
	}
	if p.sameSiteNone && !p.Secure && !lenient {
		return "SameSite=None needs Secure"
	}
	if p.Domain == "" {
		p.Domain, p.HostOnly = at.Host, true
	} else if p.Domain == at.Host && (isIP(at.Host) || isPublic(at.Host)) {
		p.HostOnly = true
	} else if isIP(at.Host) || !domainMatch(at.Host, p.Domain) {
		return "its Domain is not that of the host"
	} else if isPublic(p.Domain) {
		return "its Domain is a public suffix"
	}
	given := p.Path
	if p.Path == "" {
		p.Path = defaultPath(at.Path)
	}
	lower := strings.ToLower(p.Name)
	switch {
	case lenient:
	case strings.HasPrefix(lower, "__secure-") && !p.Secure:
		return "__Secure- needs Secure"
	case strings.HasPrefix(lower, "__host-") && (!p.Secure || !p.HostOnly || given != "/"):
		return "__Host- needs Secure, Path=/ and no Domain"
	}
	return ""
}

func isIP(host string) bool { _, err := netip.ParseAddr(host); return err == nil }

func isPublic(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

// domainMatch tells whether host is domain or below it, RFC 6265bis §5.1.3.
func domainMatch(host, domain string) bool {
	n := len(host) - len(domain)
	return n == 0 && host == domain || n > 0 && host[n-1] == '.' && host[n:] == domain
}

// pathMatch, RFC 6265bis §5.1.4.
func pathMatch(path, of string) bool {
	path = cutQuery(path)
	if !strings.HasPrefix(path, of) {
		return false
	}
	return len(path) == len(of) || strings.HasSuffix(of, "/") || path[len(of)] == '/'
}

func defaultPath(path string) string {
	path = cutQuery(path)
	if i := strings.LastIndexByte(path, '/'); i > 0 && path[0] == '/' {
		return path[:i]
	}
	return "/"
}

func cutQuery(path string) string {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if path == "" {
		return "/"
	}
	return path
}
