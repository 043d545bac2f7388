package auth0

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/tenantlog"
	"github.com/weir-dev/weir/limit"
)

// warnAt is the share of a bucket from which the log warns (seed 001).
const warnAt = 0.8

// bucket is an entry of the table.
type bucket struct {
	name string // as the log writes it
	by   By
	per  time.Duration
	head int // the place of the first of the two, or of itself: what is published
}

// rule is what the requests of one route take from.
type rule struct {
	api     int   // its category
	entries []int // places of its buckets, the endpoint's first
	global  []int // those of them that are the whole API's
	boost   int   // the place of the performance burst; -1 for none
}

// arrange makes the table.
func (t *Tenant) arrange() error {
	var set enforce.Set
	add := func(name string, by By, buckets []Bucket) (places []int, err error) {
		if len(buckets) > 2 {
			return nil, fmt.Errorf("%s: has %d buckets; there are one or two", name, len(buckets))
		}
		head := len(set.Entries)
		for i, b := range buckets {
			p := b.policy
			if p.Limit == 0 {
				p = limit.Policy{Algorithm: limit.RefillBucket, Limit: b.Sustained, Window: b.Per, Burst: b.Burst}
			}
			p.Name, p.WarnAt = fmt.Sprintf("%s %d", name, i+1), warnAt
			if p.Algorithm == limit.Concurrency {
				return nil, errors.New("a concurrency limit cannot be told in Auth0's header fields")
			}
			places = append(places, len(set.Entries))
			set.Entries = append(set.Entries, enforce.Entry{Policy: p})
			t.policies = append(t.policies, p)
			t.buckets = append(t.buckets, bucket{name: title(name, b.Per), by: by, per: p.Window, head: head})
		}
		return places, nil
	}
	authentication, err := add("", AnyRequest, t.limits.Authentication)
	if err != nil {
		return err
	}
	management, err := add("default", AnyRequest, t.limits.Management)
	if err != nil {
		return err
	}
	boost := -1
	if t.cfg.Burst > 1 && len(authentication) > 0 {
		b := t.limits.Authentication[0]
		extra := b.Sustained * int64(t.cfg.Burst-1)
		places, err := add("performance burst", AnyRequest, []Bucket{{Burst: extra, Sustained: extra, Per: b.Per}})
		if err != nil {
			return err
		}
		boost = places[0]
	}
	t.rules = map[string]rule{
		"":         {api: AuthenticationAPI, entries: authentication, global: authentication, boost: boost},
		"/api/v2/": {api: ManagementAPI, entries: management, global: management, boost: -1},
	}
	for i, e := range append(slices.Clone(t.limits.Endpoints), examples()...) {
		places, err := add(e.Group, e.By, e.Buckets)
		if err != nil {
			return err
		}
		for _, route := range e.Routes {
			r := t.rules[""]
			if _, path, _ := strings.Cut(route, " "); strings.HasPrefix(path, "/api/v2/") {
				r = t.rules["/api/v2/"]
			}
			if i >= len(t.limits.Endpoints) { // the examples are APIs of their own
				r = rule{api: ExampleAPI, boost: -1}
			}
			r.entries = append(slices.Clone(places), r.entries...)
			t.rules[route] = r
		}
	}
	t.table, err = enforce.New(set, enforce.Options{Clock: t.stand.Now, MaxKeys: max(t.cfg.MaxKeys, 0)})
	return err
}

// title is how the log names a bucket: "Global", or "Global per minute signup
// group" (cli, deploy-cli issues 386 and 500).
func title(group string, per time.Duration) string {
	if group == "" {
		return "Global"
	}
	unit := per.String()
	for name, d := range map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour} {
		if per == d {
			unit = name
		}
	}
	return "Global per " + unit + " " + group + " group"
}

// ruleOf returns the rule of a route.
func (t *Tenant) ruleOf(route string) rule {
	if r, ok := t.rules[route]; ok {
		return r
	}
	if _, path, _ := strings.Cut(route, " "); strings.HasPrefix(path, "/api/v2/") {
		return t.rules["/api/v2/"]
	}
	return t.rules[""]
}

// verdict is what the limits say of a request.
type verdict struct {
	limit.Decision
	bucket bucket // that has least left, or refused
	most   int64  // what it holds
	none   bool   // there is no limit
}

// ask takes a request from its buckets, writes the log, and sets the header
// fields.
func (t *Tenant) ask(w http.ResponseWriter, x *exchange) verdict {
	r := t.ruleOf(x.route)
	now := t.stand.Now()
	asks := make([]enforce.Ask, 0, 4)
	for _, place := range r.entries {
		asks = append(asks, enforce.Ask{Entry: place, Key: x.key(t.buckets[place].by), Cost: 1})
	}
	if len(asks) == 0 {
		t.stand.Note(r.api, false)
		return verdict{Decision: limit.Decision{Allowed: true}, none: true}
	}
	rules := t.table.Rules()
	d := rules.TakeAt(now, asks)
	boosted := false
	if !d.Allowed && r.boost >= 0 && slices.Contains(r.global, asks[d.Binding].Entry) && t.log.Burst(now, tenantlog.Bucket{ID: "authentication"}, x.logged()) {
		// Over the sustained limit: the performance burst has the rest.
		asks = slices.DeleteFunc(asks, func(a enforce.Ask) bool { return slices.Contains(r.global, a.Entry) })
		asks = append(asks, enforce.Ask{Entry: r.boost, Cost: 1})
		d, boosted = rules.TakeAt(now, asks), true
	}
	t.stand.Note(r.api, !d.Allowed)
	for _, a := range asks {
		b := t.buckets[a.Entry]
		id := tenantlog.Bucket{ID: strconv.Itoa(a.Entry) + " " + a.Key, Name: b.name}
		if boosted && a.Entry == r.boost {
			id.Name = "Global"
		}
		said := a.Decision
		if !d.Allowed && said.Allowed {
			said.Warn = false // it was not asked for good
		}
		t.log.Decided(now, id, said, x.logged())
	}
	binding := asks[max(d.Binding, 0)]
	v := verdict{Decision: d, bucket: t.buckets[binding.Entry], most: t.published(r, binding.Entry, boosted)}
	if boosted && binding.Entry == r.boost {
		v.bucket.name = "Global"
	}
	t.tell(w, now, v)
	return v
}

// published is what x-ratelimit-limit says of a bucket: of two for one API or
// endpoint the first one's burst.
func (t *Tenant) published(r rule, place int, boosted bool) int64 {
	if boosted && place == r.boost {
		return t.policies[r.global[0]].Capacity() * int64(t.cfg.Burst)
	}
	return t.policies[t.buckets[place].head].Capacity()
}

// tell sets the header fields (policy, "Review HTTP response headers"; seed 001):
// reset is the Unix time, in seconds, at which the bucket gains again.
func (t *Tenant) tell(w http.ResponseWriter, now time.Time, v verdict) {
	h := w.Header()
	h.Set("X-Ratelimit-Limit", strconv.FormatInt(v.most, 10))
	h.Set("X-Ratelimit-Remaining", strconv.FormatInt(min(v.Remaining, v.most), 10))
	per := int64(v.bucket.per)
	h.Set("X-Ratelimit-Reset", strconv.FormatInt((now.UnixNano()/per*per+per+int64(time.Second)-1)/int64(time.Second), 10))
	if !v.Allowed && t.cfg.RetryAfter {
		if after := stand.RetryAfter(v.Decision); after != "" {
			h.Set("Retry-After", after)
		}
	}
}

// address is the client's, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
