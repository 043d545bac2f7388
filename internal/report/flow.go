package report

import (
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// flow keeps how many hits ended in which way over time, for the live chart, in
// at most maxFlow equal steps however long the run is.
type flow struct {
	step  time.Duration // width of a column; 0 before the first
	cols  []flowCol
	total time.Duration
}

type flowCol struct {
	length time.Duration
	count  [hit.NumOutcomes]float64
}

const maxFlow = 1024

func (f *flow) add(k *tally.Tick) {
	if f.step == 0 {
		f.step = time.Second
	}
	for k.Start/f.step >= maxFlow {
		f.halve()
	}
	if k.Start < 0 {
		return
	}
	i := int(k.Start / f.step)
	if k.Length < shortTick && len(f.cols) > 0 {
		i = len(f.cols) - 1
	}
	for len(f.cols) <= i {
		f.cols = append(f.cols, flowCol{})
	}
	c := &f.cols[i]
	c.length += k.Length
	for j := range k.Series {
		if s := &k.Series[j]; int(s.Outcome) < hit.NumOutcomes {
			c.count[s.Outcome] += float64(s.Count)
		}
	}
	f.total = max(f.total, k.Start+k.Length)
}

func (f *flow) halve() {
	half := (len(f.cols) + 1) / 2
	for i := range half {
		c := f.cols[2*i]
		if 2*i+1 < len(f.cols) {
			c.join(&f.cols[2*i+1])
		}
		f.cols[i] = c
	}
	f.cols = f.cols[:half]
	f.step *= 2
}

func (c *flowCol) join(o *flowCol) {
	c.length += o.length
	for i := range c.count {
		c.count[i] += o.count[i]
	}
}

// rates resamples the flow into n columns that cover span, and returns hits per
// second by outcome; a column without data is nil.
func (f *flow) rates(n int, span time.Duration) []*[hit.NumOutcomes]float64 {
	out := make([]*[hit.NumOutcomes]float64, n)
	if n == 0 || span <= 0 {
		return out
	}
	for x := range out {
		from := time.Duration(float64(span) * float64(x) / float64(n))
		to := time.Duration(float64(span) * float64(x+1) / float64(n))
		if from >= f.total {
			break
		}
		var c flowCol
		first := int(from / f.step)
		past := max(first+1, int(to/f.step))
		for i := first; i < past && i < len(f.cols); i++ {
			c.join(&f.cols[i])
		}
		if c.length <= 0 {
			continue
		}
		var r [hit.NumOutcomes]float64
		for o := range r {
			r[o] = c.count[o] / c.length.Seconds()
		}
		out[x] = &r
	}
	return out
}
