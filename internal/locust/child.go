package locust

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// child is one interpreter and the channel to it.
type child struct {
	b     *Bridge
	index int
	cmd   *exec.Cmd
	conn  net.Conn
	out   *outbox
	ctx   context.Context // until the end of the bridge
	hello hello
	said  chan struct{} // closed when hello has come

	bodies *bodies
	flows  flows
	spare  sync.Pool // of *message

	mu       sync.Mutex
	groups   map[uint64]*group // by user and session
	waiting  map[uint32]*lane  // by request, for a verdict
	calls    map[uint32]chan json.RawMessage
	nextCall uint32

	dispatched atomic.Int64 // verdicts that came
	judged     atomic.Int64 // of them, those that were recorded

	home   string // the folder of the Python side
	token  string // by which its processes are known
	stderr *printer
	deaf   atomic.Bool            // it has not answered for a while
	stuck  atomic.Pointer[string] // what it does meanwhile; nil: nothing that is known
	mute   atomic.Bool            // an event was given up because of that
	told   atomic.Bool            // that, as an error of the script
	reason error                  // why it is about to be killed; guarded by mu

	gone   chan struct{} // closed when the interpreter is no longer heard
	ending atomic.Bool   // it was told to end
	exited chan struct{} // closed when the process has ended; state is set
	err    error         // why it is gone; set before gone is closed
	words  []byte        // the end of what it said on stderr; set before exited is closed
}

// hello is what an interpreter says first.
type hello struct {
	Protocol int    `json:"protocol"`
	Python   string `json:"python"`
	PID      int    `json:"pid"`
}

func newChild(b *Bridge, index int) *child {
	return &child{
		b: b, index: index, ctx: b.ctx, said: make(chan struct{}), bodies: newBodies(),
		groups: map[uint64]*group{}, waiting: map[uint32]*lane{}, calls: map[uint32]chan json.RawMessage{},
		gone: make(chan struct{}), exited: make(chan struct{}),
	}
}

// talk begins the conversation on an open channel.
func (c *child) talk(conn net.Conn) {
	c.conn, c.out = conn, newOutbox(conn)
	go func() { _ = c.out.run() }() // the reader learns of a broken channel, too
	go c.listen()
}

// listen reads frames until the channel ends.
func (c *child) listen() {
	f := newFrames(c.conn)
	mem := newMemory()
	var err error
	for err == nil {
		var kind byte
		var id uint32
		var payload []byte
		if kind, id, payload, err = f.next(); err == nil {
			err = c.dispatch(kind, id, payload, mem)
		}
	}
	if errors.Is(err, errFrame) || errors.Is(err, errRequest) {
		c.err = err
	}
	_ = c.conn.Close() // an interpreter that lives on learns it
	c.out.close()
	close(c.gone)
	c.flows.leave(func(*flow) bool { return true })
	c.b.lost(c)
}

// dispatch does what a frame says. It must not wait for anything that takes long.
func (c *child) dispatch(kind byte, id uint32, payload []byte, mem *memory) error {
	switch kind {
	case kindRequest:
		return c.request(id, payload, mem)
	case kindVerdict:
		m := c.message()
		if err := m.fillVerdict(payload, id, mem); err != nil {
			return err
		}
		c.verdict(m)
	case kindDrop:
		for ; len(payload) >= 4; payload = payload[4:] {
			c.drop(binary.LittleEndian.Uint32(payload))
		}
	case kindBody:
		c.text(id, payload)
	case kindCookies:
		c.cookies(id, payload)
	case kindEnded:
		k := cursor{b: payload}
		user, why, text := k.u32(), k.u8(), string(k.long())
		if k.bad {
			return errRequest
		}
		c.ended(user, why, text)
	case kindSample:
		c.b.sample(payload)
	case kindProblem:
		c.b.problem(payload)
	case kindReply:
		c.mu.Lock()
		to := c.calls[id]
		delete(c.calls, id)
		c.mu.Unlock()
		if to != nil {
			to <- append(json.RawMessage(nil), payload...)
		}
	case kindCall:
		c.b.called(c, id, append([]byte(nil), payload...))
	case kindHello:
		if c.hello.Protocol != 0 {
			return fmt.Errorf("%w: it said hello twice", errFrame)
		}
		if err := json.Unmarshal(payload, &c.hello); err != nil || c.hello.Protocol != 1 {
			return fmt.Errorf("%w: its greeting is not understood", errFrame)
		}
		close(c.said)
	default:
		return fmt.Errorf("%w: a frame of the unknown kind %q", errFrame, kind)
	}
	return nil
}

func (c *child) message() *message {
	if m, ok := c.spare.Get().(*message); ok {
		return m
	}
	return new(message)
}

// free gives a message back, whose memory may be used again.
func (c *child) free(m *message) {
	if cap(m.body) > insideBody {
		m.body = nil
	}
	c.spare.Put(m)
}

func (c *child) request(id uint32, payload []byte, mem *memory) error {
	var w wire
	if err := w.parse(payload); err != nil {
		return err
	}
	m := c.message()
	m.fill(&w, id, mem)
	m.came = time.Now()
	g := c.group(w.user, w.session, true)
	var l *lane
	if g != nil {
		l = g.choose(w.flags&flagUncounted == 0)
	}
	if l == nil {
		c.refuse(m)
		return nil
	}
	if w.flags&flagVerdict != 0 {
		c.mu.Lock()
		c.waiting[id] = l
		c.mu.Unlock()
	}
	l.deliver(m)
	return nil
}

// group returns the lanes of a session, which is made if need be. nil: its user
// has ended.
func (c *child) group(user, session uint32, make bool) *group {
	key := uint64(user) << 32
	if session != 0 { // its number is enough
		key = uint64(nobody)<<32 | uint64(session)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[key]
	if g == nil && make && (session != 0 || user == nobody) {
		id := -1
		if owner := c.groups[uint64(user)<<32]; owner != nil && user != nobody {
			id = owner.id
		}
		g = newGroup(c, user, id)
		c.groups[key] = g
	}
	return g
}

// enrol makes the group of a user who is about to start.
func (c *child) enrol(user uint32, id int) *group {
	g := newGroup(c, user, id)
	g.main = newLane(g)
	c.mu.Lock()
	c.groups[uint64(user)<<32] = g
	c.mu.Unlock()
	return g
}

// dismiss forgets a user, its sessions and what they keep.
func (c *child) dismiss(user uint32) {
	c.mu.Lock()
	var theirs []*group
	for key, g := range c.groups {
		if g.user == user {
			theirs = append(theirs, g)
			delete(c.groups, key)
		}
	}
	c.mu.Unlock()
	for _, g := range theirs {
		g.close()
	}
	c.bodies.dropUser(user)
	c.flows.leave(func(f *flow) bool { return f.user == user })
}

func (c *child) closeSession(session uint32) {
	if session == 0 {
		return
	}
	key := uint64(nobody)<<32 | uint64(session)
	c.mu.Lock()
	g := c.groups[key]
	delete(c.groups, key)
	c.mu.Unlock()
	if g != nil {
		g.close()
	}
}

// refuse answers a request that is not sent.
func (c *child) refuse(m *message) {
	b := c.out.begin(kindAnswer, m.id)
	b = append(b, 0, 0, byte(hit.Interrupted), 1) // complete
	b = append(b, make([]byte, 3*8+4+2+4+4+4)...)
	c.out.end(b)
	c.free(m)
}

func (c *child) verdict(m *message) {
	c.mu.Lock()
	l := c.waiting[m.id]
	delete(c.waiting, m.id)
	c.mu.Unlock()
	if l == nil {
		c.free(m)
		return
	}
	c.dispatched.Add(1)
	l.deliver(m)
}

// drop takes that the script no longer needs an answer.
func (c *child) drop(id uint32) {
	c.bodies.drop(id)
	c.flows.end(id)
	c.mu.Lock()
	l := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if l != nil {
		m := c.message()
		m.kind, m.id = kindDrop, id
		l.deliver(m)
	}
}

// text answers a script that looks at a body.
func (c *child) text(id uint32, payload []byte) {
	k := cursor{b: payload}
	n, given := uint32(0), len(payload) > 0
	if given {
		n = k.u32()
	}
	if f := c.flows.get(id); f != nil {
		if !given {
			n = everything
		}
		f.ask(n)
		return
	}
	c.out.end(c.bodies.appendPart(c.out.begin(kindText, id), id, int(min(n, maxFrame))))
}

// ended takes that a user has ended.
func (c *child) ended(user uint32, why byte, text string) {
	c.mu.Lock()
	g := c.groups[uint64(user)<<32]
	c.mu.Unlock()
	if g == nil || g.main == nil {
		return
	}
	c.flows.leave(func(f *flow) bool { return f.user == user }) // its lane may be at one
	m := c.message()
	m.kind, m.why, m.text = kindEnded, why, text
	g.main.deliver(m)
}

// reply answers a call with JSON.
func (c *child) reply(kind byte, id uint32, answer any) {
	if id == 0 {
		return
	}
	b, err := json.Marshal(answer)
	if err != nil {
		b = []byte(`{"error":"the answer cannot be written"}`)
	}
	c.out.send(kind, id, b)
}

// ask sends a frame and waits for its answer.
func (c *child) ask(ctx context.Context, kind byte, question any) (json.RawMessage, error) {
	b, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	answer := make(chan json.RawMessage, 1)
	c.mu.Lock()
	c.nextCall++
	id := c.nextCall
	c.calls[id] = answer
	c.mu.Unlock()
	c.out.send(kind, id, b)
	select {
	case a := <-answer:
		return a, nil
	case <-c.gone:
		select {
		case a := <-answer:
			return a, nil
		default:
		}
		return nil, errGone
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
		return nil, ctx.Err()
	}
}

var errGone = errors.New("the script's interpreter has ended")

// tell sends an event that needs no answer.
func (c *child) tell(event any) {
	b, err := json.Marshal(event)
	if err != nil {
		return
	}
	c.out.send(kindNotify, 0, b)
}
