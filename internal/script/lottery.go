package script

// maxCycle bounds the table of a lottery; weights that do not fit are scaled.
const maxCycle = 10_000

// lottery shares numbers 0, 1, 2, … out among classes by weight, so evenly that
// any row of consecutive numbers has the asked-for mixture as nearly as whole
// numbers can. It is a pure function of the number.
type lottery struct{ cycle []*class }

func newLottery(classes []*class, weights []int64) *lottery {
	w := append([]int64(nil), weights...)
	reduce(w)
	var total int64
	for _, v := range w {
		total += v
	}
	// Smooth weighted round robin: each turn everybody earns its weight, the
	// richest is chosen and pays the total.
	l := &lottery{cycle: make([]*class, 0, total)}
	credit := make([]int64, len(w))
	for range total {
		best := 0
		for i := range w {
			credit[i] += w[i]
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		l.cycle = append(l.cycle, classes[best])
	}
	return l
}

func (l *lottery) class(n int64) *class { return l.cycle[n%int64(len(l.cycle))] }

// reduce divides weights by their greatest common divisor, and scales them down
// when their sum is still large; none becomes 0.
func reduce(w []int64) {
	var g int64
	for _, v := range w {
		for a := v; a != 0; {
			g, a = a, g%a
		}
	}
	var total int64
	for i := range w {
		w[i] /= g
		total += w[i]
	}
	if total <= maxCycle {
		return
	}
	for i := range w {
		w[i] = max(1, int64(float64(w[i])/float64(total)*maxCycle+0.5))
	}
}
