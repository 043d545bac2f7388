package locust

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// A frame on the channel, little-endian: u32 length of what follows, u8 kind,
// u32 id, payload. The kinds are letters.
const (
	kindHello   = 'H'
	kindRequest = 'R'
	kindVerdict = 'V'
	kindBody    = 'B'
	kindDrop    = 'D'
	kindCookies = 'C'
	kindSample  = 'S'
	kindEnded   = 'E'
	kindProblem = 'P'
	kindCall    = 'J'

	kindAnswer  = 'A'
	kindText    = 'b'
	kindJar     = 'c'
	kindReply   = 'j'
	kindLoad    = 'L'
	kindUsers   = 'U'
	kindLeave   = 'X'
	kindKill    = 'K'
	kindNotify  = 'N'
	headLength  = 9
	maxFrame    = 1 << 30 // a frame with a request's body
	firstBuffer = 64 << 10
	// keptBuffer is the most memory that a side keeps for frames once a larger
	// burst is over.
	keptBuffer = 1 << 20
)

var errFrame = errors.New("the channel to the script is broken")

// frames reads frames. What the other side says about lengths is believed only
// as far as bytes come.
type frames struct {
	r    io.Reader
	buf  []byte
	i, n int // buf[i:n] has been read and not been looked at
}

func newFrames(r io.Reader) *frames { return &frames{r: r, buf: make([]byte, firstBuffer)} }

// next returns the next frame. payload is valid until the next call.
func (f *frames) next() (kind byte, id uint32, payload []byte, err error) {
	if err = f.need(headLength); err != nil {
		return 0, 0, nil, err
	}
	length := int64(binary.LittleEndian.Uint32(f.buf[f.i:]))
	if length < headLength-4 || length > maxFrame {
		return 0, 0, nil, fmt.Errorf("%w: a frame of %d bytes", errFrame, length)
	}
	if err = f.need(int(length) + 4); err != nil {
		return 0, 0, nil, err
	}
	b := f.buf[f.i : f.i+int(length)+4]
	f.i += len(b)
	return b[4], binary.LittleEndian.Uint32(b[5:]), b[headLength:], nil
}

// need reads until n bytes are there.
func (f *frames) need(n int) error {
	for f.n-f.i < n {
		if f.i == f.n {
			f.i, f.n = 0, 0
			if len(f.buf) > keptBuffer && n <= firstBuffer {
				f.buf = make([]byte, firstBuffer)
			}
		}
		if f.n == len(f.buf) || f.i > 0 && len(f.buf)-f.i < n {
			f.room(n)
		}
		m, err := f.r.Read(f.buf[f.n:])
		f.n += m
		if m == 0 && err != nil {
			if err == io.EOF && f.n > f.i {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// room makes room behind what is unread: by moving it, or in a buffer twice as
// large as what has come so far.
func (f *frames) room(n int) {
	to := f.buf
	if have := f.n - f.i; have > len(f.buf)/2 {
		to = make([]byte, min(2*len(f.buf), max(n, len(f.buf)+firstBuffer)))
	}
	f.n = copy(to, f.buf[f.i:f.n])
	f.i, f.buf = 0, to
}

// cursor takes fields off a payload. After the first one that is not there,
// bad is set and everything is zero.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) u8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) i64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) f64() float64 { return math.Float64frombits(uint64(c.i64())) }

func (c *cursor) short() []byte { return c.take(int(c.u8())) }
func (c *cursor) text() []byte  { return c.take(int(c.u16())) }
func (c *cursor) long() []byte  { return c.take(int(c.u32())) }

func putText(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	b = binary.LittleEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func putLong[S string | []byte](b []byte, s S) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func putFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}
