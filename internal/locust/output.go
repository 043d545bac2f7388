package locust

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// What a script may print: so much at once, and so much each second. What is
// beyond it is counted and left out, because printing it would take the
// processor from the load.
const (
	printBurst = 32 << 20
	printRate  = 4 << 20
	lineRoom   = 64 << 10
)

// printer passes on what a script prints, in whole lines as long as they are not
// endless. Only its own goroutine uses it.
type printer struct {
	to    io.Writer
	lock  *sync.Mutex      // of to, which several write to
	now   func() time.Time // nil: the clock
	left  int64
	since time.Time
	lines int64 // left out
	told  time.Time
	note  func(text string)
	buf   []byte
	tail  []byte // the latest that came, for who asks why the script ended

	aside    sync.Mutex
	keeping  bool // what comes is kept for who asked for it
	captured []byte
}

// confessEvery is how often is told that something was left out.
const confessEvery = 5 * time.Second

// capture makes what comes be kept and not be passed on, or ends that and
// returns it. Any goroutine may call it.
func (p *printer) capture(on bool) string {
	p.aside.Lock()
	defer p.aside.Unlock()
	text := string(p.captured)
	p.keeping, p.captured = on, nil
	return text
}

// kept reports whether b was kept.
func (p *printer) kept(b []byte) bool {
	p.aside.Lock()
	defer p.aside.Unlock()
	if p.keeping && len(p.captured) < printBurst {
		p.captured = append(p.captured, b...)
	}
	return p.keeping
}

// tailRoom is how much of the end of what was printed is remembered.
const tailRoom = 4 << 10

func (p *printer) run(from io.Reader) {
	if p.now == nil {
		p.now = time.Now
	}
	p.left, p.since = printBurst, p.now()
	chunk := make([]byte, lineRoom)
	for {
		n, err := from.Read(chunk)
		if n > 0 {
			p.add(chunk[:n])
		}
		if err != nil {
			p.flush()
			p.confess(time.Time{})
			return
		}
	}
}

func (p *printer) add(b []byte) {
	if p.kept(b) {
		return
	}
	p.tail = append(p.tail, b...)
	if len(p.tail) > 2*tailRoom {
		p.tail = append(p.tail[:0], p.tail[len(p.tail)-tailRoom:]...)
	}
	p.buf = append(p.buf, b...)
	end := bytes.LastIndexByte(p.buf, '\n') + 1
	if end == 0 && len(p.buf) < lineRoom {
		return
	}
	if end == 0 {
		end = len(p.buf)
	}
	p.write(p.buf[:end])
	p.buf = append(p.buf[:0], p.buf[end:]...)
}

func (p *printer) flush() {
	if len(p.buf) > 0 {
		p.write(p.buf)
		p.buf = nil
	}
}

func (p *printer) write(b []byte) {
	now := p.now()
	p.left = min(p.left+int64(now.Sub(p.since).Seconds()*printRate), printBurst)
	p.since = now
	if p.left < int64(len(b)) {
		p.lines += int64(bytes.Count(b, []byte("\n")))
		return
	}
	p.confess(now)
	p.left -= int64(len(b))
	if p.to == nil {
		return
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	_, _ = p.to.Write(b) // a reader that left is its own business
}

// confess tells what was left out, not too often; at the end without a time.
func (p *printer) confess(now time.Time) {
	if p.lines > 0 && (now.IsZero() || now.Sub(p.told) >= confessEvery) {
		p.note(fmt.Sprintf("%d lines that the script printed were left out: it prints more than %d MB a second", p.lines, printRate>>20))
		p.lines, p.told = 0, now
	}
}
