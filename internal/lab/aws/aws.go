// Package aws holds Server: a local stand-in of what a load test meets of an AWS
// account: CloudWatch with its alarms, CloudWatch Logs, SNS topics and SQS queues, all
// on one endpoint, with AWS's limits, error codes and delays.
//
// The services are in packages below: cloudwatch, logs, topics, queues; wire reads
// and writes the protocols. Here they get a clock, quotas, faults and a handler.
// docs/aws-lab.md says what is there and what differs from AWS.
package aws

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/cloudwatch"
	"github.com/weir-dev/weir/internal/lab/aws/logs"
	"github.com/weir-dev/weir/internal/lab/aws/queues"
	"github.com/weir-dev/weir/internal/lab/aws/topics"
	"github.com/weir-dev/weir/internal/lab/aws/wire"
	"github.com/weir-dev/weir/internal/lab/cognito"
	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// The default account and region: nobody can mistake them for one's own account.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
)

// Config says what the account is like. The zero value is an account with AWS's
// default quotas, in real time, without delays and faults.
type Config struct {
	// Account and Region make ARNs and queue URLs. A client may sign for any region
	// and any account: it sees this one.
	Account, Region string

	// Base is the URL under which the stand-in is reached, for links in messages;
	// empty means what each request says.
	Base string

	// Speed makes the account's time pass so many times faster than the real one; 0
	// means 1. Stamps, periods, delays, quotas and waits are in the account's time, which
	// starts at the real one. The time of day is in every answer's Date header.
	Speed float64

	// Clock, when not nil, is the account's time instead, and Speed is ignored. It must
	// not go back. Somebody has to call Tick, or send requests, for alarms to be evaluated.
	Clock func() time.Time

	// MetricDelay, NewMetric, Listed and LatePoints are as in cloudwatch.Config.
	MetricDelay, NewMetric, Listed time.Duration
	LatePoints                     bool

	// TPS replaces the quotas of operations by name, in calls per second; 0 is none.
	// Unlimited takes all of them away.
	TPS       map[string]int64
	Unlimited bool

	// Script says what happens to calls, by operation. Of the others, ThrottleRate is
	// the share that is throttled and LostRate the share that is carried out and then
	// gets no answer; Faults are those of all stand-ins.
	Script                 Script
	ThrottleRate, LostRate float64

	// Cognito, when not nil, is a user pool in the same account, served at the same
	// endpoint: it publishes its usage each minute of the account's time, CognitoDelay
	// after the minute has ended. Its own clock stays real unless it is given one.
	Cognito      *cognito.Config
	CognitoDelay time.Duration

	// Alarm, when not empty, is the name of an alarm on the pool's refusals that is there
	// from the start, with a topic and a queue that has subscribed to it.
	Alarm string

	// SMS is what publishing to phone numbers is like.
	SMS sns.Config

	// Latency, Faults and Seed are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
}

// Server is the stand-in: an http.Handler, safe for concurrent use. Close it.
type Server struct {
	cfg     Config
	clock   clock
	stand   *stand.Stand
	ops     map[string]map[string]wire.Op // by service and name
	places  map[string]int                // of an operation's quota
	metrics *cloudwatch.Service
	topics  *topics.Service
	queues  *queues.Service
	sms     *sns.Service
	pool    *cognito.Pool // nil without
	usage   *usage        // nil without
	ticked  atomic.Int64  // when, in the account's milliseconds

	mu     sync.Mutex // guards all below
	script Script
	rates  *rand.Rand

	stop func()
	done sync.WaitGroup
}

// New builds a server and starts its clock. The error names the field that is wrong.
func New(cfg Config) (*Server, error) {
	if cfg.Account == "" {
		cfg.Account = DefaultAccount
	}
	if cfg.Region == "" {
		cfg.Region = DefaultRegion
	}
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("aws stand-in: %w", err)
	}
	s := &Server{cfg: cfg, places: map[string]int{}, script: cfg.Script.clone(), rates: rand.New(rand.NewPCG(cfg.Seed, 0x77656972))}
	s.clock.start(cfg.Clock, cfg.Speed)
	if err := s.build(); err != nil {
		return nil, fmt.Errorf("aws stand-in: %w", err)
	}
	if cfg.Alarm != "" {
		if cfg.Cognito == nil {
			return nil, errors.New("aws stand-in: alarm: there is no user pool for it to watch")
		}
		if err := s.ready(cfg.Alarm); err != nil {
			return nil, fmt.Errorf("aws stand-in: %w", err)
		}
	}
	s.run()
	return s, nil
}

func (c *Config) validate() error {
	var errs []error
	// Written so that NaN fails too.
	if !(c.Speed >= 1 && c.Speed <= 3600) {
		errs = append(errs, fmt.Errorf("clock speed %v: must be between 1 and 3600", c.Speed))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"metric delay", c.MetricDelay}, {"delay of new metrics", c.NewMetric}, {"delay of listed metrics", c.Listed}, {"delay of Cognito's metrics", c.CognitoDelay}} {
		if d.d < 0 || d.d > 24*time.Hour {
			errs = append(errs, fmt.Errorf("%s %v: must be between 0 and 24h", d.name, d.d))
		}
	}
	if !(c.ThrottleRate >= 0 && c.LostRate >= 0 && c.ThrottleRate+c.LostRate <= 1) {
		errs = append(errs, fmt.Errorf("throttle rate %v, lost rate %v: must be between 0 and 1, and together at most 1", c.ThrottleRate, c.LostRate))
	}
	for op, n := range c.TPS {
		if n < 0 {
			errs = append(errs, fmt.Errorf("quota of %s: %d is negative", op, n))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) build() error {
	cfg := &s.cfg
	quotas := map[string]float64{}
	if cfg.Cognito != nil {
		s.usage = newUsage(cfg.CognitoDelay)
		pool := *cfg.Cognito
		pool.Observe = s.usage.observe
		var err error
		if s.pool, err = cognito.New(pool); err != nil {
			return err
		}
		for _, c := range s.pool.Stand().Stats(0).Categories {
			if c.WindowSeconds > 0 {
				quotas[c.Category] = float64(c.Limit) / c.WindowSeconds
			}
		}
	}
	s.queues = queues.New(queues.Config{Account: cfg.Account, Region: cfg.Region, Wait: s.wait, Now: s.Now})
	s.topics = topics.New(topics.Config{Account: cfg.Account, Region: cfg.Region, Base: cfg.Base, Queue: s.queues.Deliver})
	s.metrics = cloudwatch.New(cloudwatch.Config{
		Account: cfg.Account, Region: cfg.Region, MetricDelay: cfg.MetricDelay, NewMetric: cfg.NewMetric, Listed: cfg.Listed,
		LatePoints: cfg.LatePoints, Quotas: quotas, Notify: s.topics.PublishTo,
	})
	s.ops = map[string]map[string]wire.Op{
		wire.CloudWatch: s.metrics.Ops(), wire.Logs: logs.New(cfg.Account, cfg.Region).Ops(), wire.SNS: s.topics.Ops(), wire.SQS: s.queues.Ops(), wire.STS: s.identityOps(),
	}
	for op := range cfg.TPS {
		if !s.knows(op) {
			return fmt.Errorf("quota of %s: there is no such operation", op)
		}
	}
	for op := range cfg.Script {
		if op != anyOp && !s.knows(op) {
			return fmt.Errorf("script of %s: there is no such operation", op)
		}
	}
	var err error
	if s.stand, err = stand.New(stand.Config{
		Quotas: s.quotas(), Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, Clock: s.Now,
	}); err != nil {
		return err
	}
	sms := cfg.SMS
	sms.Clock = s.Now
	s.sms, err = sns.New(sms)
	return err
}

func (s *Server) knows(op string) bool {
	for _, ops := range s.ops {
		if ops[op] != nil {
			return true
		}
	}
	return false
}

// Stand is the machinery below: counts, quotas, faults.
func (s *Server) Stand() *stand.Stand { return s.stand }

// Pool is the user pool, or nil.
func (s *Server) Pool() *cognito.Pool { return s.pool }

// Stats are the counts, with those of the user pool.
func (s *Server) Stats(last int) stand.Stats {
	st := s.stand.Stats(last)
	if s.pool == nil {
		return st
	}
	more := s.pool.Stand().Stats(last)
	st.Requests += more.Requests
	st.Aborted += more.Aborted
	for code, n := range more.Answers {
		st.Answers[code] += n
	}
	st.Categories = append(more.Categories, st.Categories...)
	return st
}

// Now is the account's time.
func (s *Server) Now() time.Time { return s.clock.now() }

// Leap moves the account's time forward.
func (s *Server) Leap(d time.Duration) {
	s.clock.leap(d)
	s.Tick()
}

// Deliveries are the messages that topics sent to subscribers, the latest ones.
func (s *Server) Deliveries() []topics.Delivery { return s.topics.Deliveries() }

// Queues lists the queues there are: a drill leaves none behind.
func (s *Server) Queues() []string { return s.queues.Names() }

// Close stops the clock and what is being delivered.
func (s *Server) Close() error {
	s.stop()
	s.done.Wait()
	return s.topics.Close()
}

// Tick brings the account up to its time: usage is published and alarms are
// evaluated. Every request does it too.
func (s *Server) Tick() {
	now := s.Now()
	// A tenth of a second is nothing to an alarm and much to a load test.
	if last := s.ticked.Load(); now.UnixMilli()-last < 100 {
		return
	}
	s.ticked.Store(now.UnixMilli())
	if s.usage != nil {
		s.usage.publish(s.pool, now, s.metrics.Put)
	}
	s.metrics.Advance(now)
}

// Commands are shell lines to try, a title and a line each.
func (s *Server) Commands(base string) [][2]string {
	keys := "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws --region " + s.cfg.Region + " --endpoint-url " + base + " "
	sign := "curl -sS --aws-sigv4 aws:amz:" + s.cfg.Region + ":monitoring --user test:test " + base + "/ -d Version=2010-08-01 "
	out := [][2]string{
		{"one point", sign + "-d Action=PutMetricData -d Namespace=Try -d MetricData.member.1.MetricName=Requests -d MetricData.member.1.Value=1"},
		{"what metrics there are", sign + "-d Action=ListMetrics"},
		{"the same by the AWS CLI", keys + "cloudwatch list-metrics"},
		{"the account's time", "curl -sS " + base + clockPath},
	}
	if s.pool != nil {
		out = append(out, s.pool.Commands(base)[:2]...)
	}
	return out
}

// tps are the default quotas in calls per second: CloudWatch's from "CloudWatch
// service quotas" (2023-05, and 2026-11 where the API reference repeats them), those of
// Logs from "CloudWatch Logs quotas" and of SNS from "Amazon SNS endpoints and quotas"
// for us-east-1, which change often: Config.TPS replaces them. What is not listed has none.
func tps() map[string]int64 {
	return map[string]int64{
		"PutMetricData": 500, "GetMetricData": 50, "GetMetricStatistics": 400, "ListMetrics": 25,
		"DescribeAlarms": 9, "DescribeAlarmsForMetric": 9, "DescribeAlarmHistory": 3, "PutMetricAlarm": 3, "SetAlarmState": 3,
		"DeleteAlarms": 3, "EnableAlarmActions": 3, "DisableAlarmActions": 3,
		"PutLogEvents": 5000, "CreateLogGroup": 10, "CreateLogStream": 50, "DescribeLogGroups": 10, "DescribeLogStreams": 25,
		"GetLogEvents": 25, "FilterLogEvents": 10, "DeleteLogGroup": 10, "DeleteLogStream": 15, "PutRetentionPolicy": 10,
		"Publish": 30000, "CreateTopic": 30, "DeleteTopic": 30, "Subscribe": 100, "Unsubscribe": 100, "ListSubscriptionsByTopic": 30,
		"ListSubscriptions": 30, "ListTopics": 30,
	}
}

// quotas makes a category of each operation, so that each is counted.
func (s *Server) quotas() []stand.Quota {
	numbers := tps()
	for op, n := range s.cfg.TPS {
		numbers[op] = n
	}
	var out []stand.Quota
	for _, service := range []string{wire.CloudWatch, wire.Logs, wire.SNS, wire.SQS, wire.STS} {
		for _, op := range names(s.ops[service]) {
			q := stand.Quota{Category: op}
			if n := numbers[op]; n > 0 && !s.cfg.Unlimited {
				// A bucket that holds a second's worth: how AWS counts is not said.
				q.Policy = &limit.Policy{Algorithm: limit.TokenBucket, Limit: n, Window: time.Second, Burst: n}
			}
			s.places[op] = len(out)
			out = append(out, q)
		}
	}
	return out
}

var _ http.Handler = (*Server)(nil)
