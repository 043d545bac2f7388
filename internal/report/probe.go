package report

import (
	"fmt"
	"io"
	"math"
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

	// PacedPerSecond is how fast answers came where nothing is refused and everybody waits.
	PacedPerSecond float64 `json:"paced_per_second,omitempty"`

	// Settle is what would settle the figures, where these are open.
	Settle string `json:"settle,omitempty"`

	// Unexplained is how much of what was seen the limit leaves unexplained. Above 2
	// others may use it, too.
	Unexplained float64 `json:"unexplained"`

	Stopped string `json:"stopped,omitempty"`
	// StopKind is lock-out, errors, answer-changed, no-answer, refusals, time,
	// interrupted or bound; "" when it was not cut short.
	StopKind string `json:"stop_kind,omitempty"`

	// UsedBefore is true where somebody had used some of it just before the first request.
	UsedBefore bool `json:"used_before,omitempty"`

	// Unknown is true where nothing can be said: not that there is no limit, either.
	Unknown bool `json:"unknown,omitempty"`

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
	Family   string   `json:"family"`
	Policies []string `json:"policies"`

	// Limits are the policies in figures.
	Limits []ProbeLimit `json:"limits"`

	BanSeconds float64 `json:"ban_seconds,omitempty"`
	Replicas   int     `json:"replicas,omitempty"`
	LimitLow   int64   `json:"limit_low"`
	LimitHigh  int64   `json:"limit_high"`
	WindowOff  float64 `json:"window_off"`
}

// ProbeLimit is one policy, in figures. Those that a kind does not have are left out.
type ProbeLimit struct {
	Algorithm     string  `json:"algorithm"` // as in a policy file
	Limit         int64   `json:"limit"`     // in a window; of buckets, what comes back in it
	WindowSeconds float64 `json:"window_seconds,omitempty"`
	RatePerSecond float64 `json:"rate_per_second,omitempty"` // Limit by window
	Capacity      int64   `json:"capacity"`                  // what passes at once from rest
	Undelayed     int64   `json:"undelayed,omitempty"`       // of a queue
	PhaseSeconds  float64 `json:"phase_seconds,omitempty"`   // where windows begin on the clock
	FromFirst     bool    `json:"from_first_request,omitempty"`
	CountDenied   bool    `json:"count_denied,omitempty"` // refused requests count, too
}

// ProbeShare is another explanation.
type ProbeShare struct {
	ProbeFound
	Share float64 `json:"share"`
	Words string  `json:"words"`

	// Separate is what would tell it from the likeliest; "" when nothing that was
	// thought of would.
	Separate string `json:"separate,omitempty"`
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
		ProbeFound: foundFigures(&v.Found), Sure: v.Sure, Confidence: v.Confidence, Alternatives: []ProbeShare{}, Unexplained: v.Foreign, Settle: v.Settle, PacedPerSecond: v.Paced, UsedBefore: v.Used,
		Stopped: v.Stopped, Requests: v.Requests, Refused: v.Refused, Lost: v.Lost, ElapsedSeconds: v.Elapsed.Seconds(),
		Headers: "none", Findings: []ProbeFinding{}, Waves: []ProbeWave{}, found: v.Found,
	}
	if v.Used {
		p.Notes = append(p.Notes, "Some of it had been used before the probe began.")
	}
	for _, a := range v.Alternatives {
		p.Alternatives = append(p.Alternatives, ProbeShare{foundFigures(&a.Found), a.Share, a.Family.String() + ", " + FoundWords(&a.Found), a.Separate})
	}
	for _, w := range v.Waves {
		p.AddWave(ProbeWave{Sent: w.Sent, Done: w.Done, Admitted: w.Admitted, Refused: w.Refused, Lost: w.Lost, Why: w.Why})
	}
	switch {
	case v.Family == probe.None && v.Paced > 0:
		p.Sentence = fmt.Sprintf("Nothing was refused within %s in %s, but answers came at about %.3g a second: it makes everybody wait.", plural(int64(v.Requests), "request", "requests"), spanWords(v.Elapsed.Round(time.Millisecond)), v.Paced)
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

// Stop notes what stopped the probe, one of the names of StopKind. Where that leaves
// nothing to go by, it says so in place of a verdict.
func (p *Probe) Stop(kind string) {
	p.StopKind = kind
	switch kind {
	case "errors", "no-answer", "lock-out", "answer-changed":
		if p.Family == probe.None.String() && p.Refused == 0 {
			p.Unknown, p.Confidence, p.Sure = true, 0, false
			p.Sentence = "Nothing is known of a limit: the probe had to stop before one was met."
		}
	}
}

// tell is what would tell an alternative from the likeliest.
func (a *ProbeShare) tell() string {
	if a.Separate == "" {
		return "Nothing short would tell it apart: both answer alike to bursts and pauses."
	}
	return "To tell: " + clean(a.Separate) + "."
}

// Cut says why it ended early, "" when it did not.
func (p *Probe) Cut() string {
	switch {
	case p.Stopped == "":
		return ""
	case p.Sure && p.StopKind == "bound":
		return "It was not tried for longer: " + p.Stopped + "."
	}
	return "It was cut short: " + p.Stopped + "."
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
	out := ProbeFound{Family: f.Family.String(), Policies: []string{}, Limits: []ProbeLimit{}, BanSeconds: f.Ban.Seconds(), Replicas: f.Replicas, LimitLow: f.LimitLow, LimitHigh: f.LimitHigh, WindowOff: f.WindowOff}
	for _, pol := range f.Policies {
		out.Policies = append(out.Policies, pol.String())
		one := ProbeLimit{Algorithm: pol.Algorithm.String(), Limit: pol.Limit, WindowSeconds: pol.Window.Seconds(), Capacity: pol.Capacity(), Undelayed: pol.Undelayed,
			PhaseSeconds: pol.Phase.Seconds(), FromFirst: pol.Algorithm == limit.FixedWindow && pol.Align == limit.AlignFirst, CountDenied: pol.CountDenied}
		if pol.Window > 0 {
			one.RatePerSecond = float64(pol.Limit) / pol.Window.Seconds()
		}
		out.Limits = append(out.Limits, one)
	}
	return out
}

// FoundWords is the figures of what was found, in plain words.
func FoundWords(f *probe.Found) string {
	var all []string
	for i, p := range f.Policies {
		off := f.WindowOff
		if i > 0 {
			off = 0
		}
		all = append(all, limitSentence(p, i == 0 && f.Family != probe.Stacked, off))
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
	return s
}

// limitSentence says one limit. off is how far its time may be off, as a share.
func limitSentence(p limit.Policy, whole bool, off float64) string {
	switch p.Algorithm {
	case limit.Concurrency:
		return fmt.Sprintf("%d requests under way at once", p.Limit)
	case limit.TokenBucket:
		return fmt.Sprintf("%d at once, then %s", p.Capacity(), rateWords(p.Limit, p.Window, off))
	case limit.RefillBucket:
		return fmt.Sprintf("%d at once, and %d more each %s, all together%s", p.Capacity(), p.Limit, lengthWords(p.Window, off), phaseWords(p, "they come"))
	case limit.LeakyBucket:
		s := fmt.Sprintf("%s pass, %d more wait in a queue, and the rest is refused", rateWords(p.Limit, p.Window, off), p.Burst)
		if p.Undelayed > 0 {
			s += fmt.Sprintf("; %d of those that wait pass at once", p.Undelayed)
		}
		return s
	}
	s := fmt.Sprintf("%d %s in %s", p.Limit, oneOrMore(p.Limit, "request", "requests"), lengthWords(p.Window, off))
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

func oneOrMore(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// openShare is how far a time may be off without that being said.
const openShare = 0.005

// lengthWords is a window, with its bounds where these are wide.
func lengthWords(d time.Duration, off float64) string {
	if off <= openShare {
		return spanWords(d)
	}
	round := func(x float64) string {
		v := digits(time.Duration(x*float64(d)).Seconds(), 3)
		return spanWords(time.Duration(math.Round(v*1e9)) * time.Nanosecond)
	}
	return fmt.Sprintf("about %s (%s to %s)", round(1), round(1-off), round(1+off))
}

// rateWords is a rate as people say it: 10 a second, one every 2 s, about 4.9 a second
// (4.8 to 5.0).
func rateWords(n int64, per time.Duration, off float64) string {
	each := map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour", 24 * time.Hour: "a day"}
	short := n
	for short >= 10 && short%10 == 0 {
		short /= 10
	}
	unit := each[per]
	switch {
	case off > openShare || short >= 100 && unit != "":
	case unit != "":
		return fmt.Sprintf("%d %s", n, unit)
	case n == 1:
		return "one every " + spanWords(per)
	default:
		return fmt.Sprintf("%d every %s", n, spanWords(per))
	}
	rate, unit := float64(n)/per.Seconds(), "a second"
	switch {
	case rate < 1.0/90:
		rate, unit = rate*3600, "an hour"
	case rate < 0.9:
		rate, unit = rate*60, "a minute"
	}
	if off <= openShare {
		return fmt.Sprintf("about %.4g %s", rate, unit)
	}
	return fmt.Sprintf("about %.3g %s (%.3g to %.3g)", rate, unit, rate/(1+off), rate/max(0.01, 1-off))
}

// digits rounds to so many digits.
func digits(x float64, n int) float64 {
	if x <= 0 {
		return x
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-float64(n-1))
	return math.Round(x/unit) * unit
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
		b.WriteString("    " + a.tell() + "\n")
	}
	if p.Settle != "" {
		b.WriteString("  To settle the figures: " + clean(p.Settle) + ".\n")
	}
	if c := p.Cut(); c != "" {
		b.WriteString(paint(clean(c), "33") + "\n")
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
	fmt.Fprintf(&b, "%s%s, %d refused, %d without an answer that counts, in %s.\n", plural(int64(p.Requests), "request", "requests"), resumed, p.Refused, p.Lost, spanWords(time.Duration(p.ElapsedSeconds*1e9).Round(time.Millisecond)))
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
