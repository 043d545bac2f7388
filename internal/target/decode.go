package target

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
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
// it yields, at most BodyLimit bytes. What cannot be decoded stays as it is: the
// answer was complete and its bytes were counted, so this is no failure.
func (t *Target) decode(ans *hit.Answer) {
	coding, ok := ans.Fields.Find("Content-Encoding")
	if !ok {
		return
	}
	coding = trim(coding)
	isGzip := equalFold(coding, "gzip") || equalFold(coding, "x-gzip")
	if !isGzip && !equalFold(coding, "deflate") {
		return
	}
	d, ok := t.decoders.pool.Get().(*decoder)
	if !ok {
		d = new(decoder)
	}
	defer t.decoders.pool.Put(d)
	if text := d.decode(ans.Body, isGzip, t.opts.BodyLimit); len(text) > 0 {
		ans.Body = append(ans.Body[:0], text...)
	}
}

// decode returns at most limit bytes, valid until the next call.
func (d *decoder) decode(b []byte, isGzip bool, limit int) []byte {
	if cap(d.out) < limit {
		d.out = make([]byte, limit)
	}
	out := d.out[:limit]
	d.in.Reset(b)
	if isGzip {
		if err := d.gzip.Reset(&d.in); err != nil {
			return nil
		}
		n, _ := io.ReadFull(&d.gzip, out) // the input was cut, so it may well end early
		return out[:n]
	}
	// "deflate" is the zlib format (RFC 9110 §8.4.1.2), but servers exist that
	// send the bare stream.
	if r, err := zlib.NewReader(&d.in); err == nil {
		n, _ := io.ReadFull(r, out)
		return out[:n]
	}
	d.in.Reset(b)
	r := flate.NewReader(&d.in)
	n, _ := io.ReadFull(r, out)
	return out[:n]
}
