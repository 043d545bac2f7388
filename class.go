package weir

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/pace"
)

// Errors that a task returns to say something other than that it failed.
var (
	// ErrInterrupt leaves the TaskSet that the task is in; the set around it goes
	// on at once. It is an error in a task that is in no TaskSet.
	ErrInterrupt = errors.New("the task set was left")
	// ErrStop ends the user, after its OnStop. The run goes on without it.
	ErrStop = errors.New("the user was stopped")
)

// Class is a kind of user. T is what a user of it remembers between its tasks,
// a type of the program's own; its tasks get a pointer to it:
//
//	type admin struct {
//		*weir.User
//		token string
//	}
//
//	weir.Class[admin]{
//		Name:    "Admin",
//		Host:    "http://127.0.0.1:8000",
//		Wait:    weir.Between(2*time.Second, 5*time.Second),
//		New:     func(u *weir.User) *admin { return &admin{User: u} },
//		OnStart: (*admin).login,
//		Tasks:   []weir.Task[admin]{{Name: "send", Do: (*admin).send}},
//	}
//
// Users that remember nothing are a Class[weir.User], without New. Every user
// has a T of its own and calls its functions one at a time, so a T needs no lock.
type Class[T any] struct {
	Name string // for --class, --dry-run and errors; required
	Host string // in front of paths: "https://api.example.com"; --host replaces it

	// Weight is the share of the users, against the weights of the other classes. 0: 1.
	Weight int
	// FixedCount is exactly this many users instead, however many there are. 0: by Weight.
	FixedCount int

	Wait Wait // between two tasks of a user; the zero value: none

	New func(u *User) *T // makes the state of a user; may be nil for Class[User]

	OnStart func(*T) error // before the first task; an error means that the user does not start, and it tries again
	OnStop  func(*T) error // after the last one, unless the run was stopped hard

	// Tasks are drawn by weight, one at a time. At least one.
	Tasks []Task[T]
}

// Task is something that a user does: one function, or a Set of tasks.
type Task[T any] struct {
	Name string // for --dry-run and errors; for a Set, its name counts

	// Do is the task. What it returns is listed among the errors of the run, but
	// counts no request as failed: Response.Check and Response.Failure do that. The
	// user goes on with its next task, at least 100 ms later.
	Do func(*T) error
	// Set is a group of tasks to be entered, instead of Do.
	Set *TaskSet[T]

	Weight int      // the chance to be drawn, against those beside it; 0: 1
	Tags   []string // for --tags and --exclude-tags
}

// TaskSet is a group of tasks, and a user that enters one stays until one of
// its tasks returns ErrInterrupt.
type TaskSet[T any] struct {
	Name    string
	InOrder bool // the tasks come one after the other, over and over; their weights do not count
	Tasks   []Task[T]
	Wait    Wait           // instead of that of the set or class around it; the zero value: that one
	OnStart func(*T) error // on entering
	OnStop  func(*T) error // on leaving
	Tags    []string       // of all its tasks
}

// Declaration is what a scenario is made of: a Class of any T, or a Profile.
type Declaration interface {
	declare(to *declared) error
}

// declared is what a program declared.
type declared struct {
	classes  []*class
	profiles []pace.Profile
}

// class is a Class without its type: functions are numbers into a table that
// only its actors know.
type class struct {
	name, host    string
	weight, fixed int64
	wait          Wait
	onStart       int // a function, noFunc for none
	onStop        int
	set           *set
	hire          func(u *User) (actor, error)
}

// set is a TaskSet, or the tasks of a class.
type set struct {
	name            string
	inOrder         bool
	tasks           []task
	total           int64 // of the weights
	wait            Wait
	onStart, onStop int
	tags            []string
}

type task struct {
	name   string
	fn     int  // when sub is nil
	sub    *set // or nil
	weight int64
	tags   []string
}

const noFunc = -1

// actor calls the functions of one user.
type actor interface{ call(fn int) error }

type bound[T any] struct {
	self *T
	fns  []func(*T) error
}

func (b *bound[T]) call(fn int) error { return b.fns[fn](b.self) }

// most bounds weights and counts.
const most = 1_000_000

func (c Class[T]) declare(to *declared) error {
	if c.Name == "" {
		return errors.New("a class has no Name")
	}
	var fns []func(*T) error
	k, err := c.compile(&fns)
	if err != nil {
		return fmt.Errorf("class %s: %w", c.Name, err)
	}
	newT := c.New
	k.hire = func(u *User) (actor, error) {
		b := &bound[T]{fns: fns}
		if newT != nil {
			b.self = newT(u)
		} else {
			b.self, _ = any(u).(*T)
		}
		if b.self == nil {
			return nil, fmt.Errorf("class %s: New made no state of the user: it returned nil", k.name)
		}
		return b, nil
	}
	to.classes = append(to.classes, k)
	return nil
}

func (c Class[T]) compile(fns *[]func(*T) error) (*class, error) {
	k := &class{name: c.Name, host: strings.TrimRight(c.Host, "/"), weight: int64(c.Weight), fixed: int64(c.FixedCount), wait: c.Wait}
	if _, plain := any((*T)(nil)).(*User); !plain && c.New == nil {
		return nil, errors.New("it has no New, the function that makes the state of a user")
	}
	switch {
	case c.Weight < 0 || c.Weight > most || c.FixedCount < 0 || c.FixedCount > most:
		return nil, fmt.Errorf("its Weight is %d and its FixedCount %d: want numbers from 0 to %d", c.Weight, c.FixedCount, most)
	case c.Weight > 0 && c.FixedCount > 0:
		return nil, errors.New("it has both a Weight and a FixedCount: a fixed number of users is not shared out by weight")
	case k.weight == 0:
		k.weight = 1
	}
	if err := c.Wait.check(); err != nil {
		return nil, err
	}
	k.onStart, k.onStop = enlist(fns, c.OnStart), enlist(fns, c.OnStop)
	var err error
	k.set, err = compile(fns, &TaskSet[T]{Name: c.Name, Tasks: c.Tasks}, 0)
	return k, err
}

// enlist gives a function its number.
func enlist[T any](fns *[]func(*T) error, fn func(*T) error) int {
	if fn == nil {
		return noFunc
	}
	*fns = append(*fns, fn)
	return len(*fns) - 1
}

// maxDepth bounds sets within sets, so that one that holds itself is an error.
const maxDepth = 100

func compile[T any](fns *[]func(*T) error, from *TaskSet[T], depth int) (*set, error) {
	if len(from.Tasks) == 0 {
		return nil, fmt.Errorf("%s has no Tasks", from.Name)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("task sets are nested more than %d deep: does %s hold itself?", maxDepth, from.Name)
	}
	if err := from.Wait.check(); err != nil {
		return nil, err
	}
	s := &set{name: from.Name, inOrder: from.InOrder, wait: from.Wait, tags: slices.Clone(from.Tags),
		onStart: enlist(fns, from.OnStart), onStop: enlist(fns, from.OnStop)}
	for i, t := range from.Tasks {
		k := task{name: t.Name, fn: enlist(fns, t.Do), weight: int64(t.Weight), tags: slices.Clone(t.Tags)}
		if t.Set != nil {
			k.name = t.Set.Name
		}
		switch {
		case k.name == "":
			return nil, fmt.Errorf("%s: task %d has no Name", s.name, i+1)
		case (t.Do == nil) == (t.Set == nil):
			return nil, fmt.Errorf("%s: task %s wants either Do or Set", s.name, k.name)
		case t.Weight < 0 || t.Weight > most:
			return nil, fmt.Errorf("%s: task %s: Weight %d: want a number from 0 to %d", s.name, k.name, t.Weight, most)
		case t.Weight == 0:
			k.weight = 1
		}
		if t.Set != nil {
			var err error
			if k.sub, err = compile(fns, t.Set, depth+1); err != nil {
				return nil, err
			}
		}
		s.add(k)
	}
	return s, nil
}

func (s *set) add(t task) {
	s.tasks = append(s.tasks, t)
	s.total += t.weight
}

// checkHost finds out before the start what no request could do with.
func (c *class) checkHost() error {
	if c.host == "" {
		return nil
	}
	u, err := url.Parse(c.host)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("class %s: the host is not of the form http://127.0.0.1:8000", c.name)
	}
	return nil
}
