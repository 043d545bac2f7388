// Package apim reads and writes the policy documents of Azure API Management:
// a Document is one of them, with the limits that it sets and the C#
// expressions in it translated to CEL.
//
// Such a document looks like XML and is not: an attribute that holds an
// expression, @(...) or @{...}, may have raw quotes, < and && inside, and so may
// a text. Parse therefore knows enough C# to find where an expression ends.
//
// Only limits become policies: rate-limit, rate-limit-by-key, quota,
// quota-by-key and limit-concurrency, under the conditions of the choose around
// them and with the variables set before them. Everything else of a document
// (authentication, caching, changes to the request) is listed as ignored.
//
// # Sources
//
// Facts about the service are from Microsoft's documentation, in the form of
// the repository MicrosoftDocs/azure-docs, articles/api-management, all read on
// 2026-11-21; comments name the page and its own date (ms.date):
//
//   - rate-limit-policy.md and quota-policy.md, 2024-07-23
//   - rate-limit-by-key-policy.md, 2024-05-23, and its form on docs.azure.cn
//   - quota-by-key-policy.md, 2024-03-18
//   - limit-concurrency-policy.md, 2024-07-23
//   - api-management-policy-expressions.md, 2022-02-07
//   - api-management-error-handling-policies.md, 2020-01-10
//   - includes/api-management-rate-limit-key-scope.md, 2024-05-23, and
//     includes/api-management-rate-limit-implementation-v2.md, 2025-11-14
package apim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/policy"
)

// Bounds of what is read. Azure accepts documents of a similar size; people
// write these files.
const (
	maxBytes    = 512 << 10
	maxDepth    = 100     // elements inside each other, brackets inside each other
	maxNodes    = 20_000  // elements and attributes of a document
	maxErrors   = 50      // reported at once
	maxInclude  = 16      // fragments inside fragments
	maxExpanded = 1000    // fragments that one document includes, in all
	maxVars     = 500     // variables that are kept
	maxBranches = 200     // of one choose
	maxPolicies = 1000    // limits of one document, fragments included
	maxCEL      = 4 << 10 // length of one translated expression
)

// Document is one policy document: of a scope, or a fragment. It is immutable.
type Document struct {
	name     string
	text     string
	lines    []int // where each line starts
	root     *element
	fragment bool
}

// Options are what a document needs from outside. The zero value is a classic
// tier without named values and fragments.
type Options struct {
	// Values are the named values: {{name}} in the text stands for them.
	Values map[string]string

	// Fragments are what <include-fragment fragment-id="..."/> names.
	Fragments map[string]*Document

	// TokenBucket makes rate limits count as the v2 tiers do, instead of with a
	// sliding window as the classic tiers.
	TokenBucket bool

	// Start is what the periods of quota count from: the service counts from the
	// start of the subscription, which a file does not have. In Unix seconds.
	Start int64
}

// Parse reads one document. name is used in errors only, which are of type
// policy.Errors and have all problems of its form. What its limits say is
// checked when they are asked for: see File and Compose.
func Parse(name string, data []byte) (*Document, error) { return ParseWith(name, data, nil) }

// ParseWith is Parse with named values put in: {{name}} becomes values[name]
// before anything else is looked at, as the service does. A nil map leaves the
// braces as they are.
func ParseWith(name string, data []byte, values map[string]string) (*Document, error) {
	d := &Document{name: name}
	f := &faults{doc: d}
	text := strings.TrimPrefix(string(data), "\ufeff")
	switch {
	case len(data) > maxBytes:
		f.whole("the document has more than %d bytes; split it into fragments", maxBytes)
		return nil, f.err()
	case strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff"):
		f.whole("this is UTF-16; save the file as UTF-8")
		return nil, f.err()
	case !utf8.ValidString(text):
		f.whole("this is not UTF-8 text; save the file as UTF-8")
		return nil, f.err()
	}
	if values != nil {
		text = substitute(text, values)
	}
	d.text = text
	d.lines = lineStarts(text)
	if len(text) > maxBytes {
		f.whole("with named values put in, the document has %d bytes, more than %d", len(text), maxBytes)
		return nil, f.err()
	}
	d.root = readTree(f, text)
	if d.root != nil {
		d.fragment = d.root.name == "fragment"
		d.shape(f)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return d, nil
}

// substitute puts named values in. What is unknown stays, and is reported where
// it matters.
func substitute(text string, values map[string]string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "{{")
		if i < 0 {
			break
		}
		end := strings.Index(text[i:], "}}")
		if end < 0 {
			break
		}
		name := strings.TrimSpace(text[i+2 : i+end])
		value, known := values[name]
		if !known {
			value = text[i : i+end+2]
		}
		b.WriteString(text[:i])
		b.WriteString(value)
		text = text[i+end+2:]
		if b.Len() > maxBytes {
			break
		}
	}
	b.WriteString(text)
	return b.String()
}

// sections are the children of <policies>, in the order of their execution.
func sections() []string { return []string{"inbound", "backend", "outbound", "on-error"} }

// shape checks the root and what is directly below it.
func (d *Document) shape(f *faults) {
	switch d.root.name {
	case "fragment":
		for _, k := range d.root.kids {
			if slices.Contains(sections(), k.name) {
				// api-management: "policy fragments", restrictions.
				f.at(k.at, k.name, "a fragment has no <%s>; put the policies directly into <fragment>", k.name)
			}
		}
	case "policies":
		seen := map[string]bool{}
		for _, k := range d.root.kids {
			switch {
			case !slices.Contains(sections(), k.name):
				f.at(k.at, k.name, "<%s> cannot be directly in <policies>; put it into <inbound>, <backend>, <outbound> or <on-error>", k.name)
			case seen[k.name]:
				f.at(k.at, k.name, "a second <%s>; a document has one of each section", k.name)
			}
			seen[k.name] = true
		}
	default:
		if slices.Contains(sections(), d.root.name) {
			return // a section alone, as documentation shows them
		}
		if isPolicy(d.root.name) {
			return // a policy alone
		}
		f.at(d.root.at, "", "the root is <%s>; a policy document starts with <policies>, a fragment with <fragment>", d.root.name)
	}
}

// isPolicy tells whether an element is a policy that matters here, so that it
// may be a document by itself.
func isPolicy(name string) bool {
	_, limit := limitElements()[name]
	return limit || name == "choose" || name == "include-fragment" || name == "set-variable"
}

// section returns the elements of a section and whether it is there. A document
// that is only a section, or only a policy, is that part of an inbound.
func (d *Document) section(name string) (kids []*element, there bool) {
	switch {
	case d.root.name == name:
		return d.root.kids, true
	case d.root.name != "policies":
		if isPolicy(d.root.name) && name == "inbound" {
			return []*element{d.root}, true
		}
		return nil, false
	}
	for _, k := range d.root.kids {
		if k.name == name {
			return k.kids, true
		}
	}
	return nil, false
}

func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// place returns line and column, both from 1, the column in characters.
func (d *Document) place(offset int) (line, column int) {
	offset = min(max(offset, 0), len(d.text))
	i, found := slices.BinarySearch(d.lines, offset)
	if !found {
		i--
	}
	return i + 1, 1 + utf8.RuneCountInString(d.text[d.lines[i]:offset])
}

// line returns the text of a line, from 1.
func (d *Document) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	s := d.text[d.lines[n-1]:]
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSuffix(s, "\r")
}

// faults collects the problems of a document.
type faults struct {
	doc  *Document
	errs policy.Errors
}

// at notes a problem at an offset. path is where it is, such as
// inbound.rate-limit.calls.
func (f *faults) at(offset int, path, format string, args ...any) {
	if len(f.errs) >= maxErrors {
		return
	}
	line, column := f.doc.place(offset)
	f.errs = append(f.errs, &policy.Error{
		File: f.doc.name, Line: line, Column: column, Path: path, Reason: fmt.Sprintf(format, args...),
		Source: f.doc.line(line),
	})
}

// whole notes a problem of the document as a whole.
func (f *faults) whole(format string, args ...any) {
	f.errs = append(f.errs, &policy.Error{File: f.doc.name, Reason: fmt.Sprintf(format, args...)})
}

// err returns what was noted, in the order of the places, or nil.
func (f *faults) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(f.errs, func(a, b *policy.Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return f.errs
}
