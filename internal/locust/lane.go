package locust

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
)

const (
	// insideBody is the largest body that goes to the script with its answer. A
	// larger one waits until the script looks at it.
	insideBody = 8 << 10
	// inboxRoom is how many messages may wait for a lane.
	inboxRoom = 32
)

// lane sends the requests of a session, one at a time: on a connection of its own.
// A session has as many as it sends requests at the same time. Only the lane's
// goroutine touches it, apart from in.
type lane struct {
	c      *child
	g      *group
	in     chan *message
	quit   chan struct{} // closed when nothing is taken from in any more
	ended  sync.Once     // of closing it
	s      *load.Session // nil: what it sends is not counted
	own    hit.Answer    // of a lane without a session
	sender *sender

	last  judgement             // the request that s has the answer to, while a verdict on it is awaited
	apart map[uint32]*judgement // earlier requests that wait for their verdicts
	body  *body                 // the latest one that was not inside its answer
	done  time.Time             // when the latest answer went to the script; zero: it was read as it came
	hops  []hop                 // redirects of the request under way

	streamed time.Duration // until the body of the latest began that was read as it came
}

func newLane(g *group) *lane {
	return &lane{c: g.c, g: g, in: make(chan *message, inboxRoom), quit: make(chan struct{})}
}

// stop lets the lane's goroutine end. Any goroutine may call it.
func (l *lane) stop() { l.ended.Do(func() { close(l.quit) }) }

// deliver gives the lane a message, or drops it when the lane has ended.
func (l *lane) deliver(m *message) {
	select {
	case l.in <- m:
	case <-l.quit:
		if m.kind == kindVerdict {
			l.c.judged.Add(1)
		}
	}
}

// longWait is how long a user has to have waited for the stack that sending needs
// to be worth less than the microsecond or two of doing it aside.
const longWait = 10 * time.Millisecond

// judgement is a request whose verdict is awaited while others are sent.
type judgement struct {
	id           uint32 // 0: none
	s            *load.Session
	method, name string
	why          string        // how it ended, as the script's statistics would say
	length       int64         // of the answer, for statistics; -1: that of its body
	took         time.Duration // 0: as the session has it
	ans          hit.Answer
}

// hop is a redirect that was followed.
type hop struct {
	Status  int     `json:"status"`
	URL     string  `json:"url"`
	Reason  string  `json:"reason"`
	Headers string  `json:"headers"`
	Elapsed float64 `json:"elapsed"`
	done    time.Time
	cookies bool
}

// take does what a message says. It reports whether the user has ended.
func (l *lane) take(ctx context.Context, m *message) (ended bool) {
	switch m.kind {
	case kindRequest:
		if m.came.Sub(l.done) < longWait {
			l.send(ctx, m)
		} else {
			load.Aside(func() { l.send(ctx, m) })
		}
	case kindVerdict:
		l.judge(m)
		l.c.judged.Add(1)
	case kindDrop:
		l.forget(m.id)
	case kindEnded:
		return true
	}
	return false
}

// send sends a request and answers the script.
func (l *lane) send(ctx context.Context, m *message) {
	l.c.lag(l, m)
	if l.last.id != 0 { // a verdict is awaited: it will come later
		l.detach()
	}
	if l.body != nil {
		if l.c.bodies.kept(l.body) { // the script may still look at it: its memory is not ours any more
			l.answer().Body = nil
		}
		l.body = nil
	}
	l.hops = l.hops[:0]
	l.sender.prepare(m, l)
	var ans *hit.Answer
	began := time.Now()
	l.sender.flow = nil
	if m.flags&flagStream != 0 {
		l.sender.flow = newFlow(l.c, m, func(ans *hit.Answer) { l.opened(m, ans, ans.FirstByte.Sub(began)) })
	}
	if l.s != nil {
		ans = l.s.Send(&m.req)
	} else {
		ans = &l.own
		ans.Reset()
		l.sender.Send(ctx, &m.req, ans)
	}
	if f := l.sender.flow; f != nil && f.began() {
		l.closed(m, ans)
		f.finish()
		l.c.free(m)
		return
	}
	if ans.Failure == hit.Interrupted {
		l.reply(m, ans, failure{text: "the run has ended"}, 0, false)
		return
	}
	took := ans.Done.Sub(began)
	if l.s != nil {
		took = l.s.Took()
	}
	length := int64(-1)
	if m.flags&flagStream != 0 && !ans.FirstByte.IsZero() { // as in Locust, without the body
		took = max(took-ans.Done.Sub(ans.FirstByte), 0)
		length = announced(ans)
		if l.s != nil {
			l.s.Restate("", took)
		}
	}
	fast := m.flags&flagFast != 0
	var f failure
	switch {
	case ans.Failure != hit.NoFailure:
		f = explain(ans, m.req.URL, l.target(m), patience(m, ans.Failure), fast)
	case failed(ans.Status, fast):
		f.text = statusText(ans, m.req.Name, fast)
	}
	if m.flags&flagVerdict != 0 {
		l.last = judgement{id: m.id, s: l.s, method: m.method, name: m.req.Name, why: f.text, length: length}
	} else {
		if l.s != nil {
			l.s.Settle()
		}
		if m.flags&flagUncounted == 0 {
			if length < 0 {
				length = l.size(ans)
			}
			l.c.b.record(m.method, m.req.Name, milliseconds(took), length, f.text, ans.Done)
		}
	}
	l.reply(m, ans, f, took, false)
}

// opened tells the script of an answer whose body it reads as it comes. Locust, too,
// counts such a request when its header block is there.
func (l *lane) opened(m *message, ans *hit.Answer, took time.Duration) {
	if m.flags&(flagVerdict|flagUncounted) == 0 {
		why := ""
		if fast := m.flags&flagFast != 0; failed(ans.Status, fast) {
			why = statusText(ans, m.req.Name, fast)
		}
		l.c.b.record(m.method, m.req.Name, milliseconds(took), announced(ans), why, ans.FirstByte)
	}
	l.streamed = took
	l.reply(m, ans, failure{}, took, true)
}

// closed is what is left to do for it when its body has come, or nobody wants the rest.
func (l *lane) closed(m *message, ans *hit.Answer) {
	if l.s != nil {
		l.s.Restate("", l.streamed)
	}
	if m.flags&flagVerdict != 0 {
		l.last = judgement{id: m.id, s: l.s, method: m.method, name: m.req.Name, length: announced(ans), took: l.streamed}
		if fast := m.flags&flagFast != 0; failed(ans.Status, fast) {
			l.last.why = statusText(ans, m.req.Name, fast)
		}
	} else if l.s != nil {
		l.s.Settle()
	}
	l.done = l.g.idle(l, false) // what the script does meanwhile is no lag
}

// announced is the length of a body as its header says, 0 when that does not.
func announced(ans *hit.Answer) int64 {
	v, ok := ans.Fields.Find("Content-Length")
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// size is what statistics have for the length of an answer.
func (l *lane) size(ans *hit.Answer) int64 {
	if ans.Failure != hit.NoFailure {
		return 0
	}
	return int64(len(ans.Body))
}

// patience is the time-out that ended a request, as the script set it.
func patience(m *message, f hit.Failure) time.Duration {
	if f == hit.ConnectTimeout {
		return m.tune.Connect
	}
	return m.tune.Read
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (l *lane) answer() *hit.Answer {
	if l.s != nil {
		return l.s.Answer()
	}
	return &l.own
}

// reply tells the script what came back. The request is over for the lane before
// the script can know, unless it is live: then its body is still to come.
func (l *lane) reply(m *message, ans *hit.Answer, f failure, took time.Duration, live bool) {
	var flags byte
	inside := ans.Body
	if !live && (len(ans.Body) > insideBody || m.flags&flagStream != 0 && len(ans.Body) > 0) {
		inside = nil
		l.body = l.c.bodies.put(m.id, m.user, ans.Body)
	} else {
		flags |= 1
	}
	var tail []byte
	if ans.Failure != hit.NoFailure || len(l.hops) > 0 {
		tail = l.tail(ans, f)
		flags |= 2
	}
	if len(ans.Body) > 0 && coded(ans) {
		flags |= 16
	}
	cookies := ans.Fields.Has("Set-Cookie")
	for i := range l.hops {
		cookies = cookies || l.hops[i].cookies
	}
	if cookies {
		flags |= 4
	}
	status, fail := ans.Status, ans.Failure
	if fail != hit.NoFailure {
		status = 0
	}
	elapsed, sent := 0.0, ans.Sent
	if !ans.FirstByte.IsZero() {
		if n := len(l.hops); n > 0 {
			sent = l.hops[n-1].done
		}
		elapsed = ans.FirstByte.Sub(sent).Seconds()
	}
	unix := 0.0
	if !ans.Sent.IsZero() {
		unix = float64(ans.Sent.UnixNano()) / 1e9
	}
	total := len(ans.Body)
	if live {
		inside, total = nil, 0
		flags = flags&^1 | 8
	} else {
		l.done = l.g.idle(l, true)
	}
	b := l.c.out.begin(kindAnswer, m.id)
	b = binary.LittleEndian.AppendUint16(b, uint16(status))
	b = append(b, byte(fail), flags)
	b = putFloat(b, elapsed)
	b = putFloat(b, milliseconds(took))
	b = putFloat(b, unix)
	b = binary.LittleEndian.AppendUint32(b, uint32(total))
	b = putText(b, string(ans.Phrase))
	b = putLong(b, []byte(ans.Fields))
	b = putLong(b, tail)
	b = putLong(b, inside)
	l.c.out.end(b)
	if !live {
		l.c.free(m)
	}
}

// coded tells whether a body is in a coding that the script's side may know.
func coded(ans *hit.Answer) bool {
	v, ok := ans.Fields.Find("Content-Encoding")
	return ok && (bytes.EqualFold(v, []byte("br")) || bytes.EqualFold(v, []byte("zstd")))
}

// target is the URL that a request ended at.
func (l *lane) target(m *message) string {
	if len(l.hops) > 0 {
		return l.sender.now.URL()
	}
	return m.req.URL
}

// tail is what few answers have.
func (l *lane) tail(ans *hit.Answer, f failure) []byte {
	t := struct {
		URL     string `json:"url,omitempty"`
		History []hop  `json:"history,omitempty"`
		Error   string `json:"error,omitempty"`
		Detail  string `json:"detail,omitempty"`
		Kind    string `json:"kind,omitempty"`
		Errno   int    `json:"errno,omitempty"`
	}{History: l.hops}
	if len(l.hops) > 0 {
		t.URL = l.sender.now.URL()
	}
	if ans.Failure != hit.NoFailure {
		t.Error, t.Errno, t.Detail, t.Kind = f.text, f.errno, ans.Err, ans.Failure.String()
	}
	b, err := json.Marshal(&t)
	if err != nil {
		return nil
	}
	return b
}

// redirected is target.Client.OnRedirect.
func (l *lane) redirected(url string, ans *hit.Answer) {
	from := ans.Sent
	if n := len(l.hops); n > 0 {
		from = l.hops[n-1].done
	}
	l.hops = append(l.hops, hop{
		Status: ans.Status, URL: url, Reason: latin1(ans.Phrase), Headers: latin1(ans.Fields),
		Elapsed: ans.FirstByte.Sub(from).Seconds(), done: ans.Done, cookies: ans.Fields.Has("Set-Cookie"),
	})
}

// detach puts the request whose verdict is awaited aside.
func (l *lane) detach() {
	if l.apart == nil {
		l.apart = map[uint32]*judgement{}
	}
	j := new(judgement)
	*j = l.last
	if l.s != nil {
		j.s = l.s.Detach()
	} else {
		j.ans = hit.Answer{Status: l.own.Status, Sent: l.own.Sent, Done: l.own.Done, Body: make([]byte, 0)}
	}
	l.apart[j.id] = j
	l.last.id = 0
}

// pending finds a request that waits for its verdict, which is taken.
func (l *lane) pending(id uint32) *judgement {
	if id == l.last.id && id != 0 {
		j := l.last
		if l.s == nil {
			j.ans = l.own
		}
		l.last.id = 0
		return &j
	}
	j := l.apart[id]
	delete(l.apart, id)
	return j
}

// judge takes the script's verdict on a request.
func (l *lane) judge(m *message) {
	defer l.c.free(m)
	j := l.pending(m.id)
	if j == nil {
		return
	}
	if m.name != "" {
		j.name = m.name
	}
	ans := &j.ans
	if j.s != nil {
		ans = j.s.Answer()
	}
	took := ans.Done.Sub(ans.Sent)
	if j.s != nil {
		took = j.s.Took()
	}
	if j.took > 0 {
		took = j.took
	}
	ms := milliseconds(took)
	if !math.IsNaN(m.took) {
		ms = m.took
	}
	length := j.length
	if length < 0 {
		length = l.size(ans)
	}
	if m.length >= 0 {
		length = m.length
	}
	why := ""
	switch m.verdict {
	case 1:
		why = m.text
		if why == "" {
			why = "CatchResponseError('')"
		}
	case 2:
		why = j.why
	}
	if j.s != nil {
		if m.verdict == 3 {
			j.s.Forget()
		} else {
			restated := time.Duration(-1)
			if !math.IsNaN(m.took) && !math.IsInf(m.took, 0) {
				restated = time.Duration(min(max(m.took, 0), 1e12) * float64(time.Millisecond))
			}
			j.s.Restate(m.name, restated)
			switch {
			case j.s.Outcome() == hit.Throttled: // what a limit refused is refused, whatever the script expects
			case m.verdict == 0:
				j.s.Mark(hit.Admitted, "")
			case m.verdict == 1:
				j.s.Mark(hit.Failed, plainText(why))
			}
			j.s.Settle()
		}
	}
	if m.verdict != 3 {
		l.c.b.record(j.method, j.name, ms, length, why, ans.Done)
	}
}

// forget takes that no verdict will come: the script's statistics do not have the
// request, Weir's have it as its answer says.
func (l *lane) forget(id uint32) {
	if j := l.pending(id); j != nil && j.s != nil {
		j.s.Settle()
	}
}

// leave ends a lane.
func (l *lane) leave() {
	l.forget(l.last.id)
	for id := range l.apart {
		l.forget(id)
	}
	if l.s != nil {
		l.s.Settle()
	}
}
