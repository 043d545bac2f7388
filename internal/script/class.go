package script

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.starlark.net/starlark"
)

// class is a kind of user: the value of HttpUser(…).
type class struct {
	name    string // of the global that holds it
	host    string // without a slash at its end; "" for none
	weight  int64  // share of the users
	fixed   int64  // exactly this many users instead; 0: by weight
	wait    *wait  // nil: none
	onStart starlark.Callable
	onStop  starlark.Callable
	tasks   *taskSet
	at      *Error // where it was declared, for errors found later
}

func (c *class) String() string        { return "HttpUser " + c.name }
func (c *class) Type() string          { return "HttpUser" }
func (c *class) Freeze()               {}
func (c *class) Truth() starlark.Bool  { return true }
func (c *class) Hash() (uint32, error) { return 0, errors.New("unhashable type: HttpUser") }

// httpUser is HttpUser(tasks, wait_time, weight, fixed_count, host, on_start, on_stop).
func httpUser(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	l, err := loading(t, "HttpUser(…)")
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		return nil, errors.New("HttpUser takes named arguments only: HttpUser(wait_time = between(1, 2), tasks = [my_task])")
	}
	if len(l.classes) >= maxClasses {
		return nil, fmt.Errorf("more than %d user classes", maxClasses)
	}
	var tasks, waitTime, onStart, onStop, weight, fixed starlark.Value
	c := &class{weight: 1}
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "tasks?", &tasks, "wait_time??", &waitTime, "weight??", &weight,
		"fixed_count??", &fixed, "host?", &c.host, "on_start??", &onStart, "on_stop??", &onStop); err != nil {
		return nil, err
	}
	if c.weight, err = countArg("weight", weight, 1, 1_000_000, 1); err != nil {
		return nil, err
	}
	if c.fixed, err = countArg("fixed_count", fixed, 0, 1_000_000, 0); err != nil {
		return nil, err
	}
	if weight != nil && c.fixed > 0 {
		return nil, errors.New("a class has a weight or a fixed_count, not both: a fixed_count is not shared out by weight")
	}
	if c.wait, err = waitArg(waitTime); err != nil {
		return nil, err
	}
	if c.onStart, err = hookArg("on_start", onStart); err != nil {
		return nil, err
	}
	if c.onStop, err = hookArg("on_stop", onStop); err != nil {
		return nil, err
	}
	if tasks == nil {
		return nil, errors.New("HttpUser has no tasks: give tasks = [my_task]")
	}
	c.tasks = &taskSet{kind: "HttpUser"}
	if err := c.tasks.fill(tasks); err != nil {
		return nil, err
	}
	p := t.CallFrame(1).Pos
	c.at = &Error{File: pathBase(p.Filename()), Line: int(p.Line), Col: int(p.Col)}
	l.classes = append(l.classes, c)
	return c, nil
}

// settle fills in what is known only when the whole file has run.
func (c *class) settle(host string, o Options) error {
	if o.Host != "" || c.host == "" {
		c.host = host
	}
	if c.host != "" {
		if err := checkHost(c.host); err != nil {
			e := *c.at
			e.Msg = fmt.Sprintf("%s: host %v", c.name, err)
			return &e
		}
	}
	c.host = strings.TrimRight(c.host, "/")
	if c.tasks.name == "" {
		c.tasks.name = c.name
	}
	return nil
}

func checkHost(host string) error {
	u, err := url.Parse(host)
	switch {
	case err != nil:
		return errors.New("is not a URL: write http://127.0.0.1:8000")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q has no http:// or https:// in front", host)
	case u.Hostname() == "":
		return fmt.Errorf("%q names no host", host)
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("has a query or a fragment, which belong to requests")
	}
	return nil
}

// countArg reads a whole number; v nil gives the default.
func countArg(name string, v starlark.Value, least, most, standard int64) (int64, error) {
	if v == nil {
		return standard, nil
	}
	i, ok := v.(starlark.Int)
	if !ok {
		return 0, fmt.Errorf("%s is a %s, want a whole number", name, v.Type())
	}
	n, ok := i.Int64()
	if !ok || n < least || n > most {
		return 0, fmt.Errorf("%s = %s: want a number from %d to %d", name, i, least, most)
	}
	return n, nil
}

// hookArg reads a function that gets the user.
func hookArg(name string, v starlark.Value) (starlark.Callable, error) {
	if v == nil {
		return nil, nil
	}
	fn, ok := v.(starlark.Callable)
	if !ok {
		return nil, fmt.Errorf("%s is a %s, want a function: %s = my_function, without ()", name, v.Type(), name)
	}
	return fn, takesUser(fn)
}

// takesUser finds out while loading what would otherwise fail for every user.
func takesUser(v starlark.Callable) error {
	f, ok := v.(*starlark.Function)
	if !ok {
		return nil
	}
	required := 0
	for i := range f.NumParams() {
		if f.ParamDefault(i) == nil {
			required++
		}
	}
	if f.HasVarargs() {
		required--
	}
	if f.HasKwargs() {
		required--
	}
	if f.NumParams() == 0 || required > 1 {
		return fmt.Errorf("%s is called with one argument, the user: write it as def %s(user)", f.Name(), f.Name())
	}
	return nil
}

func pathBase(p string) string {
	if i := strings.LastIndexAny(p, `/\`); i >= 0 {
		return p[i+1:]
	}
	return p
}
