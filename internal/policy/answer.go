package policy

import (
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
)

// Answer is what a refused request gets: a known one by Name, or spelt out. The
// zero value leaves the choice to the program: Spelled gives it.
type Answer struct {
	Name string // of a known answer; the other fields are zero then

	Status  int            // 400 to 599
	Dialect header.Dialect // how the limits are told in header fields; "" for not at all
	Headers []hit.Field    // further fields, in order
	// Body is sent with {retry-after} replaced by the seconds to wait, rounded up,
	// {limit} by the limit that holds for the key, {name} by the policy's name.
	Body string
}

// IsZero tells whether nothing was said about the answer.
func (a Answer) IsZero() bool {
	return a.Name == "" && a.Status == 0 && a.Dialect == "" && len(a.Headers) == 0 && a.Body == ""
}

// known are the answers of services, in the order in which errors list them.
// Each dialect that can be written is an answer as well: 429 with its fields.
func known() []Answer {
	json := []hit.Field{{Name: "Content-Type", Value: "application/json"}}
	answers := []Answer{
		// Seed report 000: Amazon Cognito's token endpoint over its quota.
		{Name: "cognito", Status: 429, Headers: json, Body: `{"error":"Rate exceeded"}`},
		// errormedic.com, "Troubleshooting Auth0 Rate Limit", read 2026-11-21; the
		// fields are those of Auth0's "Rate Limit Policy".
		{Name: "auth0", Status: 429, Dialect: header.XRateLimit, Headers: json, Body: `{"statusCode":429,"error":"Too Many Requests","message":"Global limit has been reached"}`},
		// learn.microsoft.com, "How to implement rate limiting in Azure API
		// Management" (Dev Proxy), read 2026-11-21.
		{Name: "apim", Status: 429, Dialect: header.RetryAfterOnly, Headers: json, Body: `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in {retry-after} seconds." }`},
	}
	for _, d := range header.Writable() {
		answers = append(answers, Answer{Name: string(d), Status: 429, Dialect: d})
	}
	return answers
}

// KnownAnswers returns the names that Answer.Name may have, in a stable order.
func KnownAnswers() []string {
	var names []string
	for _, a := range known() {
		names = append(names, a.Name)
	}
	return names
}

// Spelled returns the answer with a known name replaced by what it stands for;
// the zero value is 429 with the fields of header.Draft. ok is false for a name
// that is not known.
func (a Answer) Spelled() (spelled Answer, ok bool) {
	if a.IsZero() {
		a.Name = string(header.Draft)
	}
	if a.Name == "" {
		return a, true
	}
	for _, k := range known() {
		if k.Name == a.Name {
			k.Name = ""
			return k, true
		}
	}
	return a, false
}
