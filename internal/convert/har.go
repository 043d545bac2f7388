package convert

import (
	"encoding/base64"
	"math"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// thinkTime is the shortest gap between two requests that counts as thinking,
// in seconds: below it the browser was still loading.
const thinkTime = 0.5

// visit is an entry of the recording that is kept.
type visit struct {
	*node
	step       *step
	url        string
	method     string
	status     int
	location   string // absolute
	start, end time.Time
	page       string
	answers    []*node // its own and those of redirects that are followed
}

// recording is a HAR file being read (HAR 1.2, W3C Web Performance draft of 2012-08-14).
type recording struct {
	*builder
	visits []*visit
	finder finder
	set    map[string]bool // cookies that an answer has set
}

// har reads a recording of a browser or a proxy.
func (b *builder) har(root *node) error {
	b.title = "a HAR recording"
	r := &recording{builder: b, set: map[string]bool{}, finder: finder{b: b, known: map[string]*source{}, small: map[string]string{}}}
	entries := root.get("log").get("entries")
	if !entries.is(isList) {
		return root.get("log").wrong(b.o.Name, "log.entries is no list: is this a HAR file?")
	}
	if err := r.choose(entries.list()); err != nil {
		return err
	}
	r.followRedirects()
	counts := map[string]int{}
	for _, v := range r.visits {
		origin, _, _ := splitURL(v.url)
		if counts[origin]++; b.host == "" || counts[origin] > counts[b.host] {
			b.host = origin
		}
	}
	titles := map[string]string{}
	for _, p := range root.get("log").get("pages").list() {
		titles[p.get("id").str()] = p.get("title").str()
	}
	var f *function
	page := "\x00"
	var last time.Time
	for _, v := range r.visits {
		if f == nil || v.page != page {
			page = v.page
			_, at, _ := splitURL(v.url)
			f = &function{name: b.identifier(pageName(titles[page], at), "page"), doc: titles[page]}
			b.functions = append(b.functions, f)
		}
		s := r.step(v)
		if gap := v.start.Sub(last).Seconds(); !last.IsZero() && gap >= thinkTime {
			s.pause = min(math.Round(gap*10)/10, 3600)
		}
		if v.end.After(last) {
			last = v.end
		}
		if err := b.add(f, s); err != nil {
			return err
		}
		r.finder.learn(v)
		for _, a := range v.answers {
			for _, c := range cookiesOf(a) {
				r.set[c.name] = true
			}
		}
	}
	if len(b.functions) > 1 {
		all := &function{name: b.free("recording"), doc: "The whole recording, page after page."}
		for _, f := range b.functions {
			call := &step{call: f.name}
			if len(f.steps) > 0 {
				call.pause, f.steps[0].pause = f.steps[0].pause, 0
			}
			all.steps = append(all.steps, call)
		}
		b.functions = append(b.functions, all)
	}
	if n := len(b.functions); n > 0 {
		b.top = []entry{{fn: b.functions[n-1].name}}
	}
	return nil
}

func pageName(title, at string) string {
	if title == "" || strings.Contains(title, "://") {
		if at = strings.Trim(at, "/"); at != "" {
			return at
		}
		return "home"
	}
	return title
}

// choose keeps the entries that a load test repeats.
func (r *recording) choose(entries []*node) error {
	dropped := map[string]int{}
	for _, e := range entries {
		req := e.get("request")
		v := &visit{node: e, url: req.get("url").str(), method: req.get("method").str(), page: e.get("pageref").str()}
		if v.url == "" || v.method == "" {
			return e.wrong(r.o.Name, "this entry has no request with method and url")
		}
		v.url, _, _ = strings.Cut(v.url, "#")
		origin, at, _ := splitURL(v.url)
		v.status, _ = strconv.Atoi(e.get("response").get("status").str())
		switch scheme, _, _ := strings.Cut(v.url, ":"); {
		case scheme == "ws" || scheme == "wss" || v.status == 101:
			r.note(e, "the WebSocket %s", short(at, 60))
			continue
		case scheme != "http" && scheme != "https":
			dropped["requests that did not go over HTTP (data:, blob:, …)"]++
			continue
		case !goodName(v.method):
			return req.wrong(r.o.Name, "the method is no word")
		case v.method == "OPTIONS" && hasHeader(req, "Access-Control-Request-Method"):
			dropped["preflight requests of the browser (OPTIONS)"]++
			continue
		case v.status == 0 && e.get("response").has():
			dropped["requests without an answer"]++
			continue
		case !r.o.Static && static(e, at):
			dropped["images, fonts, style sheets and scripts (--static keeps them)"]++
			continue
		}
		if err := checkOrigin(origin); err != nil {
			return req.get("url").wrong(r.o.Name, "%v", err)
		}
		if t, err := time.Parse(time.RFC3339Nano, e.get("startedDateTime").str()); err == nil {
			v.start = t
			ms, _ := strconv.ParseFloat(e.get("time").str(), 64)
			v.end = t.Add(time.Duration(min(max(ms, 0), 3.6e6) * float64(time.Millisecond)))
		}
		v.answers = []*node{e.get("response")}
		if to := locationOf(e.get("response")); to != "" && v.status >= 300 && v.status < 400 {
			if base, err := url.Parse(v.url); err == nil {
				if abs, err := base.Parse(to); err == nil {
					abs.Fragment = ""
					v.location = abs.String()
				}
			}
		}
		r.visits = append(r.visits, v)
	}
	for _, what := range []string{"requests that did not go over HTTP (data:, blob:, …)", "preflight requests of the browser (OPTIONS)", "requests without an answer", "images, fonts, style sheets and scripts (--static keeps them)"} {
		if n := dropped[what]; n > 0 {
			r.note(nil, "%s: %d", what, n)
		}
	}
	slices.SortStableFunc(r.visits, func(a, b *visit) int { return a.start.Compare(b.start) })
	return nil
}

// followRedirects drops the requests that follow from a redirect: the sender
// makes them itself, to where the answer of that moment points.
func (r *recording) followRedirects() {
	gone := make([]bool, len(r.visits))
	for i, v := range r.visits {
		if gone[i] {
			continue
		}
		cur := v
		for hop := i + 1; cur.location != "" && hop < len(r.visits); hop++ {
			next := r.visits[hop]
			method := "GET"
			if cur.status == 307 || cur.status == 308 || cur.method == "HEAD" {
				method = cur.method
			}
			if !gone[hop] && next.url == cur.location && next.method == method {
				gone[hop] = true
				v.answers = append(v.answers, next.get("response"))
				if next.end.After(v.end) {
					v.end = next.end
				}
				cur = next
			}
		}
	}
	var kept []*visit
	for i, v := range r.visits {
		if !gone[i] {
			kept = append(kept, v)
		}
	}
	r.visits = kept
}

// own are the headers that the client or the browser makes itself.
var own = words("host content-length connection cookie accept-encoding transfer-encoding keep-alive te upgrade-insecure-requests priority dnt " +
	"if-none-match if-modified-since pragma cache-control proxy-connection x-client-data")

func (r *recording) step(v *visit) *step {
	req := v.get("request")
	origin, at, query := splitURL(v.url)
	s := &step{where: v.node, method: v.method, url: at, query: query}
	v.step = s
	if origin != r.host {
		s.url = origin + at
	}
	if v.location != "" && len(v.answers) == 1 {
		s.still = true
	} else if len(v.answers) > 1 {
		s.comment = "The redirect is followed."
	}
	jar := map[string]string{} // what the recorded request sent
	for _, c := range req.get("cookies").list() {
		name := c.get("name").str()
		jar[c.get("value").str()] = name
		if name != "" && !r.set[name] {
			r.note(nil, "the cookie %s, which was there before the recording began: log in within the scenario, or set user.cookies[…]", short(name, 40))
		}
	}
	for _, h := range req.get("headers").list() {
		name, value := h.get("name").str(), h.get("value").str()
		low := strings.ToLower(name)
		switch {
		case own[low] || strings.HasPrefix(low, "sec-") || strings.HasPrefix(low, ":"):
		case !goodName(name) || !goodValue(value):
			r.note(h, "a header that HTTP does not allow")
		default:
			if c := jar[value]; c != "" && value != "" && strings.Contains(strings.ToLower(low+c), "srf") {
				value = mark("user.cookies.get(" + quoted(c) + ", \"\")")
			}
			if rest, ok := strings.CutPrefix(value, r.host); ok && (low == "referer" || low == "origin") && (rest == "" || rest[0] == '/') {
				value = mark("user.host") + rest
			}
			s.headers = append(s.headers, pair{name, value})
		}
	}
	s.headers = r.mergeHeaders(v.node, s.headers)
	r.postData(s, req.get("postData"))
	r.finder.use(s)
	return s
}

func (r *recording) postData(s *step, data *node) {
	if !data.has() {
		return
	}
	kind, typed := header(s.headers, "Content-Type")
	if mime := data.get("mimeType").str(); !typed && mime != "" && goodValue(mime) {
		kind = mime
		s.headers = append(s.headers, pair{"Content-Type", kind})
	}
	if text := data.get("text").str(); text != "" {
		if data.get("encoding").str() == "base64" {
			if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
				text = string(raw)
			}
		}
		s.body = r.bodyOf(kind, text)
		return
	}
	var fields []pair
	var parts []part
	files := false
	for _, p := range data.get("params").list() {
		name, value := p.get("name").str(), p.get("value").str()
		fields = append(fields, pair{name, value})
		x := part{name: name, value: value}
		if f := p.get("fileName").str(); f != "" {
			files, x.isFile, x.filename, x.kind = true, true, f, p.get("contentType").str()
			if value == "" {
				r.note(p, "the content of the file of the form field %s", short(name, 40))
			}
		}
		parts = append(parts, x)
	}
	switch {
	case files:
		s.body.parts = parts
	case len(fields) > 0:
		s.body.form = fields
		if strings.HasPrefix(kind, "multipart/") {
			r.note(data, "a multipart form without a file: it is sent as an ordinary form")
			s.headers = slices.DeleteFunc(s.headers, func(h pair) bool { return strings.EqualFold(h.name, "Content-Type") })
		}
	}
}

// static says whether an entry is a part of a page that load tests leave out.
func static(e *node, at string) bool {
	switch e.get("_resourceType").str() {
	case "image", "font", "stylesheet", "script", "media", "manifest", "texttrack", "ping":
		return true
	case "xhr", "fetch", "document":
		return false
	}
	mime := e.get("response").get("content").get("mimeType").str()
	for _, p := range []string{"image/", "font/", "video/", "audio/", "text/css", "text/javascript", "application/javascript", "application/x-javascript", "application/font"} {
		if strings.HasPrefix(mime, p) {
			return true
		}
	}
	switch strings.ToLower(path.Ext(at)) {
	case ".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".avif", ".woff", ".woff2", ".ttf", ".mp4", ".webm", ".mp3":
		return true
	}
	return false
}

func hasHeader(message *node, name string) bool {
	for _, h := range message.get("headers").list() {
		if strings.EqualFold(h.get("name").str(), name) {
			return true
		}
	}
	return false
}

func locationOf(response *node) string {
	for _, h := range response.get("headers").list() {
		if strings.EqualFold(h.get("name").str(), "Location") {
			return h.get("value").str()
		}
	}
	return response.get("redirectURL").str()
}

// cookiesOf returns the cookies that an answer sets.
func cookiesOf(response *node) []pair {
	var out []pair
	for _, c := range response.get("cookies").list() {
		if name := c.get("name").str(); name != "" {
			out = append(out, pair{name, c.get("value").str()})
		}
	}
	for _, h := range response.get("headers").list() {
		if !strings.EqualFold(h.get("name").str(), "Set-Cookie") {
			continue
		}
		for line := range strings.Lines(h.get("value").str()) { // Firefox joins several by line breaks
			one, _, _ := strings.Cut(line, ";")
			if k, v, ok := strings.Cut(strings.TrimSpace(one), "="); ok && k != "" {
				out = append(out, pair{k, v})
			}
		}
	}
	return out
}
