// Package cloudwatch holds Service: metrics and alarms as Amazon CloudWatch keeps
// them, without sockets and without a clock of its own: every call carries its time.
//
// Sources, all of the CloudWatch documentation and read 2026-11: the API reference
// (also as the service model in botocore 1.43.11), and of the user guide the pages
// "CloudWatch service quotas", "Metrics concepts", "Using math expressions",
// "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
// docs/aws-lab.md lists what differs.
package cloudwatch

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// Config says what the account is like. The zero value shows every point at once
// and notifies nobody.
type Config struct {
	// Account and Region make ARNs; empty means 000000000000 and us-east-1.
	Account, Region string

	// MetricDelay is how long after its arrival a point can be read, and seen by an
	// alarm; NewMetric how long after the first one those of a metric can (up to 2
	// minutes, says the user guide), and Listed how long until ListMetrics shows it (up
	// to 15 minutes).
	MetricDelay, NewMetric, Listed time.Duration

	// LatePoints makes points that are 3 to 24 hours old wait for 2 hours and older
	// ones for 48, as PutMetricData's documentation has it.
	LatePoints bool

	// Quotas are what SERVICE_QUOTA() knows, by the dimension Resource of a
	// metric of AWS/Usage, in requests per second.
	Quotas map[string]float64

	// Notify carries out an action, given by its ARN; nil refuses all.
	Notify func(arn, subject, message string, at time.Time) error
}

// Service is the stand-in. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu      sync.Mutex // guards all below
	series  map[string]*series
	order   []*series // by creation
	alarms  map[string]*alarm
	names   []string // of alarms, sorted
	history []event  // oldest first
	mutes   map[string]*muteRule
	ticked  int64 // the last instant that was evaluated, in seconds
}

const (
	// maxSeries and maxPoints bound memory: ours, not CloudWatch's.
	maxSeries = 20_000
	maxPoints = 200_000

	maxHistory = 10_000
)

// New builds a service.
func New(cfg Config) *Service {
	if cfg.Account == "" {
		cfg.Account = "000000000000"
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Notify == nil {
		cfg.Notify = func(string, string, string, time.Time) error {
			return errors.New("this stand-in carries out no actions")
		}
	}
	return &Service{cfg: cfg, series: map[string]*series{}, alarms: map[string]*alarm{}, mutes: map[string]*muteRule{}}
}

// Ops are the operations by name.
func (s *Service) Ops() map[string]wire.Op {
	ops := map[string]wire.Op{
		"PutMetricData": s.putMetricData, "GetMetricData": s.getMetricData,
		"GetMetricStatistics": s.getMetricStatistics, "ListMetrics": s.listMetrics,
		"PutMetricAlarm": s.putMetricAlarm, "DescribeAlarms": s.describeAlarms, "DescribeAlarmsForMetric": s.describeAlarmsForMetric,
		"SetAlarmState": s.setAlarmState, "DescribeAlarmHistory": s.describeAlarmHistory, "DeleteAlarms": s.deleteAlarms,
		"EnableAlarmActions":  func(c *wire.Call) (wire.Out, error) { return s.switchActions(c, true) },
		"DisableAlarmActions": func(c *wire.Call) (wire.Out, error) { return s.switchActions(c, false) },
		"PutAlarmMuteRule":    s.putMuteRule, "GetAlarmMuteRule": s.getMuteRule,
		"ListAlarmMuteRules": s.listMuteRules, "DeleteAlarmMuteRule": s.deleteMuteRule,
	}
	for name, op := range ops {
		// One at a time: the calls are short, and alarms see whole calls only.
		ops[name] = func(c *wire.Call) (wire.Out, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return op(c)
		}
	}
	return ops
}

func invalid(format string, args ...any) error {
	return wire.Failf("InvalidParameterValue", "Exception", format, args...)
}

func missing(name string) error {
	return wire.Failf("MissingParameter", "", "The parameter %s is required.", name)
}

func combination(format string, args ...any) error {
	return wire.Failf("InvalidParameterCombination", "Exception", format, args...)
}

// validation is the code of what a query or an alarm says wrongly.
func validation(format string, args ...any) error {
	return wire.Failf("ValidationError", "", format, args...)
}

// token and offset are NextToken there and back.
func token(offset int) string {
	return base64.RawURLEncoding.EncodeToString([]byte("weir:" + strconv.Itoa(offset)))
}

func offset(c *wire.Call) (int, error) {
	text := c.In.String("NextToken")
	if text == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	n := 0
	if err == nil {
		_, err = fmt.Sscanf(string(b), "weir:%d", &n)
	}
	if err != nil || n < 0 {
		return 0, wire.Failf("InvalidNextToken", "", "The next token is not one of this operation.")
	}
	return n, nil
}

// page cuts a list of the given length at the call's token; next is "" at the end.
func page(c *wire.Call, length, size int) (from, to int, next string, err error) {
	if from, err = offset(c); err != nil {
		return 0, 0, "", err
	}
	from = min(from, length)
	to = min(from+size, length)
	if to < length {
		next = token(to)
	}
	return from, to, next, nil
}
