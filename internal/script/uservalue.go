package script

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"
)

// The user as scripts see it.

func (u *user) String() string        { return fmt.Sprintf("<user %d of %s>", u.s.ID(), u.class.name) }
func (u *user) Type() string          { return "user" }
func (u *user) Freeze()               {}
func (u *user) Truth() starlark.Bool  { return true }
func (u *user) Hash() (uint32, error) { return uint32(u.s.ID()), nil }

// Attr implements user.name.
func (u *user) Attr(name string) (starlark.Value, error) {
	switch name {
	case "get":
		return method{u, "get", "GET"}, nil
	case "post":
		return method{u, "post", "POST"}, nil
	case "put":
		return method{u, "put", "PUT"}, nil
	case "patch":
		return method{u, "patch", "PATCH"}, nil
	case "delete":
		return method{u, "delete", "DELETE"}, nil
	case "head":
		return method{u, "head", "HEAD"}, nil
	case "options":
		return method{u, "options", "OPTIONS"}, nil
	case "request":
		return method{u, "request", ""}, nil
	case "client": // so that the body of a Locust task can be taken over as it is
		return u, nil
	case "headers":
		return u.defaults(), nil
	case "cookies":
		return userCookies{u}, nil
	case "auth":
		if u.authed == nil {
			return starlark.None, nil
		}
		return u.authed, nil
	case "host":
		return starlark.String(u.class.host), nil
	case "id":
		return starlark.MakeInt(u.s.ID()), nil
	case "interrupt":
		return starlark.NewBuiltin("interrupt", interrupt).BindReceiver(u), nil
	case "stop":
		return starlark.NewBuiltin("stop", stop).BindReceiver(u), nil
	}
	for i := range u.state {
		if u.state[i].name == name {
			return u.state[i].value, nil
		}
	}
	hint := memberHint("user", name, u.AttrNames())
	if hint == "" {
		hint = "; on_start is the place to set it"
	}
	return nil, fmt.Errorf("the user has no .%s%s", name, hint)
}

// builtinAttrs are the names that user.name = … cannot take.
var builtinAttrs = []string{"auth", "client", "cookies", "delete", "get", "head", "headers", "host", "id",
	"interrupt", "options", "patch", "post", "put", "request", "stop"}

// AttrNames implements dir(user).
func (u *user) AttrNames() []string {
	names := append([]string(nil), builtinAttrs...)
	for i := range u.state {
		names = append(names, u.state[i].name)
	}
	return names
}

// SetField implements user.name = value.
func (u *user) SetField(name string, v starlark.Value) error {
	if name == "auth" {
		auth, err := basicAuth(v)
		if err != nil {
			return err
		}
		u.auth, u.authed = auth, v
		return nil
	}
	for _, b := range builtinAttrs {
		if b == name {
			return fmt.Errorf("user.%s is a part of every user: choose another name%s", name, setHint(name))
		}
	}
	for i := range u.state {
		if u.state[i].name == name {
			u.state[i].value = v
			return nil
		}
	}
	u.state = append(u.state, attribute{name, v})
	return nil
}

func setHint(name string) string {
	switch name {
	case "headers":
		return `, or change the headers with user.headers["Name"] = "value"`
	case "cookies":
		return `, or set a cookie with user.cookies["name"] = "value"`
	}
	return ""
}

// interrupt is user.interrupt(reschedule = True).
func interrupt(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	again := true
	if err := starlark.UnpackArgs("interrupt", args, kwargs, "reschedule?", &again); err != nil {
		return nil, err
	}
	return nil, &signal{kind: interruptSet, reschedule: again, at: position(t)}
}

// stop is user.stop().
func stop(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args)+len(kwargs) > 0 {
		return nil, errors.New("stop takes no arguments")
	}
	return nil, &signal{kind: stopUser}
}

// method is user.get and its like. It is a value of three words, so that
// looking it up costs one small allocation.
type method struct {
	u    *user
	name string
	verb string // "" for user.request, whose first argument it is
}

func (m method) String() string        { return "<method user." + m.name + ">" }
func (m method) Type() string          { return "method" }
func (m method) Freeze()               {}
func (m method) Truth() starlark.Bool  { return true }
func (m method) Hash() (uint32, error) { return starlark.String(m.name).Hash() }
func (m method) Name() string          { return "user." + m.name }

// CallInternal sends a request.
func (m method) CallInternal(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	verb := m.verb
	if verb == "" {
		if len(args) == 0 {
			return nil, errors.New(`request needs the method and the URL: user.request("GET", "/path")`)
		}
		v, ok := starlark.AsString(args[0])
		if !ok || v == "" {
			return nil, fmt.Errorf("the method is %s, want a text such as \"GET\"", args[0])
		}
		verb, args = v, args[1:]
	}
	var p params
	if err := p.read(m.name, verb, args, kwargs); err != nil {
		return nil, err
	}
	return m.u.send(verb, &p)
}
