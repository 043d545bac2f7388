// Package cloudwatch watches what Amazon CloudWatch knows of the system under
// test: a Source asks it for all its figures in one call a minute.
//
// CloudWatch is late: a minute's figure comes one to six minutes after it, and may
// change. So every call asks for the last ten minutes again, and what has changed
// takes the place of what was read before.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

const (
	// Every is how often CloudWatch is asked: it has a figure a minute.
	Every = time.Minute
	// window is how far back each call asks.
	window = 10 * time.Minute
	// MaxQueries is how many figures one call can ask for, quotas included:
	// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html, read 2026-11-22.
	MaxQueries = 500
	// maxPages bounds the answers to one question.
	maxPages = 20
)

// API is what is used of the SDK's client.
type API interface {
	GetMetricData(context.Context, *sdk.GetMetricDataInput, ...func(*sdk.Options)) (*sdk.GetMetricDataOutput, error)
	ListMetrics(context.Context, *sdk.ListMetricsInput, ...func(*sdk.Options)) (*sdk.ListMetricsOutput, error)
}

// Source is one account and region. New makes one.
type Source struct {
	name    string
	api     API
	now     func() time.Time
	queries []Query
	quotas  bool

	began time.Time // the first look
	next  time.Time // not to be asked before
	known map[key]float64
	told  map[string]bool
}

// key is a figure at an instant.
type key struct {
	query int
	at    int64 // Unix seconds
}

// New makes a Source. Nothing is asked yet; Check does.
func New(name string, api API, queries []Query) (*Source, error) {
	switch {
	case len(queries) == 0:
		return nil, errors.New("there is nothing to ask CloudWatch for")
	case 2*len(queries) > MaxQueries:
		return nil, fmt.Errorf("%d figures are too many for one CloudWatch: at most %d", len(queries), MaxQueries/2)
	}
	return &Source{name: name, api: api, now: time.Now, queries: queries, quotas: true, known: map[key]float64{}, told: map[string]bool{}}, nil
}

// Name is the name given to New.
func (s *Source) Name() string { return s.name }

// Close does nothing: the client's connections end by themselves.
func (s *Source) Close() {}

// Figures is how many figures a call asks for, which is what it costs.
func (s *Source) Figures() int {
	n := len(s.queries)
	for i := range s.queries {
		if s.quotas && s.queries[i].Quota {
			n++
		}
	}
	return n
}

// Check finds what is discovered, and asks once, so that what is wrong is known
// before the run. That there are no data yet is no error.
func (s *Source) Check(ctx context.Context) error {
	var found []Query
	for _, q := range s.queries {
		if q.Discover == nil {
			found = append(found, q)
			continue
		}
		list, err := q.Discover(ctx, s.api)
		if err != nil {
			return fmt.Errorf("%s: %s", s.name, account.Words(err))
		}
		found = append(found, list...)
	}
	if len(found) == 0 {
		return fmt.Errorf("%s: it has none of the metrics that are watched: nothing was called in the last two weeks, or it is another region", s.name)
	}
	if 2*len(found) > MaxQueries {
		found = found[:MaxQueries/2]
	}
	s.queries = found
	_, err := s.ask(ctx, s.now())
	var api smithy.APIError
	if s.quotas && errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "Validation") {
		// A quota that nobody told Service Quotas of makes the whole question wrong.
		s.quotas = false
		_, err = s.ask(ctx, s.now())
	}
	if err != nil {
		return fmt.Errorf("%s: %s", s.name, account.Words(err))
	}
	return nil
}

// Sample asks when a minute has passed since it last did.
func (s *Source) Sample(ctx context.Context) (watch.Sample, error) {
	now := s.now()
	if s.began.IsZero() {
		s.began = now
	}
	if now.Before(s.next) {
		return watch.Sample{}, nil
	}
	s.next = now.Add(Every)
	results, err := s.ask(ctx, now)
	if err != nil {
		return watch.Sample{}, errors.New(account.Words(err))
	}
	return s.keep(now, results), nil
}

// ask is the one call.
func (s *Source) ask(ctx context.Context, now time.Time) (map[string]types.MetricDataResult, error) {
	in := &sdk.GetMetricDataInput{
		// On the minute, as the documentation asks for the sake of speed.
		StartTime: aws.Time(now.Add(-window).Truncate(time.Minute)), EndTime: aws.Time(now.Truncate(time.Minute).Add(time.Minute)),
		ScanBy: types.ScanByTimestampAscending,
	}
	for i := range s.queries {
		in.MetricDataQueries = append(in.MetricDataQueries, s.queries[i].sdk(i, s.quotas)...)
	}
	all := map[string]types.MetricDataResult{}
	for range maxPages {
		out, err := s.api.GetMetricData(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, r := range out.MetricDataResults {
			one := all[*r.Id]
			one.Timestamps, one.Values = append(one.Timestamps, r.Timestamps...), append(one.Values, r.Values...)
			one.Messages, one.StatusCode = r.Messages, r.StatusCode
			all[*r.Id] = one
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
	return all, nil
}

// keep makes points of what is new or has changed.
func (s *Source) keep(now time.Time, results map[string]types.MetricDataResult) watch.Sample {
	var out watch.Sample
	for i := range s.queries {
		q := &s.queries[i]
		r := results["m"+strconv.Itoa(i)]
		if r.StatusCode == types.StatusCodeInternalError || r.StatusCode == types.StatusCodeForbidden {
			if text := q.Name + " could not be read: " + strings.ToLower(string(r.StatusCode)); !s.told[text] {
				s.told[text] = true
				out.Events = append(out.Events, text)
			}
			continue
		}
		limit := 0.0
		if quota := results["q"+strconv.Itoa(i)]; len(quota.Values) > 0 {
			limit = quota.Values[len(quota.Values)-1]
		}
		for n, at := range r.Timestamps {
			if n >= len(r.Values) {
				break
			}
			v := r.Values[n]
			if q.PerSecond {
				v /= q.period().Seconds()
			}
			if at.Add(q.period()).Before(s.began) || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			k := key{i, at.Unix()}
			old, known := s.known[k]
			if known && old == v {
				continue
			}
			s.known[k] = v
			p := watch.Point{Time: at, Watched: tally.Watched{Group: q.Group, Name: q.Name, Unit: q.Unit, Value: v, Limit: limit, Corrects: known}}
			if limit > 0 {
				p.LimitName = "service quota"
			}
			out.Points = append(out.Points, p)
		}
	}
	for k := range s.known {
		if now.Unix()-k.at > int64(2*window/time.Second) {
			delete(s.known, k)
		}
	}
	slices.SortStableFunc(out.Points, func(a, b watch.Point) int { return a.Time.Compare(b.Time) })
	return out
}
