package limit

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
)

// Policy says what a rate limit promises. It is a plain value: copy it, compare
// it with ==, write it as a literal. A zero field means what is said beside it.
//
//	limit.Policy{Limit: 10, Window: time.Second, Burst: 3}
//
// is a token bucket of 3 that gains 10 per second. String and ParsePolicy turn
// policies into text and back.
type Policy struct {
	// Name is free text for messages and reports. It may be empty.
	Name string

	// Algorithm says how requests are counted. Zero is TokenBucket.
	Algorithm Algorithm

	// Limit is the number of units per Window or Period, or in use at once for
	// Concurrency. At least 1.
	Limit int64

	// Window is the time in which Limit units are promised; more than zero.
	// Zero for Concurrency, and for a Quota that has a Period instead.
	Window time.Duration

	// Burst is, in units,
	//
	//   - TokenBucket, RefillBucket: what the bucket holds; zero means Limit.
	//   - LeakyBucket: how many may wait in the queue beyond the one being
	//     served (nginx's burst); zero means none.
	//
	// and must be zero elsewhere.
	Burst int64

	// Align says what a FixedWindow starts at. Zero is AlignClock. Every other
	// algorithm has only AlignClock.
	Align Align

	// Phase moves the heads of clock-aligned windows: a window of 1 minute with
	// phase 15 s starts 15 s after each full minute. From zero to below Window;
	// for FixedWindow with AlignClock, SlidingWindow and RefillBucket.
	Phase time.Duration

	// CountDenied makes a refused request consume too, as some services do:
	//
	//   - FixedWindow, SlidingWindow, SlidingLog, Quota: its cost is counted like
	//     that of an admitted one, so a client that keeps asking may never be
	//     admitted again by a SlidingLog.
	//   - TokenBucket, RefillBucket: it drains the bucket, down to empty and
	//     never below.
	//
	// For LeakyBucket and Concurrency it must be false: what is refused never
	// enters the queue and never holds a slot.
	CountDenied bool

	// Ban is how long everything is refused once a request was refused, counted
	// from that one. While it lasts requests count nothing; with CountDenied each
	// begins it anew instead. When it is over the limit is as new. At least
	// Window, or zero for no ban. For FixedWindow, SlidingLog and SlidingWindow,
	// and not on a Counter that several policies share. The Limiter of such a
	// policy has a method Banned(at time.Time) time.Duration: how long it lasts yet.
	Ban time.Duration

	// WarnAt is the share of the capacity in use, above 0 and up to 1, from
	// which Decision.Warn is set. Zero means never. It is taken as the decimal
	// number it prints as: 0.8 of 5 is 4.
	WarnAt float64

	// Undelayed is how many of a LeakyBucket's Burst pass without delay (nginx's
	// delay=n). From zero, which delays all that do not find the queue empty, to
	// Burst, which delays none (nginx's nodelay).
	Undelayed int64

	// MaxDelay is the longest Decision.Delay of a LeakyBucket; what would wait
	// longer is refused even if Burst has room. Zero means no such bound.
	MaxDelay time.Duration

	// Period makes a Quota follow the calendar: each hour, day, week (from
	// Monday), month or year. Zero means that Window counts instead.
	Period Period

	// Location is where the calendar of Period is read, with its summer time.
	// Nil means UTC.
	Location *time.Location

	// Start is a head of a Quota's Window: windows start at Start plus and minus
	// every multiple of Window. Zero means the origin given to New. Unused with
	// Period.
	Start time.Time
}

// Algorithm says how a policy counts.
type Algorithm uint8

const (
	// TokenBucket holds Burst tokens, starts full, and gains Limit per Window
	// evenly and continuously. Also known as GCRA.
	TokenBucket Algorithm = iota

	// RefillBucket holds Burst tokens, starts full, and gains Limit at once at
	// the head of each clock-aligned Window, never above Burst.
	RefillBucket

	// FixedWindow admits Limit in each Window, and so up to twice Limit across
	// the border of two.
	FixedWindow

	// SlidingLog admits at most Limit in any span of Window, by remembering when
	// each was admitted. Its memory grows to Limit entries of
	// 16 bytes, rounded up to a power of two.
	SlidingLog

	// SlidingWindow estimates the sliding count from two clock-aligned windows:
	// previous·(1 − elapsed/Window) + current. It admits cost c when the
	// estimate, rounded down, plus c is at most Limit; for one request that is
	// "admit while the estimate is below Limit", Cloudflare's form.
	SlidingWindow

	// LeakyBucket serves Limit per Window evenly; a request that finds others
	// before it is delayed, or refused once Burst wait. With Limit 1 per 100 ms
	// and Burst 20 it is nginx's limit_req rate=10r/s burst=20.
	LeakyBucket

	// Concurrency admits Limit at once; each holds its units until Release.
	Concurrency

	// Quota admits Limit in each calendar Period, or in each Window counted
	// from Start.
	Quota
)

var algorithmNames = [...]string{
	TokenBucket:   "token-bucket",
	RefillBucket:  "refill-bucket",
	FixedWindow:   "fixed-window",
	SlidingLog:    "sliding-log",
	SlidingWindow: "sliding-window",
	LeakyBucket:   "leaky-bucket",
	Concurrency:   "concurrency",
	Quota:         "quota",
}

// Algorithms returns every algorithm, in the order of their constants.
func Algorithms() []Algorithm {
	all := make([]Algorithm, len(algorithmNames))
	for i := range all {
		all[i] = Algorithm(i)
	}
	return all
}

// String returns the name used in policy files and scripts, such as
// "token-bucket".
func (a Algorithm) String() string { return name(algorithmNames[:], "Algorithm", int(a)) }

// MarshalText returns the name, or an error for a value that has none.
func (a Algorithm) MarshalText() ([]byte, error) {
	return marshal(algorithmNames[:], "algorithm", int(a))
}

// UnmarshalText accepts the names that String returns.
func (a *Algorithm) UnmarshalText(text []byte) error {
	i, err := unmarshal(algorithmNames[:], "algorithm", string(text))
	if err == nil {
		*a = Algorithm(i)
	}
	return err
}

// Align says where the windows of a FixedWindow start.
type Align uint8

const (
	// AlignClock: at multiples of Window since the Unix epoch, plus Phase.
	AlignClock Align = iota

	// AlignFirst: at the first counted request while no window is open.
	AlignFirst

	// AlignLast: at the latest counted request, so that each begins the window
	// anew and a count ends only after a Window without any. A counter in a cache
	// whose expiry is set with every increment does so (INCR and EXPIRE).
	AlignLast
)

var alignNames = [...]string{AlignClock: "clock", AlignFirst: "first-request", AlignLast: "last-request"}

// String returns "clock", "first-request" or "last-request".
func (a Align) String() string { return name(alignNames[:], "Align", int(a)) }

// MarshalText returns the name, or an error for a value that has none.
func (a Align) MarshalText() ([]byte, error) { return marshal(alignNames[:], "align", int(a)) }

// UnmarshalText accepts the names that String returns.
func (a *Align) UnmarshalText(text []byte) error {
	i, err := unmarshal(alignNames[:], "align", string(text))
	if err == nil {
		*a = Align(i)
	}
	return err
}

// Period is a span of the calendar.
type Period uint8

const (
	// NoPeriod: the quota counts by Window.
	NoPeriod Period = iota

	// PerHour starts when the local clock shows a full hour; where summer time
	// ends, the hour shown twice is two periods.
	PerHour

	// PerDay starts at the first instant of the local date, which need not be
	// midnight and need not be 24 hours before the next. A day that has begun
	// does not end when the clock is put back over midnight.
	PerDay

	// PerWeek starts with Monday.
	PerWeek

	// PerMonth starts with the first of the month.
	PerMonth

	// PerYear starts with 1 January.
	PerYear
)

var periodNames = [...]string{NoPeriod: "none", PerHour: "hour", PerDay: "day", PerWeek: "week", PerMonth: "month", PerYear: "year"}

// String returns "hour", "day", "week", "month", "year", or "none".
func (p Period) String() string { return name(periodNames[:], "Period", int(p)) }

// MarshalText returns the name, or an error for a value that has none.
func (p Period) MarshalText() ([]byte, error) { return marshal(periodNames[:], "period", int(p)) }

// UnmarshalText accepts the names that String returns.
func (p *Period) UnmarshalText(text []byte) error {
	i, err := unmarshal(periodNames[:], "period", string(text))
	if err == nil {
		*p = Period(i)
	}
	return err
}

func name(names []string, kind string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return kind + "(" + strconv.Itoa(i) + ")"
}

func marshal(names []string, kind string, i int) ([]byte, error) {
	if i < len(names) {
		return []byte(names[i]), nil
	}
	return nil, fmt.Errorf("%s: no such value: %d", kind, i)
}

func unmarshal(names []string, kind, text string) (int, error) {
	for i, n := range names {
		if n == text {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s: unknown name %q; known are %s", kind, text, list(names))
}

// New returns a limiter that keeps the policy, in its initial state: nothing
// taken, buckets full. It fails when Validate does.
//
// origin is the earliest instant the limiter will meet; those before it are
// treated as it. The zero time means the Unix epoch, which serves every instant
// until the year 2262. Windows are aligned to the clock, not to the origin.
func (p Policy) New(origin time.Time) (Limiter, error) {
	return p.build(origin)
}

func (p Policy) build(origin time.Time) (part, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if origin.IsZero() {
		origin = time.Unix(0, 0)
	}
	if s := origin.Unix(); s > maxOrigin || s < -maxOrigin {
		return nil, &FieldError{Field: "origin", Reason: "is beyond any calendar; give an instant between the years -100000 and 100000"}
	}
	if p.Ban > 0 {
		return newBanned(p, origin)
	}
	switch p.Algorithm {
	case RefillBucket:
		return newRefillBucket(p, origin), nil
	case FixedWindow:
		return newFixedWindow(p, origin), nil
	case SlidingLog:
		return newSlidingLog(p, origin), nil
	case SlidingWindow:
		return newSlidingWindow(p, origin), nil
	case LeakyBucket:
		return newLeakyBucket(p, origin), nil
	case Concurrency:
		return newConcurrency(p, origin), nil
	case Quota:
		return newQuota(p, origin), nil
	default:
		return newTokenBucket(p, origin), nil
	}
}

// Capacity returns the most that can be taken at once from the initial state:
// what Decision.Limit says. It is meaningful for a valid policy only.
func (p Policy) Capacity() int64 {
	switch p.Algorithm {
	case TokenBucket, RefillBucket:
		if p.Burst != 0 {
			return p.Burst
		}
	case LeakyBucket:
		return newLeakyBucket(p, time.Unix(0, 0)).room
	}
	return p.Limit
}

// warnBelow returns the number of units below which Remaining sets Warn: used ≥
// share·capacity, turned round. Zero, below which nothing is, means never.
func warnBelow(share float64, capacity int64) int64 {
	if share == 0 {
		return 0
	}
	used := decimal(share)
	used.Mul(used, new(big.Rat).SetInt64(capacity))
	n := new(big.Int).Add(used.Num(), new(big.Int).Sub(used.Denom(), big.NewInt(1)))
	n.Quo(n, used.Denom())
	return capacity - n.Int64() + 1
}

// decimal returns the number that f prints as, exactly: 0.07 and not the binary
// fraction beside it.
func decimal(f float64) *big.Rat {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return new(big.Rat)
	}
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	return r
}
