package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/apim"
	"github.com/weir-dev/weir/internal/policy/envoy"
)

// policyCmd is about policy files: what limits they state, in which form.
type policyCmd struct {
	Check   policyCheckCmd   `cmd:"" help:"Say every problem of policy files, each with its place: YAML, APIM policy XML or Envoy rate limit YAML."`
	Explain policyExplainCmd `cmd:"" help:"Say in plain words what a client will experience."`
	Convert policyConvertCmd `cmd:"" help:"Write a policy file in another form."`
	Schema  policySchemaCmd  `cmd:"" help:"Print the JSON Schema of the YAML form, for editors."`
}

// policyFormat is a form in which policies are written.
type policyFormat string

const (
	formatYAML  policyFormat = "yaml"  // Weir's own
	formatAPIM  policyFormat = "apim"  // Azure API Management's policy XML
	formatEnvoy policyFormat = "envoy" // envoyproxy/ratelimit's YAML
)

var (
	ownTop   = regexp.MustCompile(`(?m)^["']?policies["']?\s*:`)
	envoyTop = regexp.MustCompile(`(?m)^["']?(domain|descriptors)["']?\s*:`)
)

// sniffPolicy tells the form of a file by what is in it.
func sniffPolicy(data []byte) policyFormat {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	switch {
	case bytes.HasPrefix(text, []byte("<")):
		return formatAPIM
	case !ownTop.Match(text) && (envoyTop.Match(text) || envoy.InConfigMap(text)):
		return formatEnvoy
	}
	return formatYAML
}

// readPolicy reads a policy file of any form. An APIM document that says
// nothing of its place is taken for that of an API. The error is policy.Errors,
// or another that needs no place.
func readPolicy(name string, data []byte) (*policy.File, policyFormat, error) {
	format := sniffPolicy(data)
	switch format {
	case formatAPIM:
		doc, err := apim.Parse(name, data)
		if err != nil {
			return nil, format, err
		}
		f, err := doc.File(apim.Scope{})
		return f, format, err
	case formatEnvoy:
		f, err := envoy.Parse(name, data)
		return f, format, err
	}
	f, err := policy.Parse(name, data)
	return f, format, err
}

// open reads a file, or standard input for "-".
func (s *session) open(name string) ([]byte, error) {
	var in io.Reader = s.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("give a policy file, or - for standard input", "%v", err)
		}
		defer f.Close()
		in = f
	}
	// More than any policy file has, so that the readers can say so.
	data, err := io.ReadAll(io.LimitReader(in, 4<<20))
	if err != nil {
		return nil, cannotRun("", "reading %s: %v", name, err)
	}
	return data, nil
}

// theFile reads the one file that a verb is about.
func (s *session) theFile(name string) (*policy.File, policyFormat, error) {
	return s.theFileWith(name, &apimInputs{})
}

// theFileWith is theFile with what a document of API Management needs from outside.
func (s *session) theFileWith(name string, in *apimInputs) (*policy.File, policyFormat, error) {
	data, err := s.open(name)
	if err != nil {
		return nil, "", err
	}
	f, format, err := in.read(shown(name), data)
	if err != nil {
		return nil, format, usage("", "%v", err)
	}
	return f, format, nil
}

func shown(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// policyCheckCmd reads files and says what is wrong with them.
type policyCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Policy files; - for standard input."`
	JSON  bool     `name:"json" help:"Print one JSON document instead of text."`

	apimInputs `embed:""`
}

// checked is what check says of a file.
type checked struct {
	File     string          `json:"file"`
	Format   policyFormat    `json:"format,omitempty"`
	Policies int             `json:"policies"`
	Problems []policyProblem `json:"problems"`
	Ignored  []policyNote    `json:"ignored"`
}

type policyProblem struct {
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
}

type policyNote struct {
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

// Run prints the problems of all files and leaves with 2 when there is one.
func (c *policyCheckCmd) Run(s *session) error {
	results := []checked{}
	bad := false
	for _, name := range c.Files {
		r := checked{File: shown(name), Problems: []policyProblem{}, Ignored: []policyNote{}}
		var f *policy.File
		data, err := s.open(name)
		if err == nil {
			f, r.Format, err = c.read(r.File, data)
		}
		if err != nil {
			bad = true
			r.Problems = problems(err)
			if !c.JSON {
				fmt.Fprintln(s.stderr, err)
			}
		} else {
			r.Policies = len(f.Policies)
			for _, n := range f.Notes {
				r.Ignored = append(r.Ignored, policyNote(n))
			}
			if !c.JSON {
				fmt.Fprintf(s.stdout, "%s: %s, %s\n", r.File, formatName(r.Format), countPolicies(r.Policies))
				for _, n := range f.Notes {
					fmt.Fprintf(s.stdout, "  left out: %s\n", noteText(n))
				}
			}
		}
		results = append(results, r)
	}
	if c.JSON {
		if err := printJSON(s.stdout, map[string]any{"ok": !bad, "files": results}); err != nil {
			return err
		}
	}
	if bad {
		return verdict(exitUsage)
	}
	return nil
}

func problems(err error) []policyProblem {
	var many policy.Errors
	if !errors.As(err, &many) {
		return []policyProblem{{Reason: err.Error()}}
	}
	var out []policyProblem
	for _, e := range many {
		out = append(out, policyProblem{Line: e.Line, Column: e.Column, Path: e.Path, Reason: e.Reason})
	}
	return out
}

func formatName(f policyFormat) string {
	switch f {
	case formatAPIM:
		return "APIM policy XML"
	case formatEnvoy:
		return "Envoy rate limit YAML"
	}
	return "policy file"
}

func countPolicies(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

func noteText(n policy.Note) string {
	if n.Line == 0 {
		return n.Text
	}
	return fmt.Sprintf("line %d: %s", n.Line, n.Text)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return cannotRun("", "writing JSON: %v", err)
	}
	return nil
}

// policyConvertCmd writes a file in another form.
type policyConvertCmd struct {
	File  string `arg:"" help:"A policy file of any form; - for standard input."`
	To    string `required:"" enum:"yaml,apim,envoy" placeholder:"FORM" help:"yaml, apim (policy XML) or envoy (rate limit YAML)."`
	Out   string `short:"o" placeholder:"FILE" help:"Where to write. Default: standard output."`
	Force bool   `help:"Replace the file of --out."`

	apimInputs `embed:""`
}

// Run converts; what could not be carried over goes to standard error and, as
// comments, into the output.
func (c *policyConvertCmd) Run(s *session) error {
	f, _, err := s.theFileWith(c.File, &c.apimInputs)
	if err != nil {
		return err
	}
	out, notes, err := writePolicy(f, policyFormat(c.To))
	if err != nil {
		return usage("", "%s: %v", shown(c.File), err)
	}
	notes = append(append([]policy.Note{}, f.Notes...), notes...)
	out = append(comments(policyFormat(c.To), notes), out...)
	if c.Out == "" {
		if _, err := s.stdout.Write(out); err != nil {
			return cannotRun("", "writing the policies: %v", err)
		}
	} else if err := writeNew(c.Out, out, c.Force); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintf(s.stderr, "not carried over: %s\n", noteText(n))
	}
	return nil
}

// writePolicy returns the file in a form, and what the form has no words for.
func writePolicy(f *policy.File, to policyFormat) (out []byte, notes []policy.Note, err error) {
	switch to {
	case formatAPIM:
		return apim.Write(f)
	case formatEnvoy:
		return envoy.Write(f)
	}
	out, err = policy.Marshal(f)
	return out, nil, err
}

// comments are the notes as a form writes comments. policy.Marshal has written
// its own.
func comments(to policyFormat, notes []policy.Note) []byte {
	var b bytes.Buffer
	for _, n := range notes {
		text := strings.Join(strings.Fields(noteText(n)), " ")
		switch to {
		case formatEnvoy:
			fmt.Fprintf(&b, "# not carried over: %s\n", text)
		case formatAPIM:
			for strings.Contains(text, "--") { // which would end the comment
				text = strings.ReplaceAll(text, "--", "- -")
			}
			fmt.Fprintf(&b, "<!-- not carried over: %s -->\n", strings.TrimSuffix(text, "-"))
		}
	}
	return b.Bytes()
}

// policyExplainCmd says what limits mean.
type policyExplainCmd struct {
	File string `arg:"" help:"A policy file of any form; - for standard input."`
	JSON bool   `name:"json" help:"Print JSON instead of text."`

	apimInputs `embed:""`
}

// Run prints one part for each policy.
func (c *policyExplainCmd) Run(s *session) error {
	f, _, err := s.theFileWith(c.File, &c.apimInputs)
	if err != nil {
		return err
	}
	all, together := policy.Explain(f), policy.Together(f)
	if c.JSON {
		return printJSON(s.stdout, map[string]any{"policies": all, "together": together})
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(s.stdout)
		}
		fmt.Fprint(s.stdout, explained(e))
	}
	if together != "" {
		fmt.Fprintf(s.stdout, "\nTogether: %s.\n", strings.Join(wrap(together, explainWidth-10), "\n"))
	}
	for _, n := range f.Notes {
		fmt.Fprintf(s.stdout, "left out: %s\n", noteText(n))
	}
	return nil
}

// explainWidth is how long a line of an explanation may be.
const explainWidth = 110

// explained is the text of one explanation.
func explained(e policy.Explanation) string {
	var b strings.Builder
	if e.Mode != "" {
		fmt.Fprintf(&b, "%s: %s\n", e.Title, e.Mode)
	} else {
		limit := strings.TrimSpace(fmt.Sprintf("%d %s", e.Limit.Limit, e.Limit.Per))
		fmt.Fprintf(&b, "%s: %s, %s\n", e.Title, limit, e.Limit.Algorithm)
	}
	const indent = 18
	for _, f := range e.Facts {
		lines := wrap(f.Text, explainWidth-indent)
		fmt.Fprintf(&b, "  %-*s%s\n", indent-2, f.About, lines[0])
		for _, l := range lines[1:] {
			b.WriteString(strings.Repeat(" ", indent) + l + "\n")
		}
	}
	if e.Timeline != nil {
		fmt.Fprintf(&b, "  %s:\n", e.Timeline.Caption())
		for _, l := range strings.Split(e.Timeline.Draw(), "\n") {
			b.WriteString("    " + l + "\n")
		}
	}
	return b.String()
}

// wrap breaks text between words; there is at least one line.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// policySchemaCmd prints the schema.
type policySchemaCmd struct{}

// Run prints the JSON Schema of policy files.
func (policySchemaCmd) Run(s *session) error {
	if _, err := s.stdout.Write(policy.Schema()); err != nil {
		return cannotRun("", "writing the schema: %v", err)
	}
	return nil
}

// writeNew writes a file that must not exist yet, unless force says so.
func writeNew(name string, data []byte, force bool) error {
	c := convertCmd{Out: filepath.Clean(name), Force: force}
	return c.write(data)
}
