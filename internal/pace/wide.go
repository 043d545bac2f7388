package pace

import "math/bits"

// wide is an unsigned integer of 128 bits.
type wide struct{ hi, lo uint64 }

func (a wide) add(b wide) wide {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return wide{hi, lo}
}

func (a wide) sub(b wide) wide {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return wide{hi, lo}
}

func (a wide) less(b wide) bool {
	return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo
}

func (a wide) float() float64 { return float64(a.hi)*0x1p64 + float64(a.lo) }

// times returns a·m in full.
func (a wide) times(m uint64) wider {
	h1, lo := bits.Mul64(a.lo, m)
	h2, mid := bits.Mul64(a.hi, m)
	mid, carry := bits.Add64(mid, h1, 0)
	return wider{h2 + carry, mid, lo}
}

// wider is an unsigned integer of 192 bits.
type wider struct{ hi, mid, lo uint64 }

func (a wider) less(b wider) bool {
	_, borrow := bits.Sub64(a.lo, b.lo, 0)
	_, borrow = bits.Sub64(a.mid, b.mid, borrow)
	_, borrow = bits.Sub64(a.hi, b.hi, borrow)
	return borrow != 0
}

// less1 returns a - 1 for a > 0.
func (a wider) less1() wider {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	mid, borrow := bits.Sub64(a.mid, 0, borrow)
	return wider{a.hi - borrow, mid, lo}
}

func (a wider) float() float64 {
	return (float64(a.hi)*0x1p64+float64(a.mid))*0x1p64 + float64(a.lo)
}
