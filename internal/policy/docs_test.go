package policy

import (
	"os"
	"strings"
	"testing"
)

// Every example of the guide is a valid file, which the schema accepts and
// Marshal writes back; together they have every field.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	schema := compiled(t)
	blocks := strings.Split(string(text), "\n```yaml\n")[1:]
	if len(blocks) < 8 {
		t.Fatalf("only %d examples", len(blocks))
	}
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "\n```\n")
		f, err := Parse("docs/policy.md", []byte(b+"\n"))
		if err != nil {
			t.Errorf("%s\n%v", b, err)
			continue
		}
		if err := schema([]byte(b)); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", b, err)
		}
		if _, err := Marshal(f); err != nil {
			t.Errorf("%s\n%v", b, err)
		}
		for _, e := range Explain(f) {
			if len(e.Facts) < 5 {
				t.Errorf("%s: %+v", b, e)
			}
		}
	}
	for _, field := range policyFields() {
		if !strings.Contains(string(text), field) {
			t.Errorf("the guide says nothing of %s", field)
		}
	}
}
