package locust

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/target"
)

// peer is a script's side of a channel, written in Go: what Python does, without
// Python.
type peer struct {
	t    *testing.T
	b    *Bridge
	conn net.Conn
	out  *outbox

	mu      sync.Mutex
	next    uint32
	answers map[uint32]chan []byte
	events  []string
	notes   []Event

	user func(p *peer, number uint32, class uint16, leave <-chan struct{})
	on   func(p *peer, event map[string]any) any // answers an event; nil: {}
	ask  map[uint32]chan struct{}                // closed when a user is to leave
}

// newPeer makes a bridge with one interpreter that is p.
func newPeer(t *testing.T, l *Loaded, user func(p *peer, number uint32, class uint16, leave <-chan struct{})) *peer {
	t.Helper()
	p := &peer{t: t, answers: map[uint32]chan []byte{}, ask: map[uint32]chan struct{}{}, user: user}
	if l.Options == nil {
		l.Options = map[string]any{}
	}
	b := &Bridge{loaded: l}
	b.opts = Config{Book: book.New(time.Now()), Notify: func(e Event) {
		p.mu.Lock()
		p.notes = append(p.notes, e)
		p.mu.Unlock()
	}}
	b.ctx, b.cancel = context.WithCancel(t.Context())
	b.crew.init()
	b.crew.classes = l.Classes
	targets, err := NewTargets(target.Options{Proxy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	b.Serve(targets)
	ours, theirs := net.Pipe()
	c := newChild(b, 0)
	b.children = []*child{c}
	c.talk(ours)
	p.b, p.conn, p.out = b, theirs, newOutbox(theirs)
	go func() { _ = p.out.run() }()
	go p.listen()
	hello, _ := json.Marshal(hello{Protocol: 1, Python: "3.11.7"})
	p.out.send(kindHello, 0, hello)
	t.Cleanup(func() { b.Close(); targets.Close() })
	return p
}

func (p *peer) listen() {
	f := newFrames(p.conn)
	for {
		kind, id, payload, err := f.next()
		if err != nil {
			p.mu.Lock()
			for id, ch := range p.answers {
				close(ch)
				delete(p.answers, id)
			}
			p.mu.Unlock()
			return
		}
		switch kind {
		case kindUsers:
			k := cursor{b: payload}
			number, class := k.u32(), k.u16()
			leave := make(chan struct{})
			p.mu.Lock()
			p.ask[number] = leave
			p.mu.Unlock()
			go p.user(p, number, class, leave)
		case kindLeave, kindKill:
			number := binary.LittleEndian.Uint32(payload)
			p.mu.Lock()
			if ch := p.ask[number]; ch != nil {
				close(ch)
				delete(p.ask, number)
			}
			p.mu.Unlock()
		case kindNotify:
			var event map[string]any
			_ = json.Unmarshal(payload, &event)
			p.mu.Lock()
			p.events = append(p.events, event["event"].(string))
			p.mu.Unlock()
			var answer any
			if p.on != nil {
				answer = p.on(p, event)
			}
			if answer == nil {
				answer = map[string]any{}
			}
			if b, err := json.Marshal(answer); err == nil && id != 0 {
				p.out.send(kindReply, id, b)
			}
		default:
			p.mu.Lock()
			ch := p.answers[id]
			delete(p.answers, id)
			p.mu.Unlock()
			if ch != nil {
				ch <- append([]byte(nil), payload...)
			}
		}
	}
}

// ended says that a user has ended.
func (p *peer) ended(number uint32, why byte) {
	b := binary.LittleEndian.AppendUint32(nil, number)
	p.out.send(kindEnded, 0, putLong(append(b, why), ""))
}

func (p *peer) call(kind byte, id uint32, payload []byte) []byte {
	ch := make(chan []byte, 1)
	p.mu.Lock()
	if id == 0 {
		p.next++
		id = p.next
	}
	p.answers[id] = ch
	p.mu.Unlock()
	p.out.send(kind, id, payload)
	select {
	case b := <-ch:
		return b
	case <-time.After(2 * time.Minute):
		p.t.Errorf("no answer to frame %c", kind)
		return nil
	}
}

// ask1 asks with JSON.
func (p *peer) json(kind byte, question any) map[string]any {
	b, _ := json.Marshal(question)
	var answer map[string]any
	if raw := p.call(kind, 0, b); json.Unmarshal(raw, &answer) != nil {
		p.t.Errorf("the answer to %s is %q", b, raw)
	}
	return answer
}

// sent is a request of a script.
type sent struct {
	user, session uint32
	flags         uint16
	rested        float64
	connect, read uint32
	method, name  string
	url, header   string
	body          string
}

func (r *sent) payload() []byte {
	b := binary.LittleEndian.AppendUint32(nil, r.user)
	b = binary.LittleEndian.AppendUint32(b, r.session)
	b = binary.LittleEndian.AppendUint16(b, r.flags)
	b = putFloat(b, r.rested)
	b = binary.LittleEndian.AppendUint32(b, r.connect)
	b = binary.LittleEndian.AppendUint32(b, r.read)
	b = append(append(b, byte(len(r.method))), r.method...)
	b = putText(b, r.name)
	b = putLong(b, r.url)
	b = putLong(b, r.header)
	return putLong(b, r.body)
}

// came is an answer as the script gets it.
type came struct {
	id              uint32
	status          uint16
	failure, flags  byte
	elapsed, ms, at float64
	total           uint32
	reason, header  string
	tail            map[string]any
	body            string
}

func (p *peer) send(r sent) came {
	p.mu.Lock()
	p.next++
	id := p.next
	p.mu.Unlock()
	raw := p.call(kindRequest, id, r.payload())
	k := cursor{b: raw}
	a := came{id: id, status: k.u16(), failure: k.u8(), flags: k.u8(), elapsed: k.f64(), ms: k.f64(), at: k.f64(), total: k.u32(),
		reason: string(k.text()), header: string(k.long())}
	tail := k.long()
	a.body = string(k.long())
	if k.bad || len(k.b) > 0 {
		p.t.Errorf("the answer is malformed: %q", raw)
	}
	if len(tail) > 0 {
		if err := json.Unmarshal(tail, &a.tail); err != nil {
			p.t.Errorf("the tail %q: %v", tail, err)
		}
	}
	return a
}

func (p *peer) verdict(id uint32, verdict byte, name string, ms float64, length int64, text string) {
	b := putFloat(putText([]byte{verdict}, name), ms)
	b = binary.LittleEndian.AppendUint64(b, uint64(length))
	p.out.send(kindVerdict, id, putLong(b, text))
}

// outcome is what became of a run.
type outcome struct {
	result load.Result
	err    error
	totals tally.Totals
}

// run runs the engine with that many users.
func (p *peer) run(change func(*load.Plan)) outcome {
	p.t.Helper()
	sc, err := p.b.Scenario(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	plan := load.Plan{Scenario: sc, NewSender: p.b.NewSender, Users: pace.Users(1, pace.Rate{}), StopTimeout: 10 * time.Second}
	if change != nil {
		change(&plan)
	}
	e, err := load.New(plan)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.b.Begin(p.t.Context(), e, Aim{Users: plan.Users.Max()}); err != nil {
		p.t.Fatal(err)
	}
	var o outcome
	o.result, o.err = e.Run(p.t.Context(), func(k *tally.Tick) { o.totals.Add(k) })
	p.b.End()
	return o
}

var notANumber = math.NaN()

// one is a script with one class.
func one() *Loaded { return &Loaded{Classes: []Class{{Name: "U", Weight: 1}}} }
