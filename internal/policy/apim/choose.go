package apim

import (
	"fmt"
	"maps"
	"strings"
)

// This file follows conditions: which branches of choose there are, what limits
// in them depend on, and what variables are afterwards.

// choose reads choose, when and otherwise.
func (w *walker) choose(e *element, path string) {
	before, conds := maps.Clone(w.vars), w.conds
	var earlier []value // that none of the branches before was taken
	var blind *SyntaxError
	var blindAt *attribute
	type branch struct {
		cond value
		vars variables
	}
	var branches []branch
	rest := before
	var unsure []variables
	if len(e.kids) > maxBranches {
		w.at(e.at, path, "%d branches, more than %d; split the choice", len(e.kids), maxBranches)
		return
	}
	for i, k := range e.kids {
		at := fmt.Sprintf("%s.%s", path, k.name)
		a := k.attr("condition")
		switch {
		case k.name == "when" && a == nil:
			w.at(k.at, at, "condition is missing")
			continue
		case k.name == "otherwise" && i != len(e.kids)-1:
			w.at(k.at, at, "<otherwise> must be the last of <choose>")
			continue
		case k.name != "when" && k.name != "otherwise":
			w.at(k.at, at, "<%s> does not belong in <choose>; <when> and <otherwise> do", k.name)
			continue
		}
		var cond value
		if k.name == "when" {
			var fault *SyntaxError
			var unset []string
			if cond, unset, fault = w.condition(a); w.limitInside(k) != nil {
				w.notSet(a, unset)
			}
			if fault != nil && blind == nil {
				blind, blindAt = fault, a
			}
		}
		w.vars = maps.Clone(before)
		if blind != nil {
			if inner := w.limitInside(k); inner != nil {
				w.at(blindAt.place(blind.Offset), at+".condition", "limits depend on this condition, and it is not translated: %s", blind.Reason)
				blind = &SyntaxError{Reason: blind.Reason}
				w.vars, w.conds = before, conds
				return
			}
			w.note(k, "ignored: <%s>, whose condition is not translated, has no limits", k.name)
			w.forgets(k)
			unsure = append(unsure, w.vars)
			continue
		}
		w.conds = append(append(conds[:len(conds):len(conds)], earlier...), cond)
		if k.name == "otherwise" {
			w.conds = append(conds[:len(conds):len(conds)], earlier...)
		}
		w.elements(k.kids, at)
		if k.name == "otherwise" {
			rest = w.vars
		} else {
			branches = append(branches, branch{cond, w.vars})
			earlier = append(earlier, value{is: isTruth, cel: "!" + cond.in(negating), power: negating})
		}
	}
	w.conds = conds
	merged := maps.Clone(rest)
	for i := len(branches) - 1; i >= 0; i-- {
		merged = merge(branches[i].cond, branches[i].vars, merged)
	}
	for _, u := range unsure {
		for name, v := range u {
			if v.unknown != "" {
				merged[name] = v
			}
		}
	}
	w.vars = merged
}

// condition translates the condition of a when.
func (w *walker) condition(a *attribute) (v value, unset []string, fault *SyntaxError) {
	if !startsCode(a.value) {
		switch strings.ToLower(a.value) {
		case "true":
			return fixedTruth(true), nil, nil
		case "false":
			return fixedTruth(false), nil, nil
		}
		return value{}, nil, &SyntaxError{Reason: "a condition is an expression, @(…)"}
	}
	v, unset, fault = translate(a.value, w.vars)
	if fault == nil && v.is != isTruth {
		fault = &SyntaxError{Reason: "this is " + v.kind() + " and no condition"}
	}
	return v, unset, fault
}

// merge is what variables are after a branch that is taken under cond. One that
// is not set is null there.
func merge(cond value, yes, no variables) variables {
	null := variable{value: value{is: isNull, cel: `""`, power: atom}}
	out := maps.Clone(no)
	for name, y := range yes {
		n, both := no[name]
		if !both {
			n = null
		}
		out[name] = choice(cond, y, n)
	}
	for name, n := range no {
		if _, both := yes[name]; !both {
			out[name] = choice(cond, null, n)
		}
	}
	return out
}

// choice is a variable with one value under cond and another else.
func choice(cond value, yes, no variable) variable {
	switch {
	case yes == no:
		return yes
	case yes.unknown != "":
		return yes
	case no.unknown != "":
		return no
	}
	y, n := yes.value.plain(), no.value.plain()
	if n.is == isNull && y.is == isText {
		n = literal("")
	}
	if y.is == isNull && n.is == isText {
		y = literal("")
	}
	if y.is != n.is || y.is == isThing || y.is == isList || y.is == isNull || len(cond.cel)+len(y.cel)+len(n.cel) > maxCEL {
		return variable{unknown: "it is set in some cases only, or to different things"}
	}
	return variable{value: value{is: y.is, cel: cond.in(either) + " ? " + y.in(either) + " : " + n.in(choosing), power: choosing, auth: y.auth && n.auth}}
}
