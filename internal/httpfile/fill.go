package httpfile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Env is what a request takes from outside. The zero value has nothing.
type Env struct {
	Vars     map[string]string // of the user; before those of the environment and of the file
	Profile  map[string]string // of http-client.env.json: before those of the file
	Getenv   func(name string) string
	ReadFile func(path string) ([]byte, error) // of bodies, and of .env
	Now      time.Time
	Random   *rand.Rand
}

// Build makes the request with all variables filled in. What is random is drawn once:
// every request that is sent is the same. The error names the place, never a value.
func (r *Request) Build(e Env) (*hit.Request, error) {
	f := &filler{file: r.file, env: e}
	if e.Random == nil {
		f.env.Random = rand.New(rand.NewPCG(uint64(e.Now.UnixNano()), 1))
	}
	address, err := f.fill(r.url)
	if err != nil {
		return nil, err
	}
	out := &hit.Request{Name: r.Name, Method: r.Method}
	for _, h := range r.headers {
		v, err := f.fill(h.value)
		if err != nil {
			return nil, err
		}
		if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, r.file.wrong(h.value.line, "the header %s has a control character in its value", h.name.s)
		}
		out.Header = append(out.Header, hit.Field{Name: h.name.s, Value: credentials(h.name.s, v)})
	}
	if out.URL, err = r.absolute(address, out); err != nil {
		return nil, err
	}
	if out.Body, err = f.body(r); err != nil {
		return nil, err
	}
	return out, nil
}

// absolute makes an absolute URL, with the Host field where only a path is given.
func (r *Request) absolute(address string, out *hit.Request) (string, error) {
	address = strings.ReplaceAll(address, " ", "%20")
	host, _ := hasField(out.Header, "Host")
	switch {
	case strings.HasPrefix(address, "/") && host != "":
		scheme := "http://"
		if strings.HasSuffix(host, ":443") {
			scheme = "https://"
		}
		address = scheme + host + address
	case strings.HasPrefix(address, "/"):
		return "", r.file.wrong(r.Line, "the URL is a path only, and there is no Host field")
	case !strings.Contains(address, "://"):
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", r.file.wrong(r.Line, "the URL is no http or https URL")
	}
	if u.User != nil {
		if _, has := hasField(out.Header, "Authorization"); !has {
			pass, _ := u.User.Password()
			out.Header = append(out.Header, hit.Field{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+pass))})
		}
		u.User = nil
	}
	u.Fragment = ""
	return u.String(), nil
}

// credentials encodes "Basic user:password" and "Basic user password", as editors do.
func credentials(name, value string) string {
	if !strings.EqualFold(name, "Authorization") || len(value) < 6 || !strings.EqualFold(value[:6], "basic ") {
		return value
	}
	rest := strings.TrimSpace(value[6:])
	user, pass, ok := strings.Cut(rest, ":")
	if !ok {
		if user, pass, ok = strings.Cut(rest, " "); !ok {
			return value // encoded already
		}
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+strings.TrimSpace(pass)))
}

// filler replaces variables.
type filler struct {
	file *File
	env  Env
	deep int
}

func (f *filler) fill(t text) (string, error) {
	rest := t.s
	var b strings.Builder
	for {
		head, tail, ok := strings.Cut(rest, "{{")
		b.WriteString(head)
		if !ok {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(tail, "}}")
		if !closed {
			b.WriteString("{{" + tail) // a body may well hold braces
			return b.String(), nil
		}
		v, err := f.value(strings.TrimSpace(name), t.line)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		rest = after
		if b.Len() > maxFile {
			return "", f.file.wrong(t.line, "variables make it larger than %d MB", maxFile>>20)
		}
	}
}

// value returns what a name between braces stands for.
func (f *filler) value(name string, line int) (string, error) {
	if v, ok := f.env.Vars[name]; ok {
		return v, nil
	}
	if strings.HasPrefix(name, "$") {
		return f.dynamic(name[1:], line)
	}
	if f.deep > 20 {
		return "", f.file.wrong(line, "the variable %s stands for itself", short(name))
	}
	f.deep++
	defer func() { f.deep-- }()
	name = strings.TrimPrefix(name, "%") // of the REST Client: percent-encoded
	if v, ok := f.env.Profile[name]; ok {
		return f.fill(text{s: v, line: line})
	}
	if v, ok := f.file.vars[name]; ok {
		return f.fill(text{s: v.value, line: v.line})
	}
	if strings.Contains(name, ".response.") || strings.Contains(name, ".request.") {
		return "", f.file.wrong(line, "{{%s}} is of another request's answer: make the file a scenario with weir convert, or give the value with --var", short(name))
	}
	return "", f.file.wrong(line, "the variable %s has no value: define it with @%[1]s = …, in an environment, or give --var %[1]s=…", short(name))
}

// dynamic returns what editors call system variables.
func (f *filler) dynamic(name string, line int) (string, error) {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "", f.file.wrong(line, "{{$}} has no name")
	}
	arg := func(i int, otherwise string) string {
		if len(words) > i {
			return strings.Trim(words[i], `"'`)
		}
		return otherwise
	}
	r := f.env.Random
	switch words[0] {
	case "guid", "uuid", "random.uuid":
		var b [16]byte
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
	case "timestamp":
		return strconv.FormatInt(f.moved(words[1:]).Unix(), 10), nil
	case "isoTimestamp":
		return f.env.Now.UTC().Format("2006-01-02T15:04:05.000Z"), nil
	case "datetime", "localDatetime":
		at := f.moved(words[min(2, len(words)):])
		if words[0] == "datetime" {
			at = at.UTC()
		}
		switch form := arg(1, "iso8601"); form {
		case "iso8601":
			return at.Format("2006-01-02T15:04:05.000Z07:00"), nil
		case "rfc1123":
			return at.Format(time.RFC1123), nil
		default:
			return "", f.file.wrong(line, "{{$%s}} has a form of its own; iso8601 and rfc1123 are known", words[0])
		}
	case "randomInt", "random.integer":
		lo, err1 := strconv.Atoi(strings.Trim(arg(1, "0"), "(), "))
		hi, err2 := strconv.Atoi(strings.Trim(arg(2, "1000"), "(), "))
		if err1 != nil || err2 != nil || hi <= lo {
			return "", f.file.wrong(line, "write {{$randomInt 1 100}}")
		}
		return strconv.Itoa(lo + r.IntN(hi-lo)), nil
	case "processEnv", "env":
		return f.environment(strings.TrimPrefix(arg(1, ""), "%"), line)
	case "dotenv":
		return f.dotenv(strings.TrimPrefix(arg(1, ""), "%"), line)
	}
	if v, ok := strings.CutPrefix(words[0], "env."); ok {
		return f.environment(v, line)
	}
	return "", f.file.wrong(line, "{{$%s}} is not known; give a value with --var '$%[1]s=…'", short(name))
}

// environment is a variable of the process, which may be a secret.
func (f *filler) environment(name string, line int) (string, error) {
	v := ""
	if f.env.Getenv != nil {
		v = f.env.Getenv(name)
	}
	if v == "" {
		return "", f.file.wrong(line, "the environment variable %s is not set", short(name))
	}
	return v, nil
}

// dotenv is a variable of the file .env beside the request file.
func (f *filler) dotenv(name string, line int) (string, error) {
	if f.env.ReadFile != nil {
		data, err := f.env.ReadFile(".env")
		if err == nil {
			for l := range strings.Lines(string(data)) {
				k, v, ok := strings.Cut(strings.TrimSpace(l), "=")
				if ok && strings.TrimSpace(strings.TrimPrefix(k, "export ")) == name {
					return strings.Trim(strings.TrimSpace(v), `"'`), nil
				}
			}
		}
	}
	return "", f.file.wrong(line, "%s is not in the file .env beside this one", short(name))
}

// moved is now and an offset such as "-1 d".
func (f *filler) moved(words []string) time.Time {
	at := f.env.Now
	if len(words) < 2 {
		return at
	}
	n, err := strconv.Atoi(words[0])
	if err != nil {
		return at
	}
	switch words[1] {
	case "y":
		return at.AddDate(n, 0, 0)
	case "M":
		return at.AddDate(0, n, 0)
	case "w":
		return at.AddDate(0, 0, 7*n)
	case "d":
		return at.AddDate(0, 0, n)
	case "h":
		return at.Add(time.Duration(n) * time.Hour)
	case "m":
		return at.Add(time.Duration(n) * time.Minute)
	case "s":
		return at.Add(time.Duration(n) * time.Second)
	case "ms":
		return at.Add(time.Duration(n) * time.Millisecond)
	}
	return at
}

// body puts the lines together. A form in several lines is joined, as editors do.
func (f *filler) body(r *Request) ([]byte, error) {
	if len(r.body) == 0 {
		return nil, nil
	}
	kind := ""
	for _, h := range r.headers {
		if strings.EqualFold(h.name.s, "Content-Type") {
			kind = strings.ToLower(h.value.s)
		}
	}
	end := "\n"
	if strings.HasPrefix(kind, "multipart/") {
		end = "\r\n"
	}
	form := strings.HasPrefix(kind, "application/x-www-form-urlencoded")
	var b []byte
	for i, t := range r.body {
		if t.path != "" {
			data, err := f.read(t)
			if err != nil {
				return nil, err
			}
			b = append(b, data...)
		} else {
			s, err := f.fill(t)
			if err != nil {
				return nil, err
			}
			if form {
				s = strings.TrimSpace(s)
			}
			b = append(b, s...)
		}
		if i+1 < len(r.body) && !form {
			b = append(b, end...)
		}
	}
	if strings.HasPrefix(kind, "multipart/") {
		b = append(b, end...)
	}
	return b, nil
}

func (f *filler) read(t text) ([]byte, error) {
	name, err := f.fill(text{s: t.path, line: t.line})
	if err != nil {
		return nil, err
	}
	if f.env.ReadFile == nil {
		return nil, f.file.wrong(t.line, "the body is a file, and files are not read here")
	}
	data, err := f.env.ReadFile(path.Clean(strings.ReplaceAll(name, `\`, "/")))
	if err != nil {
		return nil, f.file.wrong(t.line, "the file of the body cannot be read: %v", err)
	}
	if !t.fill {
		return data, nil
	}
	s, err := f.fill(text{s: string(data), line: t.line})
	return []byte(s), err
}

// Profile reads one environment of http-client.env.json: the values that are texts,
// numbers or truth values, with those of "$shared" below them.
func Profile(name string, data []byte, which string) (map[string]string, error) {
	var all map[string]map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, &Error{name, 0, "not a JSON object of environments"}
	}
	if _, ok := all[which]; !ok {
		return nil, &Error{name, 0, fmt.Sprintf("there is no environment %q", which)}
	}
	out := map[string]string{}
	for _, part := range []string{"$shared", which} {
		for k, v := range all[part] {
			switch v := v.(type) {
			case string:
				out[k] = v
			case bool:
				out[k] = strconv.FormatBool(v)
			case float64:
				out[k] = strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
	}
	return out, nil
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
