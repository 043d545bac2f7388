package target

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"github.com/weir-dev/weir/internal/hit"
)

// maxChunkLine bounds the line with a chunk's size, extensions included.
const maxChunkLine = 1 << 10

// sink takes a body: it keeps the beginning and drops the rest.
type sink struct {
	kept  []byte
	limit int   // bytes to keep
	cut   bool  // something was dropped
	left  int64 // bytes still allowed on the wire
	most  int64 // bytes allowed at first, for the fault

	pieces Pieces // who takes the body while it comes; nil: nobody
}

func (s *sink) take(b []byte) {
	s.cut = s.cut || len(b) > s.limit-len(s.kept)
	if room := s.limit - len(s.kept); room > 0 {
		s.kept = append(s.kept, b[:min(room, len(b))]...)
	}
	if s.pieces != nil && len(b) > 0 {
		s.pieces.Piece(b)
	}
}

// whole tells whether all that was taken was kept.
func (s *sink) whole() bool { return !s.cut }

// spend counts n bytes against the bound.
func (s *sink) spend(n int) *fault {
	if s.left -= int64(n); s.left < 0 {
		return s.tooLarge()
	}
	return nil
}

func (s *sink) tooLarge() *fault {
	return faultf(hit.AnswerTooLarge, "the body is larger than %d bytes", s.most)
}

// readBody reads the body that h announces to a request with this method.
// whole tells whether its end was marked, so that the connection can be used again.
func (k *conn) readBody(h *head, method string, s *sink) (whole bool, f *fault) {
	switch {
	case h.bodyless(method):
		return true, nil
	case h.chunked:
		return true, k.readChunked(s)
	case h.length >= 0:
		if h.length > s.left {
			return true, s.tooLarge()
		}
		return true, k.readExactly(h.length, s)
	}
	return false, k.readToEnd(s)
}

// readExactly passes the next n bytes to s; they are not counted against its bound.
func (k *conn) readExactly(n int64, s *sink) *fault {
	if n-int64(k.w-k.r) > bigBuffer/4 {
		k.widen()
	}
	for n > 0 {
		if k.r == k.w {
			k.r, k.w = 0, 0
			if err := k.fill(); err != nil {
				return k.readFault(err, "in the body")
			}
		}
		have := int(min(int64(k.w-k.r), n))
		s.take(k.buf[k.r : k.r+have])
		k.r += have
		n -= int64(have)
	}
	return nil
}

func (k *conn) readToEnd(s *sink) *fault {
	for {
		s.take(k.buf[k.r:k.w])
		if f := s.spend(k.w - k.r); f != nil {
			return f
		}
		full := k.w == len(k.buf)
		k.r, k.w = 0, 0
		if full {
			k.widen()
		}
		switch err := k.fill(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return k.readFault(err, "in the body")
		}
	}
}

// readChunked reads a body in chunks and its trailers, RFC 9112 §7.1. Trailers
// are checked and dropped.
func (k *conn) readChunked(s *sink) *fault {
	for {
		line, f := k.line(maxChunkLine, s)
		if f != nil {
			return f
		}
		n, ok := chunkSize(line)
		if !ok {
			return faultf(hit.BadAnswer, "a chunk size is malformed: %s", escape(line))
		}
		if n == 0 {
			break
		}
		if n > s.left {
			return s.tooLarge()
		}
		s.left -= n
		if f := k.readExactly(n, s); f != nil {
			return f
		}
		if s.pieces != nil {
			s.pieces.Cut()
		}
		line, f = k.line(maxChunkLine, s)
		if f != nil {
			return f
		}
		if len(line) > 0 {
			return faultf(hit.BadAnswer, "a chunk is longer than its size says: %s follows", escape(line))
		}
	}
	for {
		line, f := k.line(bigBuffer, s)
		if f != nil {
			return f
		}
		if len(line) == 0 {
			return nil
		}
		if n := fieldName(line); n == 0 || hasControl(line[n:]) {
			return faultf(hit.BadAnswer, "a trailer line is malformed: %s", escape(line))
		}
	}
}

// line consumes a line ended by CRLF and returns it without. It is valid until
// the next read. Subtle: a bare LF, tolerated in a header block, is not here:
// where chunks end must not be a matter of taste.
func (k *conn) line(most int, s *sink) ([]byte, *fault) {
	for scan := 0; ; {
		if i := bytes.IndexByte(k.buf[k.r+scan:k.w], '\n'); i >= 0 {
			b := k.buf[k.r : k.r+scan+i]
			k.r += scan + i + 1
			if n := len(b); n == 0 || b[n-1] != '\r' {
				return nil, faultf(hit.BadAnswer, "a line of the chunked body does not end with CRLF: %s", escape(b))
			}
			return b[:len(b)-1], s.spend(len(b) + 1)
		}
		scan = k.w - k.r
		if scan >= most {
			return nil, faultf(hit.BadAnswer, "a line of the chunked body is longer than %d bytes: %s", most, escape(k.buf[k.r:k.w]))
		}
		if err := k.more(); err != nil {
			return nil, k.readFault(err, "in the body")
		}
	}
}

// chunkSize reads "1f" or "1f;name=value".
func chunkSize(b []byte) (int64, bool) {
	n, i := uint64(0), 0
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			rest := trim(b[i:])
			return int64(n), i > 0 && (len(rest) == 0 || b[i] == ';') && !hasControl(rest)
		}
		if i == 16 || n > math.MaxInt64>>4 {
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return int64(n), i > 0
}

// readFault explains why reading an answer ended before the answer did.
func (k *conn) readFault(err error, where string) *fault {
	if k.in == 0 {
		where = "before the answer began"
	}
	switch {
	case isTimeout(err):
		return faultf(hit.AnswerTimeout, "no complete answer within %v: it stopped %s", k.limit, where)
	case k.tls && alertText(err) != "":
		return alertFault(alertText(err), k.config, k.o.addr()) // TLS 1.3 refuses a client after the handshake
	case isReset(err):
		how := "closed"
		if !isEOF(err) {
			how = "reset"
		}
		return faultf(hit.ClosedEarly, "the server %s the connection %s", how, where)
	}
	return &fault{why: hit.ClosedEarly, text: fmt.Sprintf("the connection broke %s: %s", where, bare(err))}
}
