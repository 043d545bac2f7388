package cli

import (
	"encoding/base64"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/hit"
)

// requestFlags describe one request the way curl does.
type requestFlags struct {
	Method       string   `short:"X" name:"request" placeholder:"METHOD" help:"Request method. Default GET, or POST with a body." group:"Request"`
	Header       []string `short:"H" sep:"none" placeholder:"'NAME: VALUE'" help:"Header line; repeat for more." group:"Request"`
	Data         *string  `short:"d" placeholder:"TEXT|@FILE" help:"Request body: text, @file, or @- for standard input. Sent as it is; form-encoded unless -H says otherwise." group:"Request"`
	JSON         *string  `name:"json-data" placeholder:"TEXT|@FILE" help:"Like --data, with Content-Type: application/json." group:"Request"`
	BasicAuth    string   `placeholder:"USER:PASSWORD" help:"Basic authentication. Prefer --basic-auth-env: a command line is visible to others." group:"Request"`
	BasicAuthEnv string   `placeholder:"NAME" help:"Basic authentication from the environment: NAME holds user:password, or NAME_ID and NAME_SECRET hold one each." group:"Request"`
	BearerEnv    string   `placeholder:"NAME" help:"Bearer token from the environment variable NAME." group:"Request"`
	Name         string   `placeholder:"TEXT" help:"Name in reports. Default: the path of the URL." group:"Request"`
	Replay       bool     `help:"A POST, PATCH or LOCK may be sent again when a kept-open connection turns out to be closed, as GET always is." group:"Request"`
}

// given reports whether any of the flags was used.
func (f *requestFlags) given() bool {
	return f.Method != "" || len(f.Header) > 0 || f.Data != nil || f.JSON != nil || f.BasicAuth != "" ||
		f.BasicAuthEnv != "" || f.BearerEnv != "" || f.Name != "" || f.Replay
}

// build makes the request for rawURL, reading files, standard input and the environment.
func (f *requestFlags) build(rawURL string, stdin io.Reader, getenv func(string) string) (*hit.Request, error) {
	u, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	req := &hit.Request{Name: f.Name, Method: f.Method, Replay: f.Replay}
	if req.Method != "" && !validToken(req.Method) {
		return nil, usage("a method is one word of letters, such as POST", "--request %q is not an HTTP method", req.Method)
	}
	contentType := ""
	switch {
	case f.Data != nil && f.JSON != nil:
		return nil, usage("keep one of them", "--data and --json-data both give a body")
	case f.Data != nil:
		if req.Body, err = readBody("--data", *f.Data, stdin); err != nil {
			return nil, err
		}
		contentType = "application/x-www-form-urlencoded"
	case f.JSON != nil:
		if req.Body, err = readBody("--json-data", *f.JSON, stdin); err != nil {
			return nil, err
		}
		contentType = "application/json"
	}
	if req.Method == "" {
		req.Method = "GET"
		if contentType != "" {
			req.Method = "POST"
		}
	}
	for _, line := range f.Header {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !validToken(name) {
			return nil, usage("write it as -H 'Name: value'", "--header %q is not a header line", maskHeader(line))
		}
		if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
			return nil, usage("a header value is one line of text", "--header %s: has a control character at position %d of its value", name, i+1)
		}
		req.Header = append(req.Header, hit.Field{Name: name, Value: value})
	}
	if contentType != "" && !hasField(req.Header, "Content-Type") {
		req.Header = append(req.Header, hit.Field{Name: "Content-Type", Value: contentType})
	}
	auth, err := f.authorization(getenv)
	if err != nil {
		return nil, err
	}
	if auth == "" && u.User != nil {
		pass, _ := u.User.Password()
		auth = basic(u.User.Username(), pass)
	}
	if auth != "" {
		if hasField(req.Header, "Authorization") {
			return nil, usage("keep one of them", "the Authorization header is given twice, by -H and by another flag or the URL")
		}
		req.Header = append(req.Header, hit.Field{Name: "Authorization", Value: auth})
	}
	u.User, u.Fragment = nil, ""
	req.URL = u.String()
	return req, nil
}

func (f *requestFlags) authorization(getenv func(string) string) (string, error) {
	given := 0
	for _, s := range []string{f.BasicAuth, f.BasicAuthEnv, f.BearerEnv} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "", usage("keep one of them", "--basic-auth, --basic-auth-env and --bearer-env exclude each other")
	case f.BasicAuth != "":
		user, pass, ok := strings.Cut(f.BasicAuth, ":")
		if !ok {
			return "", usage("write it as --basic-auth user:password", "--basic-auth has no colon")
		}
		return basic(user, pass), nil
	case f.BasicAuthEnv != "":
		name := f.BasicAuthEnv
		if v := getenv(name); v != "" {
			user, pass, ok := strings.Cut(v, ":")
			if !ok {
				return "", usage("set it to user:password, or set "+name+"_ID and "+name+"_SECRET", "the environment variable %s has no colon", name)
			}
			return basic(user, pass), nil
		}
		id, secret := getenv(name+"_ID"), getenv(name+"_SECRET")
		if id == "" || secret == "" {
			return "", usage("export "+name+"=id:secret, or "+name+"_ID=… and "+name+"_SECRET=…", "--basic-auth-env %s: neither %[1]s nor both of %[1]s_ID and %[1]s_SECRET are set", name)
		}
		return basic(id, secret), nil
	case f.BearerEnv != "":
		v := getenv(f.BearerEnv)
		if v == "" {
			return "", usage("export "+f.BearerEnv+"=…", "--bearer-env %s: the environment variable is not set", f.BearerEnv)
		}
		if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return "", usage("a token has no spaces or line ends; check how it was read", "the token in the environment variable %s has a space or a control character", f.BearerEnv)
		}
		return "Bearer " + v, nil
	}
	return "", nil
}

func basic(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

// parseTarget checks an absolute http or https URL.
func parseTarget(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, usage("weir run http://127.0.0.1:8080/ --rate 10/s --for 10s", "no URL to send to")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// url.Error repeats the whole URL, which may hold a password.
		if ue, ok := err.(*url.Error); ok {
			err = ue.Err
		}
		if !strings.Contains(raw, "://") {
			return nil, usage("write http:// or https:// in front", "%q has no http or https scheme", maskURL(raw))
		}
		return nil, usage("an URL looks like https://api.example.com/path?query", "%q is not a valid URL: %v", maskURL(raw), err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		hint := "write http:// or https:// in front"
		if u.Scheme != "" && u.Host != "" {
			hint = "only http and https are spoken"
		}
		return nil, usage(hint, "%q has no http or https scheme", maskURL(raw))
	case u.Hostname() == "":
		return nil, usage("an URL looks like https://api.example.com/path", "%q has no host", maskURL(raw))
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, usage("a port is between 1 and 65535", "%q has no port %s", maskURL(raw), port)
		}
	}
	return u, nil
}

// readBody returns the bytes that a body flag stands for.
func readBody(flag, value string, stdin io.Reader) ([]byte, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return []byte(value), nil
	}
	var b []byte
	var err error
	if name == "-" {
		b, err = io.ReadAll(stdin)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usage("give the body itself, or @ and a file that can be read", "%s: %v", flag, err)
	}
	return b, nil
}

func hasField(fields []hit.Field, name string) bool {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// validToken reports whether s is a token as in RFC 9110 §5.6.2.
func validToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}
