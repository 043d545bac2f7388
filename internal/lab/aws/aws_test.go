package aws_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"

	"github.com/weir-dev/weir/internal/lab/aws"
)

// start is on a minute, so that the arithmetic of the tests is in whole periods.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// hand is a clock that a test sets.
type hand struct{ ns atomic.Int64 }

func newHand() *hand {
	h := new(hand)
	h.ns.Store(start.UnixNano())
	return h
}
func (h *hand) now() time.Time      { return time.Unix(0, h.ns.Load()).UTC() }
func (h *hand) add(d time.Duration) { h.ns.Add(int64(d)) }

// account is a stand-in behind a socket, with clients.
type account struct {
	*aws.Server
	url    string
	config sdk.Config
}

// onlyOwnClosing tries a call again when the client itself closed the connection in
// the middle of an answer, which the SDK knows of and takes for worth a second try;
// whatever a server can do is left for tests to see.
func onlyOwnClosing() sdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) sdk.Ternary {
			return sdk.BoolTernary(strings.Contains(err.Error(), "use of closed network connection"))
		})}
	})
}

func newAccount(t testing.TB, cfg aws.Config) *account {
	t.Helper()
	s, err := aws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &account{s, web.URL, sdk.Config{
		Region: aws.DefaultRegion, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		BaseEndpoint: &web.URL, Retryer: onlyOwnClosing, HTTPClient: web.Client(),
	}}
}

func (a *account) cloudwatch(protocol string) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(a.config, func(o *cloudwatch.Options) {
		switch protocol {
		case "cbor":
			o.Protocol = rpcv2.NewCBOR(schemas.GraniteServiceVersion20100801)
		case "json":
			o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801)
		case "query":
			o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
		}
	})
}

func (a *account) logs() *cloudwatchlogs.Client { return cloudwatchlogs.NewFromConfig(a.config) }
func (a *account) sns() *sns.Client             { return sns.NewFromConfig(a.config) }
func (a *account) sqs() *sqs.Client             { return sqs.NewFromConfig(a.config) }

// must returns a result and ends the test where there is an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var ctx = context.Background()

func ptr[T any](v T) *T { return &v }
