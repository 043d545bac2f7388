package header

import (
	"strings"
	"time"
)

// group gathers the fields that speak of one limit: those with the same prefix,
// the same spelling and the same words beside limit, remaining and reset.
type group struct {
	prefix string // what stands before "ratelimit": "", "x-", "anthropic-", …
	dashed bool   // spelt rate-limit
	words  string // the limit's own name, "" for none

	limit    Limit
	used     int64 // units used, Unknown when not told
	quota    field // the field that gave Quota
	resource bool  // has -Resource
	bucket   bool  // has -Bucket or -Reset-After
	refill   bool  // has -FillRate or -Interval-Seconds
}

// periods are the windows that names speak of. Months and years have no fixed
// length and get none.
var periods = map[string]time.Duration{
	"second": time.Second, "seconds": time.Second, "secondly": time.Second,
	"minute": time.Minute, "minutes": time.Minute, "minutely": time.Minute,
	"hour": time.Hour, "hourly": time.Hour,
	"day": 24 * time.Hour, "daily": 24 * time.Hour,
	"week": 7 * 24 * time.Hour, "weekly": 7 * 24 * time.Hour,
	"month": 0, "monthly": 0, "year": 0, "yearly": 0,
}

// families reads every field that is left and has "ratelimit" or "rate-limit"
// in its name, and the few forms of their own.
func (p *parser) families() {
	var groups []*group
	for i := range p.fields {
		f := &p.fields[i]
		if f.used {
			continue
		}
		switch f.low {
		case "x-shopify-shop-api-call-limit":
			p.shopify(f)
			continue
		case "auth0-client-quota-limit", "auth0-organization-quota-limit":
			p.auth0Quota(f)
			continue
		case "x-ms-ratelimit-remaining-resource":
			p.azureResource(f)
			continue
		}
		groups = p.sort(groups, f)
	}
	for _, g := range groups {
		p.settle(g)
	}
}

// sort puts one field into its group.
func (p *parser) sort(groups []*group, f *field) []*group {
	prefix, rest, dashed, ok := splitName(f.low)
	if !ok {
		return groups
	}
	if prefix == "zendesk-" && strings.Contains(f.value, "=") {
		if l, ok := p.pairs(f.name, f.value, ";"); ok {
			l.Dialect, l.Name = Zendesk, strings.TrimPrefix(rest, "-")
			f.used = true
			p.add(l)
		}
		return groups
	}
	part, words, scale := classify(rest)
	if part == ignored {
		f.used = true
		return groups
	}
	var g *group
	for _, have := range groups {
		if have.prefix == prefix && have.dashed == dashed && have.words == words {
			g = have
			break
		}
	}
	if g == nil {
		if len(groups) == maxLimits {
			return groups
		}
		g = &group{prefix: prefix, dashed: dashed, words: words, limit: NoLimit(), used: Unknown}
		groups = append(groups, g)
	}
	f.used = true
	p.take(g, part, scale, f)
	return groups
}

// splitName cuts a name at "ratelimit" or "rate-limit".
func splitName(low string) (prefix, rest string, dashed, ok bool) {
	if i := strings.Index(low, "ratelimit"); i >= 0 {
		return low[:i], low[i+len("ratelimit"):], false, true
	}
	if i := strings.Index(low, "rate-limit"); i >= 0 {
		return low[:i], low[i+len("rate-limit"):], true, true
	}
	return "", "", false, false
}

// part is what one field of a family tells.
type part uint8

const (
	ignored part = iota
	quotaPart
	remainingPart
	resetPart
	resetAfterPart
	usedPart
	windowPart
	refillPart
	namePart
	bucketPart
)

// classify reads the words after "ratelimit": what the field tells, and the
// name of the limit that it tells it of.
func classify(rest string) (what part, words string, scale time.Duration) {
	what = quotaPart // X-Rate-Limit: 700 (Zendesk), X-HubSpot-RateLimit-Daily: 250000
	var names []string
	list := strings.Split(strings.Trim(rest, "-"), "-")
	for i := 0; i < len(list); i++ {
		next := ""
		if i+1 < len(list) {
			next = list[i+1]
		}
		switch w := list[i]; w {
		case "limit", "max", "quota":
			what = quotaPart
		case "remaining":
			what = remainingPart
		case "used", "observed":
			what = usedPart
		case "resettime":
			what = resetPart
		case "reset":
			what = resetPart
			if next == "after" {
				what = resetAfterPart
				i++
			}
		case "interval", "window":
			what, scale = windowPart, time.Second
			switch next {
			case "seconds":
				i++
			case "milliseconds", "ms":
				scale = time.Millisecond
				i++
			}
		case "fillrate":
			what = refillPart
		case "resource", "name":
			what = namePart
			if len(list) > 1 { // x-ms-ratelimit-remaining-resource and the like are names of limits
				names = append(names, w)
				what = quotaPart
			}
		case "bucket":
			what = bucketPart
		case "global", "scope", "reason", "nearlimit", "delay", "policy", "cost", "precision", "warning":
			if len(list) == 1 {
				return ignored, "", 0
			}
			names = append(names, w)
		case "":
		default:
			names = append(names, w)
		}
	}
	return what, strings.Join(names, "-"), scale
}

// take reads one field into its group.
func (p *parser) take(g *group, what part, scale time.Duration, f *field) {
	l := &g.limit
	switch what {
	case quotaPart:
		n := p.quotaList(g, f)
		if g.quota.name != "" && n != Unknown && l.Quota != Unknown && l.Quota != n {
			p.problem(f.name, f.value, "sent before with another value; the first counts")
			return
		}
		g.quota = *f
		if l.Quota == Unknown {
			l.Quota = n
		}
	case remainingPart:
		n := p.count(f.name, f.value)
		if l.Remaining != Unknown && n != Unknown && l.Remaining != n {
			p.problem(f.name, f.value, "sent before with another value; the first counts")
			return
		}
		if l.Remaining == Unknown {
			l.Remaining = n
		}
	case resetPart:
		d := p.reset(f.name, f.value)
		if d != Unknown && l.ResetAfter == Unknown {
			l.ResetAfter = d
		}
	case resetAfterPart:
		g.bucket = true
		// Subtle: this duration is exact where -Reset, an instant, suffers from
		// the difference of two clocks.
		if d := p.reset(f.name, f.value); d != Unknown {
			l.ResetAfter = d
		}
	case usedPart:
		g.used = p.count(f.name, f.value)
	case windowPart:
		g.refill = g.refill || scale == time.Second
		n := p.count(f.name, f.value)
		switch {
		case n == 0:
			p.problem(f.name, f.value, "a window without length")
		case n > int64(maxWait/scale):
			p.problem(f.name, f.value, "more than ten years, not believed")
		case n != Unknown:
			l.Window = time.Duration(n) * scale
		}
	case refillPart:
		g.refill = true
		if n := p.count(f.name, f.value); n > 0 {
			l.Refill = n
		}
	case namePart:
		g.resource = true
		l.Name = f.value
	case bucketPart:
		g.bucket = true
		l.Key = f.value
	}
}

// quotaList reads a quota: a number, or the old drafts' list whose first member
// is the limit in force and whose others are policies: "100, 100;w=60".
func (p *parser) quotaList(g *group, f *field) int64 {
	first, found := int64(Unknown), false
	for i, member := range strings.Split(f.value, ",") {
		head, params, hasParams := strings.Cut(strings.TrimSpace(member), ";")
		head = strings.TrimSpace(head)
		if strings.Contains(head, "=") {
			continue // name=rate-limit-1,1000 was seen in the wild
		}
		n, reason := count(head)
		if reason != "" {
			p.problem(f.name, f.value, reason)
			continue
		}
		if !found {
			first, found = n, true
		}
		if !hasParams {
			if i > 0 && n != first {
				p.problem(f.name, f.value, "two limits in force at once; the first counts")
			}
			continue
		}
		policy := NoLimit()
		policy.Dialect, policy.Quota = g.dialect(), n
		for _, param := range strings.Split(params, ";") {
			k, v, _ := strings.Cut(strings.TrimSpace(param), "=")
			switch k {
			case "w":
				w, reason := count(v)
				if reason == "" && w > 0 && w <= int64(maxWait/time.Second) {
					policy.Window = time.Duration(w) * time.Second
				} else {
					p.problem(f.name, f.value, "w is no length of a window")
				}
			case "name":
				policy.Name = strings.Trim(v, `"`)
			}
		}
		if len(p.policies) < maxLimits {
			p.policies = append(p.policies, policy)
		}
	}
	return first
}

// dialect names the family that a group belongs to.
func (g *group) dialect() Dialect {
	_, isPeriod := periods[g.words[strings.LastIndexByte(g.words, '-')+1:]]
	switch {
	case g.prefix == "" && !g.dashed:
		return OldDraft
	case g.prefix == "x-" && g.dashed:
		return XRateLimitDashed
	case g.prefix == "x-" && isPeriod:
		return Kong
	case g.prefix == "x-" && g.words != "":
		return OpenAI
	case g.prefix == "x-" && g.bucket:
		return Discord
	case g.prefix == "x-" && g.refill:
		return Atlassian
	case g.prefix == "x-" && g.resource:
		return GitHub
	case g.prefix == "x-":
		return XRateLimit
	case g.prefix == "anthropic-":
		return Anthropic
	case g.prefix == "x-hubspot-":
		return HubSpot
	case g.prefix == "x-ms-":
		return Azure
	case g.prefix == "zendesk-":
		return Zendesk
	}
	return Other
}

// settle turns a group into a limit.
func (p *parser) settle(g *group) {
	l := g.limit
	l.Dialect = g.dialect()
	if g.words != "" {
		l.Name = g.words
		if l.Window == 0 {
			l.Window = periods[g.words[strings.LastIndexByte(g.words, '-')+1:]]
		}
		if strings.HasSuffix(g.words, "tokens") {
			l.Unit = "tokens"
		}
	}
	if l.Dialect == Other && g.prefix != "" {
		own := strings.Trim(strings.TrimPrefix(g.prefix, "x-"), "-")
		if own != "" {
			l.Name = strings.Trim(own+"-"+l.Name, "-")
		}
	}
	if g.used != Unknown && l.Quota != Unknown {
		switch left := max(l.Quota-g.used, 0); {
		case l.Remaining == Unknown:
			l.Remaining = left
		case l.Remaining != left && l.Dialect == GitHub:
			p.problem(g.quota.name, g.quota.value, "limit, used and remaining do not add up")
		}
	}
	if l.Remaining != Unknown && g.used != Unknown && l.Quota == Unknown {
		l.Quota = l.Remaining + g.used // Reddit sends no limit
		if l.Quota < 0 {
			l.Quota = Unknown
		}
	}
	if l.Quota == Unknown && l.Remaining == Unknown && l.ResetAfter == Unknown && l.Window == 0 {
		return
	}
	p.add(l)
}
