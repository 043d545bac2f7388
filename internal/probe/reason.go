package probe

// reason says what keeps a verdict from being certain that neither an alternative nor
// open figures keep, "" where there is nothing of the kind.
func (p *Probe) reason(fits bool) string {
	v := p.v
	if v.Sure || v.Settle != "" || len(v.Alternatives) > 0 || len(v.Policies) == 0 {
		return ""
	}
	h := p.herd(v.Family)
	switch {
	case !fits:
		return "it does not explain all that was seen"
	case v.Family == Stacked && !p.metAgain():
		return "the longer of the two was not used up a second time, on purpose: what is found after an event explains the event, whatever it was"
	case v.Family == Stacked && p.unopened():
		return "the longer of the two was not seen to open again: a third limit, longer than both, may have been met"
	case p.share > 0 && !p.clear(h):
		return "where others use it, too, chance explains much: another kind is not much less likely"
	case v.Alike > 0:
		return "several replicas explain it as well"
	}
	return "others of its kind, with other figures, explain the answers as well, and no short experiment was found that tells them apart"
}
