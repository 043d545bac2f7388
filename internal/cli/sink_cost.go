package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink/cloudwatch"
	"github.com/weir-dev/weir/internal/sink/price"
)

// prices reads the table that the flags name.
func (f *sinkFlags) prices() (*price.Table, error) {
	t, err := price.Load(f.Prices)
	if err != nil {
		return nil, usage("write it like the table that docs/cloudwatch.md shows", "--prices: %v", err)
	}
	return t, nil
}

// describeCost prints what the telemetry of a plan and the load itself cost.
// Names is how many request names there may be; most is how many requests, 0 when
// nobody knows.
func (f *sinkFlags) describeCost(w io.Writer, target string, length time.Duration, names int, most int64, urls []string, body, region string) error {
	table, err := f.prices()
	if err != nil {
		return err
	}
	if f.CloudWatch == "live" || f.CloudWatch == "deferred" {
		set, err := f.cloudWatchSettings(target)
		if err != nil {
			return err
		}
		if set.Region == "" {
			set.Region = region
		}
		per := "the run"
		if length <= 0 {
			length, per = time.Hour, "an hour of it"
		}
		use, data := planned(&set, length, names)
		fmt.Fprintf(w, "Telemetry: CloudWatch %s, namespace %s: at most %s, %s in %s\n",
			f.CloudWatch, set.Namespace, plural(int(use.Puts), "call"), plural(use.Metrics, "metric"), plural(int(data), "data point"))
		if b, ok := table.Bill(set.Region, use); ok {
			fmt.Fprintf(w, "  cost of %s: at most %s\n", per, billWords(b))
		}
	}
	if f.watchedMetrics > 0 && length > 0 {
		asked := int64(f.watchedMetrics) * int64(math.Ceil(length.Minutes())+1)
		if b, ok := table.Bill(region, price.Use{Asked: asked}); ok {
			least := ""
			if f.discovered {
				least = "at least "
			}
			fmt.Fprintf(w, "Watching:  CloudWatch is asked for %s%s each minute: %s%s\n", least, plural(f.watchedMetrics, "metric"), least, billWords(b))
		}
	}
	for _, u := range urls {
		r := table.Find(u, body)
		switch {
		case r == nil:
		case r.USD == nil:
			fmt.Fprintf(w, "The load:  %s cost money, and how much depends: give it with --prices FILE\n", r.What)
		case most > 0:
			fmt.Fprintf(w, "The load:  at most %d %s at $%g: %s (prices read %s)\n", most, r.What, *r.USD, price.Dollars(float64(most)**r.USD), table.Read)
		default:
			fmt.Fprintf(w, "The load:  %s cost $%g each (prices read %s); bound them with --requests\n", r.What, *r.USD, table.Read)
		}
	}
	return nil
}

// cost prints what the plan costs.
func (c *runCmd) cost(s *session, w io.Writer, x *execution, work *workload) error {
	names, most := 1, max(c.Requests, 0)
	if work.part != nil {
		names = c.CloudWatchRequests + 1
	} else if most == 0 || x.record.Planned > 0 && x.record.Planned < most {
		most = x.record.Planned
	}
	return c.describeCost(w, x.meta.Target, x.record.Length, names, most, work.urls, c.body(), c.awsRegion(s))
}

// body is what each request carries, as the command line has it.
func (c *runCmd) body() string {
	body := ""
	for _, text := range []*string{c.Data, c.JSON} {
		if text != nil {
			body = *text
		}
	}
	return body
}

// awsRegion is the region as far as flags and environment tell.
func (c *runCmd) awsRegion(s *session) string {
	if c.CloudWatchRegion != "" {
		return c.CloudWatchRegion
	}
	if region := s.getenv("AWS_REGION"); region != "" {
		return region
	}
	return s.getenv("AWS_DEFAULT_REGION")
}

// countWatched counts what CloudWatch is asked for each minute.
func (c *runCmd) countWatched() error {
	figures, err := c.figures()
	if err != nil {
		return err
	}
	c.watchedMetrics, c.discovered = 0, false
	for _, q := range figures {
		c.watchedMetrics++
		c.discovered = c.discovered || q.Discover != nil
		if q.Quota {
			c.watchedMetrics++ // is asked for beside it
		}
	}
	return nil
}

// keptCosts is by what the costs of a recorded run are stated.
type keptCosts struct {
	Prices  json.RawMessage `json:"prices,omitempty"` // a table of the user's own
	Load    *keptPrice      `json:"load,omitempty"`   // of the requests, where all have the same
	Watched int             `json:"watched,omitempty"`
	AtLeast bool            `json:"at_least,omitempty"` // of Watched
	Region  string          `json:"region,omitempty"`
}

type keptPrice struct {
	What string  `json:"what"`
	USD  float64 `json:"usd"`
	Read string  `json:"read"`
}

// keepCosts checks the prices and returns what the run file keeps of them.
func (c *runCmd) keepCosts(s *session, work *workload) (json.RawMessage, error) {
	table, err := c.prices()
	if err != nil {
		return nil, err
	}
	k := keptCosts{Region: c.awsRegion(s)}
	if c.Prices != "" {
		if k.Prices, err = json.Marshal(table); err != nil {
			return nil, err
		}
	}
	for i, u := range work.urls {
		r := table.Find(u, c.body())
		if r == nil || r.USD == nil || work.part != nil || i > 0 && k.Load.What != r.What {
			k.Load = nil
			break
		}
		k.Load = &keptPrice{r.What, *r.USD, table.Read}
	}
	if err := c.countWatched(); err != nil {
		return nil, err
	}
	k.Watched, k.AtLeast = c.watchedMetrics, c.discovered
	if k.Prices == nil && k.Load == nil && k.Watched == 0 {
		return nil, nil
	}
	return json.Marshal(k)
}

// planned is the most that a run of this length sends: every outcome in every
// second, under every name.
func planned(set *cloudwatch.Settings, length time.Duration, names int) (price.Use, int64) {
	seconds := math.Ceil(length.Seconds())
	metrics := 4 + 4 + 3 // users, in flight, sent, due; requests by outcome; times of all but missed
	if set.Requests > 0 {
		if names > set.Requests {
			names = set.Requests + 1 // and the others
		}
		metrics += names * 7
	}
	cells := math.Ceil(seconds / set.Resolution.Seconds())
	flushes := math.Ceil(seconds/set.Flush.Seconds()) + 1
	perFlush := math.Max(1, set.Flush.Seconds()/set.Resolution.Seconds()) * float64(metrics)
	calls := flushes * math.Max(1, math.Ceil(perFlush/1000))
	use := price.Use{Puts: int64(calls), Metrics: metrics, Hours: math.Ceil(length.Hours()) + 1}
	if set.LogGroup != "" {
		use.LogBytes = 10_000 // some dozens of sentences
	}
	return use, int64(cells) * int64(metrics)
}

func billWords(b price.Bill) string {
	var parts []string
	for _, l := range b.Lines {
		parts = append(parts, l.What+" "+price.Dollars(l.USD))
	}
	stead := ""
	if b.For != "" {
		stead = ", for want of those of " + b.For
	}
	return fmt.Sprintf("%s (%s; prices of %s read %s%s, before any free tier)", price.Dollars(b.Total), strings.Join(parts, ", "), b.As, b.Read, stead)
}

// costDetails say what a recorded run has cost so far, as far as that is known.
func costDetails(r *runfile.Run, list []runfile.Delivery) (out []report.Detail) {
	var kept keptCosts
	if len(r.Meta.Costs) > 0 && json.Unmarshal(r.Meta.Costs, &kept) != nil {
		return nil
	}
	table, err := price.Load("")
	if len(kept.Prices) > 0 {
		table, err = price.Parse(kept.Prices)
	}
	if err != nil {
		return nil
	}
	outcomes, rows, last, err := r.Kinds()
	if err != nil {
		return nil
	}
	if text := telemetryCost(r, list, table, outcomes, rows, last); text != "" {
		out = append(out, report.Detail{Name: "Telemetry cost", Value: text})
	}
	if kept.Watched > 0 {
		asked := int64(kept.Watched) * int64(math.Ceil(last.Minutes())+1)
		if b, ok := table.Bill(kept.Region, price.Use{Asked: asked}); ok {
			about := "about "
			if kept.AtLeast {
				about = "at least "
			}
			out = append(out, report.Detail{Name: "Watching cost", Value: about + billWords(b)})
		}
	}
	if l := kept.Load; l != nil {
		if n, err := r.Admitted(); err == nil {
			out = append(out, report.Detail{Name: "Load cost", Value: fmt.Sprintf("%d admitted, %s at $%g: %s (prices read %s)", n, l.What, l.USD, price.Dollars(float64(n)*l.USD), l.Read)})
		}
	}
	return out
}

// telemetryCost is what was sent to CloudWatch, in words; "" when nothing was.
func telemetryCost(r *runfile.Run, list []runfile.Delivery, table *price.Table, outcomes, rows int, last time.Duration) string {
	var set cloudwatch.Settings
	raw, ok := r.Meta.Sinks[cloudwatch.Name]
	if !ok || len(list) == 0 || json.Unmarshal(raw, &set) != nil {
		return ""
	}
	use := price.Use{Metrics: 4 + 4 + outcomes, Hours: math.Ceil(last.Hours())}
	if set.Requests > 0 {
		use.Metrics += 2 * min(rows, (set.Requests+1)*4)
	}
	for _, d := range list {
		switch d.Lane {
		case cloudwatch.Metrics:
			use.Puts = d.Calls
			if d.Sent == 0 {
				use.Metrics = 0
			}
		case cloudwatch.Logs:
			use.LogBytes = d.Wire
		}
	}
	b, ok := table.Bill(set.Region, use)
	if !ok || len(b.Lines) == 0 {
		return ""
	}
	return "about " + billWords(b)
}
