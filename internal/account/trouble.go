package account

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/weir-dev/weir/internal/sink"
)

// Trouble is why there is no access, and what to do about it. The SDK's own words
// name its parts, and not what its user has to do.
type Trouble struct{ What, Do string }

// Error says what is wrong.
func (t *Trouble) Error() string { return t.What }

// Advice is what to do about an error of this package, or "".
func Advice(err error) string {
	var t *Trouble
	if errors.As(err, &t) {
		return t.Do
	}
	return ""
}

// profile is the name of the profile in use.
func profile() string {
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"} {
		if p := os.Getenv(name); p != "" {
			return sink.Line(p, 100)
		}
	}
	return "default"
}

// settings explains why the settings of this machine cannot be used.
func settings(err error) *Trouble {
	var missing config.SharedConfigProfileNotExistError
	var file config.SharedConfigLoadError
	var mfa config.AssumeRoleTokenProviderNotSetError
	var base config.SharedConfigAssumeRoleError
	switch {
	case errors.As(err, &base):
		return &Trouble{fmt.Sprintf("the AWS profile %q assumes a role with the rights of %q, a profile that is not there or has none", profile(), sink.Line(base.Profile, 100)),
			"look at its source_profile in ~/.aws/config"}
	case errors.As(err, &missing):
		return &Trouble{fmt.Sprintf("there is no AWS profile %q on this machine", sink.Line(missing.Profile, 100)), "set AWS_PROFILE to one that aws configure list-profiles shows"}
	case errors.As(err, &file):
		return &Trouble{fmt.Sprintf("%s cannot be read as AWS settings: %s", file.Filename, sink.Line(innermost(err), 200)), "correct that file"}
	case errors.As(err, &mfa):
		return &Trouble{fmt.Sprintf("the AWS profile %q wants a code of a device (MFA), for which Weir does not ask", profile()),
			"export what aws configure export-credentials --format env prints, or use a profile without mfa_serial"}
	}
	return &Trouble{"the AWS settings of this machine: " + sink.Line(innermost(err), 300), "look at AWS_PROFILE and ~/.aws/config"}
}

// credentials explains why there are none.
func credentials(err error) *Trouble {
	var sso *ssocreds.InvalidTokenError
	var process *processcreds.ProviderError
	var api smithy.APIError
	var call *smithy.OperationError
	switch {
	case errors.As(err, &sso):
		return &Trouble{fmt.Sprintf("nobody is logged in for the AWS profile %q, or the login has run out", profile()), "aws sso login --profile " + profile()}
	case errors.As(err, &process):
		// What it printed is not repeated: it may be a secret.
		return &Trouble{fmt.Sprintf("the credential_process of the AWS profile %q failed: %s", profile(), sink.Line(innermost(process.Err), 100)), "run it by hand to see why"}
	case errors.As(err, &call) && call.ServiceID == "ec2imds":
		return &Trouble{fmt.Sprintf("there are no AWS credentials: none in the environment, none in the profile %q, and this machine has no role", profile()),
			"export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or log in: aws sso login. For a stand-in any key will do"}
	case errors.As(err, &api) && errors.As(err, &call):
		return &Trouble{fmt.Sprintf("there are no AWS credentials: %s answered %s", sink.Line(call.ServiceID+" "+call.OperationName, 100), sink.Line(api.ErrorCode()+": "+api.ErrorMessage(), 300)),
			"may these credentials assume the role, and does the role trust them?"}
	case errors.As(err, &call):
		return &Trouble{fmt.Sprintf("there are no AWS credentials: %s: %s", sink.Line(call.ServiceID+" "+call.OperationName, 100), sink.Line(innermost(err), 300)),
			"is that service reachable from here?"}
	}
	return &Trouble{"there are no AWS credentials: " + sink.Line(innermost(err), 300), "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or set AWS_PROFILE"}
}

// Words says in one line what went wrong with a call of the SDK.
func Words(err error) string {
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	var foreign *Foreign
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &foreign):
		return foreign.Error()
	case errors.As(err, &api):
		return sink.Line(api.ErrorCode()+": "+api.ErrorMessage(), 300)
	case errors.As(err, &send):
		return sink.Words(send.Err)
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode != 0:
		status := answer.HTTPStatusCode()
		return fmt.Sprintf("it answered %d %s, and the answer cannot be read", status, http.StatusText(status))
	}
	return sink.Words(err)
}

// innermost is the last word of an error of the SDK: the outer ones name its own parts.
func innermost(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}
