package stand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Latency is how long an answer waits: Base, plus a draw that is uniform in
// [0, Jitter). The zero value waits for nothing.
type Latency struct {
	Base, Jitter time.Duration
}

// maxWait bounds every configured wait, so that a mistyped unit is refused
// rather than waited for.
const maxWait = time.Hour

// Validate reports a negative or absurd part.
func (l Latency) Validate() error {
	if l.Base < 0 || l.Jitter < 0 || l.Base > maxWait || l.Jitter > maxWait {
		return fmt.Errorf("latency: %v: both parts must be between 0 and %v", l, maxWait)
	}
	return nil
}

// String returns the form ParseLatency reads.
func (l Latency) String() string {
	if l.Jitter == 0 {
		return l.Base.String()
	}
	return l.Base.String() + "+" + l.Jitter.String()
}

// ParseLatency reads "20ms" (fixed) or "20ms+30ms" (20 ms and up to 30 ms more,
// uniformly).
func ParseLatency(text string) (Latency, error) {
	base, jitter, ranged := strings.Cut(text, "+")
	var l Latency
	var err error
	if l.Base, err = time.ParseDuration(strings.TrimSpace(base)); err != nil {
		return Latency{}, fmt.Errorf("latency %q: want a duration such as 20ms, or 20ms+30ms for 20 to 50 ms", text)
	}
	if ranged {
		if l.Jitter, err = time.ParseDuration(strings.TrimSpace(jitter)); err != nil {
			return Latency{}, fmt.Errorf("latency %q: after the + want a duration, as in 20ms+30ms", text)
		}
	}
	return l, l.Validate()
}

// Fault is one way for a request to go wrong behind the quotas.
type Fault uint8

const (
	None  Fault = iota
	Error       // the service's own answer to an internal error, status 500
	Reset       // the connection is cut with a TCP reset, no answer
	Hang        // no answer for Faults.HangFor, then the connection is closed
	Slow        // the right answer, its body trickling over Faults.SlowFor

	numFaults = 5
)

// String returns the word ParseScript reads.
func (f Fault) String() string {
	switch f {
	case None:
		return "ok"
	case Error:
		return "error"
	case Reset:
		return "reset"
	case Hang:
		return "hang"
	case Slow:
		return "slow"
	}
	return "fault(" + strconv.Itoa(int(f)) + ")"
}

// Faults says which requests go wrong. The zero value injects none.
type Faults struct {
	// Script is followed first, one step per request behind the quotas in the
	// order of their arrival; when it is used up the rates below apply.
	Script []Fault

	// The rates are probabilities in [0,1]; their sum must not exceed 1.
	ErrorRate, ResetRate, HangRate, SlowRate float64

	// HangFor is how long a hang lasts; 0 means until the client gives up or
	// the stand-in is closed. SlowFor is how long a slow body takes; 0 means 2 s.
	HangFor, SlowFor time.Duration
}

// Validate reports rates outside [0,1], or waits that are negative or absurd.
func (f Faults) Validate() error {
	var errs []error
	sum := 0.0
	for _, r := range []struct {
		name string
		rate float64
	}{{"error", f.ErrorRate}, {"reset", f.ResetRate}, {"hang", f.HangRate}, {"slow", f.SlowRate}} {
		// Written so that NaN fails too.
		if !(r.rate >= 0 && r.rate <= 1) {
			errs = append(errs, fmt.Errorf("faults: %s rate %v: must be between 0 and 1 (0.01 is one in a hundred)", r.name, r.rate))
		}
		sum += r.rate
	}
	if len(errs) == 0 && sum > 1+1e-9 {
		errs = append(errs, fmt.Errorf("faults: the rates add up to %v: together they must not exceed 1", sum))
	}
	if f.HangFor < 0 || f.SlowFor < 0 || f.HangFor > maxWait || f.SlowFor > maxWait {
		errs = append(errs, fmt.Errorf("faults: hang %v, slow %v: both must be between 0 and %v", f.HangFor, f.SlowFor, maxWait))
	}
	for i, s := range f.Script {
		if s >= numFaults {
			errs = append(errs, fmt.Errorf("faults: script step %d: unknown fault %d", i+1, s))
		}
	}
	return errors.Join(errs...)
}

// maxScript bounds a parsed script: longer ones are what the rates are for.
const maxScript = 1_000_000

// ParseScript reads steps separated by spaces or commas, each a word of ok,
// error, reset, hang and slow, with an optional count: "ok*10 error*3 reset".
func ParseScript(text string) ([]Fault, error) {
	var script []Fault
	for i, step := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' }) {
		word, times, counted := strings.Cut(step, "*")
		n := 1
		if counted {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 1 {
				return nil, fmt.Errorf("fault script: step %d, %q: after the * want a number from 1 up", i+1, step)
			}
		}
		if n > maxScript-len(script) {
			return nil, fmt.Errorf("fault script: step %d, %q: more than %d steps in all; use rates instead", i+1, step, maxScript)
		}
		fault := Fault(numFaults)
		for f := None; f < numFaults; f++ {
			if f.String() == word {
				fault = f
			}
		}
		if fault == numFaults {
			return nil, fmt.Errorf("fault script: step %d, %q: want ok, error, reset, hang or slow", i+1, step)
		}
		for range n {
			script = append(script, fault)
		}
	}
	return script, nil
}

// draw returns what happens to the n-th request behind the quotas (from 0) and
// how long it takes: a pure function of the configuration, the seed and n.
func (s *Stand) draw(n uint64) (Fault, time.Duration) {
	wait := s.latency.Base
	if s.latency.Jitter > 0 {
		wait += time.Duration(float64(s.latency.Jitter) * unit(s.seed, 2*n))
	}
	f := &s.faults
	if n < uint64(len(f.Script)) {
		return f.Script[n], wait
	}
	u := unit(s.seed, 2*n+1)
	for _, c := range [...]struct {
		fault Fault
		rate  float64
	}{{Error, f.ErrorRate}, {Reset, f.ResetRate}, {Hang, f.HangRate}, {Slow, f.SlowRate}} {
		if u < c.rate {
			return c.fault, wait
		}
		u -= c.rate
	}
	return None, wait
}

// unit is the n-th number of the stream of a seed, uniform in [0,1): the output
// function of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
// number generators", OOPSLA 2014). Random access is what lets requests draw
// without a lock.
func unit(seed, n uint64) float64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}
