package sms

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// plainValue turns a parsed value into what encoding/json makes of the same text.
func plainValue(v any) any {
	switch v := v.(type) {
	case pyInt:
		return json.Number(v)
	case float64:
		if math.IsInf(v, 0) {
			return "an infinity"
		}
		return json.Number(pyFloat(v))
	case string:
		// encoding/json replaces what cannot be encoded, once per surrogate.
		var b strings.Builder
		for len(v) > 0 {
			r, n := utf8.DecodeRuneInString(v)
			if r == utf8.RuneError && n == 1 {
				n = 3
			}
			b.WriteRune(r)
			v = v[n:]
		}
		return b.String()
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainValue(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[plainValue(k).(string)] = plainValue(x)
		}
		return out
	}
	return v
}

// TestAgainstPython holds the parser to what CPython's json module said to 700
// texts, through the framework's parser.
func TestAgainstPython(t *testing.T) {
	raw, err := os.ReadFile("testdata/pyjson.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Texts []struct {
			Hex   string
			Error string
			Value *string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for _, c := range file.Texts {
		text, err := hex.DecodeString(c.Hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseJSON(text)
		if c.Value == nil {
			bad++
			if err == nil || "JSON parse error - "+err.Error() != c.Error {
				t.Errorf("%q: error %v, want %s", text, err, c.Error)
			}
			continue
		}
		good++
		if err != nil {
			t.Errorf("%q: %v, want %s", text, err, *c.Value)
			continue
		}
		if strings.Contains(*c.Value, "Infinity") {
			if f, ok := got.(float64); !ok || !math.IsInf(f, 0) {
				t.Errorf("%q = %v, want %s", text, got, *c.Value)
			}
			continue
		}
		dec := json.NewDecoder(strings.NewReader(*c.Value))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(plainValue(got), want) {
			t.Errorf("%q = %#v, want %#v", text, plainValue(got), want)
		}
	}
	if good < 60 || bad < 600 {
		t.Fatalf("compared %d texts that are JSON and %d that are not: the recording is incomplete", good, bad)
	}
}

// FuzzParseJSON holds that the parser accepts what encoding/json accepts, and
// nothing else but what is known.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":[1,2.5e3,null,true],"b":"\ud83d\ude00"}`, `[NaN]`, `"\ud83d"`, "\xff", `{"a":1,}`, "1e999", "-", strings.Repeat("[", 1000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := parseJSON(raw)
		if errors.Is(err, errDepth) {
			return
		}
		if !utf8.Valid(raw) {
			return // Python is strict and Go is not; the recording has the cases
		}
		if (err == nil) != json.Valid(raw) {
			t.Fatalf("%q: %v, encoding/json says %v", raw, err, json.Valid(raw))
		}
		if err != nil {
			return
		}
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		var want any
		if dec.Decode(&want) != nil {
			return
		}
		if got := plainValue(v); shape(got) != shape(want) {
			t.Fatalf("%q: %v, encoding/json has %v", raw, got, want)
		}
	})
}

// shape is a value without the spelling of its numbers.
func shape(v any) string {
	switch v := v.(type) {
	case json.Number:
		return "n"
	case string:
		if v == "an infinity" {
			return "n"
		}
		b, _ := json.Marshal(v)
		return string(b)
	case []any:
		s := "["
		for _, x := range v {
			s += shape(x) + ","
		}
		return s
	case map[string]any:
		keys := map[string]string{}
		for k, x := range v {
			keys[k] = shape(x)
		}
		b, _ := json.Marshal(keys)
		return string(b)
	case nil:
		return "null"
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return "?"
}

func TestPyFloat(t *testing.T) {
	cases := []struct {
		f    float64
		want string
	}{{0, "0.0"}, {1, "1.0"}, {-1.5, "-1.5"}, {1e15, "1000000000000000.0"}, {1e16, "1e+16"}, {1e-4, "0.0001"}, {1e-5, "1e-05"}, {math.Inf(1), "inf"}, {math.Inf(-1), "-inf"}, {100, "100.0"}, {1.2e300, "1.2e+300"}}
	for _, c := range cases {
		if got := pyFloat(c.f); got != c.want {
			t.Errorf("pyFloat(%v) = %s, want %s", c.f, got, c.want)
		}
	}
}
