package hit

import "bytes"

// throttlingCodes are the error codes of AWS services that say "you are over a
// limit", in lower case, without the namespace.
//
// Source: the list of throttling error codes that the AWS SDKs share, in the
// SDK for JavaScript as @smithy/service-error-classification (constants,
// THROTTLING_ERROR_CODES) and in the Boto3 guide "Retries", standard mode;
// both read 2026-11-21. Of that list two are left out, because they tell of a
// conflict with an earlier request and not of a limit: PriorRequestNotComplete
// (Route 53) and TransactionInProgressException (DynamoDB).
var throttlingCodes = [...]string{
	"throttling",
	"throttlingexception",
	"throttledexception",
	"requestthrottled",
	"requestthrottledexception",
	"toomanyrequestsexception",
	"provisionedthroughputexceededexception",
	"requestlimitexceeded",
	"bandwidthlimitexceeded",
	"limitexceededexception",
	"slowdown",
	"ec2throttledexception",
}

// maxErrorBody is how much of a body is searched for an error code.
const maxErrorBody = 64 << 10

// awsThrottled looks for a throttling code where AWS protocols put it: the
// header x-amzn-errortype (REST JSON), the members __type or code (JSON 1.0 and
// 1.1, REST JSON), or an element Code (query and REST XML protocols).
// Source: docs.rs/aws-smithy-schema/0.3.0, error_envelope (how a code is spelt),
// and docs.rs/winterbaume-core, rest_json_error (the header), read 2026-11-21.
func awsThrottled(a *Answer) bool {
	if v, ok := a.Fields.Find("x-amzn-errortype"); ok {
		return isThrottlingCode(v)
	}
	body := a.Body[:min(len(a.Body), maxErrorBody)]
	for _, key := range [...]string{`"__type"`, `"code"`, `"Code"`} {
		if v, ok := jsonMember(body, key); ok && isThrottlingCode(v) {
			return true
		}
	}
	if i := bytes.Index(body, []byte("<Code>")); i >= 0 {
		v, _, ok := bytes.Cut(body[i+len("<Code>"):], []byte("</Code>"))
		return ok && isThrottlingCode(trim(v))
	}
	return false
}

// jsonMember returns the raw string value that follows the first key in body
// that is followed by a colon and a string. It is no JSON parser: it is only
// asked for keys whose values it then compares with known words.
func jsonMember(body []byte, key string) ([]byte, bool) {
	for {
		i := bytes.Index(body, []byte(key))
		if i < 0 {
			return nil, false
		}
		body = body[i+len(key):]
		rest := trimLeft(body)
		if len(rest) == 0 || rest[0] != ':' {
			continue
		}
		rest = trimLeft(rest[1:])
		if len(rest) == 0 || rest[0] != '"' {
			continue
		}
		rest = rest[1:]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			return rest[:end], true
		}
	}
}

// isThrottlingCode compares a code in any of its spellings:
// "Name", "namespace#Name", "Name:http://…", "namespace#Name:http://…".
func isThrottlingCode(v []byte) bool {
	if i := bytes.IndexByte(v, ':'); i >= 0 {
		v = v[:i]
	}
	if i := bytes.LastIndexByte(v, '#'); i >= 0 {
		v = v[i+1:]
	}
	v = trim(v)
	for _, code := range throttlingCodes {
		if equalFold(v, code) {
			return true
		}
	}
	return false
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	return b
}
