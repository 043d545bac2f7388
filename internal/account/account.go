// Package account is how an AWS account is reached: Access finds region and
// credentials as every AWS tool finds them, and says what is missing.
//
// What is not AWS is reached the same way: stand-ins with an address of their own,
// some of which know only the older protocols of CloudWatch.
package account

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/weir-dev/weir/internal/sink"
)

// Access is how AWS is reached: by the standard chain of credentials and
// regions, with a role assumed on top when one is given. The zero value is what
// the environment says.
type Access struct {
	Region   string // "": of the environment or the profile
	Role     string // ARN; "": none
	Endpoint string // instead of AWS's own; "": none, or that of the environment
}

// CheckEndpoint returns what is wrong with an address to use instead of AWS's own; "" is
// none. It may hold a secret, so the error does not repeat it.
func CheckEndpoint(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("the endpoint is not of the form https://host:port, without a user")
	}
	return nil
}

// Load finds region and credentials. It asks nobody yet, so it fails only for what
// is missing here, with a Trouble.
func (a Access) Load(ctx context.Context) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{
		// The sender has a rule of its own: what is tried again, and when, is in the run file.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.IdleConnTimeout = sink.IdleWithin })),
		config.WithLogger(logging.Nop{}), // it writes to standard error, into the middle of the display
	}
	if a.Region != "" {
		opts = append(opts, config.WithRegion(a.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return cfg, settings(err)
	}
	if cfg.Region == "" {
		return cfg, &Trouble{What: "no AWS region is known", Do: "set AWS_REGION, or give the region on the command line"}
	}
	cfg.HTTPClient = sink.Measure(cfg.HTTPClient)
	if a.Endpoint != "" {
		cfg.BaseEndpoint = aws.String(a.Endpoint)
	}
	if a.Role != "" {
		// Renewed by itself, an hour at a time.
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), a.Role,
			func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "weir" }))
	}
	return cfg, nil
}

// Identify finds out whether there are credentials. Its error is a Trouble.
func Identify(ctx context.Context, cfg aws.Config) error {
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return credentials(err)
	}
	return nil
}
