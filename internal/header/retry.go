package header

import (
	"strings"
	"time"
)

// retryAfter reads Retry-After and its relatives; custom is one more name for
// it. Of several values that differ the longest wait counts: who obeys it is
// never refused for it.
//
// Milliseconds: Retry-After-Ms (Azure OpenAI), X-Ms-Retry-After-Ms (Azure Cosmos
// DB). Seconds: X-RateLimit-Retry-After (MailerLite) and X-Retry-After.
// Source: developersdigest.tech/errors/api/azure-openai/429-rate-limit-exceeded and
// developers-classic.mailerlite.com/docs/api-rate-limits, read 2026-11-21.
func (p *parser) retryAfter(custom string) {
	for i := range p.fields {
		f := &p.fields[i]
		if !isRetryAfter(f.low) && (custom == "" || !strings.EqualFold(custom, f.name)) {
			continue
		}
		f.used = true
		d, reason := p.retryValue(f.value, strings.HasSuffix(f.low, "-ms"))
		if reason != "" {
			p.problem(f.name, f.value, reason)
		}
		if d == Unknown {
			continue
		}
		if p.r.RetryAfterSet && p.r.RetryAfter != d {
			// Subtle: a value in milliseconds and the same rounded to seconds agree.
			if diff := (p.r.RetryAfter - d).Abs(); diff > time.Second {
				p.problem(f.name, f.value, "another field says "+p.r.RetryAfter.String()+"; the longer wait counts")
			}
		}
		p.r.RetryAfter = max(p.r.RetryAfter, d)
		p.r.RetryAfterSet = true
	}
}

func isRetryAfter(low string) bool {
	switch low {
	case "retry-after", "retry-after-ms", "x-ms-retry-after-ms", "x-retry-after", "x-ratelimit-retry-after", "x-rate-limit-retry-after":
		return true
	}
	return false
}

// retryValue reads one value. RFC 9110 §10.2.3 knows whole seconds and dates;
// everything else that can be understood is, with a reason.
func (p *parser) retryValue(s string, milliseconds bool) (time.Duration, string) {
	if milliseconds {
		n, reason := count(s)
		if reason != "" {
			return Unknown, reason
		}
		if n > int64(maxWait/time.Millisecond) {
			return maxWait, "more than ten years; cut to that"
		}
		return time.Duration(n) * time.Millisecond, ""
	}
	if f, ok := number(s); ok {
		if base := max(float64(p.ref.Unix()), epochBase) / 2; f >= base {
			d, reason := resetValue(s, p.ref)
			if reason == "" {
				reason = "an instant where RFC 9110 wants seconds or a date; read as an instant"
			}
			return d, reason
		}
		d, ok := seconds(s)
		if !ok || d > maxWait {
			return maxWait, "more than ten years; cut to that"
		}
		if strings.Contains(s, ".") && d%time.Second != 0 {
			return d, "a fraction of a second where RFC 9110 wants whole seconds"
		}
		return d, ""
	}
	if at, ok := parseHTTPDate(s, p.ref); ok {
		d, reason := until(at, p.ref)
		if d == Unknown {
			return maxWait, reason
		}
		return d, reason
	}
	d, reason := resetValue(s, p.ref)
	if d != Unknown && reason == "" {
		reason = "neither seconds nor an HTTP date (RFC 9110), understood all the same"
	}
	return d, reason
}
