package script

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"go.starlark.net/starlark"
)

// maxPatterns bounds how many expressions are kept, maxPattern the length of one.
const (
	maxPatterns = 256
	maxPattern  = 4 << 10
)

// patterns keeps regular expressions by their text, for all users: a scenario
// mostly uses the same few again and again. The zero value is ready.
type patterns struct {
	mu   sync.Mutex
	made map[string]*regexp.Regexp
}

func (p *patterns) get(text string) (*regexp.Regexp, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if re := p.made[text]; re != nil {
		return re, nil
	}
	if len(text) > maxPattern {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxPattern)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		if strings.Contains(text, "(?=") || strings.Contains(text, "(?!") || strings.Contains(text, "(?<=") || strings.Contains(text, "(?<!") {
			why += "; there is no looking ahead or behind: put what is wanted in a group"
		}
		return nil, fmt.Errorf("%q: %s", limit(text, 80), why)
	}
	if p.made == nil || len(p.made) >= maxPatterns {
		p.made = map[string]*regexp.Regexp{}
	}
	p.made[text] = re
	return re, nil
}

// module returns re, with the names of Python's module and Go's expressions, whose
// time grows with the length of the text and no faster.
func (p *patterns) module() library {
	type search = func(re *regexp.Regexp, text string) starlark.Value
	of := func(find search) builtinFunc {
		return func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var pattern, text string
			if err := starlark.UnpackArgs("re."+b.Name(), args, kwargs, "pattern", &pattern, "string", &text); err != nil {
				return nil, err
			}
			re, err := p.get(pattern)
			if err != nil {
				return nil, fmt.Errorf("re.%s: %w", b.Name(), err)
			}
			return find(re, text), nil
		}
	}
	return newModule("re", map[string]builtinFunc{
		"search": of(func(re *regexp.Regexp, text string) starlark.Value {
			return found(re, text, re.FindStringSubmatchIndex(text))
		}),
		"match":   of(func(re *regexp.Regexp, text string) starlark.Value { return found(re, text, atStart(re, text)) }),
		"findall": of(findAll),
		"sub":     p.sub,
	})
}

// atStart is the match that begins with the text, if any.
func atStart(re *regexp.Regexp, text string) []int {
	if at := re.FindStringSubmatchIndex(text); at != nil && at[0] == 0 {
		return at
	}
	return nil
}

// findAll is re.findall: whole matches, or the group when there is one, or tuples of them.
func findAll(re *regexp.Regexp, text string) starlark.Value {
	list := starlark.NewList(nil)
	for _, groups := range re.FindAllStringSubmatch(text, -1) {
		var v starlark.Value
		switch len(groups) {
		case 1, 2:
			v = starlark.String(groups[len(groups)-1])
		default:
			all := make(starlark.Tuple, len(groups)-1)
			for i, g := range groups[1:] {
				all[i] = starlark.String(g)
			}
			v = all
		}
		_ = list.Append(v) // a list that was just made takes everything
	}
	return list
}

// sub is re.sub(pattern, repl, string); \1 and \g<name> in repl are groups.
func (p *patterns) sub(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var pattern, repl, text string
	if err := starlark.UnpackArgs("re."+b.Name(), args, kwargs, "pattern", &pattern, "repl", &repl, "string", &text); err != nil {
		return nil, err
	}
	re, err := p.get(pattern)
	if err != nil {
		return nil, fmt.Errorf("re.sub: %w", err)
	}
	return starlark.String(re.ReplaceAllString(text, backslashed.ReplaceAllString(strings.ReplaceAll(repl, "$", "$$"), "${$1$2}"))), nil
}

var backslashed = regexp.MustCompile(`\\(?:(\d+)|g<(\w+)>)`)

// match is what re.search found.
type match struct {
	re   *regexp.Regexp
	text string
	at   []int
}

func found(re *regexp.Regexp, text string, at []int) starlark.Value {
	if at == nil {
		return starlark.None
	}
	return &match{re, text, at}
}

func (m *match) String() string {
	return "<match " + starlark.String(limit(m.whole(), 80)).String() + ">"
}
func (m *match) Type() string          { return "match" }
func (m *match) Freeze()               {}
func (m *match) Truth() starlark.Bool  { return true }
func (m *match) Hash() (uint32, error) { return 0, errors.New("a match cannot be a key") }
func (m *match) AttrNames() []string   { return []string{"end", "group", "groups", "start"} }
func (m *match) whole() string         { return m.text[m.at[0]:m.at[1]] }

// group returns one group, None when it took no part.
func (m *match) group(i int) (starlark.Value, error) {
	if i < 0 || 2*i >= len(m.at) {
		return nil, fmt.Errorf("the expression has no group %d: it has %d", i, len(m.at)/2-1)
	}
	if m.at[2*i] < 0 {
		return starlark.None, nil
	}
	return starlark.String(m.text[m.at[2*i]:m.at[2*i+1]]), nil
}

// Get implements m[1] and m["name"].
func (m *match) Get(k starlark.Value) (v starlark.Value, ok bool, err error) {
	i := 0
	if name, is := starlark.AsString(k); is {
		if i = m.re.SubexpIndex(name); i < 0 {
			return nil, false, fmt.Errorf("the expression has no group %q", name)
		}
	} else if err := starlark.AsInt(k, &i); err != nil {
		return nil, false, fmt.Errorf("a group is a number or a name, not a %s", k.Type())
	}
	v, err = m.group(i)
	return v, err == nil, err
}

// Attr implements the methods of a match.
func (m *match) Attr(name string) (starlark.Value, error) {
	switch name {
	case "group":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			which := starlark.Value(starlark.MakeInt(0))
			if err := starlark.UnpackArgs("group", args, kwargs, "group?", &which); err != nil {
				return nil, err
			}
			v, _, err := m.Get(which)
			return v, err
		}), nil
	case "groups":
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs("groups", args, kwargs); err != nil {
				return nil, err
			}
			all := make(starlark.Tuple, len(m.at)/2-1)
			for i := range all {
				v, err := m.group(i + 1)
				if err != nil {
					return nil, err
				}
				all[i] = v
			}
			return all, nil
		}), nil
	case "start", "end":
		i := 0
		if name == "end" {
			i = 1
		}
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if err := starlark.UnpackArgs("start", args, kwargs); err != nil {
				return nil, err
			}
			return starlark.MakeInt(m.at[i]), nil
		}), nil
	}
	return nil, fmt.Errorf("a match has no .%s%s", name, suggest(name, m.AttrNames()))
}
