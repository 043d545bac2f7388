package header

import (
	"iter"
	"strings"
	"testing"
	"time"
)

// block is a header block as text, for tests.
type block string

func (b block) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for line := range strings.SplitSeq(string(b), "\n") {
			name, value, ok := strings.Cut(line, ":")
			if ok && !yield(strings.TrimSpace(name), strings.TrimSpace(value)) {
				return
			}
		}
	}
}

// at is the instant at which the answers of the table arrived.
func at(unix int64) time.Time { return time.Unix(unix, 0) }

func date(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// Answers as services send them, from the pages and recordings named in dialect.go.
var vendorAnswers = []struct {
	name    string
	now     time.Time
	fields  block
	dialect Dialect
	limits  []string // Limit.String of each
	retry   string   // RetryAfter, "" when not set
	wrong   []string // parts of the problems, one each
}{
	{"GitHub", at(1372700000), "x-ratelimit-limit: 60\nx-ratelimit-remaining: 56\nx-ratelimit-used: 4\nx-ratelimit-resource: core\nx-ratelimit-reset: 1372700873", GitHub,
		[]string{`"core": 56 of 60 left, resets in 14m33s`}, "", nil},
	{"GitHub 2013, exceeded, with its Date", at(1377010241), "Date: Tue, 20 Aug 2013 14:50:41 GMT\nX-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1377013266", XRateLimit,
		[]string{`0 of 60 left, resets in 50m25s`}, "", nil},
	{"Auth0", at(1700000000), "x-ratelimit-limit: 10\nx-ratelimit-remaining: 9\nx-ratelimit-reset: 1700000001", XRateLimit,
		[]string{`9 of 10 left, resets in 1s`}, "", nil},
	{"Auth0 quotas", at(1700000000), "Auth0-Client-Quota-Limit: b=per_hour;q=10;r=7;t=3540,b=per_day;q=50;r=47;t=43200", Auth0Quota,
		[]string{`"client per_hour": 7 of 10 left per 1h0m0s, resets in 59m0s`, `"client per_day": 47 of 50 left per 24h0m0s, resets in 12h0m0s`}, "", nil},
	{"X", at(1705420000), "x-rate-limit-limit: 900\nx-rate-limit-remaining: 847\nx-rate-limit-reset: 1705420800", XRateLimitDashed,
		[]string{`847 of 900 left, resets in 13m20s`}, "", nil},
	{"Okta", at(1609459190), "X-Rate-Limit-Limit: 1200\nX-Rate-Limit-Remaining: 1199\nX-Rate-Limit-Reset: 1609459200", XRateLimitDashed,
		[]string{`1199 of 1200 left, resets in 10s`}, "", nil},
	{"OpenAI", at(1748235604), "x-ratelimit-limit-requests: 5000\nx-ratelimit-limit-tokens: 160000\nx-ratelimit-remaining-requests: 4999\nx-ratelimit-remaining-tokens: 159976\nx-ratelimit-reset-requests: 12ms\nx-ratelimit-reset-tokens: 6m0s", OpenAI,
		[]string{`"requests": 4999 of 5000 left, resets in 12ms`, `"tokens": 159976 of 160000 left, resets in 6m0s, in tokens`}, "", nil},
	{"Azure OpenAI, sick", at(1763410759), "x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: -1\nx-ratelimit-reset-tokens: 0", OpenAI,
		[]string{`"tokens": ? of ? left, resets in 0s, in tokens`}, "", []string{"negative", "negative"}},
	{"Anthropic", date("2025-10-25T11:59:30Z"), "anthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\nanthropic-ratelimit-requests-reset: 2025-10-25T12:00:00Z\nanthropic-ratelimit-input-tokens-limit: 50000\nanthropic-ratelimit-input-tokens-remaining: 49500\nanthropic-ratelimit-input-tokens-reset: 2025-10-25T12:01:00Z\nretry-after: 60", Anthropic,
		[]string{`"requests": 49 of 50 left, resets in 30s`, `"input-tokens": 49500 of 50000 left, resets in 1m30s, in tokens`}, "1m0s", nil},
	{"Discord", at(1470173022), "X-RateLimit-Limit: 5\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1470173023.25\nX-RateLimit-Reset-After: 1.125\nX-RateLimit-Bucket: abcd1234\nX-RateLimit-Scope: user\nRetry-After: 2", Discord,
		[]string{`0 of 5 left, resets in 1.125s, key "abcd1234"`}, "2s", nil},
	{"Discord, global", at(1470173022), "Retry-After: 65\nX-RateLimit-Global: true\nX-RateLimit-Scope: global", RetryAfterOnly, nil, "1m5s", nil},
	{"Shopify", at(1700000000), "X-Shopify-Shop-Api-Call-Limit: 32/40", Shopify, []string{`8 of 40 left`}, "", nil},
	{"Shopify, exceeded", at(1700000000), "X-Shopify-Shop-Api-Call-Limit: 40/40\nRetry-After: 2.0", Shopify, []string{`0 of 40 left`}, "2s", nil},
	{"Kong", at(1700000000), "RateLimit-Limit: 6\nRateLimit-Remaining: 4\nRateLimit-Reset: 47\nX-RateLimit-Limit-Second: 5\nX-RateLimit-Remaining-Second: 4\nX-RateLimit-Limit-Minute: 10\nX-RateLimit-Remaining-Minute: 9", OldDraft,
		[]string{`4 of 6 left, resets in 47s`, `"second": 4 of 5 left per 1s`, `"minute": 9 of 10 left per 1m0s`}, "", nil},
	{"Kong, response rate limiting", at(1700000000), "X-RateLimit-Limit-Videos-Minute: 10\nX-RateLimit-Remaining-Videos-Minute: 9", Kong,
		[]string{`"videos-minute": 9 of 10 left per 1m0s`}, "", nil},
	{"HubSpot", at(1700000000), "X-HubSpot-RateLimit-Daily: 250000\nX-HubSpot-RateLimit-Daily-Remaining: 249900\nX-HubSpot-RateLimit-Interval-Milliseconds: 10000\nX-HubSpot-RateLimit-Max: 100\nX-HubSpot-RateLimit-Remaining: 98\nX-HubSpot-RateLimit-Secondly: 10\nX-HubSpot-RateLimit-Secondly-Remaining: 9", HubSpot,
		[]string{`"daily": 249900 of 250000 left per 24h0m0s`, `98 of 100 left per 10s`, `"secondly": 9 of 10 left per 1s`}, "", nil},
	{"Zendesk", at(1700000000), "x-rate-limit: 700\nratelimit-limit: 700\nx-rate-limit-remaining: 699\nratelimit-remaining: 699\nratelimit-reset: 41\nzendesk-ratelimit-tickets-index: total=100; remaining=99; resets=41", Zendesk,
		[]string{`"tickets-index": 99 of 100 left, resets in 41s`, `699 of 700 left, resets in 41s`}, "", nil},
	{"Azure Resource Manager", at(1683909000), "x-ms-ratelimit-remaining-resource: Microsoft.Compute/GetVMScaleSet3Min;197,Microsoft.Compute/GetVMScaleSet30Min;1297\nx-ms-ratelimit-remaining-subscription-reads: 11999\nx-ms-ratelimit-remaining-subscription-global-reads: 3749", Azure,
		[]string{`"Microsoft.Compute/GetVMScaleSet3Min": 197 of ? left`, `"Microsoft.Compute/GetVMScaleSet30Min": 1297 of ? left`, `"subscription-reads": 11999 of ? left`, `"subscription-global-reads": 3749 of ? left`}, "", nil},
	{"Azure API Management, default", at(1700000000), "Content-Type: application/json\nRetry-After: 60", RetryAfterOnly, nil, "1m0s", nil},
	{"Azure OpenAI, refused", at(1700000000), "Retry-After: 38\nRetry-After-Ms: 37500", RetryAfterOnly, nil, "38s", nil},
	{"Jira Cloud, near its quota", at(1774542292), "Beta-Ratelimit-Policy: \"tenant-app-quota\";q=100100;w=3600\nBeta-Ratelimit: \"tenant-app-quota\";r=17842;t=2107\nX-Beta-Ratelimit-Reason: jira-quota-tenant-based\nX-Beta-Ratelimit-Nearlimit: true\nX-Ratelimit-Limit: 350\nX-Ratelimit-Remaining: 349", Draft,
		[]string{`"tenant-app-quota": 17842 of 100100 left per 1h0m0s, resets in 35m7s`, `349 of 350 left`}, "", nil},
	{"Jira Cloud, quota gone", date("2026-03-26T16:25:28Z"), "Beta-Ratelimit: \"tenant-app-quota\";r=0;t=2788\nX-Beta-Ratelimit-Reset: 2026-03-26T16:00Z\nX-Ratelimit-Limit: 400\nX-Ratelimit-Remaining: 399", Draft,
		[]string{`"tenant-app-quota": 0 of ? left, resets in 46m28s`, `"beta": ? of ? left, resets in 0s`, `399 of 400 left`}, "", []string{"already passed 25m28s ago"}},
	{"Confluence Data Center", at(1700000000), "X-RateLimit-Limit: 20\nX-RateLimit-Remaining: 19\nX-RateLimit-Interval-Seconds: 3600\nX-RateLimit-FillRate: 10\nretry-after: 0", Atlassian,
		[]string{`19 of 20 left per 1h0m0s, 10 added each`}, "0s", nil},
	{"GitLab", at(1563325097), "RateLimit-Limit: 600\nRateLimit-Observed: 6\nRateLimit-Remaining: 594\nRateLimit-Reset: 1563325137\nRateLimit-ResetTime: Wed, 17 Jul 2019 00:58:57 GMT", OldDraft,
		[]string{`594 of 600 left, resets in 40s`}, "", nil},
	{"Reddit", at(1700000000), "X-Ratelimit-Used: 2\nX-Ratelimit-Remaining: 598.0\nX-Ratelimit-Reset: 420", XRateLimit,
		[]string{`598 of 600 left, resets in 7m0s`}, "", nil},
	{"Resend", at(1700000000), "ratelimit-limit: 2\nratelimit-remaining: 0\nratelimit-reset: 1\nretry-after: 1", OldDraft,
		[]string{`0 of 2 left, resets in 1s`}, "1s", nil},
	{"Brevo", at(1700000000), "x-sib-ratelimit-limit: 1000\nx-sib-ratelimit-remaining: 999\nx-sib-ratelimit-reset: 3", Other,
		[]string{`"sib": 999 of 1000 left, resets in 3s`}, "", nil},
	{"Rachio", date("2018-03-12T23:59:00Z"), "x-ratelimit-limit: 1700\nx-ratelimit-remaining: 4\nx-ratelimit-reset: 2018-03-13T00:00:00Z", XRateLimit,
		[]string{`4 of 1700 left, resets in 1m0s`}, "", nil},
	{"lemlist", date("2021-02-16T08:02:40Z"), "Retry-After: 2\nX-RateLimit-Limit: 20\nX-RateLimit-Remaining: 7\nX-RateLimit-Reset: Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time)", XRateLimit,
		[]string{`7 of 20 left, resets in 2s`}, "2s", nil},
	{"MailerLite", at(1700000000), "X-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: Tue, 14 Nov 2023 22:13:40 GMT\nX-RateLimit-Retry-After: 20", XRateLimit,
		[]string{`0 of 60 left, resets in 20s`}, "20s", nil},
	{"Envoy", at(1700000000), "X-RateLimit-Limit: 10, 10;w=1;name=\"per-ip\", 600;w=3600\nX-RateLimit-Remaining: 9\nX-RateLimit-Reset: 1", XRateLimit,
		[]string{`"per-ip": 9 of 10 left per 1s, resets in 1s`, `? of 600 left per 1h0m0s`}, "", nil},
	{"Azure DevOps", at(1700000000), "X-RateLimit-Resource: AzureDevOps/Services\nX-RateLimit-Delay: 0.5\nX-RateLimit-Limit: 200\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1700000300\nRetry-After: 30", GitHub,
		[]string{`"AzureDevOps/Services": 0 of 200 left, resets in 5m0s`}, "30s", nil},
	{"old draft, its own example", at(1700000000), "RateLimit-Limit: 10, 10;w=5, 80;w=60;comment=\"bar\"\nRateLimit-Remaining: 6\nRateLimit-Reset: 3", OldDraft,
		[]string{`6 of 10 left per 5s, resets in 3s`, `? of 80 left per 1m0s`}, "", nil},
	{"old draft, two windows of one quota", at(1700000000), "RateLimit-Limit: 10, 10;w=1, 10;w=60\nRateLimit-Remaining: 6", OldDraft,
		[]string{`6 of 10 left per 1s`, `? of 10 left per 1m0s`}, "", nil},
	{"old draft, its policy told in both fields", at(1700000000), "RateLimit-Limit: 100, 100;w=60\nRateLimit-Policy: 100;w=60\nRateLimit-Remaining: 6", OldDraft,
		[]string{`6 of 100 left per 1m0s`}, "", nil},
	{"express-rate-limit draft-6", at(1700000000), "RateLimit-Policy: 100;w=60\nRateLimit-Limit: 100\nRateLimit-Remaining: 99\nRateLimit-Reset: 60", OldDraft,
		[]string{`99 of 100 left per 1m0s, resets in 1m0s`}, "", nil},
	{"express-rate-limit draft-7", at(1700000000), "RateLimit-Policy: 100;w=60\nRateLimit: limit=100, remaining=50, reset=30", OldDraft,
		[]string{`50 of 100 left per 1m0s, resets in 30s`}, "", nil},
	{"express-rate-limit draft-8", at(1700000000), "RateLimit-Policy: \"100-in-15min\"; q=100; w=900; pk=:NTZhNzQ4ZmQ2NmE1:\nRateLimit: \"100-in-15min\"; r=99; t=900", Draft,
		[]string{`"100-in-15min": 99 of 100 left per 15m0s, resets in 15m0s, key "56a748fd66a5"`}, "", nil},
	{"the draft's own example", at(1700000000), "RateLimit-Policy: \"burst\";q=100;w=60,\"daily\";q=1000;w=86400;qu=\"content-bytes\"\nRateLimit: \"burst\";r=50;t=30", Draft,
		[]string{`"burst": 50 of 100 left per 1m0s, resets in 30s`, `"daily": ? of 1000 left per 24h0m0s, in content-bytes`}, "", nil},
}

func TestVendors(t *testing.T) {
	ran := 0
	for _, c := range vendorAnswers {
		ran++
		got := Parse(c.fields, c.now)
		if got.Dialect != c.dialect {
			t.Errorf("%s: dialect %q, want %q", c.name, got.Dialect, c.dialect)
		}
		var limits []string
		for _, l := range got.Limits {
			limits = append(limits, l.String())
		}
		if strings.Join(limits, "\n") != strings.Join(c.limits, "\n") {
			t.Errorf("%s: limits\n%s\nwant\n%s", c.name, strings.Join(limits, "\n"), strings.Join(c.limits, "\n"))
		}
		retry := ""
		if got.RetryAfterSet {
			retry = got.RetryAfter.String()
		}
		if retry != c.retry {
			t.Errorf("%s: retry after %q, want %q", c.name, retry, c.retry)
		}
		if len(got.Problems) != len(c.wrong) {
			t.Errorf("%s: problems %q, want %q", c.name, got.Problems, c.wrong)
			continue
		}
		for i, w := range c.wrong {
			if !strings.Contains(got.Problems[i], w) {
				t.Errorf("%s: problem %q, want %q in it", c.name, got.Problems[i], w)
			}
		}
	}
	if ran < 39 {
		t.Fatalf("%d answers read, want at least 39", ran)
	}
}

// An http.Header, whose names are in canonical spelling and in no order, reads
// the same on every run.
func TestMap(t *testing.T) {
	m := Map{"X-Ratelimit-Limit": {"10"}, "X-Ratelimit-Remaining": {"9"}, "X-Ratelimit-Reset": {"7"}, "Ratelimit-Limit": {"5"}, "Ratelimit-Remaining": {"1"}, "Retry-After": {"1", "2"}}
	first := Parse(m, at(1700000000))
	if len(first.Limits) != 2 || first.Dialect != OldDraft || first.RetryAfter != 2*time.Second {
		t.Errorf("Parse = %+v", first)
	}
	for range 20 {
		if got := Parse(m, at(1700000000)); got.Limits[0] != first.Limits[0] || got.Limits[1] != first.Limits[1] {
			t.Fatalf("Parse = %+v, before %+v", got, first)
		}
	}
	for range m.All() {
		break
	}
}

func TestNames(t *testing.T) {
	n := Names{Limit: "TotalCalls", Remaining: "RemainingCalls", Reset: "RenewIn", RetryAfter: "Try-Again"}
	got := n.Parse(block("totalcalls: 5\nremainingcalls: 4\nrenewin: 12\ntry-again: 9"), at(1700000000))
	if len(got.Limits) != 1 || got.Limits[0].String() != "4 of 5 left, resets in 12s" || got.RetryAfter != 9*time.Second || got.Dialect != Named {
		t.Errorf("Parse = %+v", got)
	}
	if got := Parse(block("totalcalls: 5\nremainingcalls: 4"), at(1700000000)); !got.Empty() {
		t.Errorf("without names: %+v", got)
	}
}
