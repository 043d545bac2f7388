package script

import (
	"fmt"
	"slices"
	"time"

	sjson "go.starlark.net/lib/json"
	smath "go.starlark.net/lib/math"
	stime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

type builtinFunc = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// predeclared are the names that every file knows, beside Starlark's own.
func (s *Script) predeclared() starlark.StringDict {
	names := starlark.StringDict{
		"json":   jsonModule(),
		"math":   library{smath.Module},
		"random": newModule("random", randomFuncs()),
		"base64": newModule("base64", base64Funcs()),
		"hashlib": newModule("hashlib", map[string]builtinFunc{
			"md5": digestOf, "sha1": digestOf, "sha256": digestOf, "sha384": digestOf, "sha512": digestOf}),
		"hmac":   newModule("hmac", map[string]builtinFunc{"new": newHMAC}),
		"jwt":    newModule("jwt", map[string]builtinFunc{"decode": decodeJWT, "header": decodeJWT}),
		"url":    newModule("url", urlFuncs()),
		"html":   newModule("html", htmlFuncs()),
		"uuid":   newModule("uuid", map[string]builtinFunc{"uuid4": uuid4}),
		"feed":   newModule("feed", map[string]builtinFunc{"csv": readFeed, "json": readFeed, "rows": readFeed}),
		"time":   timeModule(),
		"re":     s.patterns.module(),
		"struct": starlark.NewBuiltin("struct", starlarkstruct.Make),
	}
	for name, fn := range map[string]builtinFunc{
		"HttpUser": httpUser, "TaskSet": newTaskSet, "SequentialTaskSet": newTaskSet, "task": newTask,
		"between": between, "constant": constant, "constant_pacing": constant, "constant_throughput": constantThroughput,
		"profile": newProfile, "check": check, "env": env, "secret": secret, "log": log, "read_file": readFile, "round": round, "sum": sum,
	} {
		names[name] = starlark.NewBuiltin(name, fn)
	}
	names.Freeze()
	return names
}

// library is a group of functions, and says what it has when it has not what was
// asked for.
type library struct{ *starlarkstruct.Module }

func blankModule(name string) library {
	return library{&starlarkstruct.Module{Name: name, Members: starlark.StringDict{}}}
}

// Attr implements module.name.
func (m library) Attr(name string) (starlark.Value, error) {
	if v, err := m.Module.Attr(name); v != nil || err != nil {
		return v, err
	}
	names := m.AttrNames()
	slices.Sort(names)
	return nil, fmt.Errorf("%s has no .%s%s", m.Name, name, memberHint(m.Name, name, names))
}

func newModule(name string, funcs map[string]builtinFunc) library {
	m := blankModule(name)
	for n, fn := range funcs {
		m.Members[n] = starlark.NewBuiltin(n, fn)
	}
	return m
}

// jsonModule is Starlark's own module, with a decoder that bounds the nesting.
func jsonModule() library {
	m := blankModule("json")
	for name, v := range sjson.Module.Members {
		m.Members[name] = v
	}
	m.Members["decode"] = starlark.NewBuiltin("decode", func(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		s, err := content(b, args, kwargs, "x")
		if err != nil {
			return nil, err
		}
		return decodeJSON(t, starlark.String(s))
	})
	m.Members["loads"], m.Members["dumps"] = m.Members["decode"], m.Members["encode"] // as in Python
	return m
}

// timeModule is Starlark's own module with sleep, and with time() as in Python.
func timeModule() library {
	m := blankModule("time")
	for name, v := range stime.Module.Members {
		m.Members[name] = v
	}
	m.Members["sleep"] = starlark.NewBuiltin("sleep", sleep)
	m.Members["time"] = starlark.NewBuiltin("time", unixTime)
	return m
}

// sleep is time.sleep(seconds): a pause of the user within a task.
func sleep(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "seconds", &v); err != nil {
		return nil, err
	}
	u, err := running(t, "time.sleep(…)")
	if err != nil {
		return nil, err
	}
	d, err := seconds("time.sleep", v)
	if err != nil {
		return nil, err
	}
	u.mark = nil // the session records the answer now
	if !u.s.Pause(d) {
		return nil, errOver
	}
	return starlark.None, nil
}

// unixTime is time.time(): seconds since 1970, with a fraction.
func unixTime(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	return starlark.Float(float64(time.Now().UnixMicro()) / 1e6), nil
}
