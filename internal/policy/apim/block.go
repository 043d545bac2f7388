package apim

// block reads the statements of @{ ... }: declarations, if and return. What it
// gives is one expression, the one that would be returned.
func (p *parser) block() *node {
	x := p.statements(false)
	if k := p.peek(); k.kind != endToken {
		p.fail(k.at, "%q cannot stand here", k.text)
	}
	if x.op == opMissing {
		p.fail(p.peek().at, "this block can end without return; give every path one")
	}
	return x
}

// statements reads up to the end of the block, or } when inside one. Locals that
// are declared in it end with it.
func (p *parser) statements(inside bool) *node {
	defer p.deeper()()
	outer := p.locals
	p.locals = make(map[string]*node, len(outer))
	for name, x := range outer {
		p.locals[name] = x
	}
	defer func() { p.locals = outer }()
	for {
		k := p.peek()
		switch {
		case k.kind == endToken, inside && p.is("}"):
			return &node{op: opMissing, at: k.at}
		case p.accept(";"):
		case p.accept("return"):
			x := p.expression()
			p.expect(";", " after the value")
			p.rest(inside)
			return x
		case p.accept("if"):
			return p.conditional(k.at, inside)
		case p.is("{"):
			p.fail(k.at, "a block inside is translated only behind if; write this key in CEL")
		case k.kind == nameToken && p.declares():
			p.declaration()
		case k.kind == nameToken && isStatement(k.text):
			p.fail(k.at, "%s is not translated; write this key in CEL", k.text)
		case k.kind == nameToken && p.tokens[p.i+1].text == "=" && p.locals[k.text] != nil:
			// An assignment replaces what the name stands for from here on.
			p.i += 2
			x := p.expression()
			p.expect(";", " after the value")
			p.locals[k.text] = x
		default:
			p.fail(k.at, "this statement is not translated, only declarations, if and return are; write this key in CEL")
		}
	}
}

func isStatement(word string) bool {
	switch word {
	case "for", "foreach", "while", "do", "switch", "try", "throw", "using", "lock", "break", "continue", "goto", "yield", "unsafe", "fixed":
		return true
	}
	return false
}

// rest skips what stands behind a return: it is never reached.
func (p *parser) rest(inside bool) {
	depth := 0
	for p.peek().kind != endToken {
		switch {
		case p.is("{"):
			depth++
		case p.is("}"):
			if depth == 0 && inside {
				return
			}
			depth--
		}
		p.next()
	}
}

// declares tells whether a declaration begins here: a type or var, a name, and =.
func (p *parser) declares() bool {
	from := p.i
	defer func() { p.i = from }()
	if isStatement(p.peek().text) || p.peek().text == "return" || p.peek().text == "new" {
		return false
	}
	i := p.i + 1
	for i+1 < len(p.tokens) && p.tokens[i].kind == markToken {
		switch p.tokens[i].text {
		case "?", "[", "]", "<", ">", ",", ".":
		default:
			return false
		}
		if i++; p.tokens[i].kind == nameToken && p.tokens[i+1].text != "=" && p.tokens[i+1].text != ";" {
			i++
		}
	}
	return i+1 < len(p.tokens) && p.tokens[i].kind == nameToken && (p.tokens[i+1].text == "=" || p.tokens[i+1].text == ";")
}

func (p *parser) declaration() {
	for !(p.peek().kind == nameToken && (p.tokens[p.i+1].text == "=" || p.tokens[p.i+1].text == ";")) {
		p.next()
	}
	name := p.next()
	value := &node{op: opNull, at: name.at}
	if p.accept("=") {
		value = p.expression()
	}
	p.expect(";", " after the declaration")
	if p.locals[name.text] != nil {
		p.fail(name.at, "%s is declared twice", name.text)
	}
	p.locals[name.text] = value
}

// conditional reads what follows if, and everything after it: the rest of the
// block is what happens when neither branch has returned.
func (p *parser) conditional(at int, inside bool) *node {
	defer p.deeper()()
	p.expect("(", " after if")
	cond := p.expression()
	p.expect(")", " after the condition")
	before := p.locals
	yes := p.branch()
	p.locals = before
	no := &node{op: opMissing}
	if p.accept("else") {
		if k := p.peek(); p.accept("if") {
			// else if: what follows belongs to the whole.
			no = p.conditional(k.at, inside)
			return p.join(at, cond, yes, no, nil)
		}
		no = p.branch()
		p.locals = before
	}
	if yes.op != opMissing && no.op != opMissing {
		p.rest(inside)
		return p.join(at, cond, yes, no, nil)
	}
	return p.join(at, cond, yes, no, p.statements(inside))
}

// join makes a choice of two branches; after is what follows them.
func (p *parser) join(at int, cond, yes, no, after *node) *node {
	if yes.op == opMissing && after != nil {
		yes = after
	}
	if no.op == opMissing && after != nil {
		no = after
	}
	if yes.op == opMissing || no.op == opMissing {
		return &node{op: opMissing, at: at}
	}
	if p.spent += size(cond) + size(yes) + size(no); p.spent > maxNodes {
		p.fail(at, "this block is too large; write this key in CEL")
	}
	return &node{op: opChoice, at: at, args: []*node{cond, yes, no}}
}

// branch reads one statement behind if or else.
func (p *parser) branch() *node {
	k := p.peek()
	if !p.accept("{") {
		if !p.accept("return") {
			p.fail(k.at, "behind if and else only return, or a block in brackets, is translated; write this key in CEL")
		}
		x := p.expression()
		p.expect(";", " after the value")
		return x
	}
	assigned := p.assigns()
	x := p.statements(true)
	p.expect("}", " to close the block")
	if x.op == opMissing && assigned >= 0 {
		p.fail(assigned, "a variable that is changed under a condition is not translated; write this key in CEL")
	}
	return x
}

// assigns returns where the block that begins here changes a local from outside,
// or -1.
func (p *parser) assigns() int {
	depth := 0
	for i := p.i; i+1 < len(p.tokens); i++ {
		switch k := p.tokens[i]; {
		case k.kind == markToken && k.text == "{":
			depth++
		case k.kind == markToken && k.text == "}":
			if depth--; depth < 0 {
				return -1
			}
		case k.kind == nameToken && p.locals[k.text] != nil && p.tokens[i+1].text == "=" && p.tokens[i+1].kind == markToken:
			return k.at
		}
	}
	return -1
}
