package expr

import (
	"cmp"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// simple finds what can be answered without the interpreter: names, entries of
// maps, constants, comparisons of those, joined by && and || and !, and texts
// put together. Such an answer cannot fail, and needs no memory unless a text is
// put together or decoded. It tells whether e is of this form.
func (e *Expr) simple(tree *ast.AST) bool {
	b := builder{tree}
	root := tree.Expr()
	switch e.want {
	case Bool:
		e.truth = b.truth(root)
		return e.truth != nil
	case Int:
		e.number = b.number(root)
		return e.number != nil
	}
	if e.text = b.text(root); e.text != nil {
		return true
	}
	e.texts = b.texts(root)
	return e.texts != nil
}

// joined puts the parts of a text together.
func (e *Expr) joined(s *Subject) (string, error) {
	var few [8]string
	parts, size := few[:0], 0
	for _, read := range e.texts {
		part := read(s)
		parts, size = append(parts, part), size+len(part)
	}
	if size > maxText {
		return "", &Error{Reason: "the text that the expression puts together is too long"}
	}
	return strings.Join(parts, ""), nil
}

type builder struct{ tree *ast.AST }

// name returns the variable that n reads, or "".
func (b builder) name(n ast.Expr) string {
	if k := n.Kind(); k != ast.IdentKind && k != ast.SelectKind {
		return ""
	}
	if r, ok := b.tree.ReferenceMap()[n.ID()]; ok && len(r.OverloadIDs) == 0 && r.Value == nil {
		return r.Name
	}
	return ""
}

// call returns the arguments of a call of this operator with n of them.
func call(n ast.Expr, function string, count int) []ast.Expr {
	if n.Kind() != ast.CallKind {
		return nil
	}
	c := n.AsCall()
	if c.FunctionName() != function || c.IsMemberFunction() || len(c.Args()) != count {
		return nil
	}
	return c.Args()
}

func (b builder) text(n ast.Expr) func(*Subject) string {
	if name := b.name(n); name != "" {
		return scalar(name)
	}
	switch n.Kind() {
	case ast.LiteralKind:
		if v, ok := n.AsLiteral().(types.String); ok {
			return func(*Subject) string { return string(v) }
		}
	case ast.SelectKind: // request.query.tenant
		if s := n.AsSelect(); !s.IsTestOnly() {
			if name := b.name(s.Operand()); name != "" {
				return entryOf(name, s.FieldName())
			}
		}
	}
	if args := call(n, operators.Index, 2); args != nil {
		name := b.name(args[0])
		if name != "" && args[1].Kind() == ast.LiteralKind {
			if key, ok := args[1].AsLiteral().(types.String); ok {
				return entryOf(name, string(key))
			}
		}
	}
	return nil
}

// texts returns the parts of a + b + c.
func (b builder) texts(n ast.Expr) []func(*Subject) string {
	if args := call(n, operators.Add, 2); args != nil {
		left, right := b.texts(args[0]), b.texts(args[1])
		if left == nil || right == nil {
			return nil
		}
		return append(left, right...)
	}
	if read := b.text(n); read != nil {
		return []func(*Subject) string{read}
	}
	return nil
}

func (b builder) number(n ast.Expr) func(*Subject) int64 {
	if name := b.name(n); name != "" {
		return count(name)
	}
	if n.Kind() == ast.LiteralKind {
		if v, ok := n.AsLiteral().(types.Int); ok {
			return func(*Subject) int64 { return int64(v) }
		}
	}
	return nil
}

func (b builder) truth(n ast.Expr) func(*Subject) bool {
	if n.Kind() == ast.LiteralKind {
		if v, ok := n.AsLiteral().(types.Bool); ok {
			return func(*Subject) bool { return bool(v) }
		}
		return nil
	}
	if args := call(n, operators.LogicalNot, 1); args != nil {
		if x := b.truth(args[0]); x != nil {
			return func(s *Subject) bool { return !x(s) }
		}
		return nil
	}
	for _, op := range []string{operators.LogicalAnd, operators.LogicalOr} {
		args := call(n, op, 2)
		if args == nil {
			continue
		}
		x, y := b.truth(args[0]), b.truth(args[1])
		switch {
		case x == nil || y == nil:
			return nil
		case op == operators.LogicalAnd:
			return func(s *Subject) bool { return x(s) && y(s) }
		}
		return func(s *Subject) bool { return x(s) || y(s) }
	}
	return b.comparison(n)
}

func (b builder) comparison(n ast.Expr) func(*Subject) bool {
	for op, holds := range map[string]func(int) bool{
		operators.Equals:        func(c int) bool { return c == 0 },
		operators.NotEquals:     func(c int) bool { return c != 0 },
		operators.Less:          func(c int) bool { return c < 0 },
		operators.LessEquals:    func(c int) bool { return c <= 0 },
		operators.Greater:       func(c int) bool { return c > 0 },
		operators.GreaterEquals: func(c int) bool { return c >= 0 },
	} {
		args := call(n, op, 2)
		if args == nil {
			continue
		}
		if x, y := b.text(args[0]), b.text(args[1]); x != nil && y != nil {
			return func(s *Subject) bool { return holds(cmp.Compare(x(s), y(s))) }
		}
		if x, y := b.number(args[0]), b.number(args[1]); x != nil && y != nil {
			return func(s *Subject) bool { return holds(cmp.Compare(x(s), y(s))) }
		}
		return nil
	}
	if n.Kind() == ast.CallKind && n.AsCall().IsMemberFunction() && len(n.AsCall().Args()) == 1 {
		c := n.AsCall()
		test := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[c.FunctionName()]
		x, y := b.text(c.Target()), b.text(c.Args()[0])
		if test != nil && x != nil && y != nil {
			return func(s *Subject) bool { return test(x(s), y(s)) }
		}
	}
	return nil
}
