package expr

import (
	"encoding/json"
	"errors"
	"maps"
	"net/textproto"
	"reflect"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// table is a map by name in which every name has a value: what is not there is
// "". has(t.name) and "name" in t tell the difference.
//
// Subtle: it must not have a method Find. CEL takes what has one for a map in
// which a missing key is an error, whatever Find says.
type table struct {
	find  func(name string) (ref.Val, bool)
	names func() []string
}

// texts is a table of text.
func texts(find func(string) (string, bool), names func() []string) table {
	return table{
		find: func(name string) (ref.Val, bool) {
			v, ok := find(name)
			return bounded(v), ok
		},
		names: names,
	}
}

// bounded is a text for the interpreter, whose functions may multiply its length.
func bounded(s string) ref.Val {
	if len(s) > maxPart {
		return tooLong()
	}
	return types.String(s)
}

// fields is a table of header fields: the first value of each, by any spelling.
func fields(f Fields) table {
	return texts(func(name string) (string, bool) {
		values := f[textproto.CanonicalMIMEHeaderKey(name)]
		if len(values) == 0 {
			return "", false
		}
		return values[0], true
	}, func() []string { return sortedKeys(f) })
}

// object is a table of JSON values.
func object(m map[string]any) table {
	return table{
		find: func(name string) (ref.Val, bool) {
			v, ok := m[name]
			return value(v), ok
		},
		names: func() []string { return sortedKeys(m) },
	}
}

// value turns a piece of JSON into a value of CEL. Null is "", as nothing is.
func value(v any) ref.Val {
	switch v := v.(type) {
	case string:
		return types.String(v)
	case bool:
		return types.Bool(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return types.Int(n)
		}
		if f, err := v.Float64(); err == nil {
			return types.Double(f)
		}
		return types.String(v.String())
	case []any:
		list := make([]ref.Val, len(v))
		for i := range v {
			list[i] = value(v[i])
		}
		return types.NewRefValList(types.DefaultTypeAdapter, list)
	case map[string]any:
		return object(v)
	}
	return types.String("")
}

func (t table) Get(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	if v, found := t.find(string(name)); found {
		return v
	}
	return types.String("")
}

func (t table) Contains(key ref.Val) ref.Val { return t.IsSet(key) }

func (t table) IsSet(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key)
	}
	_, found := t.find(string(name))
	return types.Bool(found)
}

func (t table) Size() ref.Val { return types.Int(len(t.names())) }

// Iterator goes over the names, as macros such as exists want.
func (t table) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, t.names()).Iterator()
}

func (t table) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("a table cannot be converted")
}

func (t table) ConvertToType(to ref.Type) ref.Val {
	if to == types.TypeType {
		return types.MapType
	}
	return types.NewErr("type conversion error")
}

func (t table) Equal(ref.Val) ref.Val { return types.False }
func (t table) Type() ref.Type        { return types.MapType }
func (t table) Value() any            { return t }
