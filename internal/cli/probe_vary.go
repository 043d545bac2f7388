package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/keyscope"
)

// varied is one thing that is varied, to see whether the limit is counted by it.
type varied struct {
	kind   string // header, query, cookie, body, path, basic-user, source-ip
	name   string // of the kinds that have one
	values []string
}

// String is the thing as it was given.
func (v *varied) String() string {
	if v.name == "" {
		return v.kind
	}
	return v.kind + ":" + v.name
}

// words is the thing as people say it.
func (v *varied) words() string {
	switch v.kind {
	case "header", "cookie":
		return "the " + v.kind + " " + v.name
	case "query":
		return "the query parameter " + v.name
	case "body":
		return "the field " + v.name + " of the body"
	case "basic-user":
		return "the user of Basic authentication"
	case "source-ip":
		return "the client's address"
	}
	return "the path"
}

// key is the thing in a policy file, "" where it cannot be said there.
func (v *varied) key() string {
	switch v.kind {
	case "header", "query", "cookie":
		return fmt.Sprintf("request.%s[%q]", v.kind, v.name)
	case "basic-user":
		return "request.basic_user"
	case "source-ip":
		return "request.ip"
	case "path":
		return "request.path"
	}
	return ""
}

// parseVaried reads what --vary gives. The first value is that of the request itself.
func parseVaried(s string) (*varied, error) {
	const forms = "write header:X-Key=a,b, query:k=a,b, cookie:sid=a,b, body:field=a,b, path=/a,/b, basic-user=a,b or source-ip"
	what, values, given := strings.Cut(s, "=")
	v := &varied{}
	v.kind, v.name, _ = strings.Cut(what, ":")
	named := slices.Contains([]string{"header", "query", "cookie", "body"}, v.kind)
	switch {
	case !named && !slices.Contains([]string{"path", "basic-user", "source-ip"}, v.kind):
		return nil, usage(forms, "--vary: nothing is called %q", v.kind)
	case named && v.name == "":
		return nil, usage(forms, "--vary: %s has no name after a colon", v.kind)
	case !named && v.name != "":
		return nil, usage(forms, "--vary: %s has no name", v.kind)
	case v.kind == "header" && !validToken(v.name):
		return nil, usage(forms, "--vary: %q is no name of a header", v.name)
	case v.kind == "source-ip" && !given:
		return v, nil
	case values == "new" && v.kind != "path" && v.kind != "source-ip":
		for i := range 3 {
			v.values = append(v.values, fmt.Sprintf("weir-%x-%d", time.Now().UnixNano()&0xffffff, i+1))
		}
		return v, nil
	}
	for one := range strings.SplitSeq(values, ",") {
		switch {
		case one == "" || strings.ContainsFunc(one, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, usage(forms, "--vary %s: a value is empty or has control characters", v)
		case v.kind == "path" && !strings.HasPrefix(one, "/"):
			return nil, usage(forms, "--vary path: %q does not begin with /", one)
		case v.kind == "source-ip" && net.ParseIP(one) == nil:
			return nil, usage(forms, "--vary source-ip: %q is no address", one)
		}
		if !slices.Contains(v.values, one) {
			v.values = append(v.values, one)
		}
	}
	if len(v.values) < 2 {
		return nil, usage(forms, "--vary %s needs two values at least: one is exhausted, the other asks", v)
	}
	return v, nil
}

// addresses gives a source-ip without values those of this machine from which the
// target can be reached.
func (v *varied) addresses(to *url.URL) error {
	if v.kind != "source-ip" || len(v.values) > 0 {
		return nil
	}
	host := to.Hostname()
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		if ip != nil && ip.To4() == nil {
			return usage("use 127.0.0.1 in the URL", "--vary source-ip: there is only one loopback address of IPv6")
		}
		v.values = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
		return nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return cannotRun("give them: --vary source-ip=192.0.2.1,192.0.2.2", "--vary source-ip: %v", err)
	}
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().IsGlobalUnicast() {
			continue
		}
		if len(v.values) == 0 || netip.MustParseAddr(v.values[0]).Is4() == p.Addr().Is4() {
			v.values = append(v.values, p.Addr().String())
		}
	}
	if v.values = v.values[:min(len(v.values), 4)]; len(v.values) < 2 {
		return usage("give this machine a second address, or run from two", "--vary source-ip: this machine has fewer than two addresses to connect from")
	}
	return nil
}

// variant returns the request as a client sends it.
func variant(req *hit.Request, things []*varied, who keyscope.Who) (*hit.Request, error) {
	if len(things) == 0 {
		return req, nil
	}
	out := *req
	out.Header, out.Body = slices.Clone(req.Header), slices.Clone(req.Body)
	for i, v := range things {
		n := 0
		if i < len(who) {
			n = who[i]
		}
		if err := v.apply(&out, v.values[n]); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

func (v *varied) apply(req *hit.Request, value string) error {
	switch v.kind {
	case "header":
		put(req, v.name, value)
	case "basic-user":
		pass := ""
		for _, h := range req.Header {
			if strings.EqualFold(h.Name, "Authorization") && len(h.Value) > 6 && strings.EqualFold(h.Value[:6], "basic ") {
				if b, err := base64.StdEncoding.DecodeString(h.Value[6:]); err == nil {
					_, pass, _ = strings.Cut(string(b), ":")
				}
			}
		}
		if user, own, ok := strings.Cut(value, ":"); ok {
			value, pass = user, own
		}
		put(req, "Authorization", basic(value, pass))
	case "cookie":
		var all []string
		for _, h := range req.Header {
			if !strings.EqualFold(h.Name, "Cookie") {
				continue
			}
			for one := range strings.SplitSeq(h.Value, ";") {
				one = strings.TrimSpace(one)
				if name, _, _ := strings.Cut(one, "="); one != "" && name != v.name {
					all = append(all, one)
				}
			}
		}
		put(req, "Cookie", strings.Join(append(all, v.name+"="+value), "; "))
	case "path", "query":
		u, err := url.Parse(req.URL)
		if err != nil {
			return fmt.Errorf("the URL cannot be read")
		}
		if v.kind == "query" {
			q := u.Query()
			q.Set(v.name, value)
			u.RawQuery = q.Encode()
		} else {
			path, query, has := strings.Cut(value, "?")
			plain, err := url.PathUnescape(path)
			if err != nil {
				return usage("write % as %25", "--vary path: %q is no path", value)
			}
			u.Path, u.RawPath = plain, path
			if has {
				u.RawQuery = query
			}
		}
		req.URL = u.String()
	case "body":
		return v.applyBody(req, value)
	}
	return nil
}

// applyBody sets a field of a JSON object or of a form.
func (v *varied) applyBody(req *hit.Request, value string) error {
	kind := ""
	for _, h := range req.Header {
		if strings.EqualFold(h.Name, "Content-Type") {
			kind = strings.ToLower(h.Value)
		}
	}
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(req.Body))
		if err != nil {
			return usage("correct the form", "--vary %s: the body is no form that can be read", v)
		}
		form.Set(v.name, value)
		req.Body = []byte(form.Encode())
		return nil
	}
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(req.Body))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil || tree == nil {
		return usage("give a body with --json-data, or a form with --data", "--vary %s: the body is neither a JSON object nor a form", v)
	}
	at := tree
	names := strings.Split(v.name, ".")
	for _, n := range names[:len(names)-1] {
		next, ok := at[n].(map[string]any)
		if !ok {
			if at[n] != nil {
				return usage("name a field of an object", "--vary %s: %q is no object in the body", v, n)
			}
			next = map[string]any{}
			at[n] = next
		}
		at = next
	}
	last := names[len(names)-1]
	was := at[last]
	at[last] = value
	switch was.(type) {
	case json.Number, bool: // it stays one
		var parsed any
		if json.Unmarshal([]byte(value), &parsed) == nil {
			at[last] = json.RawMessage(value)
		}
	}
	b, err := json.Marshal(tree)
	if err != nil {
		return fmt.Errorf("--vary %s: %w", v, err)
	}
	req.Body = b
	return nil
}

// put sets a header field in place of those of the same name.
func put(req *hit.Request, name, value string) {
	for i, h := range req.Header {
		if strings.EqualFold(h.Name, name) {
			req.Header[i].Value = value
			req.Header = slices.DeleteFunc(req.Header, func(f hit.Field) bool {
				return strings.EqualFold(f.Name, name) && f != req.Header[i]
			})
			return
		}
	}
	req.Header = append(req.Header, hit.Field{Name: name, Value: value})
}

// asWords says in what a client differs from the first.
func asWords(things []*varied, who []int) string {
	var parts []string
	for i, n := range who {
		if i < len(things) {
			parts = append(parts, things[i].String()+"="+things[i].shown(n))
		}
	}
	return strings.Join(parts, " ")
}

// differsIn says in what a client differs from another.
func differsIn(things []*varied, who, from []int) string {
	var parts []string
	for i, n := range who {
		if i < len(things) && i < len(from) && n != from[i] {
			parts = append(parts, things[i].String()+"="+things[i].shown(n))
		}
	}
	return strings.Join(parts, " ")
}

// shown is a value for people: those of fields that may hold credentials are numbered.
func (v *varied) shown(n int) string {
	secret := v.kind == "cookie" || v.kind == "header" && sensitive.MatchString(v.name) || (v.kind == "query" || v.kind == "body") && sensitive.MatchString(v.name)
	if secret {
		return fmt.Sprintf("value %d", n+1)
	}
	value := v.values[n]
	if v.kind == "basic-user" {
		value, _, _ = strings.Cut(value, ":")
	}
	if len(value) > 40 {
		value = strings.ToValidUTF8(value[:40], "") + "…"
	}
	return value
}
