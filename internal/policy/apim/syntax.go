package apim

import (
	"strconv"
	"strings"
)

// node is a piece of a parsed C# expression.
type node struct {
	op    string // what it is: see the constants
	at    int
	text  string // a name, an operator, a text
	n     int64
	args  []*node
	parts []part // of an interpolated string
}

// What a node is.
const (
	opText    = "text"    // text
	opNumber  = "number"  // n
	opTruth   = "truth"   // text is true or false
	opNull    = "null"    //
	opName    = "name"    // text
	opMember  = "member"  // args[0] . text
	opIndex   = "index"   // args[0] [ args[1] ]
	opCall    = "call"    // args[0] is what is called, the rest the arguments
	opUnary   = "unary"   // text args[0]
	opBinary  = "binary"  // args[0] text args[1]
	opChoice  = "choice"  // args[0] ? args[1] : args[2]
	opCast    = "cast"    // (text) args[0], and args[0] as text
	opHoles   = "holes"   // parts
	opMissing = "missing" // a block that ends without return
)

// parser reads tokens into nodes: operators by precedence climbing.
type parser struct {
	*translator
	tokens []token
	i      int
	depth  int
	locals map[string]*node // of a block, by name
	spent  int              // nodes that locals were replaced by
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	k := p.tokens[p.i]
	if k.kind != endToken {
		p.i++
	}
	return k
}

// is tells whether the next token is this mark or name.
func (p *parser) is(text string) bool {
	k := p.peek()
	return (k.kind == markToken || k.kind == nameToken) && k.text == text
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text, why string) {
	if !p.accept(text) {
		p.fail(p.peek().at, "%q is expected here%s", text, why)
	}
}

// deeper guards against nesting that would exhaust the stack.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek().at, "more than %d levels inside each other", maxDepth)
	}
	return func() { p.depth-- }
}

// expression reads a whole expression: a choice.
func (p *parser) expression() *node {
	defer p.deeper()()
	cond := p.binary(0)
	k := p.peek()
	if k.kind == markToken && (k.text == "=" || k.text == "=>" || strings.HasSuffix(k.text, "=") && len(k.text) > 1 && strings.IndexByte("+-*/?<>", k.text[0]) >= 0 && k.text != "<=" && k.text != ">=") {
		p.fail(k.at, "%s is not translated; write this key in CEL", k.text)
	}
	if !p.accept("?") {
		return cond
	}
	yes := p.expression()
	p.expect(":", ", for the other case")
	return &node{op: opChoice, at: k.at, args: []*node{cond, yes, p.expression()}}
}

// power is how strongly a binary operator binds; 0 for what is none.
func power(op string) int {
	switch op {
	case "??":
		return 1
	case "||":
		return 2
	case "&&":
		return 3
	case "|", "^", "&":
		return 4
	case "==", "!=":
		return 5
	case "<", ">", "<=", ">=", "is", "as":
		return 6
	case "+", "-":
		return 7
	case "*", "/", "%":
		return 8
	}
	return 0
}

// binary reads operators that bind more strongly than least.
func (p *parser) binary(least int) *node {
	defer p.deeper()()
	left := p.unary()
	for {
		k := p.peek()
		strength := 0
		if k.kind == markToken || k.kind == nameToken {
			strength = power(k.text)
		}
		if strength <= least {
			return left
		}
		p.next()
		switch k.text {
		case "as":
			left = &node{op: opCast, at: k.at, text: p.typeName(), args: []*node{left}}
		case "is":
			not := p.accept("not")
			if p.peek().kind != nameToken || p.peek().text != "null" {
				p.fail(k.at, "is is not translated, except is null and is not null; write this key in CEL")
			}
			p.next()
			op := "=="
			if not {
				op = "!="
			}
			left = &node{op: opBinary, at: k.at, text: op, args: []*node{left, {op: opNull, at: k.at}}}
		case "??":
			// Right associative.
			left = &node{op: opBinary, at: k.at, text: "??", args: []*node{left, p.binary(strength - 1)}}
		default:
			left = &node{op: opBinary, at: k.at, text: k.text, args: []*node{left, p.binary(strength)}}
		}
	}
}

func (p *parser) unary() *node {
	defer p.deeper()()
	k := p.peek()
	if k.kind == markToken {
		switch k.text {
		case "!", "-", "+":
			p.next()
			return &node{op: opUnary, at: k.at, text: k.text, args: []*node{p.unary()}}
		case "(":
			if c := p.cast(); c != nil {
				return c
			}
		case "++", "--", "~", "&", "*":
			p.fail(k.at, "%s is not translated; write this key in CEL", k.text)
		}
	}
	return p.postfix(p.primary())
}

// cast reads (type)x, or returns nil when the bracket opens something else.
func (p *parser) cast() *node {
	from := p.i
	at := p.next().at
	if p.peek().kind == nameToken {
		name := p.typeName()
		if p.accept(")") {
			k := p.peek()
			simple := isType(name)
			follows := k.kind == nameToken && k.text != "as" && k.text != "is" || k.kind == textToken || k.kind == holesToken || k.kind == numberToken ||
				k.kind == letterToken || k.kind == markToken && (k.text == "(" || k.text == "!")
			if follows && (simple || k.text != "(") {
				return &node{op: opCast, at: at, text: name, args: []*node{p.unary()}}
			}
		}
	}
	p.i = from
	return nil
}

// isType tells whether a name can only be that of a type.
func isType(name string) bool {
	switch strings.TrimSuffix(strings.TrimPrefix(name, "System."), "?") {
	case "string", "String", "int", "Int32", "long", "Int64", "bool", "Boolean", "object", "Object", "double", "decimal", "float",
		"Jwt", "BasicAuthCredentials", "JObject", "JToken", "JArray", "IResponse", "string[]", "DateTime", "Guid", "byte[]":
		return true
	}
	return false
}

// typeName reads a type: a dotted name, arguments, ? and [].
func (p *parser) typeName() string {
	defer p.deeper()()
	k := p.next()
	if k.kind != nameToken {
		p.fail(k.at, "the name of a type is expected here")
	}
	name := k.text
	for p.is(".") && p.tokens[p.i+1].kind == nameToken {
		p.next()
		name += "." + p.next().text
	}
	if p.is("<") {
		p.next()
		name += "<" + p.typeName()
		for p.accept(",") {
			name += "," + p.typeName()
		}
		p.expect(">", " after the types")
		name += ">"
	}
	if p.is("?") && p.tokens[p.i+1].kind == markToken && p.tokens[p.i+1].text == ")" {
		p.next()
		name += "?"
	}
	if p.is("[") && p.tokens[p.i+1].text == "]" {
		p.i += 2
		name += "[]"
	}
	return name
}

func (p *parser) primary() *node {
	k := p.next()
	switch k.kind {
	case textToken, letterToken:
		return &node{op: opText, at: k.at, text: k.text}
	case holesToken:
		return &node{op: opHoles, at: k.at, parts: k.parts}
	case numberToken:
		digits := strings.TrimRight(strings.ReplaceAll(k.text, "_", ""), "lLuU")
		n, err := strconv.ParseInt(digits, 0, 64)
		if err != nil || len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789") == "" {
			if n, err = strconv.ParseInt(digits, 10, 64); err != nil {
				p.fail(k.at, "%s is not a whole number; counts are whole numbers", k.text)
			}
		}
		return &node{op: opNumber, at: k.at, n: n}
	case nameToken:
		switch k.text {
		case "true", "false":
			return &node{op: opTruth, at: k.at, text: k.text}
		case "null", "default":
			return &node{op: opNull, at: k.at}
		case "new", "typeof", "nameof", "await", "throw", "from", "delegate", "stackalloc", "checked", "sizeof":
			p.fail(k.at, "%s is not translated; write this key in CEL", k.text)
		}
		if local := p.locals[k.text]; local != nil {
			// Subtle: each use of a local is a copy of what it stands for, so a block
			// of a few lines could name a tree of any size.
			if p.spent += size(local); p.spent > maxNodes {
				p.fail(k.at, "the variables of this block make it too large; write this key in CEL")
			}
			return local
		}
		return &node{op: opName, at: k.at, text: k.text}
	case markToken:
		if k.text == "(" {
			x := p.expression()
			p.expect(")", " to close the bracket")
			return x
		}
	case endToken:
		p.fail(k.at, "the expression ends here, and a value is missing")
	}
	p.fail(k.at, "%q cannot stand here; a value is expected", k.text)
	return nil
}

// size counts nodes, up to a bound.
func size(n *node) int {
	total := 1
	for _, a := range n.args {
		if total > maxNodes {
			break
		}
		total += size(a)
	}
	return total
}

// postfix reads members, indices and calls behind x.
func (p *parser) postfix(x *node) *node {
	for links := 0; ; links++ {
		k := p.peek()
		if k.kind != markToken {
			return x
		}
		if links > maxDepth {
			p.fail(k.at, "more than %d members behind each other", maxDepth)
		}
		switch k.text {
		case ".", "?.":
			p.next()
			name := p.next()
			if name.kind != nameToken {
				p.fail(name.at, "the name of a member is expected after the dot")
			}
			x = &node{op: opMember, at: name.at, text: name.text, args: []*node{x}}
			p.typeArguments(x)
		case "[", "?[":
			p.next()
			i := p.expression()
			p.expect("]", " to close the bracket")
			x = &node{op: opIndex, at: k.at, args: []*node{x, i}}
		case "(":
			p.next()
			call := &node{op: opCall, at: x.at, args: []*node{x}}
			for !p.is(")") {
				call.args = append(call.args, p.argument())
				if !p.accept(",") {
					break
				}
			}
			p.expect(")", " to close the arguments")
			x = call
		case "!":
			if n := p.tokens[p.i+1]; n.kind == markToken && n.text == "." { // x!.y: says that x is not null
				p.next()
				continue
			}
			return x
		default:
			return x
		}
	}
}

// typeArguments skips <T> between a member and its bracket, and keeps it in the
// name.
func (p *parser) typeArguments(x *node) {
	if !p.is("<") {
		return
	}
	from := p.i
	p.next()
	if p.peek().kind == nameToken {
		// Not a type when it is a comparison: then no > and ( follow.
		i := p.i
		for i < len(p.tokens) && (p.tokens[i].kind == nameToken || p.tokens[i].text == "." || p.tokens[i].text == "," || p.tokens[i].text == "[" || p.tokens[i].text == "]") && p.tokens[i].kind != endToken {
			i++
		}
		if p.tokens[i].text == ">" && i+1 < len(p.tokens) && p.tokens[i+1].text == "(" {
			x.text += "<" + p.tokens[p.i].text + ">"
			p.i = i + 1
			return
		}
	}
	p.i = from
}

// argument reads one argument of a call.
func (p *parser) argument() *node {
	k := p.peek()
	if k.kind == nameToken {
		n := p.tokens[p.i+1]
		switch {
		case k.text == "out" || k.text == "ref":
			p.fail(k.at, "%s is not translated; write this key in CEL", k.text)
		case n.kind == markToken && n.text == ":":
			p.i += 2 // name: value, in the order of the parameters as far as we know them
		case n.kind == markToken && n.text == "=>":
			p.fail(n.at, "a function (=>) is not translated; write this key in CEL")
		}
	}
	return p.expression()
}
