package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Bounds on tables of limits, whose length the target decides.
const (
	textLimits = 12
	htmlLimits = 200
)

func sortRefusals(list []FirstRefusal) {
	slices.SortStableFunc(list, func(a, b FirstRefusal) int { return cmp.Compare(a.At, b.At) })
}

// forecastWords says when the first refusal is to be expected.
func forecastWords(t *tally.Told) string {
	switch t.Forecast {
	case "never":
		return "never at this rate"
	case "after":
		text := "not before " + figAhead(t.Soonest)
		if t.Why != "" {
			text += ": " + t.Why
		}
		return text
	case "within":
		from, to := t.Soonest.Round(time.Second), t.Latest.Round(time.Second)
		switch {
		case t.Latest == 0 && t.Soonest == 0:
			return "now"
		case t.Latest == 0:
			return "in " + figAhead(t.Soonest) + " or later"
		case from == to || t.Latest < 2*time.Second:
			return "in " + figAhead(t.Latest)
		case to < 2*time.Minute:
			return fmt.Sprintf("in %d–%d s", int64(from.Seconds()), int64(to.Seconds()))
		}
		return "in " + figAhead(t.Soonest) + " to " + figAhead(t.Latest)
	}
	return "unknown: " + t.Why
}

// figAhead is a time ahead, in as many digits as a forecast is worth.
func figAhead(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return figSpan(d.Round(100 * time.Millisecond))
	case d < 10*time.Minute:
		return figSpan(d.Round(time.Second))
	}
	return figSpan(d.Round(time.Minute))
}

func (l *LimitTold) title() string {
	t := title(l.Method, l.Name)
	if l.Limit != "" {
		t += " · " + l.Limit
	}
	return t
}

// quotaWords is "40 per 10 s", or what of it was told.
func (l *LimitTold) quotaWords() string {
	text := figTold(l.Quota)
	if l.Unit != "" {
		text += " " + l.Unit
	}
	if l.Window != nil {
		text += " per " + figSpan(secDuration(*l.Window))
	}
	return text
}

func figTold(n *int64) string {
	if n == nil {
		return "not told"
	}
	return figCount(*n)
}

// Cells are a row of the table of limits, after its title.
func (l *LimitTold) Cells() []string {
	left := figTold(l.Least)
	if l.Differs {
		left += ", differs by user"
	}
	return []string{l.quotaWords(), left, figRate(l.Peak) + "/s", l.Forecast.Words}
}

// Title is what the row is about.
func (l *LimitTold) Title() string {
	t := l.title()
	if l.Binds {
		t += " (binds)"
	}
	return t
}

// limitSentences are the sentences about limits for the answer at the top.
func (s *Summary) limitSentences() []string {
	l := s.Limits
	if l == nil {
		return nil
	}
	var out []string
	if len(l.Refusals) > 0 {
		out = append(out, s.whereWords())
	}
	if text := l.waitWords(); text != "" {
		out = append(out, text)
	}
	if n := l.clashCount(); n > 0 {
		c := l.Clashes[0]
		out = append(out, sentence(fmt.Sprintf("What the service told contradicts itself or what it did, %s in the answers that were read; most often: %s: %s",
			plural(n, "time", "times"), title(c.Method, c.Name), clip(c.Example, sentenceText))))
	}
	return append(out, l.workWords()...)
}

// whereWords says where throttling came first, for how long, and what had been foretold.
func (s *Summary) whereWords() string {
	l := s.Limits
	first := l.Refusals[0]
	var total float64
	for _, e := range s.Throttling {
		total += e.To - e.From
	}
	text := fmt.Sprintf("The first throttled request was %s; throttling lasted %s", title(first.Method, first.Name), figSpan(secDuration(total)))
	if n := len(s.Throttling); n > 1 {
		text += fmt.Sprintf(", in %d stretches", n)
	}
	if n := len(l.Refusals); n > 1 {
		text += fmt.Sprintf(", and came to %d names", n)
	}
	text += "."
	for i := range l.Told {
		t := &l.Told[i]
		if b := t.Before; b != nil && t.Name == first.Name && t.Method == first.Method && b.Verdict == "within" && b.At <= first.At {
			when := figAhead(secDuration(first.At-b.At)) + " before"
			if first.At-b.At < 0.1 {
				when = "just before"
			}
			text += fmt.Sprintf(" It had been foretold %s: %s.", when, b.Words)
			break
		}
	}
	return text
}

// waitWords says whether the service told truly how long to wait.
func (l *LimitStory) waitWords() string {
	var w Waits
	for _, x := range l.Waits {
		w.Told += x.Told
		w.Untold += x.Untold
		w.KeptPassed += x.KeptPassed
		w.KeptRefused += x.KeptRefused
		w.EarlyPassed += x.EarlyPassed
		w.EarlyRefused += x.EarlyRefused
		w.Longest = max(w.Longest, x.Longest)
	}
	var parts []string
	if w.Told == 0 && w.Untold == 0 {
		return ""
	}
	if w.Told == 0 {
		return "Refusals did not say how long to wait."
	}
	if n := w.KeptPassed + w.KeptRefused; n > 0 {
		text := fmt.Sprintf("of %s that waited so long %s admitted", plural(n, "client", "clients"), plural(w.KeptPassed, "was", "were"))
		if w.KeptRefused > 0 {
			text += fmt.Sprintf(" and %s refused again, because the wait was too short or others were quicker", plural(w.KeptRefused, "was", "were"))
		}
		parts = append(parts, text)
	}
	if n := w.EarlyPassed; n > 0 {
		parts = append(parts, fmt.Sprintf("%s back more than a second too early and %s admitted: the wait was longer than needed", plural(n, "client came", "clients came"), pick(n, "was", "were")))
	}
	if n := w.EarlyRefused; n > 0 {
		parts = append(parts, fmt.Sprintf("%s back too early and %s refused, as told", plural(n, "client came", "clients came"), pick(n, "was", "were")))
	}
	if len(parts) == 0 {
		parts = append(parts, "no client came back before the end to try it")
	}
	return fmt.Sprintf("Refusals said to wait up to %s: %s.", figSpan(secDuration(w.Longest)), strings.Join(parts, "; "))
}

func (l *LimitStory) clashCount() int64 {
	var n int64
	for _, c := range l.Clashes {
		n += c.Count
	}
	return n
}

// workWords says what retries and holding back made of the load.
func (l *LimitStory) workWords() (out []string) {
	var w Work
	var p50, p99 float64
	for _, x := range l.Work {
		w.Done += x.Done
		w.GaveUp += x.GaveUp
		w.Failed += x.Failed
		w.Cut += x.Cut
		w.Requests += x.Requests
		w.Again += x.Again
		w.Goodput += x.Goodput
		w.Held += x.Held
		w.Unsent += x.Unsent
		if x.Total != nil {
			p50, p99 = max(p50, x.Total.P50), max(p99, x.Total.P99)
		}
		if x.HeldFor != nil && (w.HeldFor == nil || x.HeldFor.P99 > w.HeldFor.P99) {
			w.HeldFor = x.HeldFor
		}
	}
	if n := w.Done + w.GaveUp + w.Failed + w.Cut; n > 0 && w.Requests > n {
		text := fmt.Sprintf("%s took %s, %.2f each: %s done (%s/s), %s of them after retries; %s given up",
			plural(n, "piece of work", "pieces of work"), plural(w.Requests, "request", "requests"), float64(w.Requests)/float64(n),
			plural(w.Done, "was", "were"), figRateShort(w.Goodput), figCount(w.Again), plural(w.GaveUp, "was", "were"))
		if w.Failed > 0 {
			text += fmt.Sprintf(", %s failed", figCount(w.Failed))
		}
		if w.Cut > 0 {
			text += fmt.Sprintf(", %s still trying at the end", plural(w.Cut, "was", "were"))
		}
		text += fmt.Sprintf(". Done took %s (p50) to %s (p99) from the first request to the last answer.", figMS(p50), figMS(p99))
		if l.Recovery != nil {
			text += fmt.Sprintf(" After a last refusal it took up to %s until the last retried piece was through.", figSpan(secDuration(*l.Recovery)))
		}
		out = append(out, text)
	}
	if w.Held+w.Unsent > 0 {
		text := fmt.Sprintf("To respect the limits %s held back", plural(w.Held, "request was", "requests were"))
		if w.HeldFor != nil {
			text += fmt.Sprintf(", for %s (p50) to %s (p99), which is in their response time", figMS(w.HeldFor.P50), figMS(w.HeldFor.P99))
		}
		if w.Unsent > 0 {
			text += fmt.Sprintf("; %s held to the end and never sent", plural(w.Unsent, "more was", "more were"))
		}
		out = append(out, text+".")
	}
	return out
}

// limits is the table of the summary in words.
func (t *textPage) limits(s *Summary) {
	if s.Limits == nil {
		return
	}
	g := &grid{left: 1, head: []string{"limits as told", "limit", "least left", "used at most", "throttling"}, spare: []string{"used at most"}}
	for i := range s.Limits.Told {
		if i == textLimits {
			break
		}
		l := &s.Limits.Told[i]
		row := []span{cell(clean(l.Title()))}
		for _, c := range l.Cells() {
			row = append(row, cell(clean(c)))
		}
		g.row(row...)
	}
	t.section("Limits", g)
	t.more(len(s.Limits.Told), textLimits, "limit", "limits")
	g = &grid{left: 2, head: []string{"contradiction", "request", "times", "first"}}
	for i, c := range s.Limits.Clashes {
		if i == textLimits {
			break
		}
		g.row(cell(clean(c.Example)), cell(clean(title(c.Method, c.Name))), cell(figCount(c.Count)), cell(figAt(secDuration(c.First))))
	}
	t.section("What was told and is not so", g)
	t.more(len(s.Limits.Clashes), textLimits, "contradiction", "contradictions")
}

// limitsMarkdown is the same for a pull request.
func (s *Summary) limitsMarkdown(b *strings.Builder) {
	if s.Limits == nil {
		return
	}
	if list := s.Limits.Told; len(list) > 0 {
		b.WriteString("\n| limit as told | limit | least left | used at most | throttling |\n|:--|--:|--:|--:|:--|\n")
		for i := range min(len(list), textLimits) {
			fmt.Fprintf(b, "| %s |", mdCode(clipMiddle(list[i].Title(), mdText)))
			for _, c := range list[i].Cells() {
				fmt.Fprintf(b, " %s |", md(c))
			}
			b.WriteString("\n")
		}
	}
	if list := s.Limits.Clashes; len(list) > 0 {
		b.WriteString("\n| told and not so | times |\n|:--|--:|\n")
		for _, c := range list[:min(len(list), textLimits)] {
			fmt.Fprintf(b, "| %s | %s |\n", mdCode(clipMiddle(title(c.Method, c.Name), mdText)+": "+clip(c.Example, sentenceText)), figCount(c.Count))
		}
	}
}

// held reports whether requests were held back.
func (l *LimitStory) held() bool {
	if l == nil {
		return false
	}
	for _, w := range l.Work {
		if w.Held > 0 {
			return true
		}
	}
	return false
}

// unsent is how many requests were held back to the end.
func (l *LimitStory) unsent() (n int64) {
	if l == nil {
		return 0
	}
	for _, w := range l.Work {
		n += w.Unsent
	}
	return n
}
