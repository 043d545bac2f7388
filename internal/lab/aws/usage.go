package aws

import (
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/cloudwatch"
	"github.com/weir-dev/weir/internal/lab/cognito"
)

// usage publishes what a user pool counted, as Cognito does: by account and category
// into AWS/Usage, and by client into AWS/Cognito (Cognito developer guide, "Metrics for
// Amazon Cognito user pools" and "Quotas in Amazon Cognito", 2023 and 2026-11).
//
// Client credentials have no metric in AWS/Cognito: only AWS/Usage sees them. Whether
// ThrottleCount is published as zero is not said; here it is not, so that the metric
// does not exist before the first refusal.
type usage struct {
	delay time.Duration

	mu      sync.Mutex // guards all below
	minute  int64      // the one that is being counted, in seconds; 0 before the first
	counted map[string][2]uint64
	refresh map[string]*refreshes // by client
	due     []batch
}

// refreshes are the token refreshes of a client in the current minute.
type refreshes struct{ succeeded, failed, throttled float64 }

// batch is what is to be published at a time.
type batch struct {
	at        time.Time
	namespace string
	data      []cloudwatch.Datum
}

// service is the dimension Service of Cognito's usage metrics (developer guide,
// "Track quota usage"); real ones are best found by ListMetrics.
const service = "Cognito user pool"

func newUsage(delay time.Duration) *usage {
	return &usage{delay: delay, counted: map[string][2]uint64{}, refresh: map[string]*refreshes{}}
}

// observe counts what the pool answered.
func (u *usage) observe(e cognito.Event) {
	if e.Grant != cognito.Refresh || e.Client == "" {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.refresh[e.Client]
	if r == nil {
		r = &refreshes{}
		u.refresh[e.Client] = r
	}
	switch {
	case e.Throttled:
		r.throttled++
	case e.Issued:
		r.succeeded++
	default:
		r.failed++
	}
}

// publish closes minutes that have ended and puts what has become due.
func (u *usage) publish(pool *cognito.Pool, now time.Time, put func(string, []cloudwatch.Datum, time.Time) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	minute := now.Unix() - now.Unix()%60
	if minute > u.minute {
		if u.minute != 0 {
			u.close(pool)
		}
		u.minute = minute
	}
	for len(u.due) > 0 && !u.due[0].at.After(now) {
		// It cannot fail but for lack of room, which is the test's to notice.
		_ = put(u.due[0].namespace, u.due[0].data, u.due[0].at)
		u.due = u.due[1:]
	}
}

// close makes data of the minute that has ended.
func (u *usage) close(pool *cognito.Pool) {
	at := time.Unix(u.minute, 0).UTC()
	ready := at.Add(time.Minute + u.delay)
	var data []cloudwatch.Datum
	for _, c := range pool.Stand().Stats(0).Categories {
		before := u.counted[c.Category]
		u.counted[c.Category] = [2]uint64{c.CallCount, c.ThrottleCount}
		dimensions := []cloudwatch.Dimension{{Name: "Service", Value: service}, {Name: "Type", Value: "API"}, {Name: "Resource", Value: c.Category}, {Name: "Class", Value: "None"}}
		for i, name := range []string{"CallCount", "ThrottleCount"} {
			n := [2]uint64{c.CallCount, c.ThrottleCount}[i] - before[i]
			if n > 0 {
				data = append(data, one(name, dimensions, at, float64(n), float64(n)))
			}
		}
	}
	if len(data) > 0 {
		u.due = append(u.due, batch{ready, "AWS/Usage", data})
	}
	data = nil
	for _, client := range names(u.refresh) {
		r := u.refresh[client]
		dimensions := []cloudwatch.Dimension{{Name: "UserPool", Value: pool.ID()}, {Name: "UserPoolClient", Value: client}}
		// A refusal counts as a failure too.
		data = append(data, one("TokenRefreshSuccesses", dimensions, at, r.succeeded, r.succeeded+r.failed+r.throttled))
		if r.throttled > 0 {
			data = append(data, one("TokenRefreshThrottles", dimensions, at, r.throttled, r.throttled))
		}
	}
	clear(u.refresh)
	if len(data) > 0 {
		u.due = append(u.due, batch{ready, "AWS/Cognito", data})
	}
}

// one is a datum of ones and zeros: so many ones among so many samples.
func one(name string, dimensions []cloudwatch.Dimension, at time.Time, ones, samples float64) cloudwatch.Datum {
	d := cloudwatch.Datum{Metric: name, Dimensions: dimensions, At: at, Unit: "Count", Statistic: true, Sum: ones, Samples: samples, Max: 1, Min: 1}
	if ones == 0 {
		d.Max = 0
	}
	if ones < samples {
		d.Min = 0
	}
	return d
}
