package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// forScript takes out of the arguments of "weir run locustfile.py" what is for the
// locustfile: what stands behind --, and long flags that "weir run" does not have,
// with the word behind them unless that is a flag or the file.
func forScript(parser *kong.Kong, args []string) (ours, theirs []string) {
	if len(args) == 0 || args[0] != "run" || !slices.ContainsFunc(args, isLocust) {
		return args, nil
	}
	known := runFlagNames(parser)
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			theirs = append(theirs, args[i+1:]...)
			break
		}
		name, _, valued := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		if !strings.HasPrefix(a, "--") {
			ours = append(ours, a)
			continue
		}
		takes, ok := known[name]
		if ok {
			ours = append(ours, a)
			if takes && !valued && i+1 < len(args) { // its value is no flag of the script
				i++
				ours = append(ours, args[i])
			}
			continue
		}
		theirs = append(theirs, a)
		if !valued && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") && !isLocust(args[i+1]) {
			i++
			theirs = append(theirs, args[i])
		}
	}
	return ours, theirs
}

// runFlagNames are the long flags of "weir run", and whether they take a value.
func runFlagNames(parser *kong.Kong) map[string]bool {
	known := map[string]bool{}
	add := func(n *kong.Node) {
		for _, f := range n.Flags {
			takes := !f.IsBool()
			known[f.Name] = takes
			for _, alias := range f.Aliases {
				known[alias] = takes
			}
			known["no-"+f.Name] = false
		}
	}
	add(parser.Model.Node)
	for _, child := range parser.Model.Children {
		if child.Name == "run" {
			add(child)
		}
	}
	return known
}
