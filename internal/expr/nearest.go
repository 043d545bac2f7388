package expr

import "strings"

// unknown says that there is no such name, and which was probably meant.
func unknown(name string) string {
	best, least := "", 2+len(name)/3
	for _, have := range Names() {
		if strings.HasPrefix(name, have+".") { // a method of it: the method is unknown, not the name
			continue
		}
		last := have[strings.LastIndexByte(have, '.')+1:]
		switch first, _, _ := strings.Cut(name, "."); {
		case name == have:
			return have + " is always there; ask whether it is empty"
		case first == last:
			return "nothing is called " + name + "; did you mean " + have + "?"
		default:
			if d := min(distance(name, have), 1+distance(name, last)); d < least {
				best, least = have, d
			}
		}
	}
	if best != "" {
		return "nothing is called " + name + "; did you mean " + best + "?"
	}
	return "nothing is called " + name + "; known are " + strings.Join(Names(), ", ") + " and the functions of CEL"
}

// functions are those that a typing error is compared with.
func functions() []string {
	return []string{
		"sha256", "size", "string", "int", "double", "bool", "has", "contains", "startsWith", "endsWith", "matches", "charAt", "indexOf", "lastIndexOf",
		"lowerAscii", "upperAscii", "replace", "split", "substring", "trim", "join", "format", "reverse", "exists", "all", "map", "filter",
	}
}

// unknownFunction says that there is no such function, and which was probably meant.
func unknownFunction(name string) string {
	best, least := "", 1+len(name)/3
	short := strings.TrimPrefix(strings.ToLower(name), "to")
	for _, have := range functions() {
		if strings.HasPrefix(strings.ToLower(have), short) {
			best = have
			break
		}
		if d := distance(name, have); d < least {
			best, least = have, d
		}
	}
	if best != "" {
		return "there is no function " + name + "; did you mean " + best + "?"
	}
	return "there is no function " + name + "; known are " + strings.Join(functions(), ", ")
}

// Nearest returns the one of names that word was probably meant to be, or "".
func Nearest(word string, names []string) string {
	best, least := "", 2+len(word)/3
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of single-character changes between two words
// (Levenshtein), counted up to the length of the longer.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
