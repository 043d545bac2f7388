package wire

import (
	"net/http"
	"strings"
)

// CredentialScope is what a signature says about itself; the key and the signature
// are never kept.
type CredentialScope struct{ Date, Region, Service string }

// Scope reads the scope of a signature in the header or in the query; it is empty
// where there is none.
func Scope(r *http.Request) CredentialScope {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		credential, _, _ = strings.Cut(rest, ",")
	}
	parts := strings.Split(strings.TrimSpace(credential), "/")
	switch {
	case len(parts) == 5: // KEY/DATE/REGION/SERVICE/aws4_request
		return CredentialScope{parts[1], parts[2], parts[3]}
	case len(parts) == 4: // SigV4a has no region here
		return CredentialScope{parts[1], "", parts[2]}
	}
	return CredentialScope{}
}

// Signed says that a request carries a signature: version 4 or 4a in the header or
// in the query, or version 2 in the parameters. It is not verified: a stand-in has no
// secret to verify it with. The two errors are AWS's common ones ("Common errors",
// CloudWatch API reference, read 2026-11).
func Signed(r *http.Request, c *Call) error {
	if c.Service == SNS && r.Method == http.MethodGet && (c.Op == "ConfirmSubscription" || c.Op == "Unsubscribe") {
		return nil // the links in messages carry none
	}
	query := r.URL.Query()
	header := r.Header.Get("Authorization")
	switch {
	case query.Has("X-Amz-Signature") && query.Has("X-Amz-Credential"), c.Form.Has("Signature") && c.Form.Has("AWSAccessKeyId"):
		return nil
	case header == "":
		return Fail(http.StatusForbidden, "MissingAuthenticationTokenException", "MissingAuthenticationToken", "Request is missing Authentication Token")
	case strings.HasPrefix(header, "AWS4-HMAC-SHA256 "), strings.HasPrefix(header, "AWS4-ECDSA-P256-SHA256 "):
		for _, part := range []string{"Credential", "SignedHeaders", "Signature"} {
			if !strings.Contains(header, part+"=") {
				return Failf("IncompleteSignature", "Exception", "Authorization header requires '%s' parameter.", part)
			}
		}
		return nil
	}
	return Failf("IncompleteSignature", "Exception", "Authorization header is not of AWS4-HMAC-SHA256")
}
