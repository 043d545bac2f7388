package tally

import "time"

// ringBins is how many of the latest bins are kept: two minutes, for the
// longest window and for answers that come late.
const ringBins = int64(2 * time.Minute / BinWidth)

var windowLengths = [...]time.Duration{time.Second, 10 * time.Second, time.Minute}

// Offered is the proof of the offered load for one length of window, moved in
// steps of BinWidth.
type Offered struct {
	Window time.Duration
	Peak   int64         // most sends in any window; a window that reaches outside the run has what is inside
	PeakAt time.Duration // where the first such window ends, as an offset from the start of the run
	Min    int64         // fewest sends in any window that lies wholly inside the run; meaningless while Whole is 0
	MinAt  time.Duration // where the first such window ends
	Whole  int64         // how many windows lie wholly inside the run
}

// Windows returns the lengths that Offered knows: 1 s, 10 s and 60 s.
func Windows() []time.Duration { return append([]time.Duration(nil), windowLengths[:]...) }

// Offered returns the most and the fewest sends in any window of that length.
// It reports false when the length is not one of Windows.
func (t *Totals) Offered(window time.Duration) (Offered, bool) {
	for i, w := range windowLengths {
		if w == window {
			o := t.bins.windows[i].Offered
			o.Window = w
			return o, true
		}
	}
	return Offered{}, false
}

// sendBins slides the windows over the sends. It keeps the latest ringBins bins.
type sendBins struct {
	ring    []int64 // bin b is at b % ringBins
	next    int64   // the first bin that was not pushed yet
	first   int64   // the first bin that counts: after the warm-up
	windows [len(windowLengths)]slidingWindow
}

type slidingWindow struct {
	Offered
	sum int64 // of the window that ends at next
}

// skip leaves out the bins before that instant, while none was added.
func (b *sendBins) skip(until time.Duration) {
	if b.ring == nil {
		b.first = int64(max(until, 0) / BinWidth)
		b.next = b.first
	}
}

func (b *sendBins) add(k *Tick) {
	if b.ring == nil {
		b.ring = make([]int64, ringBins)
	}
	start := int64(max(k.Start, 0) / BinWidth)
	b.pushZeros(start - b.next)
	for i, n := range k.Sends {
		bin := start + int64(i)
		if bin < b.next {
			b.raise(bin, int64(n))
		} else {
			b.push(int64(n))
		}
	}
	b.pushZeros(int64(max(k.Start+k.Length, 0)/BinWidth) - b.next)
}

// pushZeros pushes n empty bins, in a time that does not grow with n.
func (b *sendBins) pushZeros(n int64) {
	// Subtle: after ringBins empty bins all windows are empty and lie wholly
	// inside the run, so the rest changes nothing but their number. A damaged
	// file may claim a gap of centuries.
	for range min(n, ringBins) {
		b.push(0)
	}
	if rest := n - ringBins; rest > 0 {
		b.next += rest
		clear(b.ring)
		for i := range b.windows {
			b.windows[i].Whole += rest
		}
	}
}

func (b *sendBins) push(n int64) {
	for i := range b.windows {
		w, bins := &b.windows[i], int64(windowLengths[i]/BinWidth)
		w.sum += n
		if gone := b.next - bins; gone >= b.first {
			w.sum -= b.ring[gone%ringBins]
		}
		w.seePeak(b.next + 1)
		if b.next+1-b.first >= bins {
			if w.Whole == 0 || w.sum < w.Min {
				w.Min, w.MinAt = w.sum, time.Duration(b.next+1)*BinWidth
			}
			w.Whole++
		}
	}
	b.ring[b.next%ringBins] = n
	b.next++
}

// raise adds sends to a bin that was already pushed. Windows that ended before
// the latest bin are not looked at again.
func (b *sendBins) raise(bin, n int64) {
	if bin < b.next-ringBins {
		return
	}
	b.ring[bin%ringBins] += n
	for i := range b.windows {
		if w := &b.windows[i]; bin >= b.next-int64(windowLengths[i]/BinWidth) {
			w.sum += n
			w.seePeak(b.next)
		}
	}
}

func (w *slidingWindow) seePeak(end int64) {
	if w.sum > w.Peak {
		w.Peak, w.PeakAt = w.sum, time.Duration(end)*BinWidth
	}
}

// between returns the sends in bins [from, to), and false when some of them
// are no longer kept.
func (b *sendBins) between(from, to int64) (int64, bool) {
	from, to = max(from, 0), min(to, b.next)
	if from < b.next-ringBins {
		return 0, false
	}
	var sum int64
	for i := from; i < to; i++ {
		sum += b.ring[i%ringBins]
	}
	return sum, true
}
