package apim

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// The bodies of exceeded quotas: error-handling-policies.md 2020-01-10, "Out of
// call volume quota. Quota will be replenished in xx:xx:xx." The figure there is
// hours, minutes and seconds; a policy file can tell seconds only, and the lab
// writes it as the service does.
const (
	callsBody     = `{ "statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in {retry-after} seconds." }`
	bandwidthBody = `{ "statusCode": 403, "message": "Out of bandwidth quota. Quota will be replenished in {retry-after} seconds." }`
)

func quotaAnswer() policy.Answer {
	return policy.Answer{Status: 403, Dialect: "retry-after", Headers: json(), Body: callsBody}
}

// quota is quota: calls, kilobytes or both, for each subscription.
func (w *walker) quota(e *element, path string) {
	if w.once(e, path) {
		return
	}
	if w.check(e, limitElements()["quota"], path) {
		period := e.attr("renewal-period")
		w.perSubscription(e, path, policy.Tell{}, quotaAnswer(), func(e *element, path string) ([]limit.Policy, []string) {
			at := e.attr("renewal-period")
			if at == nil {
				at = period // the statement of the page has none in the children; their table has
			}
			return w.amounts(e, at, path, w.opts.Start)
		}, scoping{})
	}
}

// amounts gives the limits of a quota: one of calls, one of bytes, or both.
func (w *walker) amounts(e *element, period *attribute, path string, start int64) (out []limit.Policy, units []string) {
	seconds, ok := w.whole(period, path+".renewal-period", 0, maxPeriod)
	if ok && seconds > 0 && seconds < minQuota {
		w.at(period.place(0), path+".renewal-period", "%d is too small; a quota is renewed after at least %d seconds, or never with 0", seconds, minQuota)
		ok = false
	}
	if e.attr("calls") == nil && e.attr("bandwidth") == nil {
		w.at(e.at, path, "needs calls, bandwidth (kilobytes) or both")
		return nil, nil
	}
	q := limit.Policy{Algorithm: limit.Quota, Window: forever, Start: time.Unix(0, 0).UTC()}
	if seconds > 0 {
		q.Window = time.Duration(seconds) * time.Second
		// Any head of the period will do as Start; the one nearest after 1970 keeps
		// the year 1, the default of first-period-start, within a time.Duration.
		q.Start = time.Unix(((start%seconds)+seconds)%seconds, 0).UTC()
	}
	if a := e.attr("calls"); a != nil {
		n, good := w.whole(a, path+".calls", 1, maxCount)
		q.Limit, ok = n, ok && good
		out, units = append(out, q), append(units, "calls")
	}
	if a := e.attr("bandwidth"); a != nil {
		n, good := w.whole(a, path+".bandwidth", 1, maxCount)
		q.Limit, ok = n*kilobyte, ok && good
		out, units = append(out, q), append(units, "kilobytes")
	}
	if !ok {
		return nil, nil
	}
	return out, units
}

// quotaByKey is quota-by-key. "For each key value, a single counter is used for
// all scopes."
func (w *walker) quotaByKey(e *element, path string) {
	ok := w.check(e, limitElements()["quota-by-key"], path)
	w.noChildren(e, path)
	if !ok {
		return
	}
	// "0001-01-01T00:00:00Z" is the default.
	start := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	if a := e.attr("first-period-start"); a != nil && a.value != "" {
		at, err := time.Parse(time.RFC3339, a.value)
		if err != nil {
			w.at(a.place(0), path+".first-period-start", "%q is not a time; write for example 2026-01-31T00:00:00Z", shorten(a.value))
			ok = false
		}
		start = at
	}
	key, ok2 := w.key(e, "counter-key", path)
	countIf, cost, ok3 := w.increment(e, path)
	policies, units := w.amounts(e, e.attr("renewal-period"), path, start.Unix())
	if !ok || !ok2 || !ok3 {
		return
	}
	for i, l := range policies {
		p := policy.Policy{Policy: l, Key: key, CountIf: countIf, Cost: cost, Answer: quotaAnswer()}
		p.Counter = fmt.Sprintf("quota-by-key %s %s from %s", units[i], l.Window, l.Start.Format(time.RFC3339))
		if units[i] == "kilobytes" {
			p.Cost = policy.Cost{Expr: w.cel(&attribute{valueAt: e.at}, path, "response.bytes", expr.Int)}
			p.Answer.Body = bandwidthBody
		}
		w.add(e, path, p, "", units[i])
	}
}

// concurrency is limit-concurrency. The units are held while the call lasts; in
// the service, while the policies inside it run, of which forwarding the call is
// the one that takes time.
func (w *walker) concurrency(e *element, path string) {
	if !w.check(e, limitElements()["limit-concurrency"], path) {
		return
	}
	key, ok := w.key(e, "key", path)
	most, ok2 := w.whole(e.attr("max-count"), path+".max-count", 1, maxCount)
	if !ok || !ok2 {
		return
	}
	w.add(e, path, policy.Policy{
		Policy:  limit.Policy{Algorithm: limit.Concurrency, Limit: most},
		Counter: "limit-concurrency", // "Can be shared by multiple policies."
		Key:     key,
		// limit-concurrency-policy.md 2024-07-23 gives the status; the message is
		// our choice.
		Answer: policy.Answer{Status: 429, Headers: json(), Body: `{ "statusCode": 429, "message": "Concurrency limit is exceeded. Try again later." }`},
	}, "", "")
}
