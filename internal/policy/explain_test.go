package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// facts returns the facts of the only policy of a file.
func facts(t *testing.T, text string) (Explanation, map[string]string) {
	t.Helper()
	all := Explain(parse(t, text))
	if len(all) != 1 {
		t.Fatalf("%d explanations", len(all))
	}
	m := map[string]string{}
	for _, f := range all[0].Facts {
		m[f.About] = f.Text
	}
	return all[0], m
}

func TestExplain(t *testing.T) {
	cases := []struct {
		policy string
		want   map[string]string // a part of each fact
	}{
		{"{limit: 120, window: 1s, match: POST /oauth2/token, key: request.basic_user, warn-at: 80%, answer: cognito}", map[string]string{
			"is for": "POST /oauth2/token", "counts together": "the same request.basic_user; those without it are one group", "at once": "120 requests from rest", "pace": "evenly: one each 8.333ms",
			"worst case": "up to 239 requests in a span of one second", "come back": "after 8.333ms", "refused ones": "do not count", "refused get": `status 429 with {"error":"Rate exceeded"}`, "told": "nothing", "warns": "96 requests of 120"}},
		{"{algorithm: fixed-window, limit: 10, window: 1m, count-denied: true, tell: x-ratelimit, answer: {status: 503, body: no}}", map[string]string{
			"is for": "every request", "counts together": "one count for all clients", "windows": "each full minute of the clock", "worst case": "up to 20 requests", "come back": "at worst after 1m", "refused ones": "count too: a window that is full stays full",
			"told": "every answer has X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset; a refusal has Retry-After", "refused get": "status 503 with no"}},
		{"{algorithm: fixed-window, limit: 10, window: 1m, phase: 15s}", map[string]string{"windows": "15s after each full minute"}},
		{"{algorithm: fixed-window, limit: 10, window: 90s, align: first-request, api: orders, operation: [a, b], product: gold}", map[string]string{"windows": "with the first counted request", "worst case": "up to 19 requests in a span of 1m30s", "is for": "every request of the API orders of the operation a or b of the product gold"}},
		{"{algorithm: fixed-window, limit: 10, window: 1m, align: last-request}", map[string]string{"windows": "begin anew with each counted request", "pace": "10 requests, then none before a pause of 1m", "worst case": "up to 10 requests", "come back": "1m after the last counted request"}},
		{"{algorithm: fixed-window, limit: 10, window: 1m, align: first-request, ban: 1h}", map[string]string{"ban": "begins 1h in which everything is refused; after it the count is as new", "come back": "1h after the first refused request", "refused ones": "begin the ban; while it lasts asking again costs nothing"}},
		{"{algorithm: sliding-log, limit: 10, window: 1m, ban: 5m, count-denied: true}", map[string]string{"ban": "each that is refused then begins it anew", "come back": "5m after the last refused request", "refused ones": "never let in again"}},
		{"{algorithm: sliding-log, limit: 10, window: 1m, count-denied: true, when: request.ip != ''}", map[string]string{"worst case": "up to 10 requests", "refused ones": "never let in again", "is for": "every request, when request.ip != ''"}},
		{"{limit: 10, window: 1m, count-denied: true}", map[string]string{"refused ones": "never let in again"}},
		{"{algorithm: sliding-window, limit: 30, window: 1m, count-denied: true}", map[string]string{"refused ones": "count too: who keeps asking"}},
		{"{algorithm: sliding-window, limit: 30, window: 1m}", map[string]string{"worst case": "up to 60", "come back": "fades"}},
		{"{algorithm: leaky-bucket, limit: 10, window: 1s, burst: 20, undelayed: 8}", map[string]string{"at once": "21 requests from rest, of which all after the first 9 are held back", "come back": "one each 100ms"}},
		{"{algorithm: refill-bucket, limit: 6, window: 1m, burst: 5}", map[string]string{"at once": "5 requests", "pace": "5 requests per minute over a long time, as more than the bucket holds is lost", "worst case": "up to 10"}},
		{"{algorithm: concurrency, limit: 4, key: request.jwt.sub}", map[string]string{"at once": "4 requests under way", "pace": "no pace", "come back": "no time can be told"}},
		{"{algorithm: quota, limit: 1000, period: month, key: subscription.id, count-if: response.status < 400, on-store-error: open, overrides: {gold: unlimited, silver: {limit: 5000}}}", map[string]string{
			"windows": "each month of the calendar, UTC", "worst case": "up to 2000 requests in a span of one month", "exceptions": `"gold" has no limit; "silver" may have 5000 per month`, "store": "requests pass", "counts together": "counted only if response.status < 400 (known after"}},
		{"{algorithm: quota, limit: 9, window: 36h, start: 2026-01-31T00:00:00Z, cost: 2, shadow: true}", map[string]string{"windows": "one of them at 2026-01-31T00:00:00Z", "at once": "9 units", "counts together": "takes 2 units", "shadow": "every request passes"}},
		{"{limit: 10, window: 1s, lease: {size: 5, for: 100ms}, tell: {remaining: X-Left, retry-after: X-Wait}, cost: request.method.size()}", map[string]string{"store": "up to N·4 more", "told": "every answer has X-Left; a refusal has RateLimit-Policy, RateLimit, X-Wait", "counts together": "takes request.method.size() units"}},
		{"{algorithm: fixed-window, limit: 10, window: 1m, descriptor: {domain: edge, entries: [{key: remote_address}, {key: path, value: /a*}, {key: x, value: y}]}}", map[string]string{"is for": `domain edge with remote_address any value, then path starting with "/a", then x "y"`}},
		{"{limit: 1, window: 1s, descriptor: {domain: edge, entries: [{key: a}], mode: unlimited}}", map[string]string{"limits": "any number passes"}},
	}
	for _, c := range cases {
		_, got := facts(t, "policies:\n  - "+c.policy+"\n")
		for about, want := range c.want {
			if !strings.Contains(got[about], want) {
				t.Errorf("%s\n%s: %q, want %q", c.policy, about, got[about], want)
			}
		}
	}
	if len(cases) < 14 {
		t.Fatalf("only %d cases", len(cases))
	}
}

func TestTogether(t *testing.T) {
	const two = "policies:\n  - {limit: 1, window: 1s}\n  - {limit: 1, window: 1s}\n"
	for text, want := range map[string]string{two: "allowed by every policy", "chain: true\n" + two: "in the order of the file", "policies:\n  - {limit: 1, window: 1s}\n": ""} {
		if got := Together(parse(t, text)); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("Together = %q, want %q", got, want)
		}
	}
}

// The picture of a client at twice the limit, worked out by hand.
func TestTimeline(t *testing.T) {
	for policy, want := range map[string]string{
		"{algorithm: fixed-window, limit: 10, window: 1m}":                     "|███████········|███████········|███████········|███████········|\n 10 of 20        10 of 20        10 of 20        10 of 20",
		"{algorithm: sliding-log, limit: 10, window: 1m, count-denied: true}":  "|███████········|···············|···············|···············|\n 10 of 20        0 of 20         0 of 20         0 of 20",
		"{limit: 1, window: 15s}":                                              "|█      ·       |█      ·       |█      ·       |█      ·       |\n 1 of 2          1 of 2          1 of 2          1 of 2",
		"{algorithm: fixed-window, limit: 10, window: 1m, cost: 5}":            "|█  █   ·   ·   |█  █   ·   ·   |█  █   ·   ·   |█  █   ·   ·   |\n 2 of 4          2 of 4          2 of 4          2 of 4",
		"{algorithm: leaky-bucket, limit: 15, window: 15s, burst: 14}":         "|██████████████▄|▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄|",
		"{algorithm: quota, limit: 1000000000, period: day}":                   "|███████▄·······|███████▄·······|███████▄·······|███████▄·······|\n",
		"{algorithm: refill-bucket, limit: 5, window: 1s, burst: 10, cost: 1}": "|██ ██ ██ ██ ██ |██ ██ █· ·· ·· |██ ██ █· ·· ·· |██ ██ █· ·· ·· |\n 10 of 10        5 of 10         5 of 10         5 of 10",
	} {
		e, _ := facts(t, "policies:\n  - "+policy+"\n")
		if e.Timeline == nil {
			t.Errorf("%s: no timeline", policy)
			continue
		}
		if got := e.Timeline.Draw(); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", policy, got, want)
		}
	}
	if e, _ := facts(t, "policies:\n  - {algorithm: concurrency, limit: 10}\n"); e.Timeline != nil {
		t.Error("concurrency has a timeline")
	}
}

// The worst case is what a patient adversary reaches who tries many plans: never
// less than any of them.
func TestWorstCase(t *testing.T) {
	ran := 0
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t, 0)
		p.Limit = rapid.Int64Range(1, 30).Draw(t, "small limit")
		if p.Burst > 60 {
			p.Burst = 60
		}
		if p.Lease.Size > p.Limit {
			p.Lease = Lease{}
		}
		p.Undelayed, p.MaxDelay, p.Descriptor, p.Cost, p.CountDenied = min(p.Undelayed, p.Burst), 0, nil, Cost{}, false
		if p.Algorithm == limit.Concurrency || p.Period != limit.NoPeriod || p.Window < time.Millisecond || p.Validate() != nil {
			return
		}
		ran++
		f := measure(&p)
		lim, from, ok := rest(&p)
		if !ok {
			t.Fatal("no limiter")
		}
		if f.AtOnce != p.Capacity() {
			t.Fatalf("at once %d, capacity %d", f.AtOnce, p.Capacity())
		}
		// A plan: single requests at instants on a grid.
		const steps = 40
		grid := p.Window / steps
		if p.Window%steps != 0 {
			return
		}
		var took [4 * steps]int64
		for i := range took {
			for range rapid.IntRange(0, 8).Draw(t, "n") {
				if lim.Take(from.Add(time.Duration(i)*grid), 1).Allowed {
					took[i]++
				}
			}
		}
		for i := range took {
			sum := int64(0)
			for j := i; j < len(took) && j < i+steps; j++ {
				sum += took[j]
			}
			if sum > f.InAWindow {
				t.Fatalf("%v: %d passed in a span of a window, the explanation says at most %d", p.Policy, sum, f.InAWindow)
			}
		}
	})
	if ran == 0 {
		t.Fatal("no policy ran")
	}
}

// Every valid file can be explained, in bounded time.
func TestExplainAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &File{Policies: []Policy{drawPolicy(t, 0), drawPolicy(t, 1)}}
		f.Policies[0].Limit = rapid.Int64Min(1).Draw(t, "limit")
		for _, e := range Explain(f) {
			if e.Title == "" || len(e.Facts) < 3 && e.Mode == "" || len(e.Facts) < 2 {
				t.Fatalf("%+v", e)
			}
			for _, fact := range e.Facts {
				if fact.Text == "" || strings.ContainsAny(fact.Text, "\n\x00") {
					t.Fatalf("%+v", fact)
				}
			}
			if e.Timeline != nil {
				for i := range e.Timeline.Sent {
					if e.Timeline.Passed[i] < 0 || e.Timeline.Passed[i] > e.Timeline.Sent[i] {
						t.Fatalf("bin %d: %d of %d", i, e.Timeline.Passed[i], e.Timeline.Sent[i])
					}
				}
				_ = e.Timeline.Draw() + e.Timeline.Caption()
			}
		}
	})
}
