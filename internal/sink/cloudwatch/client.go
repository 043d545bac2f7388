package cloudwatch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
)

// Client makes the calls. Open makes one; its Metrics and Logs are what lanes deliver with.
type Client struct {
	cfg     aws.Config
	metrics *cloudwatch.Client
	logs    *cloudwatchlogs.Client
}

// Open makes a client of settings that were checked.
func Open(ctx context.Context, s Settings) (*Client, error) {
	cfg, err := account.Access{Region: s.Region, Role: s.Role, Endpoint: s.Endpoint}.Load(ctx)
	if err != nil {
		return nil, err
	}
	return NewClient(cfg), nil
}

// NewClient makes a client of a loaded configuration.
func NewClient(cfg aws.Config) *Client {
	return &Client{cfg: cfg, metrics: account.CloudWatch(cfg), logs: cloudwatchlogs.NewFromConfig(cfg)}
}

// Region is where the calls go.
func (c *Client) Region() string { return c.cfg.Region }

// Identify finds out whether there are credentials.
func (c *Client) Identify(ctx context.Context) error { return account.Identify(ctx, c.cfg) }

// Sink returns the whole sink for a run.
func (c *Client) Sink(s Settings, runID string, started time.Time) sink.Sink {
	k := sink.Sink{Name: Name, Encoder: NewEncoder(s, runID, started), Live: s.Live}
	k.Lanes = append(k.Lanes, sink.Lane{Name: Metrics, Deliverer: metricsLane{c}, Resend: s.Resend})
	if s.LogGroup != "" {
		k.Lanes = append(k.Lanes, sink.Lane{Name: Logs, Deliverer: &logsLane{c: c}, Resend: s.Resend})
	}
	return k
}

type metricsLane struct{ c *Client }

// Deliver makes one PutMetricData.
func (l metricsLane) Deliver(ctx context.Context, p *runfile.Parcel) sink.Reply {
	var b batch
	if err := unzip(p.Body, &b); err != nil {
		return refused(err)
	}
	in := &cloudwatch.PutMetricDataInput{Namespace: &b.Namespace, MetricData: make([]cwtypes.MetricDatum, len(b.Data))}
	for i := range b.Data {
		in.MetricData[i] = b.Data[i].sdk(b.Resolution)
	}
	if r, ok := l.c.rights(ctx); !ok {
		return r
	}
	var w sink.Wire
	_, err := l.c.metrics.PutMetricData(w.Trace(ctx), in)
	return reply(&w, err)
}

func (d *datum) sdk(resolution int32) cwtypes.MetricDatum {
	out := cwtypes.MetricDatum{
		MetricName: &d.Metric, Unit: cwtypes.StandardUnit(d.Unit), Timestamp: aws.Time(time.Unix(d.At, 0).UTC()),
		StorageResolution: &resolution, Value: d.Value, Values: d.Values, Counts: d.Counts,
	}
	for _, x := range d.Dimensions {
		out.Dimensions = append(out.Dimensions, cwtypes.Dimension{Name: aws.String(x.Name), Value: aws.String(x.Value)})
	}
	if s := d.Stats; s != nil {
		out.StatisticValues = &cwtypes.StatisticSet{SampleCount: &s.Count, Sum: &s.Sum, Minimum: &s.Min, Maximum: &s.Max}
	}
	return out
}

// rights gets the credentials before the call that is watched: a role is assumed
// in a call of its own, whose failure says nothing about the parcel.
func (c *Client) rights(ctx context.Context) (sink.Reply, bool) {
	if err := c.Identify(ctx); err != nil {
		return sink.NoRights(err.Error()), false
	}
	return sink.Reply{}, true
}

type logsLane struct {
	c    *Client
	made bool
}

// Deliver makes one PutLogEvents, and the group and the stream when they are missing.
func (l *logsLane) Deliver(ctx context.Context, p *runfile.Parcel) sink.Reply {
	var t letter
	if err := unzip(p.Body, &t); err != nil {
		return refused(err)
	}
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &t.Group, LogStreamName: &t.Stream}
	for i := range t.Events {
		in.LogEvents = append(in.LogEvents, logtypes.InputLogEvent{Timestamp: &t.Events[i].At, Message: &t.Events[i].Text})
	}
	if r, ok := l.c.rights(ctx); !ok {
		return r
	}
	if !l.made {
		if err := l.makeStream(ctx, t.Group, t.Stream); err != nil {
			var w sink.Wire // nothing of the parcel was sent
			return reply(&w, err)
		}
		l.made = true
	}
	var w sink.Wire
	out, err := l.c.logs.PutLogEvents(w.Trace(ctx), in)
	r := reply(&w, err)
	var missing *logtypes.ResourceNotFoundException
	switch {
	case errors.As(err, &missing): // deleted meanwhile
		l.made = false
		r.Fate = runfile.Returned
	case err == nil && out.RejectedLogEventsInfo != nil:
		// To send the others again would only double those that it took.
		r.Reason = "CloudWatch Logs left out events that are too old, or too far in the future"
	}
	return r
}

func (l *logsLane) makeStream(ctx context.Context, group, stream string) error {
	in := &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}
	_, err := l.c.logs.CreateLogStream(ctx, in)
	var missing *logtypes.ResourceNotFoundException
	if errors.As(err, &missing) {
		if _, err := l.c.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil && !exists(err) {
			return err
		}
		_, err = l.c.logs.CreateLogStream(ctx, in)
	}
	if exists(err) {
		return nil
	}
	return err
}

func exists(err error) bool {
	var there *logtypes.ResourceAlreadyExistsException
	return errors.As(err, &there)
}

func refused(err error) sink.Reply {
	var r sink.Reply
	r.Fate, r.Reason = runfile.Refused, sink.Line(err.Error(), 300)
	return r
}

// denied are the error codes of a caller who may not do this now:
// docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html, read
// 2026-11-22, and those of STS.
var denied = map[string]bool{
	"AccessDenied": true, "AccessDeniedException": true, "ExpiredToken": true, "ExpiredTokenException": true, "IncompleteSignature": true,
	"InvalidClientTokenId": true, "InvalidSignatureException": true, "MissingAuthenticationToken": true, "MissingAuthenticationTokenException": true,
	"NotAuthorized": true, "OptInRequired": true, "RequestExpired": true, "SignatureDoesNotMatch": true, "UnrecognizedClientException": true,
}

// reply sorts what the SDK says of a call.
func reply(w *sink.Wire, err error) sink.Reply {
	if err == nil {
		var r sink.Reply
		r.Fate, r.Wire = runfile.Delivered, max(w.Bytes(), 0)
		return r
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.StatusCode == 0 {
		return w.NoAnswer(cause(err))
	}
	status := answer.HTTPStatusCode()
	if status < 300 {
		// It was taken, by its status, and what it says cannot be read.
		r := w.NoAnswer(cause(err))
		r.Fate, r.Reason = runfile.Doubtful, "it answered "+strconv.Itoa(status)+", and its answer cannot be read"
		return r
	}
	var foreign *account.Foreign
	if errors.As(err, &foreign) {
		return sink.NoRights(foreign.Error()) // the address is wrong, not the parcel
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return sink.Status(status, answer.Response.Header.Get("Retry-After"), "")
	}
	text := api.ErrorCode() + ": " + api.ErrorMessage()
	if _, limit := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; limit {
		// CloudWatch throttles with status 400.
		status = http.StatusTooManyRequests
	} else if denied[api.ErrorCode()] {
		return sink.NoRights("it answered " + text)
	}
	return sink.Status(status, answer.Response.Header.Get("Retry-After"), text)
}

// cause takes the SDK's words for its own parts off an error of the network.
func cause(err error) error {
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		return send.Err
	}
	return err
}
