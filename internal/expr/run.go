package expr

import (
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// run asks the interpreter.
func (e *Expr) run(s *Subject) (v ref.Val, err error) {
	defer func() {
		if p := recover(); p != nil { // see Compiler.Compile
			v, err = nil, &Error{Reason: "the expression failed on this request"}
		}
	}()
	v, _, err = e.program.Eval((*vars)(s))
	if err != nil {
		return nil, &Error{Reason: told(err.Error())}
	}
	return v, nil
}

// told says why an evaluation failed, in words that hold nothing of the
// request: the error goes to logs and answers, and the request has secrets.
func told(message string) string {
	for _, known := range [][2]string{
		{"too long", "a text is too long for this expression"},
		{"cost limit", "the expression takes too much work on this request"},
		{"division by zero", "the expression divides by zero on this request"},
		{"modulus by zero", "the expression divides by zero on this request"},
		{"overflow", "a number in the expression becomes too large on this request"},
		{"no such overload", "a value is of another type than the expression expects; convert it with string(…) or int(…), and ask with has(…) whether it is there"},
		{"no such key", "an entry that the expression reads is not there; ask with has(…) first"},
		{"index out of", "a list or text is shorter than the expression expects; ask with size(…) first"},
		{"conver", "a value cannot be converted as the expression asks"},
		{"invalid syntax", "a value cannot be converted as the expression asks"},
	} {
		if strings.Contains(message, known[0]) {
			return known[1]
		}
	}
	return "the expression failed on this request"
}

func textOf(v ref.Val) (string, error) {
	switch v := v.(type) {
	case types.String:
		if len(v) > maxText {
			return "", &Error{Reason: "the text that the expression gives is too long"}
		}
		return string(v), nil
	case types.Int:
		return strconv.FormatInt(int64(v), 10), nil
	case types.Uint:
		return strconv.FormatUint(uint64(v), 10), nil
	case types.Bool:
		return strconv.FormatBool(bool(v)), nil
	case types.Double:
		return strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	}
	return "", &Error{Reason: "the expression gives a list or a map on this request, and text is needed"}
}

func truthOf(v ref.Val) (bool, error) {
	if b, ok := v.(types.Bool); ok {
		return bool(b), nil
	}
	return false, &Error{Reason: "the expression does not give true or false on this request"}
}

func numberOf(v ref.Val) (int64, error) {
	if n, ok := v.(types.Int); ok {
		return int64(n), nil
	}
	return 0, &Error{Reason: "the expression does not give a whole number on this request; write int(…) around it"}
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	operator   = regexp.MustCompile(`'[!@_]*([^'a-z_]+)_*'`)
	dotted     = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*`)
	expecting  = regexp.MustCompile(` expecting .*$`)
	container  = regexp.MustCompile(` \(in container '[^']*'\)`)
)

// plainly makes an error of CEL shorter and plainer.
func plainly(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	message = expecting.ReplaceAllString(strings.TrimPrefix(message, "Syntax error: "), "")
	message = container.ReplaceAllString(message, "")
	switch {
	case strings.Contains(message, "'<EOF>'"):
		return "the expression ends too early; a bracket, a quote or an operand is missing"
	case strings.HasPrefix(message, "mismatched input") || strings.HasPrefix(message, "extraneous input") || strings.HasPrefix(message, "no viable alternative"):
		return "this does not belong here: " + message
	case strings.HasPrefix(message, "token recognition error"):
		return "a quote is not closed, or this character means nothing in an expression"
	case strings.HasPrefix(message, "found no matching overload for"):
		message = strings.Replace(strings.TrimPrefix(message, "found no matching overload for "), " applied to ", " cannot be applied to ", 1)
		return operator.ReplaceAllString(message, "$1")
	}
	return message
}
