package script

import (
	"fmt"
	"slices"
	"time"

	"go.starlark.net/starlark"
)

// params are the arguments of a request.
type params struct {
	url      string
	name     string
	query    starlark.Value
	json     starlark.Value
	data     starlark.Value
	files    starlark.Value
	headers  starlark.Value
	cookies  starlark.Value
	auth     starlark.Value
	timeout  time.Duration
	noFollow bool
	replay   bool
}

var paramNames = []string{"allow_redirects", "auth", "cookies", "data", "files", "headers", "json", "name", "params", "replay", "timeout", "url"}

func isParam(name string) bool { return slices.Contains(paramNames, name) }

// elsewhere says what to do instead of arguments that Locust has.
func elsewhere(name string) string {
	switch name {
	case "catch_response":
		return ": leave it out; r.success(), r.failure(\"why\") and check(r, …) work on every answer"
	case "verify", "cert":
		return ": certificates are flags of the run (--insecure, --cacert, --cert)"
	case "stream", "hooks":
		return ": leave it out; answers are always read to their end"
	case "proxies":
		return ": a proxy is a flag of the run (--proxy)"
	case "body", "payload", "content", "form":
		return ": write data = a text, or a dict for a form; json = … for JSON"
	case "query":
		return ": write params = {…}"
	case "method":
		return ": write user.request(\"PUT\", …) or user.put(…)"
	}
	return suggest(name, paramNames)
}

// read takes the arguments apart. It is called for every request, so it looks
// at them itself instead of by reflection.
func (p *params) read(fn, verb string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	hasURL := len(args) > 0
	if hasURL {
		s, ok := args[0].(starlark.String)
		if !ok {
			return fmt.Errorf("%s: the URL is a %s, want a text: user.%s(\"/path\")", fn, args[0].Type(), fn)
		}
		p.url = string(s)
	}
	if len(args) > 1 {
		if len(args) > 2 || verb == "GET" || verb == "HEAD" || verb == "OPTIONS" {
			return fmt.Errorf("%s: only the URL comes without a name; write params = …, json = …, headers = …", fn)
		}
		p.data = args[1]
	}
	if verb == "HEAD" {
		p.noFollow = true // as requests does
	}
	for _, kv := range kwargs {
		name, v := string(kv[0].(starlark.String)), kv[1]
		if v == starlark.None && isParam(name) {
			continue // as if it were not there
		}
		switch name {
		case "json":
			p.json = v
		case "data":
			if p.data != nil {
				return fmt.Errorf("%s: data is given twice", fn)
			}
			p.data = v
		case "headers":
			p.headers = v
		case "params":
			p.query = v
		case "name":
			s, ok := v.(starlark.String)
			if !ok {
				return fmt.Errorf("%s: name is a %s, want a text", fn, v.Type())
			}
			p.name = string(s)
		case "cookies":
			p.cookies = v
		case "auth":
			p.auth = v
		case "files":
			p.files = v
		case "timeout":
			d, err := seconds("timeout", v)
			if err != nil {
				return err
			}
			if d <= 0 {
				return fmt.Errorf("%s: timeout is %s; want seconds above zero", fn, v)
			}
			p.timeout = d
		case "allow_redirects":
			p.noFollow = !bool(v.Truth())
		case "replay":
			p.replay = bool(v.Truth())
		case "url":
			s, ok := v.(starlark.String)
			if !ok || hasURL {
				return fmt.Errorf("%s: the URL is one text, the first argument", fn)
			}
			p.url, hasURL = string(s), true
		default:
			return fmt.Errorf("%s has no argument %s%s", fn, name, elsewhere(name))
		}
	}
	if !hasURL {
		return fmt.Errorf("%s needs a URL: user.%s(\"/path\")", fn, fn)
	}
	if p.json != nil && (p.data != nil || p.files != nil) {
		return fmt.Errorf("%s: json and data both give a body; keep one", fn)
	}
	return nil
}
