package probe

import "context"

// outcome is what came of a question.
type outcome uint8

const (
	pass  outcome = iota // there was nothing to ask: the next question
	asked                // something was learnt: all is weighed anew, from the first question on
	known                // the probe ends
)

// question asks one thing, by experiments or by a search for other explanations.
type question func(ctx context.Context) (outcome, error)

// ask asks the first question that has something to ask. Their order is that of
// their price: first what is not explained, then what tells explanations apart, and
// once one is left, what would show that it is wrong.
func (p *Probe) ask(ctx context.Context) (outcome, error) {
	for _, q := range []question{
		p.unexplained,
		p.send(p.paced),
		p.send(p.turn),
		p.send(p.banned),
		p.send(p.longTurn),
		p.send(p.held),
		p.send(p.next),
		p.likely,
		p.send(p.overlooked),
		p.inParts,
		p.send(p.sustain),
		p.send(p.beginLate),
		p.send(p.rested),
		p.afterRest,
		p.send(p.confirm),
		p.inDoubt,
		p.send(p.quieted),
		p.send(p.parted),
		p.lastly,
	} {
		if out, err := q(ctx); out != pass || err != nil {
			return out, err
		}
	}
	return known, nil
}

// send is a question that an experiment answers, if there is one.
func (p *Probe) send(plan func() *experiment) question {
	return func(ctx context.Context) (outcome, error) {
		e := plan()
		if e == nil || len(e.steps) == 0 || p.tooLong(e) {
			return pass, nil
		}
		if p.opt.Progress != nil {
			b := p.belief(e.why)
			b.Takes = seconds(waits(e.steps) + waits(e.then))
			p.opt.Progress(b)
		}
		p.why = e.why
		return asked, p.do(ctx, e)
	}
}

// tooLong tells whether an experiment takes more time than is left, while others may still
// tell something: an explanation that is wrong may ask for any length of time.
func (p *Probe) tooLong(e *experiment) bool {
	if waits(e.steps) < p.timeLeft() || p.settled(p.shares()) {
		return false
	}
	p.short = true
	return true
}

// outcomeOf is what came of a question that made its waves, or changed the hypotheses, by
// itself; replicas that it found are the verdict.
func (p *Probe) outcomeOf(s *spreadOut, err error) (outcome, error) {
	p.why = ""
	if s != nil || err != nil {
		return known, err
	}
	return asked, nil
}

// unexplained widens what is thought of where nothing explains the answers:
// windows that begin anew, coarse clocks, bans over logs, somebody before us, replicas, others.
func (p *Probe) unexplained(ctx context.Context) (outcome, error) {
	if p.broken && !p.among() {
		if s, err := p.partly(ctx); s != nil || err != nil {
			return known, err
		}
	}
	late := p.reviews >= 1 && p.share == 0
	if late && p.cheapest() > 0.5 {
		p.roundly()
	}
	if late && p.cheapest() > 0.5 {
		p.anew(900)
		if p.shares()[0].Family == Ban || p.cheapest() > 3 {
			p.lockouts(500)
		}
	}
	if late && (p.cheapest() > 0.5 || p.shares()[0].Family == Stacked) {
		p.quickly()
		p.ticks()
		p.losing()
		p.renewing()
	}
	if late && p.cheapest() > 0.5 {
		p.usedBefore(1400)
		if more, err := p.restsLonger(ctx); more || err != nil {
			return p.outcomeOf(nil, err)
		}
	}
	if !p.askedReplicas && !p.among() && (p.cheapest() > 3 && p.reviews >= 1 || p.reviews >= 3 && p.bends()) {
		p.askedReplicas = true
		if s, err := p.manned(ctx); s != nil || err != nil {
			return known, err
		}
		return p.outcomeOf(p.replicated(ctx))
	}
	if late && p.cheapest() > 3 {
		if s, err := p.manned(ctx); s != nil || err != nil {
			return known, err
		}
		p.unshared = p.cheapest()
		p.allow(0.2)
	} else if late && p.unseen() {
		p.believe(0.2)
	} else if late && p.tooAlike() && p.doubted < 2 && len(p.sights) > p.doubtedAt+p.doubtedAt/4 {
		p.doubt()
	}
	if p.askedFleet == 0 && (p.reviews >= 7 || p.reviews >= 2 && p.v.Refused > 120) && p.bending() {
		p.askedFleet = 1
		if s, err := p.manned(ctx); s != nil || err != nil {
			return known, err
		}
	}
	if p.crowded() && p.again < 2 && p.v.Refused > 90*(1+p.again) {
		p.again++ // what was a coincidence in one burst is none in another
		return p.outcomeOf(p.replicated(ctx))
	}
	if p.trace != nil {
		p.report()
	}
	return pass, nil
}

// likely ends a quick probe before what is likely is put to the proof.
func (p *Probe) likely(context.Context) (outcome, error) {
	if p.v.Quick = p.opt.Quick; p.v.Quick {
		return known, nil
	}
	return pass, nil
}

// overlooked searches, once one explanation is left, for others with other figures,
// and returns what tells them apart where there are any.
func (p *Probe) overlooked() *experiment {
	shares := p.shares()
	if !p.settled(shares) {
		return nil
	}
	h := p.herd(shares[0].Family)
	p.kin(true)
	if h.family == Stacked && h.also == Apart && p.share == 0 && p.whole.apiece < p.whole.supposed {
		p.apiece(false)
	}
	p.challenge(h)
	p.combed(h)
	p.bracket(h, 3000)
	p.rounder(h)
	p.siblings(true)
	if p.share > 0 {
		p.searchOthers()
	} else {
		p.usedBefore(500)
		p.ticks()
		p.losing()
		p.renewing()
	}
	p.overlooks = p.shares()[0].Family
	return p.next()
}

// inParts asks whether what seems one limit is several replicas that are reached in turn.
func (p *Probe) inParts(ctx context.Context) (outcome, error) {
	if p.askedTurns || !p.settled(p.shares()) {
		return pass, nil
	}
	q := p.herd(p.shares()[0].Family).best[0]
	if !p.same(q) {
		return pass, nil
	}
	p.askedTurns = true
	switch q.family {
	case TokenBucket:
		return p.outcomeOf(p.filled(ctx, int(q.n), 1/q.w))
	case FixedFirst, RefillBucket:
		return p.outcomeOf(p.inTurn(ctx, q, span{0.98 * q.w, 1.02 * q.w}))
	}
	return p.outcomeOf(p.inTurn(ctx, q, span{0.7 * q.w, 1.02 * q.w})) // then its window is another
}

// afterRest searches for sliding windows that begin anew after a rest, and for bans over
// logs, where one of their kind is believed.
func (p *Probe) afterRest(context.Context) (outcome, error) {
	switch {
	case p.share > 0:
		return pass, nil
	case !p.askedLockouts && p.bans():
		p.lockouts(500)
	case !p.askedAnew && p.slides():
		p.anew(500)
	default:
		return pass, nil
	}
	return p.outcomeOf(nil, nil)
}

// inDoubt goes on where others may have been taken for figures of the limit, see doubt.
func (p *Probe) inDoubt(context.Context) (outcome, error) {
	if !p.doubt() {
		return pass, nil
	}
	return p.outcomeOf(nil, nil)
}

// lastLooks is how often it is searched in vain for another explanation before a probe
// ends. What is found then can still be asked; what is found by the verdict's own look
// leaves it undecided.
const lastLooks = 3

// lastly looks once more for what was overlooked, and ends the probe.
func (p *Probe) lastly(ctx context.Context) (outcome, error) {
	was := p.settled(p.shares())
	p.why = ""
	if p.tries++; p.tries <= 4 && p.revive() {
		return asked, nil
	}
	now := was
	for range lastLooks {
		p.refit()
		if now = p.settled(p.shares()); was && !now && p.tries < 8 {
			return asked, nil // a last look found other figures
		}
	}
	if !now { // what these looks found may be told apart
		if out, err := p.send(p.parted)(ctx); out != pass || err != nil {
			return out, err
		}
	}
	if !now && p.askedFleet < 2 {
		p.askedFleet = 2
		if s, err := p.manned(ctx); s != nil || err != nil {
			return known, err
		}
	}
	if p.short && !p.settled(p.shares()) {
		return known, errStop("no experiment that would tell more is within the bounds")
	}
	return known, nil
}
