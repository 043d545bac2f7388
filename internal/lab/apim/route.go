package apim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// api is an API as calls are matched to it.
type api struct {
	*API
	place      int      // in Config.APIs, and of the stand's categories
	prefix     []string // segments of its path
	operations []*operation
}

// operation is an operation as calls are matched to it.
type operation struct {
	*Operation
	segments []segment
	rest     bool // the template ends with *, which stands for any rest
	plain    int  // segments that stand for themselves
}

// segment is one of a template: a text, or a parameter.
type segment struct{ text, param string }

// route prepares the tables that calls are looked up in.
func (g *Gateway) route() error {
	c := &g.cfg
	g.keys, g.open, g.serve, g.named = map[string]*Subscription{}, map[string]*Product{}, map[string]map[string]bool{}, map[string]*Product{}
	for i := range c.APIs {
		a := &api{API: &c.APIs[i], place: i, prefix: split(c.APIs[i].Path)}
		seen := map[string]string{}
		for j := range a.Operations {
			op, err := newOperation(&a.Operations[j])
			if err != nil {
				return fmt.Errorf("apis[%d].operations[%d].path: %w", i, j, err)
			}
			shape := op.shape()
			if other, twice := seen[shape]; twice {
				return fmt.Errorf("apis[%d].operations[%d]: takes the same calls as %s", i, j, other)
			}
			seen[shape] = op.ID
			a.operations = append(a.operations, op)
		}
		g.apis = append(g.apis, a)
	}
	slices.SortStableFunc(g.apis, func(a, b *api) int { return len(b.prefix) - len(a.prefix) })
	for i := range c.Products {
		p := &c.Products[i]
		g.named[p.ID] = p
		g.serve[p.ID] = map[string]bool{}
		for _, id := range p.APIs {
			g.serve[p.ID][id] = true
			if p.Open && g.open[id] == nil {
				g.open[id] = p
			}
		}
	}
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		g.keys[s.Key] = s
		if s.Second != "" {
			g.keys[s.Second] = s
		}
	}
	return nil
}

func split(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func newOperation(o *Operation) (*operation, error) {
	op := &operation{Operation: o}
	template, _, query := strings.Cut(o.Template, "?")
	if query {
		return nil, fmt.Errorf("%q: parameters of the query are not matched; write the path alone", o.Template)
	}
	parts := split(template)
	for i, p := range parts {
		switch {
		case p == "*" && i == len(parts)-1:
			op.rest = true
		case strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}") && len(p) > 2 && !strings.ContainsAny(p[1:len(p)-1], "{}"):
			op.segments = append(op.segments, segment{param: p[1 : len(p)-1]})
		case p == "" || strings.ContainsAny(p, "{}*"):
			return nil, fmt.Errorf("%q: {name} and * stand for whole segments, * for the last ones", o.Template)
		default:
			op.segments = append(op.segments, segment{text: p})
			op.plain++
		}
	}
	return op, nil
}

// shape is what two operations must not have in common.
func (o *operation) shape() string {
	var b strings.Builder
	b.WriteString(o.Method)
	for _, s := range o.segments {
		b.WriteString("/" + s.text)
	}
	if o.rest {
		b.WriteString("/*")
	}
	return b.String()
}

// find matches a call: the API with the longest path, and of its operations the
// one whose template has the most plain segments. params are those of the path.
func (g *Gateway) find(r *http.Request) (a *api, op *operation, params map[string]string) {
	parts := split(r.URL.EscapedPath())
	for i, p := range parts {
		if plain, err := url.PathUnescape(p); err == nil {
			parts[i] = plain
		}
	}
	for _, a := range g.apis {
		if len(parts) < len(a.prefix) || !slices.EqualFunc(a.prefix, parts[:len(a.prefix)], strings.EqualFold) {
			continue
		}
		rest := parts[len(a.prefix):]
		var best *operation
		for _, op := range a.operations {
			if op.Method == r.Method && op.matches(rest) && (best == nil || op.plain > best.plain || op.plain == best.plain && best.rest && !op.rest) {
				best = op
			}
		}
		if best == nil {
			// The API with the longest path takes the call, and has no such operation.
			return a, nil, nil
		}
		for i, s := range best.segments {
			if s.param != "" {
				if params == nil {
					params = map[string]string{}
				}
				params[s.param] = rest[i]
			}
		}
		return a, best, params
	}
	return nil, nil, nil
}

func (o *operation) matches(parts []string) bool {
	if len(parts) < len(o.segments) || len(parts) > len(o.segments) && !o.rest {
		return false
	}
	for i, s := range o.segments {
		if s.param == "" && s.text != parts[i] || parts[i] == "" {
			return false
		}
	}
	return true
}
