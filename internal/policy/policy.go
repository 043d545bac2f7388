// Package policy reads and writes policy files: a File is a list of limits, each
// with the requests it is for, the key that it counts by, and the answer that a
// refused request gets.
//
// The form is YAML, described by Schema. Parse reports every problem of a file
// at once, each with line, column and the place marked in the source.
package policy

import (
	"github.com/weir-dev/weir/limit"
)

// File is the contents of a policy file. It is a plain value.
type File struct {
	Policies []Policy
}

// Policy is one entry of a file: a limit and what it applies to.
type Policy struct {
	limit.Policy // name, algorithm, limit, window and the other fields of the model

	Match  []Match // the requests it is for: any of these; all requests when empty
	Key    Key     // one counter per value of this; the zero value is one counter for all
	Cost   int64   // units that a request takes, at least 1; Parse and Marshal treat 0 as 1
	Answer Answer  // what a refused request gets
}

// Applies tells whether the policy is for a request with this method and path.
// The path is the one of the request line without the query, as it was sent.
func (p *Policy) Applies(method, path string) bool {
	if len(p.Match) == 0 {
		return true
	}
	for i := range p.Match {
		if p.Match[i].Matches(method, path) {
			return true
		}
	}
	return false
}

// Limits of what Parse reads: policy files are written by people.
const (
	maxBytes    = 256 << 10
	maxNesting  = 50
	maxKeys     = 5000
	maxPolicies = 1000
	maxErrors   = 50
)
