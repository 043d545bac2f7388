package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// ComparisonFormat is the name and version of the JSON form of a Comparison.
const ComparisonFormat = "weir-comparison/1"

// Comparison sets two runs side by side. What differs by more than the runs vary
// within themselves is called a difference; the rest may be chance.
type Comparison struct {
	Format  string       `json:"format"`
	A       Compared     `json:"a"`
	B       Compared     `json:"b"`
	Answer  []string     `json:"answer"` // the result in plain sentences
	Figures []Difference `json:"figures"`
	Parts   int          `json:"parts"` // into how many stretches the runs were cut to see how much they vary
	Paired  bool         `json:"paired"`
}

// Compared is one of the two runs.
type Compared struct {
	File    string  `json:"file"`
	ID      string  `json:"id"`
	Started string  `json:"started"`
	Seconds float64 `json:"duration_seconds"`
	Target  string  `json:"target"`
	Plan    string  `json:"plan"`
	State   string  `json:"state"`
	Result  string  `json:"result"`
}

// Difference is one figure in both runs. Change is B less A; Low and High are
// between what it lies with 99 % certainty, absent when the runs are too short
// to tell. A figure that a run does not have is absent.
type Difference struct {
	Name    string   `json:"name"`
	Unit    string   `json:"unit"` // per second, ratio or ms
	A       *float64 `json:"a,omitempty"`
	B       *float64 `json:"b,omitempty"`
	Change  *float64 `json:"change,omitempty"`
	Low     *float64 `json:"change_low,omitempty"`
	High    *float64 `json:"change_high,omitempty"`
	Verdict string   `json:"verdict"` // higher, lower, same, unclear or unknown, of B
}

// Verdicts of a Difference.
const (
	higher  = "higher"
	lower   = "lower"
	same    = "same"
	unclear = "unclear" // a change may be there, and the runs vary too much to see it
	unknown = "unknown"
)

// Bounds of the comparison.
const (
	mostParts  = 20
	leastParts = 10
	leastPairs = 5           // parts that have the figure
	partLength = time.Second // the least: a part needs something to measure
	// trifle is the share below which a change is not called one, however sure it
	// is: percentiles are exact to half a percent only.
	trifle = 0.01
	// alike is the share, or the part of a ratio, that the change of a figure called
	// the same may have.
	alike = 0.1
)

// part is a stretch of a run, or all of it.
type part struct {
	length                                    time.Duration
	sent, admitted, throttled, failed, missed int64
	response, service                         hist.Hist // of admitted requests
}

func (p *part) add(k *tally.Tick) {
	p.length += k.Length
	p.sent += sends(k)
	for i := range k.Series {
		s := &k.Series[i]
		switch s.Outcome {
		case hit.Admitted:
			p.admitted += s.Count
			p.response.Merge(s.Response)
			p.service.Merge(s.Service)
		case hit.Throttled:
			p.throttled += s.Count
		case hit.Failed:
			p.failed += s.Count
		case hit.Missed:
			p.missed += s.Count
		}
	}
}

// figure is something to compare: NaN where a part does not have it.
type figure struct {
	name, unit string
	of         func(p *part) float64
}

func share(n, all int64) float64 {
	if all == 0 {
		return math.NaN()
	}
	return float64(n) / float64(all)
}

func quantileOf(h func(*part) *hist.Hist, q float64) func(*part) float64 {
	return func(p *part) float64 {
		x := h(p)
		if x.Count() == 0 {
			return math.NaN()
		}
		return ms(x.Quantile(q))
	}
}

func figures() []figure {
	per := func(n func(*part) int64) func(*part) float64 {
		return func(p *part) float64 {
			if p.length <= 0 {
				return math.NaN()
			}
			return float64(n(p)) / p.length.Seconds()
		}
	}
	answered := func(p *part) int64 { return p.admitted + p.throttled + p.failed }
	response := func(p *part) *hist.Hist { return &p.response }
	return []figure{
		{"offered", "per second", per(func(p *part) int64 { return p.sent })},
		{"admitted", "per second", per(func(p *part) int64 { return p.admitted })},
		{"throttled", "ratio", func(p *part) float64 { return share(p.throttled, answered(p)) }},
		{"failed", "ratio", func(p *part) float64 { return share(p.failed, answered(p)) }},
		{"missed", "ratio", func(p *part) float64 { return share(p.missed, p.sent+p.missed) }},
		{"admitted p50", "ms", quantileOf(response, 0.50)},
		{"admitted p95", "ms", quantileOf(response, 0.95)},
		{"admitted p99", "ms", quantileOf(response, 0.99)},
		{"p95 once sent", "ms", quantileOf(func(p *part) *hist.Hist { return &p.service }, 0.95)},
	}
}

// Compare reads each run twice and says how b differs from a. The names are
// those of the files, for people.
func Compare(a, b Run, nameA, nameB string) (*Comparison, error) {
	sa, err := Build(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameA, err)
	}
	sb, err := Build(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameB, err)
	}
	c := &Comparison{Format: ComparisonFormat, A: compared(sa, nameA), B: compared(sb, nameB), Figures: []Difference{}}
	n := min(mostParts, int(min(sa.length, sb.length)/partLength))
	if n < leastParts {
		n = 0
	}
	c.Parts = n
	allA, partsA, err := cut(a, sa.length, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameA, err)
	}
	allB, partsB, err := cut(b, sb.length, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameB, err)
	}
	// Runs of one length by one plan go up and down together, so part is compared with part.
	c.Paired = sa.Run.Plan == sb.Run.Plan && math.Abs(sa.Run.Seconds-sb.Run.Seconds) <= 0.02*sa.Run.Seconds
	for _, f := range figures() {
		c.Figures = append(c.Figures, c.difference(f, allA, allB, partsA, partsB))
	}
	c.Figures = append(c.Figures, limits(sa.Onset, sb.Onset)...)
	c.Answer = c.words(sa, sb)
	return c, nil
}

func compared(s *Summary, name string) Compared {
	return Compared{File: name, ID: s.Run.ID, Started: s.Run.Started, Seconds: s.Run.Seconds,
		Target: s.Run.Target, Plan: s.Run.Plan, State: s.State, Result: s.Verdict.Result}
}

// cut reads a run into n parts of equal length, and into one that is all of it.
func cut(run Run, length time.Duration, n int) (*part, []part, error) {
	all, parts := &part{}, make([]part, n)
	var begin time.Duration // of what counts, after the warm-up
	if run.Ticks == nil {
		return all, parts, nil
	}
	for k, err := range run.Ticks {
		switch {
		case err != nil:
			return nil, nil, err
		case k == nil:
			continue
		case k.Warm:
			begin = max(begin, k.Start+k.Length)
			continue
		}
		all.add(k)
		if n > 0 && length > 0 {
			i := int((k.Start - begin + k.Length/2) * time.Duration(n) / length)
			parts[min(max(i, 0), n-1)].add(k)
		}
	}
	return all, parts, nil
}

func (c *Comparison) difference(f figure, allA, allB *part, partsA, partsB []part) Difference {
	d := Difference{Name: f.name, Unit: f.unit, Verdict: unknown}
	a, b := f.of(allA), f.of(allB)
	d.A, d.B = known(a), known(b)
	if d.A == nil || d.B == nil {
		return d
	}
	d.Change = known(b - a)
	if a == b {
		d.Verdict = same
	}
	var va, vb, diff []float64
	for i := range partsA {
		x, y := f.of(&partsA[i]), f.of(&partsB[i])
		if !math.IsNaN(x) {
			va = append(va, x)
		}
		if !math.IsNaN(y) {
			vb = append(vb, y)
		}
		if !math.IsNaN(x) && !math.IsNaN(y) {
			diff = append(diff, y-x)
		}
	}
	n := min(len(va), len(vb))
	se := math.Hypot(stderr(va), stderr(vb))
	if c.Paired {
		n, se = len(diff), stderr(diff)
	}
	if n < leastPairs {
		return d
	}
	d.judge(se * student99(n-1))
	return d
}

// judge gives the verdict when the change is known to within margin.
func (d *Difference) judge(margin float64) {
	low, high := *d.Change-margin, *d.Change+margin
	d.Low, d.High = known(low), known(high)
	room := alike * math.Abs(*d.A)
	if d.Unit == "ratio" {
		room = alike
	}
	sure := math.Abs(*d.Change) > trifle*math.Abs(*d.A)
	switch {
	case sure && low > 0:
		d.Verdict = higher
	case sure && high < 0:
		d.Verdict = lower
	case -low <= room && high <= room:
		d.Verdict = same
	default:
		d.Verdict = unclear
	}
}

// limits compares the levels that were admitted while requests were refused.
func limits(a, b *Onset) []Difference {
	if a == nil && b == nil {
		return nil
	}
	d := Difference{Name: "limit", Unit: "per second", Verdict: unknown}
	if a != nil && a.Plateau != nil {
		d.A = known(a.Plateau.Rate)
	}
	if b != nil && b.Plateau != nil {
		d.B = known(b.Plateau.Rate)
	}
	if d.A != nil && d.B != nil {
		d.Change = known(*d.B - *d.A)
		d.judge(2.576 * math.Hypot(a.Plateau.StdErr, b.Plateau.StdErr))
	}
	return []Difference{d}
}

func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	x = round(x, 1e6)
	return &x
}

// stderr is the standard error of the mean of v, NaN for fewer than two.
func stderr(v []float64) float64 {
	n := float64(len(v))
	var sum, squares float64
	for _, x := range v {
		sum += x
	}
	for _, x := range v {
		squares += (x - sum/n) * (x - sum/n)
	}
	return math.Sqrt(squares / (n - 1) / n)
}

// student99 is the 99.5 % point of Student's t with df degrees of freedom, 4 to 19
// (NIST/SEMATECH e-Handbook of Statistical Methods §1.3.6.7.2).
func student99(df int) float64 {
	t := [...]float64{4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861}
	return t[min(max(df-4, 0), len(t)-1)]
}

// WriteJSON writes the Comparison as indented JSON.
func (c *Comparison) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(c)
}

// words are the differences in sentences, and what has to be known before they
// are believed.
func (c *Comparison) words(a, b *Summary) []string {
	var out []string
	for _, s := range []struct {
		who string
		s   *Summary
	}{{"A", a}, {"B", b}} {
		switch s.s.State {
		case Invalid:
			out = append(out, s.who+" is invalid: its generator was the limit, so a difference may be the generator's.")
		case Partial, Interrupted:
			out = append(out, fmt.Sprintf("%s is %s: it lasted %s.", s.who, s.s.State, s.s.took()))
		}
	}
	if a.Run.Plan != b.Run.Plan || a.Run.Target != b.Run.Target {
		out = append(out, "The runs had different plans or targets, so what differs may be what was asked for.")
	}
	named := 0
	for _, d := range c.Figures {
		if d.Verdict != higher && d.Verdict != lower {
			continue
		}
		named++
		out = append(out, fmt.Sprintf("%s is %s in B: %s against %s (%s).", strings.ToUpper(d.Name[:1])+d.Name[1:], d.Verdict, d.fig(d.B), d.fig(d.A), d.change()))
	}
	switch {
	case c.Parts == 0:
		out = append(out, fmt.Sprintf("The runs are too short to tell differences from chance: each needs %s or more.", figSpan(leastParts*partLength)))
	case named == 0:
		out = append(out, "Nothing differs by more than the runs vary within themselves.")
	default:
		out = append(out, "Nothing else differs by more than the runs vary within themselves.")
	}
	return out
}

// fig writes a value of d for people.
func (d *Difference) fig(v *float64) string {
	if v == nil {
		return "–"
	}
	switch d.Unit {
	case "ms":
		return figMS(*v)
	case "ratio":
		return figShare(*v)
	}
	return figRate(*v) + "/s"
}

// change writes the change for people: in percent, or in percentage points.
func (d *Difference) change() string { return d.relative(d.Change) }

func (d *Difference) relative(v *float64) string {
	switch {
	case v == nil || d.A == nil:
		return "–"
	case d.Unit == "ratio":
		return signed(100**v) + " points"
	case *d.A == 0 && *v == 0:
		return signed(0) + " %"
	case *d.A == 0:
		return "–"
	}
	return signed(100**v / *d.A) + " %"
}

// signed writes a change with its sign; none has no sign.
func signed(x float64) string {
	if math.Abs(x) < 0.05 {
		return "0.0"
	}
	return fmt.Sprintf("%+.1f", x)
}

// between writes the range of the change for people.
func (d *Difference) between() string {
	low, high := d.relative(d.Low), d.relative(d.High)
	if low == "–" || high == "–" {
		return "–"
	}
	low, _, _ = strings.Cut(low, " ")
	return low + " to " + high
}
