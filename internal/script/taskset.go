package script

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"go.starlark.net/starlark"
)

// taskSet is a group of tasks: the value of TaskSet(…) or SequentialTaskSet(…),
// and what a class has. Once the file is loaded it is not changed.
type taskSet struct {
	kind    string // TaskSet, SequentialTaskSet or HttpUser
	name    string // for reports and errors; "" until known
	inOrder bool
	tasks   []*task
	total   int64 // of the weights
	wait    *wait // nil: that of the set around it
	onStart starlark.Callable
	onStop  starlark.Callable
	tags    []string
}

func (s *taskSet) String() string       { return s.kind + " " + s.name }
func (s *taskSet) Type() string         { return s.kind }
func (s *taskSet) Freeze()              {}
func (s *taskSet) Truth() starlark.Bool { return true }

// Hash lets a set be a key of tasks = {browse: 3}; equality is identity. It must
// not depend on the name, which may be given when the key is in use.
func (s *taskSet) Hash() (uint32, error) { return starlark.String(s.kind).Hash() }

// task is one entry of a set: a function or a nested set. It is the value of task(…).
type task struct {
	fn     starlark.Callable // nil: set
	set    *taskSet
	weight int64
	tags   []string
}

func (t *task) String() string       { return "task " + t.name() }
func (t *task) Type() string         { return "task" }
func (t *task) Freeze()              {}
func (t *task) Truth() starlark.Bool { return true }
func (t *task) Hash() (uint32, error) {
	if t.set != nil {
		return t.set.Hash()
	}
	return starlark.String(t.name()).Hash()
}

func (t *task) name() string {
	if t.set != nil {
		if t.set.name == "" {
			return t.set.kind
		}
		return t.set.name
	}
	return t.fn.Name()
}

// newTask is task(fn, weight = 1, tags = []).
func newTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if _, err := loading(t, "task(…)"); err != nil {
		return nil, err
	}
	var what, weight starlark.Value
	var tags starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "fn", &what, "weight??", &weight, "tags??", &tags); err != nil {
		return nil, err
	}
	k, err := entry(what)
	if err != nil {
		return nil, err
	}
	if k.weight, err = countArg("weight", weight, 1, 1_000_000, 1); err != nil {
		return nil, err
	}
	if k.tags, err = tagsArg(tags); err != nil {
		return nil, err
	}
	return k, nil
}

// entry makes a task of a function, a set or a task.
func entry(v starlark.Value) (*task, error) {
	switch v := v.(type) {
	case *task:
		return v, nil
	case *taskSet:
		return &task{set: v, weight: 1}, nil
	case starlark.Callable:
		if err := takesUser(v); err != nil {
			return nil, err
		}
		return &task{fn: v, weight: 1}, nil
	case *class:
		return nil, errors.New("a user class is no task; put its tasks into a TaskSet")
	case starlark.NoneType:
		return nil, errors.New("a task is None: name the function without calling it, tasks = [my_task]")
	}
	return nil, fmt.Errorf("a task is a function or a TaskSet, not a %s", v.Type())
}

func tagsArg(v starlark.Value) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	if s, ok := starlark.AsString(v); ok {
		return []string{s}, nil
	}
	list, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("tags is a %s, want a list of texts", v.Type())
	}
	var tags []string
	for e := range starlark.Elements(list) {
		s, ok := starlark.AsString(e)
		if !ok || s == "" {
			return nil, fmt.Errorf("a tag is %s, want a text", e)
		}
		tags = append(tags, s)
	}
	return tags, nil
}

// newTaskSet is TaskSet(tasks, name, wait_time, on_start, on_stop, tags), and
// SequentialTaskSet, which goes through its tasks in their order, over and over.
func newTaskSet(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if _, err := loading(t, b.Name()+"(…)"); err != nil {
		return nil, err
	}
	s := &taskSet{kind: b.Name(), inOrder: b.Name() == "SequentialTaskSet"}
	var tasks, waitTime, onStart, onStop, tags starlark.Value
	err := starlark.UnpackArgs(b.Name(), args, kwargs, "tasks", &tasks, "name?", &s.name, "wait_time??", &waitTime,
		"on_start??", &onStart, "on_stop??", &onStop, "tags??", &tags)
	if err != nil {
		return nil, err
	}
	if s.wait, err = waitArg(waitTime); err != nil {
		return nil, err
	}
	if s.onStart, err = hookArg("on_start", onStart); err != nil {
		return nil, err
	}
	if s.onStop, err = hookArg("on_stop", onStop); err != nil {
		return nil, err
	}
	if s.tags, err = tagsArg(tags); err != nil {
		return nil, err
	}
	return s, s.fill(tasks)
}

// fill reads tasks = [a, task(b, weight = 3)] or {a: 1, b: 3}.
func (s *taskSet) fill(v starlark.Value) error {
	if d, ok := v.(*starlark.Dict); ok {
		if s.inOrder {
			return errors.New("a SequentialTaskSet has no weights: give its tasks as a list")
		}
		for _, kv := range d.Items() {
			k, err := entry(kv[0])
			if err != nil {
				return err
			}
			w, err := countArg("weight of "+k.name(), kv[1], 1, 1_000_000, 1)
			if err != nil {
				return err
			}
			s.add(&task{fn: k.fn, set: k.set, weight: w, tags: k.tags})
		}
	} else if list, ok := v.(starlark.Iterable); ok {
		for e := range starlark.Elements(list) {
			k, err := entry(e)
			if err != nil {
				return err
			}
			s.add(k)
		}
	} else {
		return fmt.Errorf("tasks is a %s, want a list: tasks = [my_task]", v.Type())
	}
	if len(s.tasks) == 0 {
		return errors.New("tasks is empty: give at least one function")
	}
	return nil
}

func (s *taskSet) add(t *task) {
	s.tasks = append(s.tasks, t)
	s.total += t.weight
}

// pick returns the next task; n is how many were picked before.
func (s *taskSet) pick(n int, r *rand.Rand) *task {
	if s.inOrder {
		return s.tasks[n%len(s.tasks)]
	}
	if len(s.tasks) == 1 {
		return s.tasks[0]
	}
	x := r.Int64N(s.total)
	for _, t := range s.tasks {
		if x -= t.weight; x < 0 {
			return t
		}
	}
	return s.tasks[len(s.tasks)-1]
}

// tagFilter is what Options say about tags.
type tagFilter struct{ include, exclude []string }

func newTagFilter(o Options) tagFilter { return tagFilter{o.Tags, o.ExcludeTags} }

// filter returns the set without what f drops, nil when nothing is left.
// inherited are the tags of what is around it.
func (s *taskSet) filter(f tagFilter, inherited []string) *taskSet {
	own := append(slices.Clip(inherited), s.tags...)
	kept := *s
	kept.tasks, kept.total = nil, 0
	for _, t := range s.tasks {
		tags := append(slices.Clip(own), t.tags...)
		if t.set != nil {
			if sub := t.set.filter(f, tags); sub != nil {
				k := *t
				k.set = sub
				kept.add(&k)
			}
		} else if f.keeps(tags) {
			kept.add(t)
		}
	}
	if len(kept.tasks) == 0 {
		return nil
	}
	return &kept
}

func (f tagFilter) keeps(tags []string) bool {
	has := func(set []string) bool {
		return slices.ContainsFunc(set, func(t string) bool { return slices.Contains(tags, t) })
	}
	return (len(f.include) == 0 || has(f.include)) && !has(f.exclude)
}

func (s *taskSet) collectTags(into map[string]bool) {
	for _, t := range s.tags {
		into[t] = true
	}
	for _, t := range s.tasks {
		for _, g := range t.tags {
			into[g] = true
		}
		if t.set != nil {
			t.set.collectTags(into)
		}
	}
}
