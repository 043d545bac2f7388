package weir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/crowd"
	"github.com/weir-dev/weir/internal/load"
)

type sender = cli.ProgramSender

// scenario is the classes of a program, made ready for one run. It never
// changes, so any number of users share it.
type scenario struct {
	classes  []*class // of the run, in the order they were given in
	staff    *crowd.Staff
	opts     cli.ProgramOptions
	loopback bool // requests stay on this machine

	arrivals atomic.Int64
	wires    sync.Map // user number → *wire, between senders and NewUser
}

// newScenario makes the scenario that the command line asks for.
func newScenario(classes []UserClass, o cli.ProgramOptions, loopback bool) (*scenario, error) {
	sc := &scenario{opts: o, loopback: loopback}
	names := map[string]bool{}
	known := map[string]bool{} // tags
	for _, c := range classes {
		k, err := c.build()
		if err != nil {
			return nil, err
		}
		if names[k.name] {
			return nil, fmt.Errorf("two classes are called %s", k.name)
		}
		names[k.name] = true
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
	var shares []crowd.Share
	for _, k := range sc.classes {
		if k.fixed > 0 && o.Arrivals {
			return nil, fmt.Errorf("class %s has a FixedCount, which counts users; with an arrival rate give it a Weight", k.name)
		}
		if err := k.checkHost(); err != nil {
			return nil, err
		}
		if k.host != "" {
			if err := sc.mayReach(k.host); err != nil {
				return nil, err
			}
		}
		shares = append(shares, crowd.Share{Weight: k.weight, Fixed: k.fixed})
	}
	sc.staff = crowd.New(shares)
	return sc, nil
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

// senders wraps what makes a plan's senders: every user gets cookies, and says
// good-bye (OnStop) before its connection is closed.
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

// wire is a user's sender, its cookies, and what has to be done before it closes.
type wire struct {
	sender
	jar   cookie.Jar
	leave func() // nil: nothing
}

func newWire(s sender) *wire {
	w := &wire{sender: s}
	w.use()
	return w
}

// use makes the sender, which several wires may share, this one's.
func (w *wire) use() { w.SetJar(&w.jar) }

// Close is called by the engine when the user leaves.
func (w *wire) Close() (err error) {
	defer func() {
		if c, ok := w.sender.(io.Closer); ok {
			err = c.Close()
		}
	}()
	if leave := w.leave; leave != nil {
		w.leave = nil
		leave()
	}
	return nil
}

// NewUser makes a user of the class that belongs to id and runs its OnStart.
func (sc *scenario) NewUser(id int, s *load.Session) (load.User, error) {
	v, ok := sc.wires.LoadAndDelete(id)
	if !ok {
		return nil, errors.New("the plan's senders do not come from the scenario")
	}
	w := v.(*wire)
	if sc.opts.Arrivals && len(sc.classes) > 1 {
		return &mixture{sc: sc, s: s, wire: w}, nil
	}
	u := sc.newUser(sc.classes[sc.staff.User(id)], s, w)
	w.leave = u.leave
	if err := u.start(); err != nil {
		w.leave = nil
		return nil, err
	}
	return iterant{u}, nil
}

// mixture is a user of the open model when there are several classes: it has one
// self in each of them, with cookies and state of its own, and each arrival is
// taken by the self whose turn it is in the mixture of all arrivals.
type mixture struct {
	sc    *scenario
	s     *load.Session
	wire  *wire
	selfs []*User // by class; nil before the first turn
}

// Iterate runs one task of the class whose turn it is.
func (m *mixture) Iterate(ctx context.Context) (time.Duration, error) {
	i := m.sc.staff.Arrival(m.sc.arrivals.Add(1) - 1)
	if m.selfs == nil {
		m.selfs = make([]*User, len(m.sc.classes))
		m.wire.leave = m.leave
	}
	u := m.selfs[i]
	if u == nil {
		u = m.sc.newUser(m.sc.classes[i], m.s, newWire(m.wire.sender))
		if err := u.start(); err != nil {
			return 0, err
		}
		u.release()
		m.selfs[i] = u
	}
	u.wire.use()
	_, err := iterant{u}.Iterate(ctx)
	u.release() // the session's answer, which is the next self's
	return 0, err
}

func (m *mixture) leave() {
	for _, u := range m.selfs {
		if u != nil {
			u.wire.use()
			u.leave()
		}
	}
}

func (sc *scenario) log(line string) {
	if sc.opts.Log != nil {
		sc.opts.Log(line)
	}
}
