package guard_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// obedient is a client that knows nothing but the fields of the last answer, and
// does what they say.
type obedient struct {
	names  header.Names
	wait   time.Duration // before the next request
	limits []header.Limit
}

func (o *obedient) hear(fields http.Header, now time.Time) {
	r := o.names.Parse(header.Map(fields), now)
	o.wait, o.limits = 0, r.Limits
	if r.RetryAfterSet {
		o.wait = r.RetryAfter
	}
}

// may returns how many requests of a cost it may send now, and how long to wait
// when that is none. Of a field that names a policy it knows the cost.
func (o *obedient) may(costs map[string]int64, all int64) (n int64, wait time.Duration) {
	if o.wait > 0 {
		return 0, o.wait
	}
	if n = 5; len(o.limits) == 0 {
		n = 1 // it knows nothing
	}
	for _, l := range o.limits {
		cost, named := costs[l.Name]
		if !named {
			cost = all
		}
		if l.Remaining == header.Unknown {
			continue
		}
		if room := l.Remaining / cost; room < n {
			n = room
		}
		if l.Remaining < cost {
			wait = max(wait, l.ResetAfter)
		}
	}
	return n, wait
}

// truths are policies that a client can obey: a Concurrency limit tells no time.
func truths() []limit.Policy {
	return []limit.Policy{
		{Limit: 7, Window: time.Second, Burst: 3},
		{Limit: 10, Window: 60 * time.Second, Burst: 30},
		{Limit: 3, Window: 1700 * time.Millisecond, CountDenied: true},
		{Algorithm: limit.RefillBucket, Limit: 2, Window: time.Second, Burst: 5, Phase: 300 * time.Millisecond},
		{Algorithm: limit.RefillBucket, Limit: 3, Window: time.Minute, Burst: 8, CountDenied: true},
		{Algorithm: limit.FixedWindow, Limit: 4, Window: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 6, Window: time.Minute, Align: limit.AlignFirst, CountDenied: true},
		{Algorithm: limit.SlidingLog, Limit: 4, Window: time.Second, CountDenied: true},
		{Algorithm: limit.SlidingLog, Limit: 9, Window: time.Minute},
		{Algorithm: limit.SlidingWindow, Limit: 6, Window: time.Second, Phase: 300 * time.Millisecond},
		{Algorithm: limit.SlidingWindow, Limit: 9, Window: time.Minute, CountDenied: true},
		{Algorithm: limit.LeakyBucket, Limit: 3, Window: time.Second, Burst: 9},
		{Algorithm: limit.LeakyBucket, Limit: 5, Window: time.Second, Burst: 6, Undelayed: 3, MaxDelay: 700 * time.Millisecond},
		{Algorithm: limit.Quota, Limit: 20, Window: 90 * time.Second},
		{Algorithm: limit.Quota, Limit: 30, Period: limit.PerHour},
	}
}

// TestTruth has a client obey, with its own key, whatever the policies: it waits
// as long as Retry-After says, as it is written, keeps within what remains, and
// else waits for the reset. It is never refused. To have something to obey, it
// is rude now and then.
func TestTruth(t *testing.T) {
	obeyed, refusedRude, waited := 0, 0, 0
	dialects := []header.Dialect{header.Draft, header.OldDraft, header.XRateLimit, header.XRateLimitDashed, header.GitHub, header.Discord, "own"}
	one := func(t *rapid.T) {
		f := &policy.File{Chain: rapid.Bool().Draw(t, "chain")}
		dialect := rapid.SampledFrom(dialects).Draw(t, "dialect")
		n := rapid.IntRange(1, 3).Draw(t, "policies")
		costs := map[string]int64{}
		tells := rapid.IntRange(0, n-1).Draw(t, "which tells")
		all := rapid.Int64Range(1, 2).Draw(t, "cost")
		names := header.Names{}
		for i := range n {
			p := policy.Policy{
				Policy: rapid.SampledFrom(truths()).Draw(t, "policy"), Key: policy.Key{Kind: policy.IP},
				Cost: policy.Cost{Fixed: all}, Answer: policy.Answer{Status: 429, Dialect: header.RetryAfterOnly},
			}
			p.Name = fmt.Sprintf("p%d", i)
			if dialect == header.Draft && n > 1 {
				// Only this dialect tells which policy a figure is of.
				p.Cost.Fixed = rapid.Int64Range(1, 2).Draw(t, "own cost")
			}
			costs[p.Name] = p.Cost.Fixed
			if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
				p.CountIf = response200
			}
			switch {
			case dialect != "own" && i == tells:
				p.Tell.Dialect = dialect
			case dialect == "own":
				// One name for all policies: then the one that binds is told.
				p.Tell = policy.Tell{Limit: "X-Weir-Limit", Remaining: "X-Weir-Left", Reset: "X-Weir-Reset", RetryAfter: "X-Weir-Wait"}
				names = header.Names{Limit: "X-Weir-Limit", Remaining: "X-Weir-Left", Reset: "X-Weir-Reset", RetryAfter: "X-Weir-Wait"}
			}
			f.Policies = append(f.Policies, p)
		}
		c := &clock{at: origin.Add(time.Duration(rapid.Int64Range(0, 3600e9).Draw(t, "start")))}
		g, err := guard.New(f, guard.Options{Clock: c.now})
		if err != nil {
			t.Fatal(err)
		}
		s := &expr.Subject{Method: "GET", Path: "/", IP: "203.0.113.9"}
		client := obedient{names: names}
		send := func() *guard.Verdict {
			v := g.Check(context.Background(), s)
			fields := http.Header{"Date": {c.at.Format(http.TimeFormat)}}
			v.Tell(fields.Set)
			c.at = c.at.Add(v.Decision.Delay)
			v.Done(expr.Response{Status: 200})
			delete(fields, "Date") // the clocks are one here
			client.hear(fields, c.at)
			return v
		}
		var log []string
		for range rapid.IntRange(3, 25).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "rude") == 0 {
				for range rapid.IntRange(1, 6).Draw(t, "at once") {
					if v := send(); !v.Allowed {
						refusedRude++
					}
					log = append(log, "rude")
				}
				continue
			}
			k, wait := client.may(costs, all)
			if k == 0 {
				// Its clock has no finer step than a nanosecond, and it comes at once.
				waited++
				c.at = c.at.Add(wait)
				k = 1
			} else if rapid.Bool().Draw(t, "pause") {
				c.at = c.at.Add(time.Duration(rapid.Int64Range(0, 3e9).Draw(t, "ns")))
			}
			// It sends so many on the strength of one answer.
			k = rapid.Int64Range(1, k).Draw(t, "k")
			heard := client
			for j := range k {
				v := send()
				obeyed++
				log = append(log, fmt.Sprintf("obeyed %v", v.Allowed))
				if !v.Allowed {
					t.Fatalf("refused at %v, request %d of %d on the strength of %+v after %v: %+v by %v\nchain %v, %s\n%v",
						c.at.Sub(origin), j+1, k, heard, wait, v.Decision, v.Refused.Policy.Policy, f.Chain, dialect, describe(f)+"\n"+strings.Join(log, "\n"))
				}
			}
		}
	}
	for range 20 { // 2000 cases, of some 10 ms in all for each hundred
		rapid.Check(t, one)
	}
	t.Logf("%d requests obeyed, %d of the rude ones refused, %d waits", obeyed, refusedRude, waited)
	if obeyed == 0 || refusedRude == 0 || waited == 0 {
		t.Errorf("obeyed %d, refused %d, waited %d: too little was tested", obeyed, refusedRude, waited)
	}
}

var response200 = func() *expr.Expr {
	e, err := expr.Compile("response.status == 200", expr.Bool)
	if err != nil {
		panic(err)
	}
	return e
}()

func describe(f *policy.File) string {
	var lines []string
	for i := range f.Policies {
		p := &f.Policies[i]
		lines = append(lines, p.Policy.String()+" cost "+p.Cost.String()+" late "+strconv.FormatBool(p.Late()))
	}
	return strings.Join(lines, "\n")
}
