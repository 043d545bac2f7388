package apim

import "strings"

// static is what stands for itself: string.Empty.
func (t *translator) static(n *node) (value, bool) {
	x := n.args[0]
	if x.op != opName {
		return value{}, false
	}
	switch strings.ToLower(x.text) + "." + n.text {
	case "string.Empty":
		return literal(""), true
	}
	switch x.text {
	case "DateTime", "DateTimeOffset", "TimeSpan":
		t.fail(x.at, "the time is not readable; limits have windows of their own")
	case "Guid":
		t.fail(x.at, "Guid is not translated: a key that is new each time limits nothing")
	case "Regex", "JObject", "JArray", "JToken", "XElement", "Encoding", "Math", "Random", "JsonConvert", "System", "Uri", "Enumerable":
		t.fail(x.at, "%s is not translated; write this key in CEL", x.text)
	}
	return value{}, false
}

// call is f(args) and x.f(args).
func (t *translator) call(n *node) value {
	f := n.args[0]
	if f.op != opMember {
		t.fail(f.at, "this cannot be called")
	}
	if x := f.args[0]; x.op == opName && x.text != "context" {
		if v, ok := t.staticCall(x, f, n.args[1:]); ok {
			return v
		}
		t.static(f) // for its reasons
	}
	x := t.value(f.args[0])
	name, _, _ := strings.Cut(f.text, "<")
	args := n.args[1:]
	switch x.is {
	case isText:
		return t.textMethod(x, name, f, args)
	case isValues, isList:
		return t.listMethod(x, name, f, args)
	case isNumber, isTruth:
		if name == "ToString" && len(args) == 0 {
			return t.asText(x, f.at)
		}
	case isThing:
		return t.thingMethod(x, name, f, args)
	}
	t.fail(f.at, "%s of %s is not translated; write this key in CEL", name, x.kind())
	return value{}
}

// staticCall is Type.Method(args).
func (t *translator) staticCall(x, f *node, args []*node) (value, bool) {
	switch strings.ToLower(x.text) + "." + f.text {
	case "string.IsNullOrEmpty":
		v := t.textArg(f, args, 1, 0)
		return truth(v.in(comparing+1) + ` == ""`), true
	case "string.IsNullOrWhiteSpace":
		v := t.textArg(f, args, 1, 0)
		return truth(v.in(atom) + `.trim() == ""`), true
	case "string.Concat":
		all := literal("")
		for _, a := range args {
			all = joined(all, t.asText(t.value(a), a.at))
		}
		return all, true
	case "string.Join":
		return t.join(f, args), true
	case "string.Format":
		return t.format(f, args), true
	case "string.Equals":
		a, b := t.textArg(f, args, 2, 0), t.textArg(f, args, 2, 1)
		return t.textMethodOn(a, "Equals", b, t.ignoresCase(args[2:]), f), true
	case "int.Parse", "int32.Parse", "long.Parse", "convert.ToInt32", "convert.ToInt64":
		v := t.value(args0(t, f, args))
		if v = v.plain(); v.is == isNumber {
			return v, true
		}
		if v.is != isText {
			t.fail(f.at, "%s reads a number from a text, and this is %s", f.text, v.kind())
		}
		return value{is: isNumber, cel: "int(" + v.cel + ")", power: atom}, true
	case "bool.Parse", "boolean.Parse", "convert.ToBoolean":
		v := t.textArg(f, args, 1, 0)
		return truth(v.in(atom) + `.lowerAscii() == "true"`), true
	case "convert.ToString":
		return t.asText(t.value(args0(t, f, args)), f.at), true
	}
	return value{}, false
}

func args0(t *translator, f *node, args []*node) *node {
	if len(args) == 0 {
		t.fail(f.at, "%s needs an argument", f.text)
	}
	return args[0]
}

// textArg is the i-th of at least least arguments, a text.
func (t *translator) textArg(f *node, args []*node, least, i int) value {
	if len(args) < least || i >= len(args) {
		t.fail(f.at, "%s needs %d arguments", f.text, least)
	}
	v := t.value(args[i]).plain()
	if v.is == isNull {
		v = literal("")
	}
	if v.is != isText {
		t.fail(args[i].at, "%s needs a text here, and this is %s", f.text, v.kind())
	}
	return v
}

// ignoresCase reads the arguments behind the texts: StringComparison.X.
func (t *translator) ignoresCase(args []*node) bool {
	for _, a := range args {
		if a.op == opMember && a.args[0].op == opName && (a.args[0].text == "StringComparison" || a.args[0].text == "StringComparer") {
			return strings.HasSuffix(a.text, "IgnoreCase")
		}
		t.fail(a.at, "this argument is not translated; write this key in CEL")
	}
	return false
}

func (t *translator) join(f *node, args []*node) value {
	sep := t.textArg(f, args, 2, 0)
	if len(args) == 2 {
		switch v := t.value(args[1]); v.is {
		case isList:
			return text(v.in(atom) + ".join(" + sep.cel + ")")
		case isValues:
			return v.plain()
		}
	}
	all := literal("")
	for i, a := range args[1:] {
		if i > 0 {
			all = joined(all, sep)
		}
		all = joined(all, t.asText(t.value(a), a.at))
	}
	return all
}

// format is String.Format("{0}-{1}", a, b).
func (t *translator) format(f *node, args []*node) value {
	pattern := t.textArg(f, args, 1, 0)
	if !pattern.fixed {
		t.fail(f.at, "the pattern of Format must be a text in quotes")
	}
	all := literal("")
	rest := pattern.text
	for rest != "" {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			return joined(all, literal(rest))
		}
		all = joined(all, literal(rest[:i]))
		if strings.HasPrefix(rest[i:], "{{") || strings.HasPrefix(rest[i:], "}}") {
			all = joined(all, literal(rest[i:i+1]))
			rest = rest[i+2:]
			continue
		}
		end := strings.IndexByte(rest[i:], '}')
		n := 0
		if end != 2 || rest[i] != '{' || rest[i+1] < '0' || rest[i+1] > '9' {
			t.fail(f.at, "of patterns only {0} to {9} are translated; write this key in CEL")
		} else {
			n = int(rest[i+1]-'0') + 1
		}
		if n >= len(args) {
			t.fail(f.at, "the pattern names more arguments than there are")
		}
		all = joined(all, t.asText(t.value(args[n]), args[n].at))
		rest = rest[i+3:]
	}
	return all
}

// textMethod is a method of a text.
func (t *translator) textMethod(x value, name string, f *node, args []*node) value {
	method := func(cel string, auth bool) value {
		return value{is: isText, cel: x.in(atom) + cel, power: atom, auth: auth && x.auth}
	}
	switch name {
	case "ToLower", "ToLowerInvariant":
		return method(".lowerAscii()", false)
	case "ToUpper", "ToUpperInvariant":
		return method(".upperAscii()", false)
	case "ToString", "Normalize":
		if len(args) == 0 {
			return x
		}
	case "Trim", "TrimStart", "TrimEnd":
		if len(args) == 0 {
			return method(".trim()", true)
		}
	case "StartsWith", "EndsWith", "Contains", "Equals":
		return t.textMethodOn(x, name, t.textArg(f, args, 1, 0), t.ignoresCase(args[1:]), f)
	case "IndexOf", "LastIndexOf":
		cel := map[string]string{"IndexOf": ".indexOf(", "LastIndexOf": ".lastIndexOf("}[name]
		return value{is: isNumber, cel: x.in(atom) + cel + t.textArg(f, args, 1, 0).cel + ")", power: atom}
	case "Replace":
		return method(".replace("+t.textArg(f, args, 2, 0).cel+", "+t.textArg(f, args, 2, 1).cel+")", true)
	case "Substring":
		from := t.numberArg(f, args, 0)
		if len(args) == 1 {
			return method(".substring("+from.cel+")", true)
		}
		length := t.numberArg(f, args, 1)
		if from.fixed && length.fixed {
			return method(".substring("+from.cel+", "+itoa(int(from.n+length.n))+")", false)
		}
		return method(".substring("+from.cel+", "+from.in(adding)+" + "+length.in(multiplying)+")", false)
	case "Split":
		sep := t.textArg(f, args, 1, 0)
		return value{is: isList, cel: x.in(atom) + ".split(" + sep.cel + ")", power: atom, auth: x.auth}
	case "AsJwt":
		if !x.auth {
			t.fail(f.at, "AsJwt is translated for the Authorization header only; write this key in CEL")
		}
		return value{is: isThing, thing: "Jwt", there: "size(request.jwt) > 0"}
	case "AsBasic":
		if !x.auth {
			t.fail(f.at, "AsBasic is translated for the Authorization header only; write this key in CEL")
		}
		return value{is: isThing, thing: "BasicAuthCredentials", there: `request.basic_user != ""`}
	}
	t.fail(f.at, "%s of a text is not translated; write this key in CEL", name)
	return value{}
}

// textMethodOn is a test of a text against another.
func (t *translator) textMethodOn(x value, name string, y value, fold bool, f *node) value {
	if fold {
		x, y = value{is: isText, cel: x.in(atom) + ".lowerAscii()", power: atom}, value{is: isText, cel: y.in(atom) + ".lowerAscii()", power: atom}
	}
	switch name {
	case "Equals":
		return truth(x.in(comparing+1) + " == " + y.in(comparing+1))
	case "StartsWith":
		name = "startsWith"
	case "EndsWith":
		name = "endsWith"
	case "Contains":
		name = "contains"
	default:
		t.fail(f.at, "%s of a text is not translated; write this key in CEL", name)
	}
	return value{is: isTruth, cel: x.in(atom) + "." + name + "(" + y.cel + ")", power: atom}
}

func (t *translator) numberArg(f *node, args []*node, i int) value {
	if i >= len(args) {
		t.fail(f.at, "%s needs a number", f.text)
	}
	v := t.value(args[i])
	if v.is != isNumber {
		t.fail(args[i].at, "%s needs a number here, and this is %s", f.text, v.kind())
	}
	return v
}

// listMethod is a method of a list, or of the values of a header or a claim.
func (t *translator) listMethod(x value, name string, f *node, args []*node) value {
	if len(args) == 0 {
		switch name {
		case "First", "FirstOrDefault", "Single", "SingleOrDefault":
			if x.is == isValues {
				return x.plain()
			}
			return value{is: isText, cel: x.in(atom) + "[0]", power: atom, auth: x.auth}
		case "Last", "LastOrDefault":
			if x.is == isList {
				// The list of a Split is never empty.
				return value{is: isText, cel: x.in(atom) + "[size(" + x.cel + ") - 1]", power: atom, auth: x.auth}
			}
		case "Count":
			if x.is == isList {
				return value{is: isNumber, cel: "size(" + x.cel + ")", power: atom}
			}
		case "Any":
			if x.is == isValues {
				return truth(x.in(comparing+1) + ` != ""`)
			}
		case "ToString":
			if x.is == isValues {
				return x.plain()
			}
		}
	}
	if name == "Contains" && x.is == isList && len(args) == 1 {
		return truth(t.textArg(f, args, 1, 0).in(comparing+1) + " in " + x.in(comparing+1))
	}
	t.fail(f.at, "%s of a list is not translated; [0], First() and FirstOrDefault() are", name)
	return value{}
}

// thingMethod is a method of an object of the context.
func (t *translator) thingMethod(x value, name string, f *node, args []*node) value {
	switch x.thing {
	case "Headers", "Response.Headers", "Query", "MatchedParameters", "Claims", "Variables":
		switch name {
		case "ContainsKey":
			key := t.textArg(f, args, 1, 0)
			if !key.fixed {
				t.fail(f.at, "the name must be a text in quotes")
			}
			return t.has(x, key.text, f.at)
		case "GetValueOrDefault":
			return t.valueOrDefault(x, f, args)
		}
	case "Request", "Response":
		if name == "As" {
			t.fail(f.at, "the body is not read; write this key in CEL")
		}
	case "Url":
		if name == "ToString" {
			t.fail(f.at, "the whole address is not translated; take Url.Path or Url.Host")
		}
		if name == "ToUri" && len(args) == 0 {
			return value{is: isThing, thing: "Uri"}
		}
	}
	t.fail(f.at, "%s of %s is not translated; write this key in CEL", name, x.thing)
	return value{}
}

func (t *translator) valueOrDefault(x value, f *node, args []*node) value {
	key := t.textArg(f, args, 1, 0)
	if !key.fixed {
		t.fail(f.at, "the name must be a text in quotes")
	}
	other := value{is: isNull, cel: `""`, power: atom}
	if len(args) > 1 {
		other = t.value(args[1]).plain()
	}
	if x.thing == "Variables" {
		v, set := t.variable(key.text, f.at)
		if set {
			return v
		}
		t.unset = append(t.unset, key.text)
		switch {
		case other.is == isNull && strings.Contains(f.text, "<int"):
			return number(0)
		case other.is == isNull && strings.Contains(f.text, "<bool"):
			return fixedTruth(false)
		}
		return other
	}
	v := t.entry(x, key.text, f.at)
	if other.is == isNull || other.fixed && other.is == isText && other.text == "" {
		return v
	}
	if other.is != isText {
		t.fail(f.at, "the other value is %s; it must be a text", other.kind())
	}
	there := t.has(x, key.text, f.at)
	return value{is: isText, cel: there.cel + " ? " + v.in(either) + " : " + other.in(choosing), power: choosing, auth: v.auth}
}
