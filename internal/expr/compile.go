package expr

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// Compiler compiles expressions and keeps what they have in common. The zero
// value is ready; it is for one goroutine.
type Compiler struct {
	env *cel.Env
}

// Compile reads an expression that gives a value of type want. The error is an
// *Error. No source makes it panic.
func (c *Compiler) Compile(src string, want Type) (e *Expr, err error) {
	defer func() {
		// Subtle: the parser is generated code of others and what it is given comes
		// from a user. A panic there must not end a program that serves requests.
		if p := recover(); p != nil {
			e, err = nil, &Error{Column: 1, Reason: "this expression cannot be read; write it more simply"}
		}
	}()
	switch {
	case want > Int:
		return nil, &Error{Column: 1, Reason: fmt.Sprintf("no such type: %s", want)}
	case len(src) > maxSource:
		return nil, &Error{Column: 1, Reason: fmt.Sprintf("the expression has %d bytes, more than %d", len(src), maxSource)}
	case !utf8.ValidString(src):
		return nil, &Error{Column: 1, Reason: "the expression is not UTF-8"}
	case strings.ContainsFunc(src, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }):
		return nil, &Error{Column: 1, Reason: "a control character cannot be in an expression; write it as \\u0000"}
	case strings.TrimSpace(src) == "":
		return nil, &Error{Column: 1, Reason: "the expression is empty"}
	}
	if c.env == nil {
		if c.env, err = environment(); err != nil {
			return nil, &Error{Column: 1, Reason: "CEL cannot be set up: " + err.Error()}
		}
	}
	tree, issues := c.env.Compile(src)
	if issues.Err() != nil {
		return nil, fault(src, issues)
	}
	e = &Expr{source: src, want: want}
	checked := tree.NativeRep()
	e.names = reads(checked)
	e.response = slices.ContainsFunc(e.names, func(n string) bool { return strings.HasPrefix(n, "response.") })
	if err := fits(tree.OutputType(), want, src); err != nil {
		return nil, err
	}
	if e.simple(checked) {
		return e, nil
	}
	e.program, err = c.env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, &Error{Column: 1, Reason: plainly(err.Error())}
	}
	return e, nil
}

// environment is what every expression is compiled in.
func environment() (*cel.Env, error) {
	options := append(library(),
		cel.ParserRecursionLimit(100),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
	)
	for _, name := range Names() {
		options = append(options, cel.Variable(name, typeOf(name)))
	}
	return cel.NewEnv(options...)
}

// reads returns the names of the variables in the tree.
func reads(tree *ast.AST) (names []string) {
	known := Names()
	for _, r := range tree.ReferenceMap() {
		if _, ok := slices.BinarySearch(known, r.Name); ok {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fits tells whether a value of type t can serve as want. What is known only
// when a token is read (dyn) is looked at then.
func fits(t *cel.Type, want Type, src string) error {
	switch {
	case t.IsExactType(cel.DynType):
		return nil
	case want == String && t.IsExactType(cel.StringType), want == Bool && t.IsExactType(cel.BoolType), want == Int && t.IsExactType(cel.IntType):
		return nil
	}
	reason := fmt.Sprintf("this gives %s, and %s is needed", article(t), want)
	switch {
	case want == String && (t.IsExactType(cel.IntType) || t.IsExactType(cel.DoubleType) || t.IsExactType(cel.BoolType) || t.IsExactType(cel.UintType)):
		reason += "; write string(…) around it"
	case want == Int && (t.IsExactType(cel.DoubleType) || t.IsExactType(cel.UintType) || t.IsExactType(cel.StringType)):
		reason += "; write int(…) around it"
	case want == Bool:
		reason += "; compare it with something, as in … == \"x\""
	case t.Kind() == types.MapKind:
		reason += `; write the name of an entry behind it, as in ` + strings.TrimSpace(src) + `["name"]`
		if len(src) > 40 {
			reason = fmt.Sprintf("this gives %s, and %s is needed; name an entry", article(t), want)
		}
	}
	return &Error{Column: 1 + leading(src), Reason: reason}
}

func leading(src string) int { return len(src) - len(strings.TrimLeft(src, " \t\r\n")) }

func article(t *cel.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "text"
	case types.BoolKind:
		return "true or false"
	case types.IntKind, types.UintKind:
		return "a whole number"
	case types.DoubleKind:
		return "a number"
	case types.ListKind:
		return "a list"
	case types.MapKind:
		return "a map"
	}
	return "a " + t.String()
}

// fault turns what CEL says into one error at its place.
func fault(src string, issues *cel.Issues) *Error {
	all := issues.Errors()
	if len(all) == 0 {
		return &Error{Column: 1, Reason: plainly(issues.Err().Error())}
	}
	first := all[0]
	at := offset(src, first.Location.Line(), first.Location.Column())
	e := &Error{Column: at + 1, Reason: plainly(first.Message)}
	m := undeclared.FindStringSubmatch(first.Message)
	if m == nil {
		return e
	}
	// The place is that of a dot or of a bracket; a reader wants the word.
	runes := []rune(src)
	start := min(at, len(runes))
	if !strings.HasPrefix(string(runes[start:]), m[1]) {
		for start > 0 && start <= len(runes) && inName(runes[start-1]) {
			start--
		}
		if start < len(runes) && runes[start] == '.' {
			start++
		}
	}
	name := dotted.FindString(string(runes[start:]))
	if name == "" {
		name = m[1]
	}
	end := start + utf8.RuneCountInString(name)
	if end < len(runes) && runes[end] == '(' {
		last := name[strings.LastIndexByte(name, '.')+1:]
		e.Column, e.Reason = end-utf8.RuneCountInString(last)+1, unknownFunction(last)
		return e
	}
	e.Column, e.Reason = start+1, unknown(name)
	return e
}

func inName(c rune) bool {
	return c == '_' || c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// offset turns a line from 1 and a column from 0 into characters from the start.
func offset(src string, line, column int) int {
	at := 0
	for i, text := range strings.SplitAfter(src, "\n") {
		if i+1 >= line {
			break
		}
		at += utf8.RuneCountInString(text)
	}
	return min(max(at+max(column, 0), 0), utf8.RuneCountInString(src))
}
