package convert

import (
	"net/url"
	"path"
	"strconv"
	"strings"
)

// curlShort are curl's one-letter flags that take a value, by their long name;
// curlBare are those without (curl manual page, 8.x, "OPTIONS").
var curlShort = map[byte]string{
	'A': "user-agent", 'b': "cookie", 'c': "cookie-jar", 'C': "continue-at", 'd': "data", 'D': "dump-header", 'e': "referer", 'E': "cert",
	'F': "form", 'h': "help", 'H': "header", 'K': "config", 'm': "max-time", 'o': "output", 'P': "ftp-port", 'Q': "quote", 'r': "range",
	't': "telnet-option", 'T': "upload-file", 'u': "user", 'U': "proxy-user", 'w': "write-out", 'x': "proxy", 'X': "request", 'y': "speed-time",
	'Y': "speed-limit", 'z': "time-cond",
}

var curlBare = map[byte]string{
	'G': "get", 'I': "head", 'k': "insecure", 'L': "location", 's': "silent", 'S': "show-error", 'v': "verbose", 'i': "include", 'f': "fail",
	'#': "progress-bar", 'N': "no-buffer", 'O': "remote-name", 'J': "remote-header-name", 'g': "globoff", 'q': "disable", '0': "http1.0",
	'1': "tlsv1", '4': "ipv4", '6': "ipv6", 'Z': "parallel", 'n': "netrc", 'a': "append", 'j': "junk-session-cookies", 'l': "list-only", 'p': "proxytunnel", 'R': "remote-time", 'M': "manual", 'V': "version", 'B': "use-ascii", '2': "sslv2", '3': "sslv3",
}

// curlValue are the long flags with a value beyond those with a letter.
var curlValue = words("data-raw data-binary data-urlencode data-ascii json form-string url url-query oauth2-bearer connect-timeout max-redirs retry retry-delay " +
	"retry-max-time resolve connect-to cacert capath key cert-type key-type ciphers tls-max tls13-ciphers interface local-port limit-rate unix-socket abstract-unix-socket noproxy " +
	"proto proto-default proto-redir keepalive-time dns-servers doh-url pass pinnedpubkey aws-sigv4 expand-url expand-data expand-header variable stderr trace trace-ascii " +
	"output-dir create-file-mode max-filesize happy-eyeballs-timeout-ms socks5 socks5-hostname socks4 proxy-header preproxy alt-svc hsts crlfile curves engine " +
	"etag-compare etag-save expect100-timeout parallel-max rate request-target service-name netrc-file libcurl")

// curlSilent say what curl shows or keeps, which has no meaning for load.
var curlSilent = words("silent show-error verbose include fail fail-with-body fail-early progress-bar no-progress-meter no-buffer output remote-name remote-name-all remote-header-name write-out dump-header " +
	"stderr trace trace-ascii trace-time output-dir create-dirs globoff disable parallel parallel-immediate parallel-max styled-output no-styled-output remote-time compressed-ssh path-as-is no-keepalive " +
	"cookie-jar no-alpn no-npn http1.1")

// curlRun are flags of the connection, and the flag of weir run instead.
var curlRun = map[string]string{
	"insecure": "--insecure", "proxy": "--proxy", "cacert": "--cacert", "cert": "--cert", "key": "--key", "resolve": "--resolve", "connect-to": "--connect-to",
	"connect-timeout": "--connect-timeout", "max-redirs": "--max-redirects", "unix-socket": "--unix-socket", "noproxy": "--no-proxy", "interface": "--source-ip",
	"ipv4": "--ipv4", "ipv6": "--ipv6", "http2": "--http 2", "http2-prior-knowledge": "--http h2c", "compressed": "--compressed", "tlsv1.2": "--tls-min 1.2", "tlsv1.3": "--tls-min 1.3",
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// curlCall is one command line (or what --next begins) being read.
type curlCall struct {
	*builder
	at        *node
	urls      []word
	method    string
	headers   []pair
	data      []string
	binary    string // the file of --data-binary @file, alone
	json      bool
	parts     []part
	user      *pair
	cookies   []pair
	get, head bool
	follow    bool
	upload    string
	timeout   float64
	query     []string
}

// curl reads curl command lines.
func (b *builder) curl(src string) error {
	b.title = "a curl command line"
	commands, err := b.shellWords(src)
	if err != nil {
		return err
	}
	f := &function{name: b.free("requests")}
	b.functions = append(b.functions, f)
	b.top = []entry{{fn: f.name}}
	for _, words := range commands {
		c := &curlCall{builder: b}
		for i := 0; i < len(words); i++ {
			if c.at == nil {
				c.at = words[i].at
			}
			if words[i].text == "--next" || words[i].text == "-:" {
				if err := c.finish(f); err != nil {
					return err
				}
				c = &curlCall{builder: b}
				continue
			}
			if i, err = c.argument(words, i); err != nil {
				return err
			}
		}
		if err := c.finish(f); err != nil {
			return err
		}
	}
	return nil
}

// argument reads one flag with its value, or a URL, and returns the index of its last word.
func (c *curlCall) argument(words []word, i int) (int, error) {
	w := words[i]
	value := func(name string) (string, error) {
		if i+1 >= len(words) {
			return "", w.at.wrong(c.o.Name, "curl's flag --%s wants a value", name)
		}
		i++
		return words[i].text, nil
	}
	switch {
	case strings.HasPrefix(w.text, "--") && len(w.text) > 2:
		name, v, inline := strings.Cut(w.text[2:], "=")
		long := false
		for _, n := range curlShort {
			long = long || n == name
		}
		if long || curlValue[name] {
			if !inline {
				var err error
				if v, err = value(name); err != nil {
					return i, err
				}
			}
			return i, c.flag(name, v, w.at)
		}
		return i, c.flag(strings.TrimSuffix(name, "="), "", w.at)
	case strings.HasPrefix(w.text, "-") && len(w.text) > 1 && !hasMark(w.text[:2]):
		for j := 1; j < len(w.text); j++ {
			letter := w.text[j]
			if name, ok := curlShort[letter]; ok {
				v := w.text[j+1:]
				if v == "" {
					var err error
					if v, err = value(name); err != nil {
						return i, err
					}
				}
				return i, c.flag(name, v, w.at)
			}
			name, ok := curlBare[letter]
			if !ok {
				c.note(w.at, "curl's flag -%s, which is not known", short(string(rune(letter)), 2))
				return i, nil
			}
			if err := c.flag(name, "", w.at); err != nil {
				return i, err
			}
		}
		return i, nil
	}
	c.urls = append(c.urls, w)
	return i, nil
}

func (c *curlCall) flag(name, v string, at *node) error {
	switch name {
	case "request":
		c.method = v
	case "header":
		c.header(v, at)
	case "data", "data-ascii":
		c.addData(v, true)
	case "data-binary":
		c.addData(v, false)
	case "data-raw":
		c.data = append(c.data, v)
	case "json":
		c.json = true
		if strings.HasPrefix(v, "@") {
			c.addData(v, false)
		} else if len(c.data) > 0 {
			c.data[len(c.data)-1] += v // curl joins several --json without an &
		} else {
			c.data = append(c.data, v)
		}
	case "data-urlencode":
		c.urlencode(v, at)
	case "url-query":
		c.query = append(c.query, v)
	case "form", "form-string":
		c.form(v, name == "form-string", at)
	case "user":
		user, pass, ok := strings.Cut(v, ":")
		if !ok {
			pass = c.envSecret("PASSWORD")
		}
		if pass != "" && !hasMark(pass) {
			pass = c.secret("password", pass)
		}
		c.user = &pair{user, pass}
	case "oauth2-bearer":
		if !hasMark(v) {
			v = c.secret("token", v)
		}
		c.headers = append(c.headers, pair{"Authorization", "Bearer " + v})
	case "cookie":
		if !strings.Contains(v, "=") {
			c.note(at, "the cookie file %s", short(v, 60))
			return nil
		}
		for _, one := range strings.Split(v, ";") {
			k, val, ok := strings.Cut(strings.TrimSpace(one), "=")
			if !ok || k == "" || strings.ContainsAny(k, " ,\t\r\n\x00") || !goodValue(val) {
				c.note(at, "a part of the cookies that has no name and value")
				continue
			}
			c.cookies = append(c.cookies, pair{k, val})
		}
	case "user-agent":
		c.header("User-Agent: "+v, at)
	case "referer":
		c.header("Referer: "+strings.TrimSuffix(v, ";auto"), at)
	case "range":
		c.header("Range: bytes="+v, at)
	case "get":
		c.get = true
	case "head":
		c.head = true
	case "location", "location-trusted":
		c.follow = true
	case "url":
		c.urls = append(c.urls, word{v, at})
	case "upload-file":
		c.upload = v
	case "max-time":
		d, err := strconv.ParseFloat(v, 64)
		if err != nil || d <= 0 || d > 86400 {
			return at.wrong(c.o.Name, "--max-time wants seconds")
		}
		c.timeout = d
	default:
		switch {
		case curlSilent[name]:
		case curlRun[name] != "":
			c.note(at, "curl's flag --%s: give weir run %s", name, curlRun[name])
		default:
			c.note(at, "curl's flag --%s", short(name, 40))
		}
	}
	return nil
}

func (c *curlCall) header(line string, at *node) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		// "Name;" is a header without a value.
		if n, empty := strings.CutSuffix(line, ";"); empty && goodName(n) {
			c.headers = append(c.headers, pair{n, ""})
			return
		}
		c.note(at, "a header without a colon")
		return
	}
	value = strings.TrimSpace(value)
	switch low := strings.ToLower(name); {
	case !goodName(name) || !goodValue(value):
		c.note(at, "a header that HTTP does not allow")
	case value == "":
		c.note(at, "-H '%s:', which takes a header of curl's own away", short(name, 40))
	case low == "content-length" || low == "transfer-encoding" || low == "connection":
		c.note(at, "the header %s, which Weir sets itself", name)
	case low == "cookie":
		_ = c.flag("cookie", value, at)
	default:
		c.headers = append(c.headers, pair{name, value})
	}
}

func (c *curlCall) addData(v string, cut bool) {
	file, isFile := strings.CutPrefix(v, "@")
	if !isFile {
		c.data = append(c.data, v)
		return
	}
	if cut {
		c.note(c.at, "of -d @%s the line breaks are not removed, as curl would", short(file, 60))
	}
	if len(c.data) == 0 && c.binary == "" {
		c.binary = file
		return
	}
	c.note(c.at, "the data of the file %s, which is joined with other data", short(file, 60))
}

// urlencode reads content, =content, name=content, @file and name@file.
func (c *curlCall) urlencode(v string, at *node) {
	name, text, eq := strings.Cut(v, "=")
	if before, _, isFile := strings.Cut(name, "@"); isFile && (!eq || strings.Contains(name, "@")) {
		c.note(at, "--data-urlencode of a file, for the field %s", short(before, 40))
		return
	}
	if !eq {
		name, text = "", v
	}
	coded := encode(text)
	if name != "" {
		coded = name + "=" + coded
	}
	c.data = append(c.data, coded)
}

// form reads name=value, name=@file and name=<file, with ;type= and ;filename=.
func (c *curlCall) form(v string, literal bool, at *node) {
	name, value, ok := strings.Cut(v, "=")
	if !ok {
		c.note(at, "a form field without =")
		return
	}
	p := part{name: name, value: value}
	if !literal && value != "" && (value[0] == '@' || value[0] == '<') {
		fields := strings.Split(value[1:], ";")
		p.path, p.value = strings.Trim(fields[0], `"`), ""
		p.isFile, p.filename, p.kind = true, path.Base(strings.ReplaceAll(p.path, `\`, "/")), "application/octet-stream"
		if value[0] == '<' {
			c.note(at, "the field %s is sent as a file, not as text", short(name, 40))
		}
		for _, f := range fields[1:] {
			k, val, _ := strings.Cut(strings.TrimSpace(f), "=")
			switch k {
			case "type":
				p.kind = val
			case "filename":
				p.filename = strings.Trim(val, `"`)
			default:
				c.note(at, "%s of the form field %s", short(k, 20), short(name, 40))
			}
		}
		if hasMark(p.path) || p.path == "-" || p.path == "" {
			c.note(at, "the content of the file of the form field %s", short(name, 40))
			p.path = ""
		}
	} else if !literal {
		if text, kind, has := strings.Cut(value, ";type="); has {
			p.value = text
			c.note(at, "the type %s of the form field %s", short(kind, 40), short(name, 40))
		}
	}
	c.parts = append(c.parts, p)
}

// finish makes the steps of a command.
func (c *curlCall) finish(f *function) error {
	if len(c.urls) == 0 {
		return c.at.wrong(c.o.Name, "this curl command has no URL")
	}
	for _, u := range c.urls {
		s, err := c.step(u)
		if err != nil {
			return err
		}
		if err := c.add(f, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *curlCall) step(u word) (*step, error) {
	address := u.text
	if !strings.Contains(address, "://") {
		address = "http://" + address // as curl does
	}
	origin, p, query := splitURL(address)
	if user, host, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(origin, "http://"), "https://"), "@"); ok {
		scheme, _, _ := strings.Cut(origin, "://")
		origin = scheme + "://" + host
		name, pass, _ := strings.Cut(user, ":")
		if plain, err := url.PathUnescape(pass); err == nil && !hasMark(pass) {
			pass = c.secret("password", clean(plain))
		}
		if c.user == nil {
			c.user = &pair{name, pass}
		}
	}
	if !hasMark(origin) {
		if err := checkOrigin(origin); err != nil {
			return nil, u.at.wrong(c.o.Name, "%v", err)
		}
	}
	if c.host == "" {
		c.builder.host = origin
	}
	if strings.ContainsAny(p, "[]{}") {
		c.note(u.at, "brackets in a URL are taken as they are, not as a pattern")
	}
	s := &step{where: u.at, url: p, query: query, cookies: clonePairs(c.cookies), timeout: c.timeout, still: !c.follow}
	if origin != c.host {
		s.url = origin + p
	}
	s.headers = c.mergeHeaders(u.at, clonePairs(c.headers))
	data := strings.Join(c.data, "&")
	for _, q := range append(append([]string(nil), c.query...), getData(c.get, data)...) {
		if s.query != "" {
			s.query += "&"
		}
		s.query += q
	}
	s.method = "GET"
	kind, typed := header(s.headers, "Content-Type")
	switch {
	case c.parts != nil:
		s.method = "POST"
		s.body.parts = append([]part(nil), c.parts...)
		names := map[string]bool{}
		files := 0
		for i, p := range s.body.parts {
			if names[p.name] {
				c.note(u.at, "the form field %s comes twice: only one of them is sent", short(p.name, 40))
			}
			names[p.name] = true
			if i > 0 && p.isFile != s.body.parts[i-1].isFile && files > 0 {
				c.note(u.at, "the order of fields and files: fields are sent first")
			}
			if p.isFile {
				files++
			}
		}
		if files == 0 {
			c.note(u.at, "a multipart form without a file: it is sent as an ordinary form")
			s.body = body{}
			for _, p := range c.parts {
				s.body.form = append(s.body.form, pair{p.name, p.value})
			}
		}
	case c.upload != "":
		s.method = "PUT"
		s.body.file = c.upload
	case !c.get && (len(c.data) > 0 || c.binary != ""):
		s.method = "POST"
		if !typed {
			kind = "application/x-www-form-urlencoded"
			if c.json {
				kind = "application/json"
			}
			s.headers = append(s.headers, pair{"Content-Type", kind})
		}
		if _, ok := header(s.headers, "Accept"); c.json && !ok {
			s.headers = append(s.headers, pair{"Accept", "application/json"})
		}
		if c.binary != "" {
			s.body.file = c.binary
		} else {
			s.body = c.bodyOf(kind, data)
		}
	}
	if c.head {
		s.method = "HEAD"
	}
	if c.method != "" {
		s.method = c.method
	}
	if !goodName(s.method) || hasMark(s.method) {
		return nil, u.at.wrong(c.o.Name, "the request method is no word")
	}
	if c.user != nil {
		s.auth = &pair{c.user.name, c.user.value}
	}
	return s, nil
}

func getData(get bool, data string) []string {
	if !get || data == "" {
		return nil
	}
	return []string{data}
}

func clonePairs(p []pair) []pair { return append([]pair(nil), p...) }
