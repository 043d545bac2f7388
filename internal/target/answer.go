package target

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// head is what a status line and a header block mean for reading the rest.
type head struct {
	status  int
	minor   byte // of the version: 0 or 1
	close   bool // Connection: close
	keep    bool // Connection: keep-alive
	chunked bool
	length  int64 // Content-Length; -1 when absent
	zeroes  bool  // Content-Length was written with leading zeroes
	framing bool  // the field last read decides where the body ends, so it must not be folded
	idle    time.Duration
	reason  int // length of the reason phrase, at the end of the status line
	text    int // where the status line ends, from k.r
	start   int // of the header block, from k.r
	stop    int // of the empty line after it
}

// persistent tells whether the connection stays open after this answer.
func (h *head) persistent() bool {
	return !h.close && (h.minor > 0 || h.keep) && h.status != 101
}

// bodyless: such an answer ends with its header block, RFC 9112 §6.3 rule 1.
func (h *head) bodyless(method string) bool {
	return method == "HEAD" || h.status < 200 || h.status == 204 || h.status == 304
}

// readHead reads a status line and a header block of at most room bytes
// together, and returns where they end, from k.r. Nothing is consumed.
//
// A line may end with a bare LF and may be folded, as RFC 9112 §2.2 and §5.2
// allow a client to accept; whatever else is not HTTP/1.0 or 1.1 is a fault.
// first is set to the instant at which the first bytes were there, unless it is set.
func (k *conn) readHead(h *head, room int, first *time.Time) (end int, f *fault) {
	*h = head{length: -1}
	line, scan := 0, 0 // where the line begins, and where its end is looked for, from k.r
	for lines := 0; ; {
		i := bytes.IndexByte(k.buf[k.r+scan:k.w], '\n')
		if i < 0 {
			if f := k.foreign(); f != nil {
				return 0, f
			}
			scan = k.w - k.r
			if scan >= room {
				return 0, faultf(hit.AnswerTooLarge, "the header block is larger than %d bytes", room)
			}
			if err := k.more(); err != nil {
				return 0, k.readFault(err, "in the header block")
			}
			if first.IsZero() {
				*first = time.Now()
			}
			continue
		}
		next := scan + i + 1
		if next > room {
			return 0, faultf(hit.AnswerTooLarge, "the header block is larger than %d bytes", room)
		}
		text := k.buf[k.r+line : k.r+next-1]
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text = text[:n-1]
		}
		switch {
		case lines == 0:
			if f := h.statusLine(text); f != nil {
				return 0, f
			}
			h.start, h.text, h.reason = next, line+len(text), max(len(text)-13, 0)
		case len(text) == 0:
			h.stop = line
			return next, h.sane()
		default:
			if f := h.field(text, lines == 1); f != nil {
				return 0, f
			}
		}
		lines++
		line, scan = next, next
	}
}

// more reads more bytes behind those that are in the buffer, making room first.
func (k *conn) more() error {
	switch {
	case k.w < len(k.buf):
	case k.r > 0:
		k.w = copy(k.buf, k.buf[k.r:k.w])
		k.r = 0
	case len(k.buf) < bigBuffer:
		k.widen()
	default:
		k.grow(make([]byte, 2*len(k.buf)))
	}
	return k.fill()
}

const protocol = "HTTP/1."

// foreign recognises another protocol by its first bytes, so that nobody waits
// for a line end that never comes.
func (k *conn) foreign() *fault {
	b := k.buf[k.r:k.w]
	n := min(len(b), len(protocol))
	if n == 1 && b[0] == tlsAlert {
		return nil // the next byte tells whether it is one
	}
	if string(b[:n]) != protocol[:n] {
		return notHTTP(b)
	}
	return nil
}

// tlsAlert is the type of a TLS record with an alert, RFC 8446 §5.1; the
// version that follows it begins with 3.
const tlsAlert = 0x15

func notHTTP(b []byte) *fault {
	switch {
	case len(b) > 1 && b[0] == tlsAlert && b[1] == 3:
		return faultf(hit.BadAnswer, "the answer is not HTTP/1, but a TLS alert; it speaks TLS: use https://")
	case len(b) == 0 || b[0] == '\r':
		return faultf(hit.BadAnswer, "the answer is not HTTP/1: it begins with an empty line")
	}
	return faultf(hit.BadAnswer, "the answer is not HTTP/1: it begins with %s", escape(b))
}

// statusLine reads "HTTP/1.1 200 OK", RFC 9112 §4.
func (h *head) statusLine(b []byte) *fault {
	if len(b) < len(protocol) || string(b[:len(protocol)]) != protocol {
		return notHTTP(b)
	}
	if len(b) < 12 || b[7] < '0' || b[7] > '9' || b[8] != ' ' || len(b) > 12 && b[12] != ' ' || hasControl(b) {
		return faultf(hit.BadAnswer, "the status line is malformed: %s", escape(b))
	}
	for _, c := range b[9:12] {
		if c < '0' || c > '9' {
			return faultf(hit.BadAnswer, "the status line is malformed: %s", escape(b))
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 {
		return faultf(hit.BadAnswer, "status %s does not exist", b[9:12])
	}
	if b[7] > '0' {
		h.minor = 1
	}
	return nil
}

// field reads one line of the header block; initial says that it is the first.
func (h *head) field(b []byte, initial bool) *fault {
	if b[0] == ' ' || b[0] == '\t' {
		if initial || h.framing || hasControl(b) {
			return faultf(hit.BadAnswer, "a header line is folded where it must not be: %s", escape(b))
		}
		return nil
	}
	n := fieldName(b)
	if n == 0 || hasControl(b[n:]) {
		return faultf(hit.BadAnswer, "a header line is malformed: %s", escape(b))
	}
	h.framing = false
	name := b[:n]
	switch n {
	case 10:
		if equalFold(name, "connection") {
			h.framing = true
			h.connection(trim(b[n+1:]))
		} else if equalFold(name, "keep-alive") {
			h.idle = keepAliveTimeout(b[n+1:])
		}
	case 14:
		if equalFold(name, "content-length") {
			h.framing = true
			return h.contentLength(trim(b[n+1:]))
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			h.framing = true
			if v := trim(b[n+1:]); h.chunked || !equalFold(v, "chunked") {
				return faultf(hit.BadAnswer, "the transfer coding %s is not supported, only chunked is", escape(v))
			}
			h.chunked = true
		}
	}
	return nil
}

// fieldName returns the length of the name before the colon, 0 when there is none.
func fieldName(b []byte) int {
	for i, c := range b {
		if !tokenBytes[c] {
			if c == ':' {
				return i
			}
			return 0
		}
	}
	return 0
}

func (h *head) contentLength(v []byte) *fault {
	n := int64(0)
	if len(v) == 0 {
		n = -1
	}
	for _, c := range v {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			n = -1
			break
		}
		n = n*10 + int64(c-'0')
	}
	if n < 0 {
		return faultf(hit.BadAnswer, "Content-Length is not a length: %s", escape(v))
	}
	zeroes := len(v) > 1 && v[0] == '0'
	if h.length >= 0 && (h.length != n || h.zeroes || zeroes) {
		return faultf(hit.BadAnswer, "two Content-Length fields differ: %d and %s", h.length, escape(v))
	}
	h.length, h.zeroes = n, zeroes
	return nil
}

func (h *head) connection(v []byte) {
	for len(v) > 0 {
		one := v
		if i := bytes.IndexByte(v, ','); i >= 0 {
			one, v = v[:i], v[i+1:]
		} else {
			v = nil
		}
		one = trim(one)
		h.close = h.close || equalFold(one, "close")
		h.keep = h.keep || equalFold(one, "keep-alive")
	}
}

// sane rejects what contradicts itself, and settles what RFC 9112 §6.1 and §6.3
// rule 3 settle: Transfer-Encoding wins over Content-Length, but such a
// connection is not trusted any further.
func (h *head) sane() *fault {
	if !h.chunked {
		return nil
	}
	if h.minor == 0 {
		return faultf(hit.BadAnswer, "an HTTP/1.0 answer has Transfer-Encoding, which HTTP/1.0 does not know")
	}
	if h.length >= 0 {
		h.length, h.close = -1, true
	}
	return nil
}

// keepAliveTimeout reads N in "timeout=N, max=M", how long the server says it
// keeps an idle connection. We let go a little earlier than it does.
func keepAliveTimeout(v []byte) time.Duration {
	const key = "timeout="
	for i := 0; i+len(key) < len(v); i++ {
		if !equalFold(v[i:i+len(key)], key) {
			continue
		}
		n := 0
		for _, c := range v[i+len(key):] {
			if c < '0' || c > '9' || n > 1e6 {
				break
			}
			n = n*10 + int(c-'0')
		}
		d := time.Duration(n) * time.Second
		return d - min(d/2, 500*time.Millisecond)
	}
	return 0
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// hasControl tells whether b has a byte that no header line may have: anything
// below space except tab, or DEL. Eight bytes are looked at together.
func hasControl(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*ones
		// Subtle: either term may also hold for a harmless neighbour of a real
		// control byte or for tab, so a hit is looked at byte by byte.
		if (x-0x20*ones)&^x&highs != 0 || (del-ones)&^del&highs != 0 {
			for _, c := range b[:8] {
				if isControl(c) {
					return true
				}
			}
		}
		b = b[8:]
	}
	for _, c := range b {
		if isControl(c) {
			return true
		}
	}
	return false
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
