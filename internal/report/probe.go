package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// Probe is the report of weir probe: what stands before a request, and why that is
// believed. Its JSON form is what --json writes; names and meanings are stable.
type Probe struct {
	Target   string    `json:"target"`
	Started  time.Time `json:"started"`
	Sentence string    `json:"sentence"`
	ProbeFound
	Sure         bool         `json:"sure"`
	Confidence   float64      `json:"confidence"`
	Alternatives []ProbeShare `json:"alternatives"`

	// Unexplained is how much of what was seen the limit leaves unexplained. Above 2
	// others may use it, too.
	Unexplained float64 `json:"unexplained"`

	Stopped string `json:"stopped,omitempty"`
	// StopKind is lock-out, errors, answer-changed, no-answer, refusals, time,
	// interrupted or bound; "" when it was not cut short.
	StopKind string `json:"stop_kind,omitempty"`

	Requests       int     `json:"requests"`
	Refused        int     `json:"refused"`
	Lost           int     `json:"lost"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	Resumed        int     `json:"resumed_requests,omitempty"` // of an earlier session

	Scope    *ProbeScope    `json:"scope,omitempty"`
	Headers  string         `json:"headers"` // none, agree, contradict, or unjudged while the limit is not sure
	Findings []ProbeFinding `json:"findings"`
	Waves    []ProbeWave    `json:"waves"`
	Notes    []string       `json:"notes,omitempty"`

	found probe.Found
}

// ProbeFound is a limit with its figures.
type ProbeFound struct {
	Family     string   `json:"family"`
	Policies   []string `json:"policies"`
	BanSeconds float64  `json:"ban_seconds,omitempty"`
	Replicas   int      `json:"replicas,omitempty"`
	LimitLow   int64    `json:"limit_low"`
	LimitHigh  int64    `json:"limit_high"`
	WindowOff  float64  `json:"window_off"`
}

// ProbeShare is another explanation.
type ProbeShare struct {
	ProbeFound
	Share float64 `json:"share"`
	Words string  `json:"words"`
}

// ProbeFinding is a header that contradicts what was seen.
type ProbeFinding struct {
	Code     string  `json:"code"`
	Name     string  `json:"name"`
	Text     string  `json:"text"`
	Told     string  `json:"told"`
	Seen     string  `json:"seen"`
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Times    int     `json:"times"`
}

// ProbeWave is requests that went together.
type ProbeWave struct {
	Sent     time.Time `json:"sent"`
	Done     time.Time `json:"done"`
	Seconds  float64   `json:"seconds"` // since the first
	Admitted int       `json:"admitted"`
	Refused  int       `json:"refused"`
	Lost     int       `json:"lost"`
	Why      string    `json:"why"`
	As       string    `json:"as,omitempty"` // other clients, in the search for the key
}

// ProbeScope is what the limit is counted by.
type ProbeScope struct {
	Sentence   string       `json:"sentence"`
	Key        string       `json:"key"` // as in a policy file
	Confidence float64      `json:"confidence"`
	Sure       bool         `json:"sure"`
	BothWays   bool         `json:"both_ways"`
	Things     []ProbeThing `json:"things"`
	Above      string       `json:"above,omitempty"` // a second limit over several counts, in words
	AboveLimit int64        `json:"above_limit,omitempty"`
	Stopped    string       `json:"stopped,omitempty"`
	Notes      []string     `json:"notes,omitempty"`
	Rounds     []ProbeRound `json:"rounds"`
	Requests   int          `json:"requests"`
	Refused    int          `json:"refused"`

	Behind *ProbeScope `json:"behind,omitempty"` // the same of the second of two limits
}

// ProbeThing is one thing that was varied.
type ProbeThing struct {
	Name    string   `json:"name"`
	Values  []string `json:"values"`
	Counted bool     `json:"counted"`
	Belief  float64  `json:"belief"`
	Apart   []string `json:"apart"` // values that are not counted with the first
}

// ProbeRound is one experiment about the key.
type ProbeRound struct {
	Why      string       `json:"why"`
	As       string       `json:"as"`
	Admitted int          `json:"admitted"`
	Refused  int          `json:"refused"`
	Asked    []ProbeAsked `json:"asked"`
}

// ProbeAsked is what another client got meanwhile.
type ProbeAsked struct {
	As       string `json:"as"`
	Admitted int    `json:"admitted"`
	Refused  int    `json:"refused"`
}

// NewProbe makes the report of a verdict. Waves, key and findings are added by
// the caller.
func NewProbe(v *probe.Verdict) *Probe {
	p := &Probe{
		ProbeFound: foundFigures(&v.Found), Sure: v.Sure, Confidence: v.Confidence, Alternatives: []ProbeShare{}, Unexplained: v.Foreign,
		Stopped: v.Stopped, Requests: v.Requests, Refused: v.Refused, Lost: v.Lost, ElapsedSeconds: v.Elapsed.Seconds(),
		Headers: "none", Findings: []ProbeFinding{}, Waves: []ProbeWave{}, found: v.Found,
	}
	for _, a := range v.Alternatives {
		p.Alternatives = append(p.Alternatives, ProbeShare{foundFigures(&a.Found), a.Share, a.Family.String() + ", " + FoundWords(&a.Found)})
	}
	for _, w := range v.Waves {
		p.AddWave(ProbeWave{Sent: w.Sent, Done: w.Done, Admitted: w.Admitted, Refused: w.Refused, Lost: w.Lost, Why: w.Why})
	}
	switch {
	case v.Family == probe.None:
		p.Sentence = fmt.Sprintf("No limit was met within %s in %s.", plural(int64(v.Requests), "request", "requests"), spanWords(v.Elapsed.Round(time.Millisecond)))
	case v.Sure:
		p.Sentence = fmt.Sprintf("%s: %s.", kindWords(v.Family, "This is", "These are"), FoundWords(&v.Found))
	case v.Family == probe.Replicas:
		p.Sentence = fmt.Sprintf("These are several replicas (%.0f %%), with one limit on each: %s.", 100*v.Confidence, FoundWords(&v.Found))
	case len(v.Alternatives) == 0:
		p.Sentence = fmt.Sprintf("Undecided. %s: %s.", kindWords(v.Family, "Nearest comes", "Nearest come"), FoundWords(&v.Found))
	default:
		likeliest := fmt.Sprintf("Likeliest (%.0f %%) ", 100*v.Confidence)
		p.Sentence = fmt.Sprintf("Undecided. %s: %s.", kindWords(v.Family, likeliest+"is", likeliest+"are"), FoundWords(&v.Found))
	}
	return p
}

// kindWords puts a kind after the verb that goes with it.
func kindWords(f probe.Family, one, many string) string {
	if f == probe.Stacked {
		return many + " " + f.String()
	}
	return one + " a " + f.String()
}

// AddWave appends a wave.
func (p *Probe) AddWave(w ProbeWave) {
	if len(p.Waves) > 0 {
		w.Seconds = w.Sent.Sub(p.Waves[0].Sent).Seconds()
	} else {
		p.Started = w.Sent
	}
	p.Waves = append(p.Waves, w)
}

func foundFigures(f *probe.Found) ProbeFound {
	out := ProbeFound{Family: f.Family.String(), Policies: []string{}, BanSeconds: f.Ban.Seconds(), Replicas: f.Replicas, LimitLow: f.LimitLow, LimitHigh: f.LimitHigh, WindowOff: f.WindowOff}
	for _, pol := range f.Policies {
		out.Policies = append(out.Policies, pol.String())
	}
	return out
}

// FoundWords is the figures of what was found, in plain words.
func FoundWords(f *probe.Found) string {
	var all []string
	for i, p := range f.Policies {
		all = append(all, limitSentence(p, i == 0 && f.Family != probe.Stacked))
	}
	s := strings.Join(all, ", and ")
	if s == "" {
		s = "no figures"
	}
	if f.Ban > 0 {
		s += fmt.Sprintf(", refusing everything for %s once it is exceeded", spanWords(f.Ban))
	}
	if f.Replicas > 0 {
		s += fmt.Sprintf(" on each of about %d replicas", f.Replicas)
	}
	if f.LimitHigh > f.LimitLow {
		s += fmt.Sprintf(" (the limit is between %d and %d)", f.LimitLow, f.LimitHigh)
	}
	if f.WindowOff > 0.005 {
		s += fmt.Sprintf(" (the time may be off by %.1f %%)", 100*f.WindowOff)
	}
	return s
}

// limitSentence says one limit.
func limitSentence(p limit.Policy, whole bool) string {
	per := spanWords(p.Window)
	switch p.Algorithm {
	case limit.Concurrency:
		return fmt.Sprintf("%d requests under way at once", p.Limit)
	case limit.TokenBucket:
		return fmt.Sprintf("%d at once, and %d more every %s", p.Capacity(), p.Limit, per)
	case limit.RefillBucket:
		return fmt.Sprintf("%d at once, and %d more each %s, all together%s", p.Capacity(), p.Limit, per, phaseWords(p, "they come"))
	case limit.LeakyBucket:
		s := fmt.Sprintf("%d pass every %s, %d more wait in a queue, and the rest is refused", p.Limit, per, p.Burst)
		if p.Undelayed > 0 {
			s += fmt.Sprintf("; %d of those that wait pass at once", p.Undelayed)
		}
		return s
	}
	s := fmt.Sprintf("%d requests in %s", p.Limit, per)
	if !whole {
		return s
	}
	switch {
	case p.Algorithm == limit.SlidingLog, p.Algorithm == limit.SlidingWindow:
		s += " before any instant"
		if p.CountDenied {
			s += ", refused ones included"
		}
	case p.Align == limit.AlignFirst:
		s += " from the first one on"
	default:
		s += phaseWords(p, "windows begin")
	}
	return s
}

// phaseWords says where windows of the clock begin.
func phaseWords(p limit.Policy, what string) string {
	if p.Window <= 0 {
		return ""
	}
	off := p.Phase.Round(10 * time.Millisecond)
	if off >= p.Window {
		off = 0
	}
	if off == 0 {
		return "; " + what + " on the clock's even " + spanWords(p.Window)
	}
	return fmt.Sprintf("; %s %s after the clock's even %s", what, spanWords(off), spanWords(p.Window))
}

// spanWords writes a time as people say it: 1 s, 1.5 s, 2 min, 1 h.
func spanWords(d time.Duration) string {
	switch {
	case d < 0:
		return "no time"
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d >= 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d >= time.Second:
		return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()), "0"), ".") + " s"
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", float64(d)/1e6), "0"), ".") + " ms"
}

// probeRows bounds the rows of the timeline in text.
const probeRows = 40

// WriteText says the verdict in words, and shows what happened when.
func (p *Probe) WriteText(w io.Writer, color bool) error {
	var b strings.Builder
	paint := func(s, code string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	b.WriteString(paint(clean(p.Sentence), "1") + "\n")
	if p.Scope != nil {
		b.WriteString(paint(clean(p.Scope.Sentence), "1") + "\n")
		for _, n := range p.Scope.Notes {
			b.WriteString("  " + clean(n) + "\n")
		}
		if p.Scope.Behind != nil {
			b.WriteString(paint(clean(p.Scope.Behind.Sentence), "1") + "\n")
			for _, n := range p.Scope.Behind.Notes {
				b.WriteString("  " + clean(n) + "\n")
			}
		}
	}
	for _, a := range p.Alternatives {
		fmt.Fprintf(&b, "  not excluded (%.0f %%): %s\n", 100*a.Share, clean(a.Words))
	}
	if p.Stopped != "" {
		b.WriteString(paint("It was cut short: "+clean(p.Stopped)+".", "33") + "\n")
	}
	if p.Unexplained > 2 && p.Family != probe.None.String() {
		b.WriteString("Some refusals are not explained by it. Perhaps others use the same limit.\n")
	}
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "%s %s: %s. After %d requests it told %s; seen: %s (%s).\n", paint(f.Code, "31"), f.Name, f.Text, f.Requests, clean(f.Told), clean(f.Seen), plural(int64(f.Times), "answer", "answers"))
	}
	if p.Headers == "agree" {
		b.WriteString("What the headers say agrees with it.\n")
	}
	for _, n := range p.Notes {
		b.WriteString(clean(n) + "\n")
	}
	resumed := ""
	if p.Resumed > 0 {
		resumed = fmt.Sprintf(" (%d of them in an earlier session)", p.Resumed)
	}
	fmt.Fprintf(&b, "%d requests%s, %d refused, %d without an answer that counts, in %s.\n", p.Requests, resumed, p.Refused, p.Lost, spanWords(time.Duration(p.ElapsedSeconds*1e9).Round(time.Millisecond)))
	p.timeline(&b)
	p.keyTable(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// timeline draws a row for each wave.
func (p *Probe) timeline(b *strings.Builder) {
	if len(p.Waves) == 0 {
		return
	}
	b.WriteString("\nWhen        admitted █, refused ░ (of up to 30)\n")
	from, to := len(p.Waves), len(p.Waves)
	if len(p.Waves) > probeRows {
		from, to = probeRows*3/4, len(p.Waves)-probeRows/4
	}
	last := ""
	for i, wave := range p.Waves {
		if i == from && from < to {
			fmt.Fprintf(b, "%10s  %d more waves; --json and --html have all\n", "…", to-from)
		}
		if i >= from && i < to {
			continue
		}
		a, r := waveBars(wave.Admitted, wave.Refused)
		why := clean(wave.Why)
		if why == last {
			why = ""
		} else {
			last = why
		}
		fmt.Fprintf(b, "%+9.3fs  %-31s %9s  %s\n", wave.Seconds, strings.Repeat("█", a)+strings.Repeat("░", r), fmt.Sprintf("%d of %d", wave.Admitted, wave.Admitted+wave.Refused+wave.Lost), why)
	}
}

// keyTable draws what the experiments about the key gave.
func (p *Probe) keyTable(b *strings.Builder) {
	if p.Scope == nil || len(p.Scope.Rounds) == 0 {
		return
	}
	b.WriteString("\nWhat it is counted by\n")
	rounds := p.Scope.Rounds
	if p.Scope.Behind != nil {
		rounds = slices.Concat(rounds, p.Scope.Behind.Rounds)
	}
	for i, r := range rounds {
		if i == 12 {
			fmt.Fprintf(b, "  %d more experiments; --json and --html have all\n", len(rounds)-i)
			break
		}
		fmt.Fprintf(b, "  as %s: %d admitted, %d refused\n", clean(r.As), r.Admitted, r.Refused)
		for _, a := range r.Asked {
			fmt.Fprintf(b, "    meanwhile as %s: %d of %d admitted\n", clean(a.As), a.Admitted, a.Admitted+a.Refused)
		}
	}
}

// waveBars shares up to 30 cells between two counts.
func waveBars(a, r int) (int, int) {
	n := a + r
	if n <= 30 {
		return a, r
	}
	x := a * 30 / n
	if a > 0 {
		x = max(1, x)
	}
	if r > 0 {
		x = min(29, x)
	}
	return x, 30 - x
}
