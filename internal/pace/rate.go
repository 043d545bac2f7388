package pace

import (
	"math/bits"
	"strconv"
	"time"
)

// Rate is how often something happens, as an exact rational: N times per Per.
// The zero value, and any Rate whose N or Per is not positive, is no requests
// at all.
type Rate struct {
	N   int64
	Per time.Duration
}

// ParseRate reads a rate: a number, a slash and a unit of time, such as
//
//	500/s  0.5/s  33,333/s  1/min  1000/h  5/d  100/100ms  1/3s
//
// The number may have a decimal point, and commas or underscores between
// groups of three digits. The time is a unit alone or a duration as
// ParseDuration reads it. The rate is kept exactly. An error is a *ParseError.
func ParseRate(s string) (Rate, error) {
	p := parser{what: "rate", s: s}
	p.space()
	r, _ := p.rate(0)
	p.end()
	if p.err != nil {
		return Rate{}, p.err
	}
	return r, nil
}

// IsZero says whether r is no requests at all.
func (r Rate) IsZero() bool { return r.N <= 0 || r.Per <= 0 }

// PerSecond returns the rate per second, rounded to a float64.
func (r Rate) PerSecond() float64 {
	if r.IsZero() {
		return 0
	}
	return float64(r.N) / (float64(r.Per) / float64(time.Second))
}

// String returns the rate in the form that ParseRate reads, with the first of
// the units s, min, h and d in which it is a number with at most three
// decimals: "0.5/s", "20/min", "1000/h"; any other rate is N per duration: "1/7s".
func (r Rate) String() string {
	if r.IsZero() {
		return "0/s"
	}
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"s", time.Second}, {"min", time.Minute}, {"h", time.Hour}, {"d", day}} {
		hi, lo := bits.Mul64(uint64(r.N), uint64(u.d)*1000)
		if hi >= uint64(r.Per) {
			continue
		}
		milli, rest := bits.Div64(hi, lo, uint64(r.Per))
		if rest != 0 || milli >= 1<<63 {
			continue
		}
		return decimal(milli) + "/" + u.name
	}
	g := gcd(uint64(r.N), uint64(r.Per))
	return strconv.FormatUint(uint64(r.N)/g, 10) + "/" + formatDuration(time.Duration(uint64(r.Per)/g))
}

// decimal returns thousandths without trailing zeroes.
func decimal(milli uint64) string {
	b := strconv.AppendUint(nil, milli/1000, 10)
	if f := milli % 1000; f != 0 {
		b = append(b, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return string(b)
}

// MarshalText writes the form of String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what ParseRate reads.
func (r *Rate) UnmarshalText(b []byte) error {
	v, err := ParseRate(string(b))
	if err == nil {
		*r = v
	}
	return err
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
