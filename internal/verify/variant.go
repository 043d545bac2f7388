package verify

import (
	"fmt"
	"math"
	"net/textproto"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Explanation is a change of the policies with which all answers agree.
type Explanation struct {
	Code   string  `json:"code"`
	Policy int     `json:"policy"`
	Text   string  `json:"text"`
	Size   float64 `json:"size"` // how large a change it is; the smallest is the nearest

	file     *policy.File
	field    string
	from, to float64 // of limit, burst and window
	head     string  // of the text of a window, and its end
	tail     string
}

// variant is a changed file.
type variant struct {
	Explanation
	file *policy.File
}

// variants returns the changes that are tried. focus are the policies that the
// unexplained answers asked.
func variants(f *policy.File, focus []int, calls []Call) (out []variant) {
	parts := partsOf(calls)
	change := func(i int, code, field string, size float64, to float64, text string, edit func(p *policy.Policy)) {
		g := clone(f)
		edit(&g.Policies[i])
		if g.Policies[i].Policy.Validate() != nil {
			return
		}
		out = append(out, variant{Explanation{Code: code, Policy: i, Text: text, Size: size, field: field, to: to}, g})
	}
	for _, i := range focus {
		p := &f.Policies[i]
		name := called(p, i)
		change(i, CodeOverLimit, "", 1.1, 0, name+": it is not enforced", func(p *policy.Policy) { p.Shadow = true })
		for _, n := range numbers(p.Limit) {
			code := CodeOverLimit
			if n < p.Limit {
				code = CodeUnderLimit
			}
			change(i, code, "limit", apart(p.Limit, n), float64(n), fmt.Sprintf("%s: limit %d instead of %d", name, n, p.Limit), func(p *policy.Policy) { p.Limit = n })
		}
		if c := p.Capacity(); p.Algorithm == limit.TokenBucket || p.Algorithm == limit.RefillBucket || p.Algorithm == limit.LeakyBucket {
			sizes := numbers(c)
			if p.Algorithm == limit.LeakyBucket { // where the queue may be none
				c = p.Burst
				sizes = numbers(max(c, 1))
				for _, n := range []int64{0, 1} {
					if n != c && !slices.Contains(sizes, n) {
						sizes = append(sizes, n)
					}
				}
			}
			for _, n := range sizes {
				code := CodeOverLimit
				if n < c {
					code = CodeUnderLimit
				}
				change(i, code, "burst", apart(max(c, 1), max(n, 1))+0.01, float64(n), fmt.Sprintf("%s: burst %d instead of %d", name, n, c), func(p *policy.Policy) {
					p.Burst = n
					p.Undelayed = min(p.Undelayed, n)
				})
			}
		}
		if p.Window > 0 {
			for _, w := range windows(p.Window) {
				ratio := float64(w) / float64(p.Window)
				change(i, CodeWindow, "window", 1.2+math.Abs(math.Log(ratio)), float64(w), fmt.Sprintf("%s: window %v instead of %v", name, round(w), p.Window), func(p *policy.Policy) {
					p.Window = w
					p.Phase = min(p.Phase, w-1)
				})
				if n := len(out); n > 0 && out[n-1].field == "window" {
					out[n-1].head, out[n-1].tail = name+": window", p.Window.String()
				}
			}
		}
		if p.CountDenied {
			text := name + ": refused requests do not count"
			if p.Ban > 0 {
				text = name + ": refused requests do not begin the ban anew"
			}
			change(i, CodeNotDenied, "", 1.1, 0, text, func(p *policy.Policy) { p.CountDenied = false })
		} else {
			text := name + ": refused requests count"
			if p.Ban > 0 {
				text = name + ": each refused request begins the ban anew"
			}
			change(i, CodeDenied, "", 1.1, 0, text, func(p *policy.Policy) { p.CountDenied = true })
		}
		if p.Algorithm == limit.FixedWindow {
			for _, a := range []struct {
				limit.Align
				text string
			}{{limit.AlignClock, "windows are aligned to the clock"}, {limit.AlignFirst, "windows are aligned to the first request"}, {limit.AlignLast, "each request begins the window anew"}} {
				if a.Align != p.Align {
					change(i, CodeAlign, "", 1.15+0.01*float64(a.Align), 0, name+": "+a.text, func(p *policy.Policy) { p.Align, p.Phase = a.Align, 0 })
				}
			}
		}
		out = append(out, bans(f, i, name)...)
		if p.Window > 0 && (p.Algorithm == limit.FixedWindow && p.Align == limit.AlignClock || p.Algorithm == limit.SlidingWindow || p.Algorithm == limit.RefillBucket) {
			for k := range int64(20) {
				phase := time.Duration(k) * p.Window / 20
				if phase == p.Phase {
					continue
				}
				change(i, CodeAlign, "phase", 1.18, float64(phase), fmt.Sprintf("%s: windows begin %v after those of the clock, not %v", name, round(phase), p.Phase), func(p *policy.Policy) { p.Phase = phase })
			}
		}
		out = append(out, keyed(f, i, name, parts)...)
		for _, a := range limit.Algorithms() {
			if a == p.Algorithm || a == limit.Concurrency || a == limit.Quota || p.Algorithm == limit.Concurrency || p.Period != limit.NoPeriod {
				continue
			}
			change(i, CodeAlgorithm, "", 2.5, 0, fmt.Sprintf("%s: %s instead of %s", name, a, p.Algorithm), func(p *policy.Policy) {
				burst := p.Burst
				if p.Algorithm != limit.TokenBucket && p.Algorithm != limit.RefillBucket || a != limit.TokenBucket && a != limit.RefillBucket {
					burst = 0
				}
				p.Policy = limit.Policy{Name: p.Name, Algorithm: a, Limit: p.Limit, Window: p.Window, Burst: burst}
				if a == limit.LeakyBucket {
					p.Burst = p.Limit - 1
					p.Undelayed = p.Burst
				}
			})
		}
		if p.Window > 0 && p.Algorithm != limit.FixedWindow && p.Algorithm != limit.Concurrency && p.Period == limit.NoPeriod {
			change(i, CodeAlgorithm, "", 2.45, 0, fmt.Sprintf("%s: fixed-window, opened by the first request, instead of %s", name, p.Algorithm), func(p *policy.Policy) {
				p.Policy = limit.Policy{Name: p.Name, Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: p.Limit, Window: p.Window}
			})
		}
		if p.Cost.Expr == nil {
			for _, n := range []int64{1, 2, 3} {
				if n != max(p.Cost.Fixed, 1) {
					change(i, CodeCost, "cost", 2.2+float64(n)/10, float64(n), fmt.Sprintf("%s: a request takes %d units instead of %d", name, n, max(p.Cost.Fixed, 1)), func(p *policy.Policy) { p.Cost.Fixed = n })
				}
			}
		}
		change(i, CodeScope, "", 3, 0, name+": it does not hold for these requests", func(p *policy.Policy) { p.Shadow = true })
	}
	return append(out, shared(f, focus)...)
}

// bans are changes of the ban.
func bans(f *policy.File, i int, name string) (out []variant) {
	was := f.Policies[i].Ban
	add := func(size float64, ban time.Duration, text string) {
		g := clone(f)
		p := &g.Policies[i]
		if p.Ban = ban; was == 0 {
			p.CountDenied = false
		}
		if p.Policy.Validate() == nil {
			out = append(out, variant{Explanation{Code: CodeBan, Policy: i, Text: name + ": " + text, Size: size}, g})
			if ban > 0 && was > 0 {
				e := &out[len(out)-1]
				e.field, e.to, e.head, e.tail = "ban", float64(ban), name+": a ban of", was.String()
			}
		}
	}
	if was == 0 {
		for _, k := range []time.Duration{1, 2, 3, 5, 10, 60} {
			if ban := k * f.Policies[i].Window; ban/k == f.Policies[i].Window {
				add(1.3+float64(k)/100, ban, fmt.Sprintf("everything is refused for %v once it is exceeded", round(ban)))
			}
		}
		return out
	}
	add(1.12, 0, "it does not ban")
	for _, ban := range windows(was) {
		add(1.2+math.Abs(math.Log(float64(ban)/float64(was))), ban, fmt.Sprintf("a ban of %v instead of %v", round(ban), was))
	}
	return out
}

// keyed are changes of the key.
func keyed(f *policy.File, i int, name string, parts []part) (out []variant) {
	p := &f.Policies[i]
	add := func(code string, size float64, text string, k policy.Key) {
		g := clone(f)
		g.Policies[i].Key = k
		g.Policies[i].Overrides = nil
		out = append(out, variant{Explanation{Code: code, Policy: i, Text: name + ": " + text, Size: size}, g})
	}
	declared := p.Key.String()
	if p.Key.Kind != policy.Global {
		instead := "the key does not matter, there is one count for all"
		if p.Key.Kind != policy.IP {
			instead = "the key is the address, or one for all, not " + declared
		}
		add(CodeKey, 1.08, instead, policy.Key{})
	}
	for _, one := range parts {
		source := one.source
		if p.Key.Kind != policy.Global && p.Key.Kind != policy.IP && source != declared {
			source = "(" + declared + `) + "\n" + ` + source
		}
		k, err := policy.ParseKey(source)
		if err != nil || source == declared {
			continue
		}
		add(CodeSplit, 1.1, one.text, k)
	}
	return out
}

// part is something of requests that a service may count by.
type part struct{ text, source string }

// partsOf are the parts in which the calls differ, and could be counted by.
func partsOf(calls []Call) (out []part) {
	add := func(text, source string, value func(*expr.Subject) string) {
		seen := map[string]bool{}
		for i := range calls {
			seen[value(calls[i].subject())] = true
		}
		if len(seen) > 1 && !slices.ContainsFunc(out, func(p part) bool { return p.source == source }) {
			out = append(out, part{"each " + text + " has a count of its own", source})
		}
	}
	add("path", "request.path", func(s *expr.Subject) string { return s.Path })
	add("method", "request.method", func(s *expr.Subject) string { return s.Method })
	add("API", "api.id", func(s *expr.Subject) string { return s.API.ID })
	add("user of Basic authentication", "request.basic_user", (*expr.Subject).BasicUser)
	for i := range calls {
		for _, f := range calls[i].Header {
			name := textproto.CanonicalMIMEHeaderKey(f.Name)
			if strings.ContainsAny(name, "\"\\") {
				continue
			}
			add(name, `request.header["`+name+`"]`, func(s *expr.Subject) string { return s.Header.Get(name) })
		}
		_, query, _ := strings.Cut(calls[i].Path, "?")
		for _, pair := range strings.Split(query, "&") {
			if name, _, ok := strings.Cut(pair, "="); ok && !strings.ContainsAny(name, "\"\\%") {
				add("?"+name, `request.query["`+name+`"]`, func(s *expr.Subject) string { return s.Query(name) })
			}
		}
	}
	return out
}

// shared are counts made one, or several.
func shared(f *policy.File, focus []int) (out []variant) {
	for _, i := range focus {
		p := &f.Policies[i]
		if p.Counter != "" {
			g := clone(f)
			g.Policies[i].Counter = ""
			var names []string
			for j := range f.Policies {
				if f.Policies[j].Counter == p.Counter {
					names = append(names, called(&f.Policies[j], j))
				}
			}
			text := called(p, i) + ": it does not share the count " + p.Counter
			if len(names) == 2 {
				text = names[0] + " and " + names[1] + " do not share the count " + p.Counter
			}
			out = append(out, variant{Explanation{Code: CodeSplit, Policy: i, Size: 1.05, Text: text}, g})
		}
		for j := range f.Policies {
			q := &f.Policies[j]
			if j == i || slices.Contains(focus, j) && j < i || p.Counter != "" && p.Counter == q.Counter {
				continue
			}
			if p.Algorithm != q.Algorithm || p.Window != q.Window || p.Align != q.Align || p.Phase != q.Phase || p.CountDenied != q.CountDenied || p.Shadow || q.Shadow || p.Period != q.Period {
				continue
			}
			if p.Limit != q.Limit && (p.Algorithm == limit.TokenBucket || p.Algorithm == limit.RefillBucket || p.Algorithm == limit.LeakyBucket) {
				continue
			}
			a, b := min(i, j), max(i, j)
			g := clone(f)
			g.Policies[a].Counter, g.Policies[b].Counter = "\x01shared", "\x01shared"
			g.Policies[j].Key = p.Key
			out = append(out, variant{Explanation{
				Code: CodeShared, Policy: i, Size: 1.05,
				Text: fmt.Sprintf("the counter is shared between %s and %s", called(&f.Policies[a], a), called(&f.Policies[b], b)),
			}, g})
		}
	}
	if len(f.Policies) > 1 {
		g := clone(f)
		g.Chain = !g.Chain
		text := "policies are asked in order, and those before a refusal have counted it"
		if f.Chain {
			text = "a refused request counts in none of the policies"
		}
		out = append(out, variant{Explanation{Code: CodeDenied, Policy: focus[0], Size: 2, Text: text}, g})
	}
	return out
}

// nearest are the explanations of a recording, the smallest change first. Numbers
// beside each other become one.
func nearest(all []variant, tries func(*policy.File) bool) []Explanation {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Size < all[j].Size })
	var out []Explanation
	for _, v := range all {
		if !tries(v.file) {
			continue
		}
		v.from = v.to
		merged := false
		for i := range out {
			o := &out[i]
			if o.field != "" && o.field == v.field && o.Policy == v.Policy && o.Code == v.Code {
				o.from, o.to, merged = min(o.from, v.from), max(o.to, v.to), true
			}
		}
		if !merged {
			out = append(out, v.Explanation)
			out[len(out)-1].from = v.to
			out[len(out)-1].file = v.file
		}
	}
	for i := range out {
		if o := &out[i]; o.from != o.to {
			switch o.field {
			case "window", "ban":
				o.Text = fmt.Sprintf("%s %v instead of %s", o.head, roundest(time.Duration(o.from), time.Duration(o.to)), o.tail)
				o.Text += fmt.Sprintf(" (anything from %v to %v would do)", round(time.Duration(o.from)), round(time.Duration(o.to)))
			case "phase":
				o.Text += fmt.Sprintf(" (anything from %v to %v would do)", round(time.Duration(o.from)), round(time.Duration(o.to)))
			default:
				o.Text += fmt.Sprintf(" (anything from %.0f to %.0f would do)", o.from, o.to)
			}
		}
	}
	return out
}

func clone(f *policy.File) *policy.File {
	g := *f
	g.Policies = slices.Clone(f.Policies)
	return &g
}

func called(p *policy.Policy, i int) string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("policy %d", i+1)
}

// numbers are those tried for a limit of n.
func numbers(n int64) (out []int64) {
	seen := map[int64]bool{n: true}
	add := func(m int64) {
		if m > 0 && !seen[m] {
			seen[m] = true
			out = append(out, m)
		}
	}
	for d := int64(1); d <= 25; d++ {
		add(n - d)
		add(n + d)
	}
	for _, k := range []float64{0.5, 0.75, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.25, 1.5, 2, 3, 5, 10, 0.1, 0.2, 0.25, 0.3} {
		add(int64(math.Round(float64(n) * k)))
	}
	return out
}

// windows are those tried for a window of w.
func windows(w time.Duration) (out []time.Duration) {
	for k := 5; k <= 200; k += 5 {
		d := float64(k) / 1000
		out = append(out, time.Duration(float64(w)*(1-d)), time.Duration(float64(w)*(1+d)))
	}
	for _, k := range []float64{0.1, 0.25, 1.0 / 3, 0.5, 2.0 / 3, 0.75, 1.25, 4.0 / 3, 1.5, 2, 3, 4, 6, 10, 60, 1.0 / 60} {
		if n := float64(w) * k; n >= 1e6 && n < 1e18 {
			out = append(out, time.Duration(n))
		}
	}
	return slices.DeleteFunc(out, func(d time.Duration) bool { return d < time.Millisecond })
}

// roundest is the roundest length from a to b.
func roundest(a, b time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Hour, time.Minute, 10 * time.Second, 5 * time.Second, time.Second, 500 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond, 10 * time.Millisecond} {
		if d := (a + unit - 1) / unit * unit; d <= b {
			return d
		}
	}
	return round(a/2 + b/2)
}

func round(d time.Duration) time.Duration {
	if d > 10*time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// apart is how large a change from n to m is.
func apart(n, m int64) float64 {
	return 1 + math.Abs(math.Log(float64(m)/float64(n)))/10 + math.Min(1, math.Abs(float64(m-n))/20)
}
