package main

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// truth is what a limiter does, in the words and figures of weir probe.
type truth struct {
	families []string // any of these names is right; none: it is none of the kinds that weir probe knows
	policies []figures
	ban      float64 // seconds
	renewed  bool    // each request that is refused begins the ban anew
	replicas int
	words    string  // instead of the figures
	tick     float64 // seconds: its clock shows whole ones of these only
	loses    bool    // of a refill bucket: the time to the next portion begins anew with each that passes
	paced    float64 // it refuses nothing, and answers so many a second
	keyed    bool    // key is compared, too
	key      string  // as a policy file has it; none: the same count for all that was varied
}

// figures are those of one policy.
type figures struct {
	n      float64 // limit, or what a bucket or queue holds
	unit   float64 // seconds: the window; of buckets, seconds per unit or per portion
	m      float64 // portion of a refill bucket; undelayed part of a queue
	bucket bool
}

const (
	byClock     = "fixed window by the clock"
	fromFirst   = "fixed window from the first request"
	slidingLog  = "sliding log"
	slidingDen  = "sliding log that counts refused requests"
	weighted    = "sliding window"
	weightedDen = "sliding window that counts refused requests"
	bucket      = "token bucket"
	refill      = "refill bucket"
	queue       = "leaky bucket with a queue"
	ban         = "fixed window with a ban"
	concurrency = "concurrency limit"
	two         = "two limits"
	spread      = "one limit on each of several replicas"
	noLimit     = "no limit"
)

func window(family string, n, seconds float64) truth {
	return truth{families: []string{family}, policies: []figures{{n: n, unit: seconds}}}
}

// tokens is a bucket of so many, with so many a second.
func tokens(n, rate float64) truth {
	return truth{families: []string{bucket}, policies: []figures{{n: n, unit: 1 / rate, bucket: true}}}
}

// queued is a queue of so many behind the one that is served, some of them undelayed.
func queued(n, undelayed, rate float64) truth {
	return truth{families: []string{queue}, policies: []figures{{n: n, unit: 1 / rate, m: undelayed, bucket: true}}}
}

// portions is a bucket that gets m at once each so many seconds.
func portions(n, m, seconds float64) truth {
	return truth{families: []string{refill}, policies: []figures{{n: n, unit: seconds, m: m, bucket: true}}}
}

func banned(n, seconds, ban_ float64) truth {
	t := window(ban, n, seconds)
	t.ban = ban_
	return t
}

// whileAsked is a ban that goes on for as long as somebody asks.
func (t truth) whileAsked() truth {
	t.words = t.String() + ", begun anew by each request that is refused"
	t.renewed = true
	return t
}

func both(a, b truth) truth {
	return truth{families: []string{two}, policies: append(slices.Clone(a.policies), b.policies...), words: a.String() + " and " + b.String()}
}

func replicated(n int, t truth) truth {
	return truth{families: []string{spread}, policies: t.policies, replicas: n, words: fmt.Sprintf("%s on each of %d replicas", t, n)}
}

// other is a limiter of no kind that weir probe knows: it may not be sure of any.
func other(words string) truth { return truth{words: words} }

// by says what it is counted by, of what was varied.
func (t truth) by(key string) truth {
	t.keyed, t.key = true, key
	t.words = t.String() + ", key: " + cmp.Or(key, "none of these")
	return t
}

// ticking is the same with a clock that shows whole ticks, of so many seconds each.
func (t truth) ticking(tick float64) truth {
	t.words = fmt.Sprintf("%s, with a clock of whole %gs", t, tick)
	t.tick = tick
	return t
}

// or allows another name for the same behaviour.
func (t truth) or(family string) truth {
	t.families = append(slices.Clone(t.families), family)
	return t
}

func (t truth) String() string {
	if t.words != "" {
		return t.words
	}
	f := t.policies[0]
	switch t.families[0] {
	case bucket:
		return fmt.Sprintf("%s, %g, %.4g/s", bucket, f.n, 1/f.unit)
	case queue:
		return fmt.Sprintf("queue of %g, %g undelayed, %.4g/s", f.n, f.m, 1/f.unit)
	case refill:
		return fmt.Sprintf("%s, %g, then %g each %gs", refill, f.n, f.m, f.unit)
	case concurrency:
		return fmt.Sprintf("%g at once", f.n)
	case ban, "sliding log with a ban":
		return fmt.Sprintf("%g in %gs, ban %gs", f.n, f.unit, t.ban)
	}
	return fmt.Sprintf("%s, %g in %gs", t.families[0], f.n, f.unit)
}

// judgement is how a verdict compares with the truth.
type judgement string

const (
	right     judgement = "right"
	guessed   judgement = "right, not sure"
	figuresOf judgement = "undecided, kind right, figures not"
	listed    judgement = "undecided, the truth listed"
	undecided judgement = "undecided"
	wrong     judgement = "WRONG"
	broken    judgement = "did not run"
	skipped   judgement = "skipped"
	untried   judgement = "not tried"
)

var judgements = [...]judgement{right, guessed, figuresOf, listed, undecided, wrong, broken, skipped, untried}

// judge compares. A limit must be exact, a time within 1 %; of replicas the
// total within 10 %.
func (t truth) judge(v *verdict) judgement {
	named := slices.Contains(t.families, v.Family)
	fits := named && t.fits(v)
	switch {
	case t.paced > 0 && v.Family == noLimit && near(v.PacedPerSecond, t.paced):
		return right
	case fits && v.Sure:
		return right
	case v.Sure && len(t.families) == 0 && v.Family == noLimit && v.Refused == 0:
		return undecided // it says what it met, and that is so
	case v.Sure:
		return wrong
	case fits:
		return guessed
	case named:
		return figuresOf
	}
	for _, a := range v.Alternatives {
		if slices.Contains(t.families, a.Family) {
			return listed
		}
	}
	return undecided
}

func (t truth) fits(v *verdict) bool {
	if t.keyed && (len(v.policies) == 0 || strings.ReplaceAll(v.policies[0].Key, `"`, "'") != t.key) {
		return false
	}
	tick, anew := 0.0, false
	for _, l := range v.Limits {
		tick, anew = l.TickSeconds, l.FromFirst
	}
	if tick != t.tick || t.loses && !anew {
		return false
	}
	got := make([]figures, 0, len(v.policies))
	for _, p := range v.policies {
		got = append(got, p.figures())
	}
	if t.replicas > 0 {
		if len(got) != 1 {
			return false
		}
		want := t.policies[0].n * float64(t.replicas)
		return math.Abs(got[0].n*float64(v.Replicas)-want) <= 0.1*want && near(got[0].unit, t.policies[0].unit)
	}
	if len(got) != len(t.policies) || t.ban > 0 && (!near(v.BanSeconds, t.ban) || v.BanRenewed != t.renewed) {
		return false
	}
	return matches(t.policies, got) || len(got) == 2 && matches(t.policies, []figures{got[1], got[0]})
}

func matches(want, got []figures) bool {
	for i, w := range want {
		g := got[i]
		if w.n == 1 && g.n == 1 && w.m == 0 && near(g.unit, w.unit) {
			continue // whatever the kind, it is one each so many seconds
		}
		if w.bucket != g.bucket || w.n != g.n || w.unit > 0 && !near(g.unit, w.unit) || w.bucket && w.m != g.m {
			return false
		}
	}
	return true
}

func near(got, want float64) bool { return math.Abs(got-want) <= 0.01*want }

// verdict is what weir probe wrote, as far as it is compared.
type verdict struct {
	Family         string  `json:"family"`
	Sure           bool    `json:"sure"`
	Confidence     float64 `json:"confidence"`
	BanSeconds     float64 `json:"ban_seconds"`
	BanRenewed     bool    `json:"ban_renewed"`
	Replicas       int     `json:"replicas"`
	Stopped        string  `json:"stopped"`
	Requests       int     `json:"requests"`
	Refused        int     `json:"refused"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	PacedPerSecond float64 `json:"paced_per_second"`
	Limits         []struct {
		TickSeconds float64 `json:"tick_seconds"`
		FromFirst   bool    `json:"from_first_request"`
	} `json:"limits"`
	Alternatives []struct {
		Family string `json:"family"`
	} `json:"alternatives"`

	policies []found
}

// found is a policy of the file that weir probe wrote.
type found struct {
	Algorithm string `yaml:"algorithm"`
	Limit     int64  `yaml:"limit"`
	Window    string `yaml:"window"`
	Burst     int64  `yaml:"burst"`
	Undelayed int64  `yaml:"undelayed"`
	Key       string `yaml:"key"`
}

func (f found) figures() figures {
	d, _ := time.ParseDuration(f.Window)
	w := d.Seconds()
	switch f.Algorithm {
	case "", "token-bucket":
		n := f.Burst
		if n == 0 {
			n = f.Limit
		}
		return figures{n: float64(n), unit: w / float64(f.Limit), bucket: true}
	case "leaky-bucket":
		return figures{n: float64(f.Burst), m: float64(f.Undelayed), unit: w / float64(f.Limit), bucket: true}
	case "refill-bucket":
		n := f.Burst
		if n == 0 {
			n = f.Limit
		}
		return figures{n: float64(n), m: float64(f.Limit), unit: w, bucket: true}
	case "concurrency":
		return figures{n: float64(f.Limit)}
	}
	return figures{n: float64(f.Limit), unit: w}
}

// undecidedLead is what stands before the kind.
var undecidedLead = regexp.MustCompile(`^(Likeliest \([0-9]+ %\) (is|are)|Nearest comes?) `)

// words is the verdict on one line.
func (v *verdict) words(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	first = strings.TrimSuffix(strings.TrimPrefix(first, "This is a "), ".")
	if _, rest, ok := strings.Cut(first, "Undecided. "); ok {
		first = fmt.Sprintf("perhaps (%.0f %%) %s", 100*v.Confidence, undecidedLead.ReplaceAllString(rest, ""))
	}
	if v.Stopped != "" {
		first += "; cut short"
	}
	if len(v.policies) > 0 && v.policies[0].Key != "" {
		first += "; key: " + v.policies[0].Key
	}
	return strings.ReplaceAll(first, "|", "/")
}
