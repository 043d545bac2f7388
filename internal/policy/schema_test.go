package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// compiled returns a function that validates YAML text by the schema.
func compiled(t *testing.T) func(text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(text []byte) error {
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			return err
		}
		asJSON, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(asJSON)); err != nil {
			return err
		}
		return s.Validate(v)
	}
}

// properties returns the names under $defs/def/properties, and what is under one of them.
func properties(t *testing.T, def string) map[string]map[string]any {
	t.Helper()
	var root struct {
		Defs map[string]struct {
			Properties map[string]map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root.Defs[def].Properties
}

// definition returns what is under $defs/def.
func definition(t *testing.T, def string) any {
	t.Helper()
	var root struct {
		Defs map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root.Defs[def]
}

func sorted(names []string) []string {
	out := append([]string(nil), names...)
	sort.Strings(out)
	return out
}

func keys(m map[string]map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return sorted(out)
}

// enum returns the strings of an enum, found anywhere below v.
func enum(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			if k == "enum" {
				for _, word := range sub.([]any) {
					out = append(out, word.(string))
				}
			} else {
				out = append(out, enum(sub)...)
			}
		}
	case []any:
		for _, sub := range v {
			out = append(out, enum(sub)...)
		}
	}
	return out
}

// The schema and the code know the same fields and the same words.
func TestSchemaAgrees(t *testing.T) {
	fields := properties(t, "policy")
	if got, want := keys(fields), sorted(policyFields()); !slices.Equal(got, want) {
		t.Errorf("policy: the schema has %v, the code %v", got, want)
	}
	for def, names := range map[string][]string{"descriptor": descriptorFields()} {
		if got, want := keys(properties(t, def)), sorted(names); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the code %v", def, got, want)
		}
	}
	answer := properties(t, "answer")
	if got, want := keys(answer), sorted(answerFields()); !slices.Equal(got, want) {
		t.Errorf("answer: the schema has %v, the code %v", got, want)
	}
	var algorithms, dialects []string
	for _, a := range limit.Algorithms() {
		algorithms = append(algorithms, a.String())
	}
	for _, d := range header.Writable() {
		dialects = append(dialects, string(d))
	}
	for _, c := range []struct {
		name      string
		got, want []string
	}{
		{"algorithm", enum(fields["algorithm"]), algorithms},
		{"answer", enum(fields["answer"]), KnownAnswers()},
		{"fields", enum(definition(t, "fields")), dialects},
		{"on-store-error", enum(fields["on-store-error"]), []string{OnStoreLocal, OnStoreOpen, OnStoreClosed}},
		{"align", enum(fields["align"]), []string{limit.AlignClock.String(), limit.AlignFirst.String(), limit.AlignLast.String()}},
		{"period", enum(fields["period"]), []string{limit.PerHour.String(), limit.PerDay.String(), limit.PerWeek.String(), limit.PerMonth.String(), limit.PerYear.String()}},
	} {
		if len(c.got) == 0 || !slices.Equal(c.got, c.want) {
			t.Errorf("%s: the schema has %v, the code %v", c.name, c.got, c.want)
		}
	}
	// Every field of the list is one that the reader knows: each refuses a mapping
	// of nonsense in its own words and none says that there is no such field.
	for _, name := range policyFields() {
		_, err := Parse("f", fmt.Appendf(nil, "policies:\n  - %s: {zzz: 1}\n", name))
		if err == nil || strings.Contains(err.Error(), "policies[0]."+name+": no such field") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, field := range []string{"policies", "policy", "match", "key"} {
		if !bytes.Contains(Schema(), []byte(`"`+field+`"`)) {
			t.Errorf("the schema says nothing of %s", field)
		}
	}
}

func TestSchemaExample(t *testing.T) {
	validate := compiled(t)
	if err := validate([]byte(example)); err != nil {
		t.Errorf("the schema refuses the example: %v", err)
	}
	refused := []string{
		"policies: []", "policies:\n  - {}", "policies:\n  - {limit: 0}", "policies:\n  - {limit: 1, windw: 1s}", "policies:\n  - {limit: 1, window: 60}",
		"policies:\n  - {limit: 1, window: fast}", "policies:\n  - {limit: 1, algorithm: x}", "policies:\n  - {limit: 1, warn-at: 80}", "policies:\n  - {limit: 1, key: 5}",
		"policies:\n  - {limit: 1, match: post /x}", "policies:\n  - {limit: 1, answer: nope}", "policies:\n  - {limit: 1, answer: {status: 200}}", "policies:\n  - {limit: 1, answer: {body: x}}",
		"policies:\n  - {limit: 1, on-store-error: wait}", "other: 1", "chain: 1", "policies:\n  - {limit: 1, window: 1s, id: ''}", "policies:\n  - {limit: 1, window: 1s, api: []}",
		"policies:\n  - {limit: 1, window: 1s, api: [a, a]}", "policies:\n  - {limit: 1, window: 1s, when: ''}", "policies:\n  - {limit: 1, window: 1s, cost: 0}", "policies:\n  - {limit: 1, window: 1s, cost: 1.5}",
		"policies:\n  - {limit: 1, window: 1s, key: request.ip, overrides: {}}", "policies:\n  - {limit: 1, window: 1s, key: request.ip, overrides: {a: none}}", "policies:\n  - {limit: 1, window: 1s, key: request.ip, overrides: {a: {}}}",
		"policies:\n  - {limit: 1, window: 1s, key: request.ip, overrides: {a: {cost: 1}}}", "policies:\n  - {limit: 1, window: 1s, lease: {size: 1}}", "policies:\n  - {limit: 1, window: 1s, lease: {size: 0, for: 1s}}",
		"policies:\n  - {limit: 1, window: 1s, tell: morse}", "policies:\n  - {limit: 1, window: 1s, tell: {}}", "policies:\n  - {limit: 1, window: 1s, tell: {limit: a b}}", "policies:\n  - {limit: 1, window: 1s, descriptor: {domain: x}}",
		"policies:\n  - {limit: 1, window: 1s, descriptor: {domain: x, entries: []}}", "policies:\n  - {limit: 1, window: 1s, descriptor: {domain: x, entries: [{value: a}]}}", "policies:\n  - {limit: 1, window: 1s, descriptor: {domain: x, entries: [{key: a}], mode: x}}",
	}
	for _, text := range refused {
		if err := validate([]byte(text)); err == nil {
			t.Errorf("the schema accepts %q", text)
		}
		if _, err := Parse("f", []byte(text)); err == nil {
			t.Errorf("Parse accepts %q", text)
		}
	}
	// A caller cannot change the schema of others.
	Schema()[0] = 'x'
	if Schema()[0] != '{' {
		t.Error("Schema returns the package's own bytes")
	}
}
