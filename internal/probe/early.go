package probe

// earlyCost is the price of a bucket that makes wait who comes up to half a unit early,
// in place of refusing: few do (Traefik), and it explains much of what a bucket does.
const earlyCost = 4

// early tells whether a bucket with a round rate that makes wait who comes a little
// early explains the answers, too. It is asked where the likeliest has a rate that
// nobody chooses; what it finds is put among the hypotheses.
func (p *Probe) early() bool {
	h := p.herd(p.shares()[0].Family)
	q := h.best[0]
	if q.family != TokenBucket && q.family != LeakyQueue || p.isRound(h) {
		return false
	}
	to := p.herd(LeakyQueue)
	found := false
	for _, r := range roundRates(span{q.w * 0.7, q.w * 1.5}) {
		for dn := -2.0; dn <= 2; dn++ {
			g := hypothesis{family: LeakyQueue, n: q.n + dn, m: q.n + dn, w: r.window / r.limit}
			if c := p.within(g, q.cost+earlyCost+1, q.cost+earlyCost+0.3); c != nil {
				to.best, found = append(to.best, c), true
			}
		}
	}
	return found
}
