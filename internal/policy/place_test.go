package policy

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// styles write the parts of an expression, joined by spaces, as YAML.
func styles() map[string]func(parts []string, indent int) string {
	pad := func(n int) string { return "\n" + strings.Repeat(" ", n) }
	return map[string]func([]string, int) string{
		"plain":                  func(p []string, _ int) string { return strings.Join(p, " ") },
		"plain in several lines": func(p []string, n int) string { return strings.Join(p, pad(n)) },
		"single quotes":          func(p []string, _ int) string { return "'" + strings.ReplaceAll(strings.Join(p, " "), "'", "''") + "'" },
		"single quotes, lines": func(p []string, n int) string {
			return "'" + strings.ReplaceAll(strings.Join(p, " "+pad(n)+"  "), "'", "''") + "'"
		},
		"double quotes":          func(p []string, _ int) string { return quoted(strings.Join(p, " ")) },
		"double quotes, escapes": func(p []string, _ int) string { return strings.ReplaceAll(quoted(strings.Join(p, " ")), "+", `\x2b`) },
		"double quotes, long ones": func(p []string, _ int) string {
			return strings.ReplaceAll(quoted(strings.Join(p, " ")), "+", `\U0000002b`)
		},
		"double quotes, lines": func(p []string, n int) string {
			return strings.ReplaceAll(quoted(strings.Join(p, " ")), " + ", pad(n)+"+ ")
		},
		"double quotes, continued": func(p []string, n int) string {
			return strings.ReplaceAll(quoted(strings.Join(p, " ")), " + ", ` + \`+pad(n))
		},
		"literal":                   func(p []string, n int) string { return "|" + pad(n) + strings.Join(p, pad(n)) },
		"literal, indented inside":  func(p []string, n int) string { return "|-" + pad(n) + strings.Join(p, pad(n+3)) },
		"folded":                    func(p []string, n int) string { return ">-" + pad(n) + strings.Join(p, pad(n)) },
		"folded, with blank lines":  func(p []string, n int) string { return ">" + pad(n) + strings.Join(p, "\n"+pad(n)) },
		"literal after blank lines": func(p []string, n int) string { return "|\n" + pad(n) + strings.Join(p, "\n"+pad(n)) },
	}
}

// Whatever way the expression is written, the place is that of the wrong word.
func TestPlaces(t *testing.T) {
	ran := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		parts := []string{"request.ip"}
		term := rapid.SampledFrom([]string{"request.path", `request.header['X-Ä']`, `attr["é: #x"]`, "request.query['it']", `'日本 "x"'`, `"\\"`})
		n := rapid.IntRange(0, 3).Draw(t, "before")
		for range n {
			parts = append(parts, "+", term.Draw(t, "term"))
		}
		parts = append(parts, "+", "zzzzzzzzz")
		for range rapid.IntRange(0, 2).Draw(t, "after") {
			parts = append(parts, "+", term.Draw(t, "term"))
		}
		all := styles()
		names := slices.Sorted(maps.Keys(all))
		for _, name := range rapid.Permutation(names).Draw(t, "styles")[:4] {
			write := all[name]
			if strings.HasPrefix(name, "plain") && strings.ContainsAny(strings.Join(parts, ""), "#:") {
				continue // not plain in YAML
			}
			ran[name]++
			text := "policies:\n  - limit: 1\n    window: 1s\n    key: " + write(parts, 6) + "\n    name: x\n"
			_, err := Parse("f", []byte(text))
			var many Errors
			if !errors.As(err, &many) || len(many) != 1 {
				t.Fatalf("%s:\n%s\n%v", name, text, err)
			}
			lines := strings.Split(text, "\n")
			e := many[0]
			if at := string([]rune(lines[e.Line-1])[e.Column-1:]); !strings.HasPrefix(at, "zzz") || e.Source != lines[e.Line-1] {
				t.Fatalf("%s:\n%s\n%v", name, text, err)
			}
		}
	})
	if len(ran) < len(styles())/2 {
		t.Fatalf("ran %v", ran)
	}
}
