package apim

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Translate turns a C# policy expression into a CEL expression over the names
// of package expr. It may be given with @( ) or @{ } around it or without.
//
// What C# calls null is "" in CEL. The result gives text, a whole number, or
// true or false; wrap it in string( ) where text is needed. The error is a
// *SyntaxError with the place and the reason.
func Translate(csharp string) (cel string, err error) {
	v, _, fault := translate(csharp, nil)
	if fault != nil {
		return "", fault
	}
	return v.cel, nil
}

// translate translates with the variables that were set before. The variables
// that it took for null because nothing sets them are unset.
func translate(source string, vars variables) (v value, unset []string, fault *SyntaxError) {
	t := &translator{source: source, vars: vars}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *SyntaxError:
			fault = p
		default:
			panic(p)
		}
	}()
	v = t.finished(t.value(t.parse()))
	return v, t.unset, nil
}

// variables are what set-variable and its like have left, by name.
type variables map[string]variable

// variable is what is known of one context variable.
type variable struct {
	value value
	// unknown says why the value cannot be told, "" when it can.
	unknown string
}

// translator turns one expression into CEL.
type translator struct {
	source string
	vars   variables
	unset  []string // variables that were asked for and are not set
}

// fail ends the translation.
func (t *translator) fail(at int, format string, args ...any) {
	at = min(max(at, 0), len(t.source))
	panic(&SyntaxError{Offset: at, Column: 1 + utf8.RuneCountInString(t.source[:at]), Reason: fmt.Sprintf(format, args...)})
}

// parse reads the source with or without its brackets.
func (t *translator) parse() *node {
	s := strings.TrimSpace(t.source)
	lead := strings.Index(t.source, s)
	if len(s) > maxBytes {
		t.fail(0, "the expression is too long")
	}
	block := false
	if startsCode(s) {
		end, ok := skipCode(s, 0)
		if !ok {
			t.fail(lead, "brackets or quotes do not match")
		}
		if end != len(s) {
			t.fail(lead+end, "the expression has ended at its bracket; nothing can follow")
		}
		block = s[1] == '{'
		lead, s = lead+2, s[2:len(s)-1]
	}
	p := &parser{translator: t, tokens: t.lex(s, lead)}
	if block {
		if x := p.bare(); x != nil {
			return x
		}
		return p.block()
	}
	x := p.expression()
	if k := p.peek(); k.kind != endToken {
		p.fail(k.at, "%q cannot stand here; an operator or the end is expected", k.text)
	}
	return x
}

// bare returns nil: a block needs return. It says so where a block is a plain
// expression, which is a common mistake.
func (p *parser) bare() *node {
	for _, k := range p.tokens {
		if k.kind == nameToken && k.text == "return" {
			return nil
		}
	}
	p.fail(p.tokens[0].at, "a block @{ } without return has no value; write @( ) around an expression")
	return nil
}

// valueType is what a value is in C#.
type valueType uint8

const (
	isText valueType = iota
	isNumber
	isTruth
	isNull
	isList   // of texts
	isValues // the values of a header or a claim, of which the first is known: cel
	isThing  // an object of the context
)

// value is a translated piece: CEL, and what C# would say of it.
type value struct {
	is    valueType
	cel   string
	power int    // how strongly the outermost operator of cel binds: see powers
	thing string // of isThing: which
	there string // of isThing: CEL that tells whether it is not null; "" when it never is
	auth  bool   // text: from the Authorization header, whole or in part
	text  string // of a constant text
	n     int64  // of a constant number
	fixed bool   // it is a constant: text or n
}

// How strongly operators of CEL bind.
const (
	choosing = iota + 1
	either
	both
	comparing
	adding
	multiplying
	negating
	atom
)

// in returns the CEL of v, in brackets when it binds less than power.
func (v value) in(power int) string {
	if v.power < power {
		return "(" + v.cel + ")"
	}
	return v.cel
}

func text(cel string) value  { return value{is: isText, cel: cel, power: atom} }
func truth(cel string) value { return value{is: isTruth, cel: cel, power: comparing} }

func literal(s string) value {
	return value{is: isText, cel: quote(s), power: atom, text: s, fixed: true}
}

func number(n int64) value {
	return value{is: isNumber, cel: strconv.FormatInt(n, 10), power: atom, n: n, fixed: true}
}

func fixedTruth(b bool) value {
	return value{is: isTruth, cel: strconv.FormatBool(b), power: atom, fixed: true}
}

// quote writes a text as CEL does.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func itoa(n int) string { return strconv.Itoa(n) }

// finished refuses what is no value at the end of an expression.
func (t *translator) finished(v value) value {
	switch v.is {
	case isNull:
		t.fail(0, "the expression is always null")
	case isList:
		t.fail(0, "the expression gives a list; take one entry of it, as in [0], or string.Join")
	case isValues:
		return value{is: isText, cel: v.cel, power: v.power}
	case isThing:
		t.fail(0, "the expression gives %s and not a text; name a member of it, such as Id", v.thing)
	}
	return v
}

// value translates a node.
func (t *translator) value(n *node) value {
	v := t.translated(n)
	if len(v.cel) > maxCEL {
		t.fail(n.at, "the translation is longer than %d bytes; write this key in CEL", maxCEL)
	}
	return v
}

func (t *translator) translated(n *node) value {
	switch n.op {
	case opText:
		return literal(n.text)
	case opNumber:
		return number(n.n)
	case opTruth:
		return fixedTruth(n.text == "true")
	case opNull:
		return value{is: isNull, cel: `""`, power: atom}
	case opName:
		return t.name(n)
	case opMember:
		if v, ok := t.static(n); ok {
			return v
		}
		return t.member(t.value(n.args[0]), n)
	case opIndex:
		return t.index(t.value(n.args[0]), t.value(n.args[1]), n)
	case opCall:
		return t.call(n)
	case opUnary:
		return t.unary(n)
	case opBinary:
		return t.binary(n)
	case opChoice:
		return t.choice(n)
	case opCast:
		return t.cast(t.value(n.args[0]), n)
	case opHoles:
		return t.holes(n)
	}
	t.fail(n.at, "this cannot be translated; write this key in CEL")
	return value{}
}

func (t *translator) name(n *node) value {
	switch n.text {
	case "context":
		return value{is: isThing, thing: "context"}
	case "request", "Request":
		t.fail(n.at, "%s alone is not known; write context.Request", n.text)
	case "response", "Response":
		t.fail(n.at, "%s alone is not known; write context.Response", n.text)
	}
	t.fail(n.at, "%s is not known; expressions start from context, such as context.Request.IpAddress", n.text)
	return value{}
}

func (t *translator) unary(n *node) value {
	v := t.value(n.args[0])
	switch {
	case n.text == "!" && v.is == isTruth:
		return value{is: isTruth, cel: "!" + v.in(negating), power: negating}
	case n.text == "!":
		t.fail(n.at, "! needs true or false, and this is %s", v.kind())
	case v.is != isNumber:
		t.fail(n.at, "%s needs a number, and this is %s", n.text, v.kind())
	case n.text == "+":
		return v
	case v.fixed:
		return number(-v.n)
	}
	return value{is: isNumber, cel: "-" + v.in(negating), power: negating}
}

// kind names what a value is, for messages.
func (v value) kind() string {
	switch v.is {
	case isText:
		return "text"
	case isNumber:
		return "a number"
	case isTruth:
		return "true or false"
	case isNull:
		return "null"
	case isList, isValues:
		return "a list"
	}
	return "the object " + v.thing
}

// plain makes values of a header one text, where C# wants one.
func (v value) plain() value {
	if v.is == isValues {
		return value{is: isText, cel: v.cel, power: v.power, auth: v.auth}
	}
	return v
}

// asText gives v as C# writes it into a text.
func (t *translator) asText(v value, at int) value {
	switch v = v.plain(); v.is {
	case isText:
		return v
	case isNull:
		return literal("")
	case isNumber:
		if v.fixed {
			return literal(v.cel)
		}
		return text("string(" + v.cel + ")")
	case isTruth:
		if v.fixed {
			return literal(strings.ToUpper(v.cel[:1]) + v.cel[1:])
		}
		return value{is: isText, cel: v.in(either) + ` ? "True" : "False"`, power: choosing}
	}
	t.fail(at, "%s cannot be put into a text; name a member of it", v.kind())
	return value{}
}

// joined puts texts together.
func joined(a, b value) value {
	switch {
	case a.fixed && b.fixed:
		return literal(a.text + b.text)
	case a.fixed && a.text == "":
		return value{is: isText, cel: b.cel, power: b.power}
	case b.fixed && b.text == "":
		return value{is: isText, cel: a.cel, power: a.power}
	}
	return value{is: isText, cel: a.in(adding) + " + " + b.in(multiplying), power: adding}
}

func (t *translator) holes(n *node) value {
	all := literal("")
	for _, p := range n.parts {
		if p.hole == "" && p.at == 0 {
			all = joined(all, literal(p.text))
			continue
		}
		h := &parser{translator: t, tokens: t.lex(p.hole, p.at)}
		x := h.expression()
		if k := h.peek(); k.kind != endToken {
			t.fail(k.at, "a format in a text is not translated; write this key in CEL")
		}
		all = joined(all, t.asText(t.value(x), p.at))
	}
	return all
}

// cast is (type)x and x as type.
func (t *translator) cast(v value, n *node) value {
	switch strings.TrimSuffix(strings.TrimPrefix(n.text, "System."), "?") {
	case "string", "String":
		return t.asText(v, n.at)
	case "int", "Int32", "long", "Int64":
		if v.is == isNumber {
			return v
		}
		t.fail(n.at, "%s is not a number; int.Parse reads one from a text", v.kind())
	case "bool", "Boolean":
		if v.is == isTruth {
			return v
		}
		t.fail(n.at, "%s is not true or false", v.kind())
	case "object", "Object":
		return v
	case "Jwt":
		if v.is == isThing && v.thing == "Jwt" {
			return v
		}
		t.fail(n.at, "this is not known to be a token; of tokens, those of the Authorization header are")
	}
	t.fail(n.at, "the type %s is not translated; write this key in CEL", n.text)
	return value{}
}

// translateAny is translate for a variable, which may hold an object too.
func translateAny(source string, vars variables) (v value, fault *SyntaxError) {
	t := &translator{source: source, vars: vars}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *SyntaxError:
			fault = p
		default:
			panic(p)
		}
	}()
	return t.value(t.parse()), nil
}
