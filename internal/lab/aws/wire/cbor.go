package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"time"
)

// decodeCBOR reads one item of CBOR (RFC 8949) as far as Smithy's RPC v2 uses it:
// keys are texts, tag 1 is an instant, other tags are ignored. What is read is made
// of nil, bool, int64, uint64, float64, string, []byte, time.Time, []any and
// map[string]any.
func decodeCBOR(b []byte) (any, error) {
	d := cborReader{rest: b, length: len(b)}
	v, err := d.item(0)
	if err == nil && len(d.rest) > 0 {
		err = errors.New("bytes follow the item")
	}
	if err != nil {
		return nil, fmt.Errorf("CBOR at byte %d: %w", d.length-len(d.rest), err)
	}
	return v, nil
}

type cborReader struct {
	rest   []byte
	length int
}

var errShort = errors.New("the text ends too early")

const indefinite = math.MaxUint64

// stop is the byte that ends what has no length.
const stop = 0xff

// head reads a major type, the low bits and the argument.
func (d *cborReader) head() (major, low byte, n uint64, err error) {
	if len(d.rest) == 0 {
		return 0, 0, 0, errShort
	}
	major, low = d.rest[0]>>5, d.rest[0]&31
	d.rest = d.rest[1:]
	switch {
	case low < 24:
		return major, low, uint64(low), nil
	case low < 28:
		size := 1 << (low - 24)
		if len(d.rest) < size {
			return 0, 0, 0, errShort
		}
		for _, c := range d.rest[:size] {
			n = n<<8 | uint64(c)
		}
		d.rest = d.rest[size:]
		return major, low, n, nil
	case low == 31 && major >= 2 && major <= 5:
		return major, low, indefinite, nil
	}
	return 0, 0, 0, errors.New("not a well-formed item")
}

func (d *cborReader) item(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	major, low, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case 0:
		if n > math.MaxInt64 {
			return n, nil
		}
		return int64(n), nil
	case 1:
		if n > math.MaxInt64 {
			return -1 - float64(n), nil
		}
		return -1 - int64(n), nil
	case 2, 3:
		return d.text(major, n)
	case 4:
		return d.array(n, depth)
	case 5:
		return d.object(n, depth)
	case 6:
		v, err := d.item(depth + 1)
		if err != nil || n != 1 {
			return v, err
		}
		if f, ok := number(v); ok && v != nil {
			if t, ok := fromSeconds(f); ok {
				return t, nil
			}
		}
		return nil, errors.New("tag 1 must hold seconds since the epoch")
	}
	switch low {
	case 20:
		return false, nil
	case 21:
		return true, nil
	case 22, 23:
		return nil, nil
	case 25:
		return half(uint16(n)), nil
	case 26:
		return float64(math.Float32frombits(uint32(n))), nil
	case 27:
		return math.Float64frombits(n), nil
	}
	return nil, errors.New("a simple value that has no meaning here")
}

// text reads a text or bytes, in one piece or several.
func (d *cborReader) text(major byte, n uint64) (any, error) {
	var all []byte
	if n == indefinite {
		for {
			if len(d.rest) > 0 && d.rest[0] == stop {
				d.rest = d.rest[1:]
				break
			}
			kind, _, size, err := d.head()
			if err != nil {
				return nil, err
			}
			if kind != major || size == indefinite {
				return nil, errors.New("a piece of another type")
			}
			if size > uint64(len(d.rest)) {
				return nil, errShort
			}
			all = append(all, d.rest[:size]...)
			d.rest = d.rest[size:]
		}
	} else {
		if n > uint64(len(d.rest)) {
			return nil, errShort
		}
		all = d.rest[:n]
		d.rest = d.rest[n:]
	}
	if major == 2 {
		return append([]byte(nil), all...), nil
	}
	return string(all), nil
}

func (d *cborReader) array(n uint64, depth int) (any, error) {
	if n != indefinite && n > uint64(len(d.rest)) { // each item has a byte at least
		return nil, errShort
	}
	out := []any{}
	for i := uint64(0); n == indefinite || i < n; i++ {
		if n == indefinite && len(d.rest) > 0 && d.rest[0] == stop {
			d.rest = d.rest[1:]
			break
		}
		v, err := d.item(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (d *cborReader) object(n uint64, depth int) (any, error) {
	if n != indefinite && n > uint64(len(d.rest)) {
		return nil, errShort
	}
	out := map[string]any{}
	for i := uint64(0); n == indefinite || i < n; i++ {
		if n == indefinite && len(d.rest) > 0 && d.rest[0] == stop {
			d.rest = d.rest[1:]
			break
		}
		key, err := d.item(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("a key that is not a text")
		}
		if out[name], err = d.item(depth + 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// half is an IEEE 754 half (RFC 8949, appendix D).
func half(h uint16) float64 {
	exponent, mantissa := int(h>>10&31), float64(h&1023)
	f := math.Ldexp(mantissa+1024, exponent-25)
	switch exponent {
	case 0:
		f = math.Ldexp(mantissa, -24)
	case 31:
		f = math.Inf(1)
		if mantissa != 0 {
			f = math.NaN()
		}
	}
	if h>>15 == 1 {
		return -f
	}
	return f
}

// appendCBOR writes what an Out may hold.
func appendCBOR(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0xf6)
	case bool:
		if v {
			return append(b, 0xf5)
		}
		return append(b, 0xf4)
	case string:
		return append(appendHead(b, 3, uint64(len(v))), v...)
	case int:
		return appendCBOR(b, int64(v))
	case int64:
		if v < 0 {
			return appendHead(b, 1, uint64(-1-v))
		}
		return appendHead(b, 0, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(v))
	case time.Time:
		return appendCBOR(append(b, 0xc1), float64(v.UnixMilli())/1000)
	case Out:
		b = appendHead(b, 5, uint64(len(v)))
		for _, k := range sortedKeys(v) {
			b = appendCBOR(appendCBOR(b, k), v[k])
		}
		return b
	case Numbers:
		b = appendHead(b, 5, uint64(len(v)))
		for _, k := range sortedKeys(v) {
			b = appendCBOR(appendCBOR(b, k), v[k])
		}
		return b
	case Entries:
		b = appendHead(b, 5, uint64(len(v)))
		for _, k := range sortedKeys(v) {
			b = appendCBOR(appendCBOR(b, k), v[k])
		}
		return b
	}
	list := asList(v)
	b = appendHead(b, 4, uint64(len(list)))
	for _, e := range list {
		b = appendCBOR(b, e)
	}
	return b
}

func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// asList makes a list of any of the list types; other types are a mistake in the
// stand-in and come out as an empty list.
func asList(v any) []any {
	var out []any
	switch v := v.(type) {
	case []any:
		return v
	case []Out:
		for _, e := range v {
			out = append(out, e)
		}
	case []string:
		for _, e := range v {
			out = append(out, e)
		}
	case []float64:
		for _, e := range v {
			out = append(out, e)
		}
	case []time.Time:
		for _, e := range v {
			out = append(out, e)
		}
	}
	return out
}
