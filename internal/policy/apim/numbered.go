package apim

import (
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
)

// numbered is a number that holds under conditions.
type numbered struct {
	n     int64
	conds []value
}

// cases reads a number, or an expression that chooses between numbers: each is
// a limit of its own, under its condition.
func (w *walker) cases(a *attribute, path string, least, most int64) (out []numbered) {
	if !startsCode(a.value) {
		if n, ok := w.whole(a, path, least, most); ok {
			return []numbered{{n: n}}
		}
		return nil
	}
	fault := func() (fault *SyntaxError) {
		t := &translator{source: a.value, vars: w.vars}
		defer func() {
			if p := recover(); p != nil {
				var ok bool
				if fault, ok = p.(*SyntaxError); !ok {
					panic(p)
				}
			}
		}()
		out = t.cases(t.parse(), nil)
		return nil
	}()
	if fault != nil {
		w.at(a.place(fault.Offset), path, "%s", fault.Reason)
		return nil
	}
	for _, c := range out {
		if c.n < least || c.n > most {
			w.at(a.place(0), path, "%d, which this expression can give, is not between %d and %d", c.n, least, most)
			return nil
		}
	}
	return out
}

// maxCases bounds how many limits one expression becomes.
const maxCases = 16

// cases takes choices apart.
func (t *translator) cases(n *node, under []value) []numbered {
	if n.op == opChoice {
		cond := t.value(n.args[0])
		if cond.is != isTruth {
			t.fail(n.args[0].at, "this is %s; ? needs a condition before it", cond.kind())
		}
		not := value{is: isTruth, cel: "!" + cond.in(negating), power: negating}
		with := func(v value) []value { return append(under[:len(under):len(under)], v) }
		out := append(t.cases(n.args[1], with(cond)), t.cases(n.args[2], with(not))...)
		if len(out) > maxCases {
			t.fail(n.at, "more than %d cases; write one policy for each, under choose", maxCases)
		}
		return out
	}
	v := t.value(n)
	if v.is != isNumber || !v.fixed {
		t.fail(n.at, "the number depends on the request in a way that a limit cannot follow; write condition ? 10 : 20 with plain numbers, or several policies under choose")
	}
	return []numbered{{n: v.n, conds: under}}
}

// increment reads increment-condition and increment-count. An expression of
// either is evaluated at the end of the outbound section (rate-limit-by-key-policy
// on docs.azure.cn): what reads the response counts after the answer.
func (w *walker) increment(e *element, path string) (countIf *expr.Expr, cost policy.Cost, ok bool) {
	ok = true
	if a := e.attr("increment-condition"); a != nil && a.value != "" {
		if countIf = w.compiled(a, path+".increment-condition", expr.Bool); countIf == nil {
			ok = false
		} else if countIf.Source() == "true" {
			countIf = nil
		}
	}
	if a := e.attr("increment-count"); a != nil && a.value != "" {
		if !startsCode(a.value) {
			n, good := w.whole(a, path+".increment-count", 1, maxCount)
			cost.Fixed, ok = n, ok && good
		} else if cost.Expr = w.compiled(a, path+".increment-count", expr.Int); cost.Expr == nil {
			ok = false
		}
	}
	return countIf, cost, ok
}
