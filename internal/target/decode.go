package target

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"sync"

	"github.com/weir-dev/weir/internal/hit"
)

// decoders keeps decompressors between answers. The zero value is ready; safe
// for concurrent use.
type decoders struct{ pool sync.Pool }

type decoder struct {
	in   bytes.Reader
	gzip gzip.Reader
	out  []byte
}

// decode replaces what was kept of a compressed body by as much of the text as
// it yields, at most BodyLimit bytes. What cannot be decoded stays as it is. It
// is a fault only when we asked for compression and whole says that nothing of
// the body is missing.
func (t *Target) decode(ans *hit.Answer, whole bool) *fault {
	coding, ok := ans.Fields.Find("Content-Encoding")
	if !ok {
		return nil
	}
	coding = trim(coding)
	isGzip := equalFold(coding, "gzip") || equalFold(coding, "x-gzip")
	if !isGzip && !equalFold(coding, "deflate") {
		return nil
	}
	d, ok := t.decoders.pool.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	defer t.decoders.pool.Put(d)
	text, err := d.decode(ans.Body, isGzip, t.opts.BodyLimit)
	if len(text) > 0 {
		ans.Body = append(ans.Body[:0], text...)
	}
	if err != nil && whole && t.opts.Gzip {
		return faultf(hit.BadAnswer, "the body cannot be decoded as %s: it is damaged", codingName(isGzip))
	}
	return nil
}

func codingName(isGzip bool) string {
	if isGzip {
		return "gzip"
	}
	return "deflate"
}

// decode returns at most limit bytes, valid until the next call, and what ended
// the text before that unless it was its end.
func (d *decoder) decode(b []byte, isGzip bool, limit int) ([]byte, error) {
	if cap(d.out) > keptText && limit > keptText {
		d.out = nil // one large text must not be paid for ever
	}
	d.in.Reset(b)
	if isGzip {
		if err := d.gzip.Reset(&d.in); err != nil {
			return nil, err
		}
		text, err := d.fill(&d.gzip, limit)
		if len(text) > 0 && errors.Is(err, gzip.ErrHeader) {
			err = nil // something follows the text, which is complete
		}
		return text, err
	}
	// "deflate" is the zlib format (RFC 9110 §8.4.1.2), but servers exist that
	// send the bare stream.
	if r, err := zlib.NewReader(&d.in); err == nil {
		return d.fill(r, limit)
	}
	d.in.Reset(b)
	return d.fill(flate.NewReader(&d.in), limit)
}

// keptText is the largest text that a decoder starts with room for, and keeps.
const keptText = 1 << 20

// fill reads a text of which at most limit bytes are wanted.
func (d *decoder) fill(r io.Reader, limit int) (text []byte, err error) {
	if room := min(limit, keptText); cap(d.out) < room {
		d.out = make([]byte, room)
	}
	out, n := d.out[:min(cap(d.out), limit)], 0
	for err == nil {
		if n == len(out) {
			if n == limit {
				break
			}
			more := make([]byte, min(2*n, limit))
			copy(more, out)
			d.out, out = more, more
		}
		var m int
		m, err = r.Read(out[n:])
		n += m
	}
	if err == io.EOF {
		err = nil
	}
	return out[:n], err
}
