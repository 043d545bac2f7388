package apim

import (
	"fmt"
	"strconv"
	"strings"
)

// csharp turns CEL into a C# policy expression, the other way round than
// Translate: names, entries, texts, comparisons, choices and the methods that
// Translate makes. The two languages are alike enough that the parser of one
// reads this part of the other.
func csharp(cel string) (cs string, err error) {
	if strings.Contains(cel, "'") || strings.ContainsAny(cel, "@$") && !strings.Contains(cel, `"`) {
		return "", fmt.Errorf("%s cannot be written in C#", shorten(cel))
	}
	t := &translator{source: cel}
	defer func() {
		if p := recover(); p != nil {
			fault, ok := p.(*SyntaxError)
			if !ok {
				panic(p)
			}
			err = fmt.Errorf("%s cannot be written in C#: %s", shorten(cel), fault.Reason)
		}
	}()
	p := &parser{translator: t, tokens: t.lex(cel, 0)}
	x := p.expression()
	if k := p.peek(); k.kind != endToken {
		p.fail(k.at, "%q", k.text)
	}
	cs, _ = t.emit(x)
	return cs, nil
}

// emit writes a node in C#, and how strongly its operator binds.
func (t *translator) emit(n *node) (string, int) {
	at := func(x *node, least int) string {
		s, power := t.emit(x)
		if power < least {
			return "(" + s + ")"
		}
		return s
	}
	switch n.op {
	case opText:
		return quote(n.text), atom
	case opNumber:
		return strconv.FormatInt(n.n, 10), atom
	case opTruth:
		return n.text, atom
	case opUnary:
		return n.text + at(n.args[0], negating), negating
	case opBinary:
		power := map[string]int{"||": either, "&&": both, "==": comparing, "!=": comparing, "<": comparing, "<=": comparing, ">": comparing, ">=": comparing, "+": adding, "-": adding, "*": multiplying, "/": multiplying, "%": multiplying}[n.text]
		if power == 0 {
			t.fail(n.at, "%s", n.text)
		}
		return at(n.args[0], power) + " " + n.text + " " + at(n.args[1], power+1), power
	case opChoice:
		return at(n.args[0], either) + " ? " + at(n.args[1], either) + " : " + at(n.args[2], choosing), choosing
	case opMember:
		return t.emitMember(n), atom
	case opIndex:
		return t.emitIndex(n), atom
	case opCall:
		return t.emitCall(n, at), atom
	}
	t.fail(n.at, "this form")
	return "", 0
}

// dotted is a.b of two plain names.
func dotted(n *node) string {
	if n.op == opMember && n.args[0].op == opName {
		return n.args[0].text + "." + n.text
	}
	return ""
}

// emitMember writes a member: the names of CEL have others in C#.
func (t *translator) emitMember(n *node) string {
	name := dotted(n)
	switch name {
	case "request.ip":
		return "context.Request.IpAddress"
	case "request.method":
		return "context.Request.Method"
	case "request.path":
		return "context.Request.OriginalUrl.Path"
	case "request.host":
		return "context.Request.OriginalUrl.Host"
	case "request.scheme":
		return "context.Request.OriginalUrl.Scheme"
	case "request.basic_user":
		return `(context.Request.Headers.GetValueOrDefault("Authorization", "").AsBasic()?.UserId ?? "")`
	case "response.status":
		return "context.Response.StatusCode"
	case "api.id":
		return "context.Api.Id"
	case "api.name":
		return "context.Api.Name"
	case "operation.id":
		return "context.Operation.Id"
	case "operation.name":
		return "context.Operation.Name"
	}
	if n.op == opMember && dotted(n.args[0]) == "request.jwt" {
		return bearer + `?.Claims.GetValueOrDefault(` + quote(n.text) + `, "") ?? "")`
	}
	for _, s := range []struct{ cel, cs string }{
		{"product.id", "Product?.Id"}, {"product.name", "Product?.Name"}, {"subscription.id", "Subscription?.Id"},
		{"subscription.name", "Subscription?.Name"}, {"subscription.key", "Subscription?.Key"}, {"user.id", "User?.Id"},
	} {
		if name == s.cel {
			return "(context." + s.cs + ` ?? "")`
		}
	}
	t.fail(n.at, "the service has nothing for %s", name+n.text)
	return ""
}

// bearer is the token of a request.
const bearer = `(context.Request.Headers.GetValueOrDefault("Authorization", "").AsJwt()`

func (t *translator) emitIndex(n *node) string {
	key := n.args[1]
	if key.op != opText {
		t.fail(n.at, "an index that is no text")
	}
	name := dotted(n.args[0])
	switch {
	case name == "request.header":
		return "context.Request.Headers.GetValueOrDefault(" + quote(key.text) + `, "")`
	case name == "response.header":
		return "context.Response.Headers.GetValueOrDefault(" + quote(key.text) + `, "")`
	case name == "request.query":
		return "context.Request.OriginalUrl.Query.GetValueOrDefault(" + quote(key.text) + `, "")`
	case name == "request.jwt":
		return bearer + `?.Claims.GetValueOrDefault(` + quote(key.text) + `, "") ?? "")`
	case n.args[0].op == opName && n.args[0].text == "attr" && strings.HasPrefix(key.text, "param."):
		return "context.Request.MatchedParameters.GetValueOrDefault(" + quote(strings.TrimPrefix(key.text, "param.")) + `, "")`
	case n.args[0].op == opName && n.args[0].text == "attr" && key.text == "deployment.region":
		return "context.Deployment.Region"
	}
	t.fail(n.at, "the service has nothing for this")
	return ""
}

func (t *translator) emitCall(n *node, at func(*node, int) string) string {
	f, args := n.args[0], n.args[1:]
	if f.op == opName && len(args) == 1 {
		switch f.text {
		case "string":
			if x := args[0]; x.op == opIndex && dotted(x.args[0]) == "request.jwt" {
				return at(x, atom)
			}
			return at(args[0], atom) + ".ToString()"
		case "int":
			return "int.Parse(" + at(args[0], choosing) + ")"
		case "size":
			return at(args[0], atom) + ".Length"
		}
	}
	if f.op == opMember {
		known := map[string]string{
			"lowerAscii": "ToLowerInvariant", "upperAscii": "ToUpperInvariant", "trim": "Trim", "contains": "Contains", "startsWith": "StartsWith",
			"endsWith": "EndsWith", "replace": "Replace", "indexOf": "IndexOf",
		}
		if name := known[f.text]; name != "" {
			var list []string
			for _, a := range args {
				list = append(list, at(a, choosing))
			}
			return at(f.args[0], atom) + "." + name + "(" + strings.Join(list, ", ") + ")"
		}
	}
	t.fail(n.at, "a function that the service does not have")
	return ""
}
