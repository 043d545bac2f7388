package hist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The binary form, version 1. An empty histogram is the version byte alone;
// otherwise there follow, as unsigned varints (encoding/binary),
//
//	min, max-min, the high and the low word of the sum, all in nanoseconds,
//
// and then the buckets from that of min to that of max, ascending. Each is its
// count less one, with one bit more: if it is set, empty buckets lie before this
// one and their number less one comes after the count. That bit is the lowest of
// the first byte, the next six are the low bits of the count less one, and the
// top bit says that a varint with its further bits follows.
const version = 1

// AppendBinary appends the binary form of h to b and returns it; nil is
// written as empty. The form keeps everything, and is the same for equal
// histograms. The error says that AddBucket was not followed by AddExact.
func (h *Hist) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, version)
	if h.Count() == 0 {
		return b, nil
	}
	first, last := h.ends()
	if Index(h.Min()) != first || Index(h.Max()) != last {
		return b, fmt.Errorf("hist: minimum %v and maximum %v do not lie in the first and the last bucket; call AddExact after AddBucket", h.Min(), h.Max())
	}
	b = binary.AppendUvarint(b, ^h.minNot)
	b = binary.AppendUvarint(b, h.max-^h.minNot)
	b = binary.AppendUvarint(b, h.sumHi)
	b = binary.AppendUvarint(b, h.sumLo)
	next := first
	for i := first; i <= last; i++ {
		block := h.blocks[i>>subBits]
		if block == nil {
			i |= SubBuckets - 1
			continue
		}
		n := block[i%SubBuckets]
		if n == 0 {
			continue
		}
		n--
		head := byte(n&63) << 1
		if i > next {
			head |= 1
		}
		if n>>6 > 0 {
			b = append(b, head|0x80)
			b = binary.AppendUvarint(b, n>>6)
		} else {
			b = append(b, head)
		}
		if i > next {
			b = binary.AppendUvarint(b, uint64(i-next-1))
		}
		next = i + 1
	}
	return b, nil
}

// UnmarshalBinary replaces h by the histogram whose binary form is b. Bytes that
// are not such a form give an error and leave h as it was. It never takes more
// memory than a full histogram (58 kB), and no more than the octaves of b need.
func (h *Hist) UnmarshalBinary(b []byte) error {
	if len(b) == 0 {
		return errors.New("hist: no bytes at all; an empty histogram has one")
	}
	if b[0] != version {
		return fmt.Errorf("hist: version %d, and only version %d is known; was it written by a newer weir?", b[0], version)
	}
	var n Hist
	if len(b) > 1 {
		d := decoder{b: b, at: 1}
		d.hist(&n)
		if d.err != nil {
			return d.err
		}
	}
	*h = n
	return nil
}

type decoder struct {
	b   []byte
	at  int
	err error
}

func (d *decoder) hist(h *Hist) {
	low, span := d.uvarint(), d.uvarint()
	h.sumHi, h.sumLo = d.uvarint(), d.uvarint()
	if low > math.MaxInt64 || span > math.MaxInt64-low {
		d.fail("the extremes exceed 2^63-1 ns")
	}
	if d.err != nil {
		return
	}
	h.minNot, h.max = ^low, low+span
	last := Index(time.Duration(h.max))
	for i := Index(time.Duration(low)); ; i++ {
		n, gap := d.bucket()
		if gap > uint64(last) || i+int(gap) > last {
			d.fail("a bucket lies above that of the maximum")
		}
		if d.err != nil {
			return
		}
		if gap > 0 && i == Index(time.Duration(low)) {
			d.fail("the bucket of the minimum is empty")
			return
		}
		i += int(gap)
		h.AddBucket(i, n)
		if i == last {
			break
		}
	}
	if d.at != len(d.b) {
		d.fail("bytes after the last bucket")
	}
}

// bucket reads one bucket: its count and the number of empty ones before it.
func (d *decoder) bucket() (n, gap uint64) {
	if d.at >= len(d.b) {
		d.fail("the bytes end before the last bucket")
		return 0, 0
	}
	head := d.b[d.at]
	d.at++
	n = uint64(head>>1) & 63
	if head&0x80 != 0 {
		more := d.uvarint()
		if more > math.MaxUint64>>6 {
			d.fail("a count exceeds 2^64-1")
		}
		n |= more << 6
	}
	if n == math.MaxUint64 {
		d.fail("a count exceeds 2^64-1")
	}
	if head&1 != 0 {
		gap = d.uvarint()
		if gap >= NumBuckets {
			d.fail("a gap is larger than the histogram")
			return 0, 0
		}
		gap++
	}
	return n + 1, gap
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b[min(d.at, len(d.b)):])
	if n <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.at += n
	return v
}

// fail keeps the first error; at is where reading stopped.
func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = fmt.Errorf("hist: damaged histogram, byte %d of %d: %s", d.at, len(d.b), why)
	}
}
