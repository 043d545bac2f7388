// Package price says what a run costs: a Table is what services ask for, with the
// date on which somebody read it, and Bill is what comes of it.
//
// Prices change and differ by region and contract. So they are data, shown with
// their date, and a file of one's own replaces them.
package price

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

//go:embed prices.json
var builtin []byte

// Table is a list of prices.
type Table struct {
	Read     string            `json:"read"` // the day, as 2026-11-22
	Currency string            `json:"currency"`
	Sources  []string          `json:"sources"`
	Regions  map[string]Region `json:"regions"`
	Load     []Rule            `json:"load"` // requests that cost money themselves
}

// Region is what CloudWatch costs in one.
type Region struct {
	Read        string  `json:"read,omitempty"`       // the day, where it is not the table's
	MetricMonth []Tier  `json:"metric_month"`         // a custom metric for a month, by the hour
	PutPer1000  float64 `json:"put_per_1000"`         // calls of PutMetricData
	GetPer1000  float64 `json:"get_per_1000_metrics"` // metrics asked for with GetMetricData
	LogGB       float64 `json:"log_gb"`               // taken in by CloudWatch Logs
}

// Tier is a price from so many on.
type Tier struct {
	From float64 `json:"from"`
	USD  float64 `json:"usd"`
}

// Rule is a kind of request that costs money: host by its end, path by its
// beginning, and what is in the body; "" fits everything.
type Rule struct {
	What string   `json:"what"`
	Host string   `json:"host"`
	Path string   `json:"path"`
	Body string   `json:"body"`
	USD  *float64 `json:"usd"` // of an admitted one; nil: not known, because it depends
}

// fallback is the region whose prices stand for those that are not in the table.
const fallback = "us-east-1"

// Load reads the table in a file, or the built-in one for "".
func Load(path string) (*Table, error) {
	data := builtin
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	t, err := Parse(data)
	if err != nil && path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, err
}

// Parse reads a table.
func Parse(data []byte) (*Table, error) {
	var t Table
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil {
		return nil, fmt.Errorf("not a price table: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, t.Read); err != nil {
		return nil, errors.New(`not a price table: "read" is to be the day on which the prices were read, such as 2026-11-22`)
	}
	if t.Currency != "USD" {
		return nil, fmt.Errorf(`not a price table: "currency" is %q, and USD is what is understood`, t.Currency)
	}
	bad := func(f float64) bool { return !(f >= 0) || f > 1e6 }
	for name, r := range t.Regions {
		if _, err := time.Parse(time.DateOnly, r.Read); r.Read != "" && err != nil {
			return nil, fmt.Errorf(`not a price table: "read" of region %q is to be a day, such as 2026-11-22`, name)
		}
		if bad(r.PutPer1000) || bad(r.GetPer1000) || bad(r.LogGB) || len(r.MetricMonth) == 0 || r.MetricMonth[0].From != 0 ||
			!slices.IsSortedFunc(r.MetricMonth, func(a, b Tier) int { return int(math.Copysign(1, a.From-b.From)) }) ||
			slices.ContainsFunc(r.MetricMonth, func(t Tier) bool { return bad(t.USD) || !(t.From >= 0) }) {
			return nil, fmt.Errorf("not a price table: region %q has a price out of range, or no tier of metric_month from 0 on, in order", name)
		}
	}
	for _, r := range t.Load {
		if r.What == "" || r.USD != nil && bad(*r.USD) {
			return nil, fmt.Errorf("not a price table: the rule %q has no name, or a price out of range", r.What)
		}
	}
	return &t, nil
}

// Use is what is billed.
type Use struct {
	Puts     int64   // calls of PutMetricData
	Metrics  int     // custom metrics
	Hours    float64 // for which there are data of them
	LogBytes int64
	Asked    int64 // metrics asked for, over all calls of GetMetricData
}

// Line is one line of a bill.
type Line struct {
	What string
	USD  float64
}

// Bill is what a use costs, before any free tier.
type Bill struct {
	Lines []Line
	Total float64
	As    string // the region whose prices these are
	Read  string // the day
	For   string // the region that they stand for, where the table lacks it
}

// hoursAMonth is what AWS's own examples divide a month by.
const hoursAMonth = 730

// Bill adds up. A region that the table lacks is billed as us-east-1, and As and For say so.
func (t *Table) Bill(region string, u Use) (Bill, bool) {
	b := Bill{As: region, Read: t.Read}
	r, ok := t.Regions[region]
	if !ok {
		b.As, b.For = fallback, region
		if r, ok = t.Regions[fallback]; !ok {
			return Bill{}, false
		}
	}
	if r.Read != "" {
		b.Read = r.Read
	}
	add := func(usd float64, format string, args ...any) {
		b.Lines = append(b.Lines, Line{fmt.Sprintf(format, args...), usd})
		b.Total += usd
	}
	if u.Puts > 0 {
		add(float64(u.Puts)/1000*r.PutPer1000, "%s of PutMetricData", count(u.Puts, "call"))
	}
	if u.Metrics > 0 {
		add(r.month(float64(u.Metrics))*u.Hours/hoursAMonth, "%s for %g h", count(int64(u.Metrics), "custom metric"), u.Hours)
	}
	if u.LogBytes > 0 {
		add(float64(u.LogBytes)/1e9*r.LogGB, "%.3g MB of logs", float64(u.LogBytes)/1e6)
	}
	if u.Asked > 0 {
		add(float64(u.Asked)/1000*r.GetPer1000, "%s asked for", count(u.Asked, "metric"))
	}
	return b, true
}

// month is what so many metrics cost in a month.
func (r *Region) month(n float64) float64 {
	usd := 0.0
	for i, t := range r.MetricMonth {
		end := math.Inf(1)
		if i+1 < len(r.MetricMonth) {
			end = r.MetricMonth[i+1].From
		}
		usd += max(min(n, end)-t.From, 0) * t.USD
	}
	return usd
}

// Find returns the rule for a request, nil when it costs nothing that is known.
func (t *Table) Find(rawURL, body string) *Rule {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil
	}
	for i := range t.Load {
		r := &t.Load[i]
		if strings.HasSuffix(u.Hostname(), r.Host) && strings.HasPrefix(u.Path, r.Path) && strings.Contains(body, r.Body) {
			return r
		}
	}
	return nil
}

func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Dollars writes an amount: to the cent when that says something, else to two digits.
func Dollars(usd float64) string {
	switch {
	case usd == 0:
		return "$0"
	case usd >= 0.1:
		return fmt.Sprintf("$%.2f", usd)
	case usd < 0.0001:
		return "less than $0.0001"
	}
	return fmt.Sprintf("$%.4f", usd)
}
