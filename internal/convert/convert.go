// Package convert is Result, a scenario file made from what a tester already
// has: a curl command line, a HAR recording, an OpenAPI description or a
// Postman collection.
//
// Each reader turns its source into the same list of steps (a scenario), and
// one writer turns that into Starlark. What the steps put on the wire is what
// the source says. Two things are never carried over silently: a secret, which
// becomes secret("NAME"), and whatever a scenario cannot say, which becomes a
// note on top of the file and in Result.Notes.
package convert

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	// maxSource bounds the size of a source, in bytes.
	maxSource = 256 << 20
	// maxYAML bounds YAML, whose library takes far more memory and time than JSON does.
	maxYAML = 8 << 20
	// maxSteps bounds the requests of one scenario.
	maxSteps = 5000
)

// Kind is the format of a source.
type Kind string

// The formats. Auto looks at the source.
const (
	Auto    Kind = ""
	Curl    Kind = "curl"
	HAR     Kind = "har"
	OpenAPI Kind = "openapi"
	Postman Kind = "postman"
)

// Options say how a source is converted. The zero value is useful.
type Options struct {
	Name   string // of the source, for errors and for the first line of the file. "": "source"
	Out    string // the name of the file to be, for its own instructions. "": "scenario.star"
	Kind   Kind
	Static bool // HAR: keep images, fonts, style sheets and scripts
}

// Result is a scenario file and what there is to know about it.
type Result struct {
	Kind    Kind
	Star    []byte   // the scenario file: it holds no secret
	Steps   int      // requests in it
	Secrets []string // environment variables that have to be set with secret values
	Env     []string // other environment variables that have to be set
	Notes   []string // what was not carried over, each a line without secrets
}

// Error says what is wrong with a source and where.
type Error struct {
	File      string
	Line, Col int // from 1; 0: the whole file
	Msg       string
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.File + ": " + e.Msg
	case e.Col == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

// Convert turns a source into a scenario. An error is an *Error; it holds no
// values of the source beyond names.
func Convert(src []byte, o Options) (*Result, error) {
	if o.Name == "" {
		o.Name = "source"
	}
	if o.Out == "" {
		o.Out = "scenario.star"
	}
	if len(src) > maxSource {
		return nil, &Error{File: o.Name, Msg: fmt.Sprintf("it is larger than %d MB", maxSource>>20)}
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(src)) == 0 {
		return nil, &Error{File: o.Name, Msg: "it is empty"}
	}
	// Subtle: marks are how expressions travel inside texts, so none may come from outside.
	src = bytes.Map(func(r rune) rune {
		if r == markOpen || r == markClose {
			return ' '
		}
		return r
	}, ensureText(src))
	var root *node
	if o.Kind != Curl {
		var err error
		root, err = parseTree(o.Name, src, o.Kind)
		if what := other(src); what != "" && o.Kind == Auto && (err != nil || guess(root) == Auto || guess(root) == Curl) {
			return nil, &Error{File: o.Name, Msg: what}
		}
		if err != nil {
			return nil, err
		}
	}
	kind := o.Kind
	if kind == Auto {
		kind = guess(root)
	}
	b := newBuilder(o)
	var err error
	switch kind {
	case Curl:
		err = b.curl(string(src))
	case HAR:
		err = b.har(root)
	case OpenAPI:
		err = b.openAPI(root)
	case Postman:
		err = b.postman(root)
	default:
		err = &Error{File: o.Name, Msg: "it is neither a curl command line, nor HAR (log.entries), OpenAPI (openapi, paths) or Postman (info, item)"}
	}
	if err != nil {
		return nil, err
	}
	if b.steps == 0 {
		why := ""
		if len(b.notes) > 0 {
			why = ": " + b.notes[0]
		}
		return nil, &Error{File: o.Name, Msg: "there is no request in it" + why}
	}
	return b.result(kind), nil
}

// ensureText replaces bytes that are not UTF-8, which none of the formats allows.
func ensureText(src []byte) []byte { return bytes.ToValidUTF8(src, []byte("\uFFFD")) }

// parseTree reads JSON or YAML; nil without an error means that the source is
// no tree, but may be a command line.
func parseTree(name string, src []byte, kind Kind) (*node, error) {
	trimmed := bytes.TrimLeft(src, " \t\r\n")
	if trimmed[0] == '{' || trimmed[0] == '[' {
		return parseJSON(name, src)
	}
	if kind == Auto && looksLikeCurl(string(src)) {
		return nil, nil
	}
	if kind == HAR || kind == Postman {
		return parseJSON(name, src)
	}
	return parseYAML(name, src)
}

func guess(root *node) Kind {
	switch {
	case root == nil:
		return Curl
	case root.get("log").get("entries") != nil:
		return HAR
	case root.get("openapi") != nil || root.get("swagger") != nil:
		return OpenAPI
	case root.get("item") != nil && root.get("info") != nil, root.get("collection").get("item") != nil:
		return Postman
	}
	return Auto
}

// looksLikeCurl says whether the first word that is not a comment is curl.
func looksLikeCurl(src string) bool {
	for line := range strings.Lines(src) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimPrefix(line, "$ ")
		word, _, _ := strings.Cut(line, " ")
		return word == "curl" || strings.HasSuffix(word, "/curl") || word == "curl.exe" || word == `curl\`
	}
	return false
}
