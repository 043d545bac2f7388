package script

import (
	"encoding/json"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"pgregory.net/rapid"
)

// TestJSONAgainstStandard holds that what is decoded and encoded again means
// the same to encoding/json.
func TestJSONAgainstStandard(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kind := rapid.IntRange(0, 6).Draw(t, "kind")
			if depth > 3 {
				kind %= 5
			}
			switch kind {
			case 0:
				return nil
			case 1:
				return rapid.Bool().Draw(t, "bool")
			case 2:
				return rapid.Int64Range(-1<<53, 1<<53).Draw(t, "int")
			case 3:
				return rapid.Float64Range(-1e300, 1e300).Draw(t, "float") + 0 // -0 in JSON is the integer 0, as in Python
			case 4:
				return rapid.String().Draw(t, "text")
			case 5:
				return rapid.SliceOfN(value(depth+1), 0, 4).Draw(t, "list")
			}
			return rapid.MapOfN(rapid.String(), value(depth+1), 0, 4).Draw(t, "dict")
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		first, err := json.Marshal(value(0).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := decodeJSON(&starlark.Thread{}, starlark.String(first))
		if err != nil {
			t.Fatalf("decodeJSON(%s): %v", first, err)
		}
		second, err := appendJSON(nil, v, 0)
		if err != nil {
			t.Fatalf("appendJSON of %s: %v", first, err)
		}
		var a, b any
		if err := json.Unmarshal(second, &b); err != nil {
			t.Fatalf("%s became %s: %v", first, second, err)
		}
		_ = json.Unmarshal(first, &a)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Fatalf("%s became %s", x, y)
		}
	})
}

func TestTooDeep(t *testing.T) {
	n := maxJSONDepth
	for _, c := range []struct {
		text string
		want bool
	}{
		{strings.Repeat("[", n) + strings.Repeat("]", n), false},
		{strings.Repeat("[", n+1) + strings.Repeat("]", n+1), true},
		{strings.Repeat(`{"a":`, n+1), true},
		{`"` + strings.Repeat("[", n+1) + `"`, false},
		{`"\"` + strings.Repeat("[", n+1) + `"`, false},
		{strings.Repeat("[],", 2*n), false},
	} {
		if got := tooDeep(c.text); got != c.want {
			t.Errorf("tooDeep(%.20q…) = %v, want %v", c.text, got, c.want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a": [1, 2.5e3, null, true, "ü\u0041\n"]}`, `[[[[]]]]`, `"\ud83d\ude00"`, `-0`, `1e999`, `{"a":1,"a":2}`, "\xff", `[1,]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := decodeJSON(&starlark.Thread{}, starlark.String(text))
		if err != nil {
			return
		}
		out, err := appendJSON(nil, v, 0)
		if err == nil && !json.Valid(out) {
			t.Errorf("%q became %q, which is not JSON", text, out)
		}
	})
}

// TestJSONNumbers holds that numbers are written as Python writes them: 2.0 is no integer.
func TestJSONNumbers(t *testing.T) {
	for v, want := range map[starlark.Value]string{
		starlark.Float(2): "2.0", starlark.Float(-0.5): "-0.5", starlark.Float(1e20): "1e+20", starlark.Float(1e21): "1e+21", starlark.MakeInt(2): "2",
	} {
		if got, err := appendJSON(nil, v, 0); err != nil || string(got) != want {
			t.Errorf("%v became %s, %v; want %s", v, got, err, want)
		}
	}
}
