package script

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxSource bounds a .star file, and maxData a file that one reads.
const (
	maxSource = 4 << 20
	maxData   = 256 << 20
)

// loader runs the files of one scenario, once each, on one goroutine.
type loader struct {
	s        *Script
	dir      string
	modules  map[string]*module
	classes  []*class // in the order of HttpUser(…) calls
	names    starlark.StringDict
	random   *rand.Rand
	profiles []*declared
}

// module is one file; globals is nil while it runs.
type module struct {
	globals starlark.StringDict
	err     error
}

// The keys of what a thread knows.
const (
	userKey   = "user"   // *seat: the thread runs a task
	loaderKey = "loader" // *loader: the thread runs the top of a file
	fileKey   = "file"   // string: which one
	randomKey = "random" // *rand.Rand: the thread asks a shape
)

// options are the dialect: no recursion, because a stack that grows without
// bound in one of 10,000 users is no error message. Syntax that Python has is on.
func options() *syntax.FileOptions {
	return &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true}
}

func newLoader(s *Script, dir string) *loader {
	return &loader{
		s: s, dir: dir, modules: map[string]*module{}, names: s.predeclared(),
		random: rand.New(rand.NewPCG(s.opts.Seed, 0x77656972)),
	}
}

// run runs the file called name, a path relative to the scenario's folder.
func (l *loader) run(name string) (starlark.StringDict, error) {
	if m, ok := l.modules[name]; ok {
		if m.globals == nil && m.err == nil {
			return nil, fmt.Errorf("the files load each other in a circle: %s is still being loaded", name)
		}
		return m.globals, m.err
	}
	if len(l.modules) >= maxFiles {
		return nil, fmt.Errorf("more than %d files are loaded", maxFiles)
	}
	m := &module{}
	l.modules[name] = m
	globals, err := l.exec(name)
	if err != nil {
		m.err = err
		return nil, err
	}
	m.globals = globals
	return globals, nil
}

func (l *loader) exec(name string) (globals starlark.StringDict, err error) {
	src, err := l.read(name, maxSource)
	if err != nil {
		return nil, err
	}
	_, prog, err := starlark.SourceProgramOptions(options(), name, src, l.names.Has)
	if err != nil {
		return nil, explainSource(err, src, l.names)
	}
	t := &starlark.Thread{Name: name, Load: l.load, Print: l.print}
	t.SetLocal(loaderKey, l)
	t.SetLocal(fileKey, name)
	t.SetMaxExecutionSteps(loadSteps)
	globals, err = prog.Init(t, l.names)
	if err != nil {
		return nil, explain(err, loadSteps)
	}
	globals.Freeze()
	return globals, nil
}

func (l *loader) print(_ *starlark.Thread, text string) { l.s.logger.line(text) }

// load is load("lib.star", …): the path is relative to the file that loads.
func (l *loader) load(t *starlark.Thread, path string) (starlark.StringDict, error) {
	name, err := l.resolve(t, path)
	if err != nil {
		return nil, err
	}
	globals, err := l.run(name)
	var e *Error
	if err != nil && !errors.As(err, &e) {
		return nil, err
	}
	return globals, err
}

// resolve returns the name of a file that is named in the file which t runs.
func (l *loader) resolve(t *starlark.Thread, path string) (string, error) {
	if path == "" {
		return "", errors.New("the name of the file is empty")
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	from, _ := t.Local(fileKey).(string)
	return filepath.Join(filepath.Dir(from), filepath.FromSlash(path)), nil
}

// read returns the contents of a file of the scenario.
func (l *loader) read(name string, most int) ([]byte, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.dir, name)
	}
	b, err := l.s.opts.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", name)
	case err != nil:
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s cannot be read: %v", name, err)
	case len(b) > most:
		return nil, fmt.Errorf("%s is larger than %d MB", name, most>>20)
	}
	return b, nil
}

// loading returns the loader when t runs the top of a file; else an error that
// says where what belongs.
func loading(t *starlark.Thread, what string) (*loader, error) {
	if l, ok := t.Local(loaderKey).(*loader); ok {
		return l, nil
	}
	return nil, fmt.Errorf("%s belongs at the top of the file, outside of functions that users run: it is done once, for all users", what)
}

// running returns the user whose task t runs.
func running(t *starlark.Thread, what string) (*user, error) {
	if c, ok := t.Local(userKey).(*seat); ok {
		return c.user, nil
	}
	if t.Local(randomKey) != nil {
		return nil, fmt.Errorf("%s belongs into a task: a shape is asked before there are users", what)
	}
	return nil, fmt.Errorf("%s belongs into a task: while the file is loaded there is no user yet", what)
}

// sourceOf returns the random numbers that t draws from.
func sourceOf(t *starlark.Thread) *rand.Rand {
	if c, ok := t.Local(userKey).(*seat); ok {
		return c.user.rand()
	}
	if r, ok := t.Local(randomKey).(*rand.Rand); ok {
		return r
	}
	return t.Local(loaderKey).(*loader).random
}

// position returns where the running built-in was called, "file.star:12".
func position(t *starlark.Thread) string {
	if t.CallStackDepth() < 2 {
		return ""
	}
	p := t.CallFrame(1).Pos
	return fmt.Sprintf("%s:%d", strings.TrimPrefix(filepath.Base(p.Filename()), "./"), p.Line)
}
