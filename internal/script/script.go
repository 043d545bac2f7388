// Package script is Script, a scenario written in Starlark: the Python a
// Locust user writes, inside the binary, one frozen program shared by all users.
//
// Load runs the file once; it declares user classes (HttpUser), tasks, waits
// and perhaps a profile. Then everything it made is frozen, and each user is a
// cheap Starlark thread that runs the functions of its class, one task per
// iteration of the engine. What a user remembers is on its own `user` value,
// so users cannot disturb each other, and no lock is taken.
//
// A Script is a load.Scenario. Its users send through the senders that
// Script.Senders makes, because cookies, time-outs and redirects of single
// requests are the sender's business:
//
//	sc, err := script.Load("sms.star", script.Options{Seed: 1})
//	plan := load.Plan{Scenario: sc, NewSender: sc.Senders(newSender), …}
package script

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
)

const (
	// DefaultMaxSteps is how many Starlark steps one task may take: about a
	// second of computing, which no think time or request counts into.
	DefaultMaxSteps = 10_000_000
	// loadSteps is the same for the top of the files.
	loadSteps = 50_000_000
	// maxClasses and maxFiles bound what a file may declare or load.
	maxClasses = 1000
	maxFiles   = 200
)

// Options say how a scenario is loaded. The zero value is useful.
type Options struct {
	Host        string   // replaces the host of every class: "https://staging.example.com"
	Tags        []string // keep only tasks with one of these tags; none: all
	ExcludeTags []string // drop tasks with one of these
	Classes     []string // keep only these user classes; none: all
	Seed        uint64   // of random numbers drawn while loading; users draw from Session.Rand
	MaxSteps    uint64   // Starlark steps one task may take. 0: DefaultMaxSteps

	// Arrivals says that the run has an arrival rate (the open model). There an
	// arrival is one task, and its class is drawn by weight for each arrival,
	// because which user takes it says nothing.
	Arrivals bool

	Log      func(line string)                 // of log() and print(), at most logRate lines a second; any goroutine. nil: dropped
	Getenv   func(name string) (string, bool)  // nil: os.LookupEnv
	ReadFile func(path string) ([]byte, error) // nil: os.ReadFile
}

// Script is a loaded scenario. It never changes after Load, apart from the
// positions of its data feeds, so any number of users and engines may share it.
type Script struct {
	name     string
	opts     Options
	classes  []*class // of the run, in the order of their declaration
	whole    *cast    // all of classes, when the run has no parts
	known    []string // names of all classes of the file
	profiles []pace.Profile
	secrets  *secrets
	logger   *logger
	patterns patterns

	wires sync.Map  // user number → *wire, between NewSender and NewUser
	seats sync.Pool // of *seat
}

var _ load.Scenario = (*Script)(nil)

// Load reads and runs the scenario file at path and everything it loads. The
// error is an *Error, or several joined, when something in the files is wrong;
// it names file, line and column, and never holds the value of a secret.
func Load(path string, o Options) (*Script, error) {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.MaxSteps == 0 {
		o.MaxSteps = DefaultMaxSteps
	}
	s := &Script{name: filepath.Base(path), opts: o, secrets: &secrets{}}
	s.logger = newLogger(o.Log, s.secrets)
	s.seats.New = s.newSeat
	l := newLoader(s, filepath.Dir(path))
	globals, err := l.run(s.name)
	if err == nil {
		err = s.declare(l, globals)
	}
	if err != nil {
		return nil, s.secrets.clean(err)
	}
	return s, nil
}

// Name returns the file name of the scenario.
func (s *Script) Name() string { return s.name }

// Profiles returns what profile() declared, in the order of the file.
func (s *Script) Profiles() []pace.Profile { return s.profiles }

// Hosts returns the hosts of the classes, each once, as they were written. A
// class without one sends to absolute URLs only.
func (s *Script) Hosts() []string {
	var hosts []string
	seen := map[string]bool{"": true}
	for _, c := range s.classes {
		if !seen[c.host] {
			seen[c.host] = true
			hosts = append(hosts, c.host)
		}
	}
	return hosts
}

// declare takes the user classes out of the globals of the main file.
func (s *Script) declare(l *loader, globals starlark.StringDict) error {
	host := s.opts.Host
	if host == "" {
		if v, ok := globals["host"]; ok {
			text, ok := starlark.AsString(v)
			if !ok {
				return l.wrong("host is a %s, want a text such as \"http://127.0.0.1:8000\"", v.Type())
			}
			host = text
		}
	}
	// Of several names for a value the first in the alphabet counts.
	named := map[*class]string{}
	for _, name := range globals.Keys() {
		switch v := globals[name].(type) {
		case *class:
			if named[v] == "" {
				named[v] = name
			}
		case *taskSet:
			if v.name == "" {
				v.name = name
			}
		}
	}
	var found []*class
	for _, c := range l.classes {
		if name := named[c]; name != "" {
			c.name = name
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		if len(l.classes) > 0 {
			return l.wrong("no user class has a name at the top of %s: write NormalUser = HttpUser(…)", s.name)
		}
		return l.wrong("there is no user class in %s: write NormalUser = HttpUser(wait_time = between(1, 2), tasks = [my_task])", s.name)
	}
	for _, c := range found {
		s.known = append(s.known, c.name)
	}
	if err := s.settleProfiles(l, found); err != nil {
		return err
	}
	var err error
	if found, err = s.choose(l, found); err != nil {
		return err
	}
	for _, c := range found {
		if err := c.settle(host, s.opts); err != nil {
			return err
		}
	}
	if found, err = s.filter(l, found); err != nil {
		return err
	}
	s.classes = found
	s.whole, err = s.cast(s.classes, s.opts.Arrivals)
	return err
}

// choose keeps the classes that Options.Classes names.
func (s *Script) choose(l *loader, all []*class) ([]*class, error) {
	if len(s.opts.Classes) == 0 {
		return all, nil
	}
	var kept []*class
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	for _, want := range s.opts.Classes {
		found := false
		for _, c := range all {
			if c.name == want {
				kept, found = append(kept, c), true
			}
		}
		if !found {
			return nil, l.wrong("there is no user class %s%s", want, suggest(want, names))
		}
	}
	return kept, nil
}

// filter drops what the tags exclude, and classes that are left without a task.
func (s *Script) filter(l *loader, all []*class) ([]*class, error) {
	if len(s.opts.Tags) == 0 && len(s.opts.ExcludeTags) == 0 {
		return all, nil
	}
	known := map[string]bool{}
	for _, c := range all {
		c.tasks.collectTags(known)
	}
	for _, t := range append(append([]string(nil), s.opts.Tags...), s.opts.ExcludeTags...) {
		if !known[t] {
			return nil, l.wrong("no task has the tag %q%s", t, suggest(t, sortedKeys(known)))
		}
	}
	var kept []*class
	for _, c := range all {
		if set := c.tasks.filter(newTagFilter(s.opts), nil); set != nil {
			c.tasks = set
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return nil, l.wrong("the tags leave no task to run")
	}
	return kept, nil
}

// wrong makes an error of the whole file.
func (l *loader) wrong(format string, args ...any) error { return l.s.wrong(format, args...) }

func (s *Script) wrong(format string, args ...any) error {
	return &Error{File: s.name, Msg: sprintf(format, args...)}
}

var errOver = errors.New("the run is over")
