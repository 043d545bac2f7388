package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weir-dev/weir/internal/convert"
)

// convertCmd makes a scenario file of what a tester already has.
type convertCmd struct {
	Source string `arg:"" optional:"" help:"A HAR, OpenAPI or Postman file, or a file with curl command lines; - for standard input."`

	Curl   string `placeholder:"'curl …'" help:"A curl command line instead of a file."`
	Out    string `short:"o" placeholder:"FILE" help:"Where to write the scenario. Default: standard output."`
	Force  bool   `help:"Replace the file of --out."`
	Format string `enum:",curl,har,openapi,postman" default:"" placeholder:"NAME" help:"curl, har, openapi or postman. Default: what the source looks like."`
	Static bool   `help:"HAR: keep images, fonts, style sheets and scripts."`
}

// Run converts and says what was not carried over.
func (c *convertCmd) Run(s *session) error {
	src, o, err := c.read(s)
	if err != nil {
		return err
	}
	r, err := convert.Convert(src, o)
	if err != nil {
		return usage("", "%v", err)
	}
	if c.Out == "" {
		if _, err := s.stdout.Write(r.Star); err != nil {
			return cannotRun("", "writing the scenario: %v", err)
		}
	} else if err := c.write(r.Star); err != nil {
		return err
	}
	if c.Out != "" {
		fmt.Fprintf(s.stderr, "%s: %s from %s\n", c.Out, plural(r.Steps, "request"), o.Name)
	}
	for _, name := range r.Secrets {
		fmt.Fprintf(s.stderr, "set the secret %s\n", name)
	}
	for _, name := range r.Env {
		fmt.Fprintf(s.stderr, "set %s\n", name)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(s.stderr, "not carried over: %s\n", note)
	}
	return nil
}

func (c *convertCmd) read(s *session) ([]byte, convert.Options, error) {
	o := convert.Options{Kind: convert.Kind(c.Format), Static: c.Static}
	if c.Out != "" {
		o.Out = filepath.Base(c.Out)
	}
	if c.Curl != "" {
		if c.Source != "" || c.Format != "" && c.Format != "curl" {
			return nil, o, usage("leave one out", "--curl is a source itself")
		}
		o.Name, o.Kind = "--curl", convert.Curl
		return []byte(c.Curl), o, nil
	}
	var in io.Reader
	switch c.Source {
	case "":
		return nil, o, usage("weir convert FILE, or weir convert --curl 'curl https://…'", "there is no source")
	case "-":
		o.Name, in = "standard input", s.stdin
	default:
		f, err := os.Open(c.Source)
		if err != nil {
			return nil, o, usage("give a HAR, OpenAPI or Postman file, or - for standard input", "%v", err)
		}
		defer f.Close()
		o.Name, in = filepath.Base(c.Source), f
	}
	src, err := io.ReadAll(in)
	if err != nil {
		return nil, o, cannotRun("", "reading %s: %v", o.Name, err)
	}
	return src, o, nil
}

func (c *convertCmd) write(star []byte) error {
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if !c.Force {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(c.Out, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage("choose another name, or add --force", "%s exists already", c.Out)
	}
	if err != nil {
		return cannotRun("choose another file", "--out: %v", err)
	}
	if _, err := f.Write(star); err != nil {
		f.Close()
		return cannotRun("", "--out: %v", err)
	}
	if err := f.Close(); err != nil {
		return cannotRun("", "--out: %v", err)
	}
	return nil
}
