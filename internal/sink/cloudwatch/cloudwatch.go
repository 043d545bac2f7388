// Package cloudwatch sends a run to Amazon CloudWatch: an Encoder makes one call's
// worth of metrics of each flush interval, and a Client makes the calls.
//
// Everything in a second is counted before it leaves: latencies as values with
// their counts, so that CloudWatch's percentiles are those of the requests.
// Stages, findings and the verdict go to CloudWatch Logs.
package cloudwatch

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/account"
)

// Lanes of the outbox.
const (
	Name    = "cloudwatch"
	Metrics = "cloudwatch"
	Logs    = "cloudwatch/logs"
)

// Limits of PutMetricData: docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference,
// API_PutMetricData, API_MetricDatum and API_Dimension, read 2026-11-22.
const (
	maxData       = 1000
	maxBytes      = 1 << 20
	maxValues     = 150
	maxDimensions = 30
	maxNamespace  = 255
	maxDimName    = 255
	maxDimValue   = 1024
)

// Dimension is one name and value of a metric.
type Dimension struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Settings say what is sent where. They are kept in the run file, and hold no secrets.
type Settings struct {
	Live       bool          `json:"live"`
	Namespace  string        `json:"namespace"`
	Test       string        `json:"test"`                 // value of the dimension Test
	Dimensions []Dimension   `json:"dimensions,omitempty"` // further ones, on every metric
	Flush      time.Duration `json:"flush_ns"`
	Resolution time.Duration `json:"resolution_ns"` // one second or one minute
	Requests   int           `json:"requests"`      // most request names with series of their own; 0: none
	LogGroup   string        `json:"log_group,omitempty"`
	Region     string        `json:"region"`
	Role       string        `json:"role,omitempty"`     // ARN of a role to assume
	Endpoint   string        `json:"endpoint,omitempty"` // instead of AWS's own
	Resend     bool          `json:"resend,omitempty"`   // what may have arrived is sent again
}

// MinFlush and MaxFlush bound the flush interval: CloudWatch keeps seconds for
// three hours, and an alarm waits for what is not sent.
const (
	MinFlush = time.Second
	MaxFlush = 5 * time.Minute
)

// Check returns what is wrong with the settings, in words that name the field.
func (s *Settings) Check() error {
	switch {
	case s.Flush < MinFlush || s.Flush > MaxFlush || s.Flush%time.Second != 0:
		return fmt.Errorf("the flush interval is %v: it is whole seconds, from %v to %v", s.Flush, MinFlush, MaxFlush)
	case s.Resolution != time.Second && s.Resolution != time.Minute:
		return fmt.Errorf("the resolution is %v: CloudWatch stores 1s or 1m", s.Resolution)
	case s.Requests < 0 || s.Requests > 1000:
		return fmt.Errorf("%d request names are out of range: 0 to 1000", s.Requests)
	case s.Namespace == "" || len(s.Namespace) > maxNamespace || strings.Trim(s.Namespace, namespaceChars) != "":
		return fmt.Errorf("the namespace %q has to be 1 to %d letters, digits and marks of .-_/#: alone", s.Namespace, maxNamespace)
	case strings.HasPrefix(s.Namespace, "AWS/") || strings.HasPrefix(s.Namespace, ":"):
		return fmt.Errorf("the namespace %q belongs to AWS: choose another", s.Namespace)
	case len(s.Dimensions) > maxDimensions-3:
		return fmt.Errorf("%d dimensions are too many: a metric has %d at most, three of which are Weir's", len(s.Dimensions), maxDimensions)
	}
	seen := map[string]bool{"Test": true, "Request": true, "Outcome": true}
	for i, d := range append([]Dimension{{"Test", s.Test}}, s.Dimensions...) {
		if i > 0 {
			if d.Name == "" || d.Name != ascii(d.Name, maxDimName) {
				return fmt.Errorf("the dimension name %q is not 1 to %d characters of ASCII", d.Name, maxDimName)
			}
			if seen[d.Name] {
				return fmt.Errorf("the dimension %s is there already", d.Name)
			}
			seen[d.Name] = true
		}
		if d.Value == "" || d.Value != ascii(d.Value, maxDimValue) {
			return fmt.Errorf("the value %q of the dimension %s is not 1 to %d characters of ASCII, the first of which is no colon", d.Value, d.Name, maxDimValue)
		}
	}
	if err := account.CheckEndpoint(s.Endpoint); err != nil {
		return err
	}
	if s.Role != "" && !strings.HasPrefix(s.Role, "arn:") {
		return fmt.Errorf("the role %q is no ARN, such as arn:aws:iam::123456789012:role/name", s.Role)
	}
	return nil
}

const namespaceChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/#:"

// TestName makes a value for the dimension Test of any text.
func TestName(s string) string { return ascii(s, 100) }

// ascii makes of any text what CloudWatch accepts in a dimension: printable
// ASCII, not empty, at most so long, no colon in front.
func ascii(s string, most int) string {
	b := make([]byte, 0, min(len(s), most))
	for _, r := range s {
		if len(b) == most {
			break
		}
		switch {
		case r < ' ' || r > '~':
			r = '?'
		case r == ':' && len(b) == 0:
			r = '.'
		}
		b = append(b, byte(r))
	}
	if strings.TrimSpace(string(b)) == "" {
		return "?"
	}
	return string(b)
}
