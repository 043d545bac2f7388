package header

// Dialect names a form in which services tell their limits. The words are
// stable: policy files use them.
type Dialect string

// The dialects that Parse tells apart. Where two vendors use the same fields,
// they share a dialect: Auth0's fields are XRateLimit, Okta's and X's XRateLimitDashed.
const (
	// Draft is draft-ietf-httpapi-ratelimit-headers-08 to -10:
	// RateLimit-Policy: "name";q=100;w=60;qu="requests";pk=:base64: and
	// RateLimit: "name";r=50;t=30;pk=:base64:, both structured-field lists.
	// Source: datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/
	// (27 September 2025) and http.dev/ratelimit-policy, read 2026-11-21.
	Draft Dialect = "ratelimit"
	// OldDraft is draft-polli-ratelimit-headers to draft-ietf-…-06, RateLimit-Limit,
	// -Remaining and -Reset (delta seconds) with a quota list "100, 100;w=60", and
	// draft-07's RateLimit: limit=100, remaining=50, reset=30.
	// Source: datatracker.ietf.org/doc/html/draft-polli-ratelimit-headers-00 and
	// …/draft-ietf-httpapi-ratelimit-headers-06, read 2026-11-21. Sent by GitLab
	// (reset as epoch seconds: gitlab.com gitlab-org/gitlab issue 217312), Kong, Resend.
	OldDraft Dialect = "ratelimit-3"
	// XRateLimit is X-RateLimit-Limit, -Remaining and -Reset. Reset has no agreed
	// meaning: see resetValue. Auth0 writes epoch seconds (community.auth0.com
	// topic 82103 and the Auth0.NET SDK, read 2026-11-21); Reddit delta seconds,
	// with -Used (r/redditdev 1yxrp7, read 2026-11-21).
	XRateLimit Dialect = "x-ratelimit"
	// XRateLimitDashed is the same with X-Rate-Limit-*, reset as epoch seconds.
	// Source: docs.x.com/fundamentals/rate-limits and
	// developer.okta.com/docs/reference/rl-best-practices/, read 2026-11-21.
	XRateLimitDashed Dialect = "x-rate-limit"
	// GitHub is XRateLimit with -Used and -Resource.
	// Source: developer.github.com/changes/2013-07-02-rate-limit-reset and commit
	// 3da9a4b of github/docs (-Used), read 2026-11-21. Azure DevOps sends -Resource too.
	GitHub Dialect = "github"
	// Discord is XRateLimit with -Reset-After (seconds with a fraction) and -Bucket.
	// Source: docs.discord.com/developers/topics/rate-limits, read 2026-11-21.
	Discord Dialect = "discord"
	// OpenAI is x-ratelimit-{limit,remaining,reset}-{requests,tokens}, reset as a
	// duration such as 6m0s or 12ms.
	// Source: answers recorded at community.openai.com topic 1268905 and
	// thoughtbot.com/blog/openai-rate-limits, read 2026-11-21.
	OpenAI Dialect = "openai"
	// Anthropic is anthropic-ratelimit-{requests,tokens,…}-{limit,remaining,reset},
	// reset as an RFC 3339 instant.
	// Source: mock-server.com javadoc LlmRateLimitHeaders, which cites the vendor's
	// page, and anthropics/anthropic-sdk-typescript issue 357, read 2026-11-21.
	Anthropic Dialect = "anthropic"
	// Kong is X-RateLimit-{Limit,Remaining}-{Second,Minute,Hour,Day,…}.
	// Source: docs.konghq.com, plugins rate-limiting and response-ratelimiting,
	// "Headers sent to the client", read 2026-11-21.
	Kong Dialect = "kong"
	// Shopify is X-Shopify-Shop-Api-Call-Limit: used/size of a leaky bucket.
	// Source: shopify.dev/docs/api/admin-rest/usage/rate-limits, read 2026-11-21.
	Shopify Dialect = "shopify"
	// HubSpot is X-HubSpot-RateLimit-{Daily,Daily-Remaining,Secondly,…} and
	// -Max, -Remaining, -Interval-Milliseconds.
	// Source: developers.hubspot.com/changelog 2018-11-06, read 2026-11-21.
	HubSpot Dialect = "hubspot"
	// Zendesk is zendesk-ratelimit-<endpoint>: total=100; remaining=99; resets=41
	// beside X-Rate-Limit and the old draft.
	// Source: developer.zendesk.com "Best practices for avoiding rate limiting",
	// read 2026-11-21.
	Zendesk Dialect = "zendesk"
	// Azure is x-ms-ratelimit-remaining-* of Azure Resource Manager and
	// x-ms-ratelimit-remaining-resource: policy;left,policy;left.
	// Source: learn.microsoft.com "Troubleshooting API throttling errors" and answers
	// recorded in gist 4cf6ceb49fdb4fb990ed163f628fa910, read 2026-11-21.
	Azure Dialect = "azure"
	// Atlassian is XRateLimit with -Interval-Seconds and -FillRate (Data Center).
	// Source: confluence.atlassian.com/doc/_ratelimiting_httpheaders-992678779.html,
	// read 2026-11-21. Jira Cloud sends Draft with the prefix Beta-.
	Atlassian Dialect = "atlassian"
	// Auth0Quota is Auth0-Client-Quota-Limit and Auth0-Organization-Quota-Limit:
	// b=per_hour;q=10;r=7;t=3540,b=per_day;….
	// Source: developer.switchmarket.se/openadr-3/authentication/token-quotas,
	// which shows Auth0's fields, read 2026-11-21.
	Auth0Quota Dialect = "auth0-quota"
	// Named is the fields that Names told.
	Named Dialect = "named"
	// Other is any other family with "ratelimit" in its names, such as Brevo's
	// x-sib-ratelimit-* (developers.brevo.com/docs/limit-headers, read 2026-11-21).
	Other Dialect = "other"
	// RetryAfterOnly is Retry-After and nothing else: RFC 9110 §10.2.3. Azure API
	// Management's default, with 429.
	RetryAfterOnly Dialect = "retry-after"
)
