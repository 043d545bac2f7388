package report

import (
	"fmt"
	"math"
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

	// PacedPerSecond is how fast answers came where nothing is refused and everybody waits
	// for as many; SlowestSeconds is how long an answer took then, whoever waits for it.
	PacedPerSecond float64 `json:"paced_per_second,omitempty"`
	SlowestSeconds float64 `json:"slowest_seconds,omitempty"`

	// Settle is what would settle the figures, where these are open.
	Settle string `json:"settle,omitempty"`

	// Open is what keeps it from being certain, where no alternative and no open figure does.
	Open string `json:"open,omitempty"`

	// Unexplained is how much of what was seen the limit leaves unexplained. Above 2
	// others may use it, too.
	Unexplained float64 `json:"unexplained"`

	// ShutSeconds is from the first refusal to the latest, where it did not open again
	// while it was probed: its window, or its rate, is not known then. OpensTold is when the headers
	// say that it opens, OpensToldSeconds how long after the latest answer that is.
	ShutSeconds      float64    `json:"shut_seconds,omitempty"`
	OpensTold        *time.Time `json:"opens_told,omitempty"`
	OpensToldSeconds float64    `json:"opens_told_seconds,omitempty"`

	Stopped string `json:"stopped,omitempty"`
	// StopKind is lock-out, errors, answer-changed, no-answer, refusals, time,
	// interrupted or bound; "" when it was not cut short.
	StopKind string `json:"stop_kind,omitempty"`

	// Quick is true where it ended as soon as one explanation was likely, as it was asked to.
	Quick bool `json:"quick,omitempty"`

	// UsedBefore is true where somebody had used some of it just before the first request.
	UsedBefore bool `json:"used_before,omitempty"`

	// Others is how much of the limit others used meanwhile; nil where nothing shows that anybody did.
	Others *ProbeOthers `json:"others,omitempty"`

	// AlikeReplicas is so many replicas that are reached strictly in turn, each with a part
	// of the limit, which it could not be told from.
	AlikeReplicas int `json:"alike_replicas,omitempty"`

	// SpentTimes is how many times the limit was spent at full speed; a slower second
	// limit of less than so many times it would have shown.
	SpentTimes float64 `json:"spent_times,omitempty"`

	// MostUnderWay is how many requests were under way at once at most.
	MostUnderWay int `json:"most_under_way,omitempty"`

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
	BanRenewed bool    `json:"ban_renewed,omitempty"` // each request that is refused begins the ban anew
	Replicas   int     `json:"replicas,omitempty"`
	LimitLow   int64   `json:"limit_low"`
	LimitHigh  int64   `json:"limit_high"`
	WindowOff  float64 `json:"window_off"`
}

// ProbeOthers is how much of a limit others use, as a share of what it lets through in
// the long run, with what that may be at least and at most.
type ProbeOthers struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// ProbeLimit is one policy, in figures. Those that a kind does not have are left out.
type ProbeLimit struct {
	Algorithm     string  `json:"algorithm"`                 // as in a policy file
	Limit         int64   `json:"limit"`                     // in a window; of buckets, what comes back in it
	WindowSeconds float64 `json:"window_seconds,omitempty"`  // left out where it is not known
	RatePerSecond float64 `json:"rate_per_second,omitempty"` // Limit by window
	Capacity      int64   `json:"capacity"`                  // what passes at once from rest
	Undelayed     int64   `json:"undelayed,omitempty"`       // of a queue
	PhaseSeconds  float64 `json:"phase_seconds,omitempty"`   // where windows begin on the clock
	FromFirst     bool    `json:"from_first_request,omitempty"`
	EachBegins    bool    `json:"each_request_begins,omitempty"` // each request that counts begins the window anew
	PortionsSince string  `json:"portions_since,omitempty"`      // of portions that no clock gives: "let-through", "portion" or "rest", see probe.Since
	TickSeconds   float64 `json:"tick_seconds,omitempty"`        // its clock shows whole ticks only
	CountDenied   bool    `json:"count_denied,omitempty"`        // refused requests count, too

	// WindowAtLeastSeconds is what is known of a window that is not: it is longer.
	WindowAtLeastSeconds float64 `json:"window_at_least_seconds,omitempty"`
}

// ProbeShare is another explanation.
type ProbeShare struct {
	ProbeFound
	Share float64 `json:"share"`
	Words string  `json:"words"`

	// Separate is what would tell it from the likeliest; "" when nothing that was
	// thought of would.
	Separate string `json:"separate,omitempty"`

	shut bool
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
		ProbeFound: foundFigures(&v.Found), Sure: v.Sure, Confidence: v.Confidence, Alternatives: []ProbeShare{}, Unexplained: v.Foreign, Settle: v.Settle, Open: v.Open, PacedPerSecond: v.Paced, SlowestSeconds: v.Slowest.Seconds(), UsedBefore: v.Used, AlikeReplicas: v.Alike, SpentTimes: math.Round(10*v.Spent) / 10,
		MostUnderWay: v.Under, Stopped: v.Stopped, Quick: v.Quick, Requests: v.Requests, Refused: v.Refused, Lost: v.Lost, ElapsedSeconds: v.Elapsed.Seconds(),
		Headers: "none", Findings: []ProbeFinding{}, Waves: []ProbeWave{}, found: v.Found,
	}
	switch {
	case v.Quick:
		p.Notes = append(p.Notes, "It was not put to the proof (--quick): a second, slower limit, several replicas and figures that hold at this time only may be behind it.")
	case v.Open != "":
		p.Notes = append(p.Notes, "It is not certain: "+v.Open+".")
	}
	if v.Used {
		p.Notes = append(p.Notes, "Some of it had been used before the probe began.")
	}
	if o := v.Others; o.High > 0 && v.Family != probe.None {
		p.Others = &ProbeOthers{o.Share, o.Low, o.High}
		p.Notes = append(p.Notes, othersWords(o, v.Sure))
	}
	if v.Alike > 0 && len(v.Policies) == 1 && v.LimitLow == v.LimitHigh {
		p.Notes = append(p.Notes, fmt.Sprintf("It could not be told from several replicas that are reached strictly in turn, such as %d with %d each.", v.Alike, v.Policies[0].Capacity()/int64(v.Alike)))
	}
	switch {
	case !v.Sure || v.Spent == 0:
	case v.Spent < 2:
		p.Notes = append(p.Notes, "A second, slower limit was not looked for.")
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("No second, slower limit of less than %.1f times it: so much was spent at full speed.", p.SpentTimes))
	}
	if v.Sure && v.Wanted > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("To look for one of up to %d times it, as was asked for, takes more requests or more time than the bounds allow.", v.Wanted))
	}
	for _, a := range v.Alternatives {
		p.Alternatives = append(p.Alternatives, ProbeShare{foundFigures(&a.Found), a.Share, a.Found.Kind() + ", " + FoundWords(&a.Found), a.Separate, a.Found.Shut != nil})
	}
	for _, w := range v.Waves {
		p.AddWave(ProbeWave{Sent: w.Sent, Done: w.Done, Admitted: w.Admitted, Refused: w.Refused, Lost: w.Lost, Why: w.Why})
	}
	within := fmt.Sprintf("within %s in %s", plural(int64(v.Requests), "request", "requests"), spanWords(v.Elapsed.Round(time.Millisecond)))
	switch {
	case v.Family != probe.None || v.Under == 0:
	case v.Endless:
		p.Notes = append(p.Notes, fmt.Sprintf("No more are sent: with %d under way at once, the last of them waited for %s. A queue that refuses when it is longer than that was not met.", v.Under, spanWords(secDuration(digits(v.Slowest.Seconds(), 2)))))
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("At most %s under way at once: a limit on that which is larger was not met.", plural(int64(v.Under), "request was", "requests were")))
	}
	if v.Family == probe.None && v.Stopped == "" && !v.Endless {
		p.Notes = append(p.Notes, "No more are sent before one is met: the rest of --max-requests is for finding out which limit it is.")
	}
	switch {
	case v.Family == probe.None && v.Requests > 0 && v.Requests == v.Lost:
		p.unknown()
	case v.Family == probe.None && v.Paced > 0:
		p.Sentence = fmt.Sprintf("Nothing was refused %s, but answers came at about %s a second, however many were sent: it makes everybody wait, in a queue or because it can do no more.", within, inDigits(v.Paced, 3))
	case v.Family == probe.None && v.Slowest > 0:
		p.Sentence = fmt.Sprintf("Nothing was refused %s, but answers took up to %s: it makes who sends much wait, or can do no more. By which rule is not known.", within, spanWords(secDuration(digits(v.Slowest.Seconds(), 2))))
	case v.Family == probe.None:
		p.Sentence = "No limit was met " + within + "."
	case v.Sure:
		p.Sentence = fmt.Sprintf("%s: %s.", kindWords(&v.Found, "This is", "These are"), FoundWords(&v.Found))
	case v.Shut != nil:
		p.shut(v.Shut)
	case v.Family == probe.Replicas:
		p.Sentence = fmt.Sprintf("These are several replicas (%s), with one limit on each: %s.", PercentWords(v.Confidence), FoundWords(&v.Found))
	case p.likely():
		p.Sentence = fmt.Sprintf("%s: %s.", kindWords(&v.Found, "Likely this is", "Likely these are"), FoundWords(&v.Found))
	case len(v.Alternatives) == 0:
		p.Sentence = fmt.Sprintf("Undecided. %s: %s.", kindWords(&v.Found, "Nearest comes", "Nearest come"), FoundWords(&v.Found))
	default:
		likeliest := fmt.Sprintf("Likeliest (%s) ", PercentWords(v.Confidence))
		p.Sentence = fmt.Sprintf("Undecided. %s: %s.", kindWords(&v.Found, likeliest+"is", likeliest+"are"), FoundWords(&v.Found))
	}
	return p
}

// likely tells whether a quick probe ended with one explanation that is far the likeliest, and figures of it.
func (p *Probe) likely() bool { return p.Quick && p.Confidence >= 0.9 && p.Settle == "" }

// shut says what all that explains a limit have in common that was not seen to open.
func (p *Probe) shut(s *probe.Shut) {
	p.ShutSeconds = s.For.Seconds()
	p.Sentence = fmt.Sprintf("Undecided. It lets %d through, and did not open again within %s of the first refusal: how long its window is, is not known.", s.Passed, spanWords(secDuration(digits(s.For.Seconds(), 3))))
	if s.Opens.IsZero() {
		p.Notes = append(p.Notes, "To see it open, probe for longer (--max-time), or later (--resume).")
		return
	}
	at := s.Opens.UTC().Round(time.Second)
	p.OpensTold, p.OpensToldSeconds = &at, s.After.Seconds()
	p.Sentence += fmt.Sprintf(" The headers say that it opens again in %s, at %s.", farWords(s.After), at.Format("2006-01-02 15:04:05 UTC"))
}

// Shut tells whether it was not seen to open again.
func (p *Probe) Shut() bool { return p.ShutSeconds > 0 }

// Kinds are the explanations in words where their figures are not known.
func (p *Probe) Kinds() string {
	all := []string{fmt.Sprintf("%s (%s)", p.Family, PercentWords(p.Confidence))}
	for _, a := range p.Alternatives {
		all = append(all, fmt.Sprintf("%s (%s)", a.Family, PercentWords(a.Share)))
	}
	if len(all) == 1 {
		return "Nearest comes a " + all[0] + "."
	}
	return "Which kind it is cannot be told before it opens: " + strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1] + "."
}

// Stop notes what stopped the probe, one of the names of StopKind. Where that leaves
// nothing to go by, it says so in place of a verdict.
func (p *Probe) Stop(kind string) {
	p.StopKind = kind
	switch kind {
	case "errors", "no-answer", "lock-out", "answer-changed":
		if p.Family == probe.None.String() && p.Refused == 0 {
			p.unknown()
		}
	}
}

// unknown says that there is no verdict.
func (p *Probe) unknown() {
	p.Unknown, p.Confidence, p.Sure = true, 0, false
	p.Sentence = "Nothing is known of a limit: the probe had to stop before one was met."
}

// Tell is what would tell an alternative from the likeliest.
func (a ProbeShare) Tell() string {
	if a.shut {
		return ""
	}
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

// unknownTime tells whether the window or the rate of a policy is only one of many that
// nothing speaks against.
func unknownTime(f *probe.Found, i int) bool {
	p := f.Policies[i]
	return p.Algorithm != limit.Concurrency && p.Window > 0 && (f.Shut != nil || i == 0 && f.WindowOff > openEnd)
}

// TimesKnown tells whether a policy file can be written of what was found: all its
// windows and rates are known, at least roughly.
func TimesKnown(f *probe.Found) bool {
	for i := range f.Policies {
		if unknownTime(f, i) {
			return false
		}
	}
	return true
}

func foundFigures(f *probe.Found) ProbeFound {
	out := ProbeFound{Family: f.Kind(), Policies: []string{}, Limits: []ProbeLimit{}, BanSeconds: f.Ban.Seconds(), BanRenewed: f.Anew && f.Ban > 0, Replicas: f.Replicas, LimitLow: f.LimitLow, LimitHigh: f.LimitHigh, WindowOff: f.WindowOff}
	declared := f.Declared()
	for i, pol := range f.Policies {
		one := ProbeLimit{Algorithm: pol.Algorithm.String(), Limit: pol.Limit, WindowSeconds: pol.Window.Seconds(), Capacity: pol.Capacity(), Undelayed: pol.Undelayed,
			PhaseSeconds: pol.Phase.Seconds(), FromFirst: f.Anew || pol.Algorithm == limit.FixedWindow && pol.Align != limit.AlignClock, CountDenied: pol.CountDenied, EachBegins: f.Anew && f.Family == probe.FixedFirst || pol.Align == limit.AlignLast, TickSeconds: f.Tick.Seconds()}
		if f.Anew && f.Family == probe.RefillBucket {
			one.PortionsSince = f.Since.String()
		}
		if pol.Window > 0 {
			one.RatePerSecond = float64(pol.Limit) / pol.Window.Seconds()
		}
		text := declared[i].String()
		if unknownTime(f, i) {
			text = pol.Algorithm.String() + ": " + limitSentence(pol, true, 1)
			least := (1 - f.WindowOff) * one.WindowSeconds
			if pol.Algorithm == limit.TokenBucket || pol.Algorithm == limit.LeakyBucket || pol.Algorithm == limit.RefillBucket {
				one.Limit = 1 // how many come back together goes with how long that takes
			}
			if f.Shut != nil {
				least, out.BanSeconds = f.Shut.For.Seconds(), 0
			}
			one.WindowSeconds, one.RatePerSecond, one.PhaseSeconds, one.WindowAtLeastSeconds = 0, 0, 0, max(0, least)
		}
		out.Policies, out.Limits = append(out.Policies, text), append(out.Limits, one)
	}
	return out
}
