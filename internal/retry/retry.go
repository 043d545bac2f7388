// Package retry says what a client does after a refusal: a Rule gives the wait
// before each further attempt, or that there is none.
package retry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rule is how a client tries again. The zero value does not. It is a plain value.
type Rule struct {
	// Attempts is the most requests for one piece of work, the first among them.
	// 0 and 1 mean that nothing is tried again.
	Attempts int

	// Obey waits for as long as the service says (Retry-After, or the reset of its
	// limit headers), where it says so. Jitter is not taken off that.
	Obey bool

	// Base is the wait before the second attempt, where the service said nothing or
	// is not obeyed; each further wait is Factor times as long, up to Max.
	// Factor below 1 means 2; Max zero means no ceiling.
	Base, Max time.Duration
	Factor    float64

	// Jitter spreads the waits, so that clients that failed together do not return
	// together.
	Jitter Jitter

	// Spread is what JitterAdd adds at most.
	Spread time.Duration
}

// Jitter is how a wait is spread.
type Jitter uint8

const (
	NoJitter    Jitter = iota
	JitterFull         // anywhere from zero to the wait
	JitterEqual        // anywhere from half the wait to the wait
	JitterAdd          // the wait and up to Spread more
)

var jitterNames = [...]string{"none", "full", "equal", "add"}

// String returns the word that Parse reads.
func (j Jitter) String() string { return jitterNames[j] }

// Wait returns how long to wait before the next attempt, done attempts being
// behind (the first wait has done = 1). told is what the service said to wait,
// negative when it said nothing; chance is a random number in [0, 1). ok is false
// when the client gives up.
func (r Rule) Wait(done int, told time.Duration, chance float64) (wait time.Duration, ok bool) {
	if done >= r.Attempts {
		return 0, false
	}
	if r.Obey && told >= 0 {
		if r.Jitter == JitterAdd {
			return told + part(r.Spread, chance), true
		}
		return told, true
	}
	factor := r.Factor
	if factor < 1 {
		factor = 2
	}
	w := float64(r.Base) * math.Pow(factor, float64(max(0, done-1)))
	limit := float64(1 << 61)
	if r.Max > 0 {
		limit = float64(r.Max)
	}
	wait = time.Duration(min(w, limit))
	switch r.Jitter {
	case JitterFull:
		wait = part(wait, chance)
	case JitterEqual:
		wait = wait/2 + part(wait/2, chance)
	case JitterAdd:
		wait += part(r.Spread, chance)
	}
	return wait, true
}

func part(d time.Duration, chance float64) time.Duration {
	return time.Duration(float64(d) * chance)
}

// Presets returns the names that Parse knows beside the spelt-out form, each with
// the rule it stands for, in a stable order.
func Presets() []Preset {
	return []Preset{
		{"none", "give up at the first refusal", Rule{}},
		{"retry-after", "wait as the service says, else 1 s, 2 s, 4 s …; 5 attempts",
			Rule{Attempts: 5, Obey: true, Base: time.Second, Max: 30 * time.Second}},
		{"exponential", "100 ms, 200 ms, 400 ms … up to 20 s, full jitter, whatever the service says; 5 attempts",
			Rule{Attempts: 5, Base: 100 * time.Millisecond, Max: 20 * time.Second, Jitter: JitterFull}},
		// Three attempts: docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html,
		// "standard", read 2026-11-21. Between them min(b·2ⁱ, 20 s), b from 0 to 1 s, as
		// in the SDKs before AWS_NEW_RETRIES_2026.
		{"aws", "the AWS SDKs' standard mode: 3 attempts, up to 1 s, then up to 2 s",
			Rule{Attempts: 3, Base: time.Second, Max: 20 * time.Second, Jitter: JitterFull}},
		// maxRetries 3, retryDelayInMs 1000, maxRetryDelayInMs 64000; Retry-After is
		// obeyed: learn.microsoft.com/javascript/api/@azure/core-rest-pipeline/pipelineretryoptions,
		// read 2026-11-21.
		{"azure", "the Azure SDKs' core pipeline: 4 attempts, as the service says, else from 1 s to 64 s",
			Rule{Attempts: 4, Obey: true, Base: time.Second, Max: 64 * time.Second, Jitter: JitterEqual}},
		// BASE_DELAY 500, MAX_REQUEST_RETRY_DELAY 10000, MAX_REQUEST_RETRY_JITTER 250,
		// DEFAULT_NUMBER_RETRIES 3: the retry file of Auth0's Node SDK, read 2026-11-21.
		{"auth0", "Auth0's Node SDK: 4 attempts, 500 ms, 1 s, 2 s and up to 250 ms more",
			Rule{Attempts: 4, Base: 500 * time.Millisecond, Max: 10 * time.Second, Jitter: JitterAdd, Spread: 250 * time.Millisecond}},
		{"immediate", "at once, without any wait: what a careless loop does; 3 attempts",
			Rule{Attempts: 3}},
	}
}

// Preset is a rule with a name.
type Preset struct {
	Name, Summary string
	Rule          Rule
}

// Parse reads a rule: the name of a preset, followed by what differs from it, as in
//
//	exponential:attempts=8,base=50ms,max=5s,jitter=equal
//
// The fields are attempts, base, max, factor, jitter (none, full, equal, or add
// with spread) and obey. The error says which is wrong.
func Parse(s string) (Rule, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(s), ":")
	var r Rule
	var names []string
	found := false
	for _, p := range Presets() {
		if names = append(names, p.Name); p.Name == name {
			r, found = p.Rule, true
		}
	}
	if !found {
		return r, fmt.Errorf("%q is not a retry rule: it begins with one of %s", name, strings.Join(names, ", "))
	}
	if rest == "" {
		return r, nil
	}
	for field := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok {
			return r, fmt.Errorf("%q: write it as name=value", field)
		}
		if err := r.set(key, value); err != nil {
			return r, err
		}
	}
	if r.Jitter == JitterAdd && r.Spread == 0 {
		return r, fmt.Errorf("jitter=add needs spread, such as spread=250ms")
	}
	return r, nil
}

func (r *Rule) set(key, value string) (err error) {
	switch key {
	case "attempts":
		if r.Attempts, err = strconv.Atoi(value); err != nil || r.Attempts < 1 || r.Attempts > 1000 {
			return fmt.Errorf("attempts=%s: must be a number from 1 to 1000", value)
		}
	case "base":
		r.Base, err = length(key, value)
	case "max":
		r.Max, err = length(key, value)
	case "spread":
		r.Spread, err = length(key, value)
	case "factor":
		if r.Factor, err = strconv.ParseFloat(value, 64); err != nil || !(r.Factor >= 1 && r.Factor <= 100) {
			return fmt.Errorf("factor=%s: must be a number from 1 to 100", value)
		}
	case "jitter":
		for i, n := range jitterNames {
			if n == value {
				r.Jitter = Jitter(i)
				return nil
			}
		}
		return fmt.Errorf("jitter=%s: must be none, full, equal or add", value)
	case "obey":
		if r.Obey, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("obey=%s: must be true or false", value)
		}
	default:
		return fmt.Errorf("%q is not a field of a retry rule: attempts, base, max, factor, jitter, spread or obey", key)
	}
	return err
}

func length(key, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("%s=%s: must be a time from 0s to 24h, such as 100ms", key, value)
	}
	return d, nil
}

// String returns the rule in the form that Parse reads.
func (r Rule) String() string {
	for _, p := range Presets() {
		if p.Rule == r {
			return p.Name
		}
	}
	s := fmt.Sprintf("exponential:attempts=%d,base=%v,max=%v,jitter=%v,obey=%v", max(1, r.Attempts), r.Base, r.Max, r.Jitter, r.Obey)
	if r.Factor != 0 {
		s += ",factor=" + strconv.FormatFloat(r.Factor, 'g', -1, 64)
	}
	if r.Spread != 0 {
		s += ",spread=" + r.Spread.String()
	}
	return s
}
