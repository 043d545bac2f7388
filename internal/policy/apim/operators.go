package apim

// binary translates an operator between two values.
func (t *translator) binary(n *node) value {
	a, b := t.value(n.args[0]), t.value(n.args[1])
	switch n.text {
	case "&&", "||":
		if a.is != isTruth || b.is != isTruth {
			t.fail(n.at, "%s stands between %s and %s; it needs conditions", n.text, a.kind(), b.kind())
		}
		power := both
		if n.text == "||" {
			power = either
		}
		return value{is: isTruth, cel: a.in(power) + " " + n.text + " " + b.in(power+1), power: power}
	case "??":
		return t.fallback(a, b, n)
	case "==", "!=":
		return t.equal(a, b, n)
	case "<", "<=", ">", ">=":
		if a.is != isNumber || b.is != isNumber {
			t.fail(n.at, "%s compares numbers, and this is %s and %s", n.text, a.kind(), b.kind())
		}
		return truth(a.in(adding) + " " + n.text + " " + b.in(adding))
	case "+":
		if a.is == isNumber && b.is == isNumber {
			break
		}
		a, b = a.plain(), b.plain()
		if a.is != isText && b.is != isText {
			t.fail(n.at, "+ stands between %s and %s; it adds numbers or joins texts", a.kind(), b.kind())
		}
		return joined(t.asText(a, n.at), t.asText(b, n.at))
	case "-", "*", "/", "%":
	default:
		t.fail(n.at, "%s is not translated; write this key in CEL", n.text)
	}
	if a.is != isNumber || b.is != isNumber {
		t.fail(n.at, "%s needs numbers, and this is %s and %s", n.text, a.kind(), b.kind())
	}
	power := adding
	if n.text == "*" || n.text == "/" || n.text == "%" {
		power = multiplying
	}
	return value{is: isNumber, cel: a.in(power) + " " + n.text + " " + b.in(power+1), power: power}
}

// fallback is a ?? b: a unless it is null. Null is "" in CEL, so an empty text
// falls back too.
func (t *translator) fallback(a, b value, n *node) value {
	a, b = a.plain(), b.plain()
	switch {
	case a.is == isNull:
		return b
	case b.is == isNull || a.fixed:
		return a
	case a.is == isNumber || a.is == isTruth:
		return a // never null here
	case a.is == isText && b.is == isText:
		return value{is: isText, cel: a.in(comparing+1) + ` != "" ? ` + a.in(either) + " : " + b.in(choosing), power: choosing}
	}
	t.fail(n.at, "?? stands between %s and %s; it needs two texts", a.kind(), b.kind())
	return value{}
}

// equal is a == b and a != b.
func (t *translator) equal(a, b value, n *node) value {
	a, b = a.plain(), b.plain()
	if a.is == isNull {
		a, b = b, a
	}
	not := n.text == "!="
	if b.is == isNull {
		switch {
		case a.is == isNull:
			return fixedTruth(!not)
		case a.is == isText:
			return truth(a.in(comparing+1) + " " + n.text + ` ""`)
		case a.is == isThing && a.there != "":
			there := value{is: isTruth, cel: a.there, power: comparing}
			if not {
				return there
			}
			return value{is: isTruth, cel: "!" + there.in(negating), power: negating}
		}
		return fixedTruth(not) // never null
	}
	comparable := a.is == b.is && (a.is == isText || a.is == isNumber || a.is == isTruth)
	if !comparable {
		t.fail(n.at, "%s is compared with %s", a.kind(), b.kind())
	}
	return truth(a.in(comparing+1) + " " + n.text + " " + b.in(comparing+1))
}

// choice is cond ? a : b.
func (t *translator) choice(n *node) value {
	cond := t.value(n.args[0])
	if cond.is != isTruth {
		t.fail(n.args[0].at, "this is %s; ? needs a condition before it", cond.kind())
	}
	if cond.fixed {
		// The other side is never evaluated, and need not be translatable.
		if cond.cel == "true" {
			return t.value(n.args[1]).plain()
		}
		return t.value(n.args[2]).plain()
	}
	a, b := t.value(n.args[1]).plain(), t.value(n.args[2]).plain()
	if a.is == isNull && b.is == isText {
		a = literal("")
	}
	if b.is == isNull && a.is == isText {
		b = literal("")
	}
	if a.is != b.is || a.is == isList || a.is == isThing {
		t.fail(n.at, "the choice is between %s and %s; both must be texts, numbers or conditions", a.kind(), b.kind())
	}
	return value{is: a.is, cel: cond.in(either) + " ? " + a.in(either) + " : " + b.in(choosing), power: choosing, auth: a.auth && b.auth}
}
