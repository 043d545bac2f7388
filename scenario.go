package weir

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
)

type sender = cli.ProgramSender

// scenario is the classes of a program, made ready for one run. It never
// changes, so any number of users share it.
type scenario struct {
	classes  []*class // of the run, in the order they were given in
	known    []string // names of all classes of the program
	profiles []pace.Profile
	whole    *cast // all of classes
	opts     cli.ProgramOptions
	loopback bool // requests stay on this machine

	wires sync.Map // user number → *wire, between senders and NewUser
}

// newScenario makes the scenario that the command line asks for.
func newScenario(declarations []Declaration, o cli.ProgramOptions, loopback bool) (*scenario, error) {
	sc := &scenario{opts: o, loopback: loopback}
	var made declared
	for _, c := range declarations {
		if c == nil {
			return nil, errors.New("a declaration is nil: want a Class or a Profile")
		}
		if err := c.declare(&made); err != nil {
			return nil, err
		}
	}
	sc.profiles = made.profiles
	names := map[string]bool{}
	known := map[string]bool{} // tags
	for _, k := range made.classes {
		if names[k.name] {
			return nil, fmt.Errorf("two classes are called %s", k.name)
		}
		names[k.name] = true
		sc.known = append(sc.known, k.name)
		k.set.collectTags(known)
		if o.Host != "" {
			k.host = strings.TrimRight(o.Host, "/")
		}
		if len(o.Classes) > 0 && !slices.Contains(o.Classes, k.name) {
			continue
		}
		if k.set = k.set.filter(o.Tags, o.ExcludeTags, nil); k.set != nil {
			sc.classes = append(sc.classes, k)
		}
	}
	for _, want := range o.Classes {
		if !names[want] {
			return nil, fmt.Errorf("there is no user class %s: there are %s", want, sorted(names))
		}
	}
	for _, t := range slices.Concat(o.Tags, o.ExcludeTags) {
		if !known[t] {
			return nil, fmt.Errorf("no task has the tag %q: there are %s", t, sorted(known))
		}
	}
	if len(names) == 0 {
		return nil, errors.New("there is no user class")
	}
	if len(sc.classes) == 0 {
		return nil, errors.New("the tags leave no task to run")
	}
	for _, k := range sc.classes {
		if err := k.checkHost(); err != nil {
			return nil, err
		}
		if k.host != "" {
			if err := sc.mayReach(k.host); err != nil {
				return nil, err
			}
		}
	}
	var err error
	sc.whole, err = sc.cast(sc.classes, o.Arrivals)
	return sc, err
}

// sorted lists what there is.
func sorted(set map[string]bool) string {
	if len(set) == 0 {
		return "none"
	}
	var names []string
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// mayReach refuses URLs of other machines where that was asked for.
func (sc *scenario) mayReach(raw string) error {
	if !sc.loopback {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("not a URL")
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not this machine: set Options.Remote to send there", host)
}

// hosts returns the hosts of the classes, each once.
func (sc *scenario) hosts() []string {
	var hosts []string
	for _, k := range sc.classes {
		if k.host != "" && !slices.Contains(hosts, k.host) {
			hosts = append(hosts, k.host)
		}
	}
	return hosts
}

// senders wraps what makes a plan's senders: every user gets cookies.
func (sc *scenario) senders(next func(int) (sender, error)) func(int) (load.Sender, error) {
	return func(id int) (load.Sender, error) {
		inner, err := next(id)
		if err != nil {
			return nil, err
		}
		w := newWire(inner)
		sc.wires.Store(id, w) // NewUser, which follows on the same goroutine, takes it
		return w, nil
	}
}

// wire is a user's sender with its cookies.
type wire struct {
	sender
	jar cookie.Jar
}

func newWire(s sender) *wire {
	w := &wire{sender: s}
	w.use()
	return w
}

// use makes the sender, which several wires may share, this one's.
func (w *wire) use() { w.SetJar(&w.jar) }

// Close is called by the engine when the user leaves.
func (w *wire) Close() error {
	if c, ok := w.sender.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
