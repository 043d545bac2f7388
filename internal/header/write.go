package header

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// Write tells r in dialect d, field by field, to an answer that leaves at now:
//
//	err := header.Write(header.Draft, r, time.Now(), w.Header().Set)
//
// Times are rounded up to what the dialect can say, so that a client that obeys
// is never early. What is not known is left out. Draft, Kong, OpenAI and
// Anthropic tell every limit, OldDraft tells the first in full and of the others
// quota and window; the rest has room for one limit and tells the first.
// Retry-After is written when r.RetryAfterSet, in whole seconds, whatever the dialect.
//
// The error says what the dialect cannot express; nothing has been set then.
// Dialects that are only read (HubSpot, Zendesk, Azure, Atlassian, Auth0Quota,
// Named, Other) are refused.
func Write(d Dialect, r Reading, now time.Time, set func(name, value string)) error {
	w := writer{now: now}
	var err error
	switch d {
	case RetryAfterOnly:
	case Draft:
		err = w.draft(r.Limits)
	case OldDraft:
		err = w.oldDraft(r.Limits)
	case Kong:
		err = w.kong(r.Limits)
	case OpenAI, Anthropic:
		err = w.named(d, r.Limits)
	case XRateLimit, XRateLimitDashed, GitHub, Discord, Shopify:
		err = w.single(d, r.Limits)
	default:
		err = fmt.Errorf("the dialect %q cannot be written; these can: %s", d, strings.Join(words(Writable()), ", "))
	}
	if err != nil {
		return err
	}
	if r.RetryAfterSet {
		w.put("Retry-After", ceil(r.RetryAfter, time.Second))
	}
	for _, f := range w.out {
		set(f[0], f[1])
	}
	return nil
}

// Writable returns the dialects that Write knows, in a stable order.
func Writable() []Dialect {
	return []Dialect{Draft, OldDraft, XRateLimit, XRateLimitDashed, GitHub, Discord, OpenAI, Anthropic, Kong, Shopify, RetryAfterOnly}
}

func words(list []Dialect) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = string(d)
	}
	return out
}

// writer gathers the fields, so that an error leaves nothing half told.
type writer struct {
	now time.Time
	out [][2]string
}

func (w *writer) put(name, value string) { w.out = append(w.out, [2]string{name, value}) }

func (w *writer) putCount(name string, n int64) {
	if n != Unknown {
		w.put(name, strconv.FormatInt(n, 10))
	}
}

// ceil is d in units, rounded up.
func ceil(d, unit time.Duration) string {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return strconv.FormatInt(n, 10)
}

// epochCeil is the instant d after now in units since 1970, rounded up.
func (w *writer) epochCeil(d, unit time.Duration) int64 {
	at := w.now.Add(d)
	perSecond := int64(time.Second / unit)
	n := at.Unix()*perSecond + int64(at.Nanosecond())/int64(unit)
	if int64(at.Nanosecond())%int64(unit) > 0 {
		n++
	}
	return n
}

// whole returns the time in which all of Quota is given out, in whole seconds, 0
// when there is none to tell. A bucket of 20 that gains 10 a second promises 20
// in 2 s; 20 in 1 s would be more than it keeps.
func (l Limit) whole() time.Duration {
	if l.Refill > 0 && l.Quota > 0 && l.Window > 0 {
		sec := l.Window.Seconds() * float64(l.Quota) / float64(l.Refill)
		if sec > maxWait.Seconds() {
			return 0
		}
		return ceilTo(time.Duration(math.Ceil(sec*1e9)), time.Second)
	}
	if l.Window%time.Second != 0 {
		return 0
	}
	return max(l.Window, 0)
}

// maxInteger is the largest Integer of a structured field: RFC 9651 §3.3.1.
const maxInteger = 999_999_999_999_999

func (w *writer) draft(limits []Limit) error {
	var policies, states httpsfv.List
	for i, l := range limits {
		if l.Quota > maxInteger || l.Remaining > maxInteger {
			return fmt.Errorf("limit %d, %q: a structured field holds numbers up to %d", i+1, l.Name, int64(maxInteger))
		}
		for j := range len(l.Name) {
			if c := l.Name[j]; c < ' ' || c >= 0x7f {
				return fmt.Errorf("limit %d, %q: a structured field holds printable ASCII only, rename the policy", i+1, l.Name)
			}
		}
		policy, state := httpsfv.NewItem(l.Name), httpsfv.NewItem(l.Name)
		if l.Quota != Unknown {
			policy.Params.Add("q", l.Quota)
			if w := l.whole(); w > 0 {
				policy.Params.Add("w", int64(w/time.Second))
			}
			if l.Unit != "" {
				policy.Params.Add("qu", l.Unit)
			}
			if l.Key != "" {
				policy.Params.Add("pk", []byte(l.Key))
			}
			policies = append(policies, policy)
		}
		if l.Remaining != Unknown {
			state.Params.Add("r", l.Remaining)
			if l.ResetAfter != Unknown {
				t, err := strconv.ParseInt(ceil(l.ResetAfter, time.Second), 10, 64)
				if err != nil {
					return err
				}
				state.Params.Add("t", t)
			}
			if l.Key != "" {
				state.Params.Add("pk", []byte(l.Key))
			}
			states = append(states, state)
		}
	}
	for _, f := range []struct {
		name string
		list httpsfv.List
	}{{"RateLimit-Policy", policies}, {"RateLimit", states}} {
		if len(f.list) == 0 {
			continue
		}
		text, err := httpsfv.Marshal(f.list)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		w.put(f.name, text)
	}
	return nil
}

func (w *writer) oldDraft(limits []Limit) error {
	if len(limits) == 0 {
		return nil
	}
	first := limits[0]
	if first.Quota != Unknown {
		text := strconv.FormatInt(first.Quota, 10)
		for i, l := range limits {
			window := l.whole()
			if l.Quota == Unknown || window == 0 {
				if i > 0 {
					return fmt.Errorf("limit %d, %q: beside the first limit only those with a quota and a window of whole seconds can be told", i+1, l.Name)
				}
				continue
			}
			text += fmt.Sprintf(", %d;w=%d", l.Quota, window/time.Second)
		}
		w.put("RateLimit-Limit", text)
	}
	w.putCount("RateLimit-Remaining", first.Remaining)
	if first.ResetAfter != Unknown {
		w.put("RateLimit-Reset", ceil(first.ResetAfter, time.Second))
	}
	return nil
}

// single writes the dialects that hold one limit.
func (w *writer) single(d Dialect, limits []Limit) error {
	if len(limits) == 0 {
		return nil
	}
	l := limits[0]
	if d == Shopify {
		if l.Quota == Unknown || l.Remaining == Unknown {
			return fmt.Errorf("%s tells used/size: both quota and remaining must be known", d)
		}
		w.put("X-Shopify-Shop-Api-Call-Limit", fmt.Sprintf("%d/%d", max(l.Quota-l.Remaining, 0), l.Quota))
		return nil
	}
	prefix := "X-RateLimit"
	if d == XRateLimitDashed {
		prefix = "X-Rate-Limit"
	}
	w.putCount(prefix+"-Limit", l.Quota)
	w.putCount(prefix+"-Remaining", l.Remaining)
	if d == GitHub {
		if l.Quota != Unknown && l.Remaining != Unknown {
			w.putCount(prefix+"-Used", max(l.Quota-l.Remaining, 0))
		}
		w.put(prefix+"-Resource", l.Name)
	}
	if l.ResetAfter != Unknown {
		if d == Discord {
			ms := w.epochCeil(l.ResetAfter, time.Millisecond)
			w.put(prefix+"-Reset", fmt.Sprintf("%d.%03d", ms/1000, ms%1000))
			after, err := strconv.ParseInt(ceil(l.ResetAfter, time.Millisecond), 10, 64)
			if err != nil {
				return err
			}
			w.put(prefix+"-Reset-After", fmt.Sprintf("%d.%03d", after/1000, after%1000))
		} else {
			w.putCount(prefix+"-Reset", w.epochCeil(l.ResetAfter, time.Second))
		}
	}
	if d == Discord && l.Key != "" {
		w.put(prefix+"-Bucket", l.Key)
	}
	return nil
}

// kongPeriods are the windows that Kong has names for.
var kongPeriods = map[time.Duration]string{
	time.Second: "Second", time.Minute: "Minute", time.Hour: "Hour", 24 * time.Hour: "Day",
}

func (w *writer) kong(limits []Limit) error {
	seen := map[string]bool{}
	for i, l := range limits {
		period := kongPeriods[l.Window]
		if period == "" || seen[period] {
			return fmt.Errorf("limit %d, %q: kong tells one limit per second, minute, hour or day, not one more per %v", i+1, l.Name, l.Window)
		}
		seen[period] = true
		w.putCount("X-RateLimit-Limit-"+period, l.Quota)
		w.putCount("X-RateLimit-Remaining-"+period, l.Remaining)
	}
	return nil
}

// named writes OpenAI's and Anthropic's families of one limit per name.
func (w *writer) named(d Dialect, limits []Limit) error {
	for i, l := range limits {
		name := l.Name
		if name == "" {
			name = "requests"
		}
		if what, words, _ := classify("-" + name); what != quotaPart || words != name || strings.ToLower(name) != name || !token(name) {
			return fmt.Errorf("limit %d, %q: the name becomes part of a field's name and must be lower-case words with dashes, such as requests", i+1, l.Name)
		}
		if d == OpenAI {
			w.putCount("x-ratelimit-limit-"+name, l.Quota)
			w.putCount("x-ratelimit-remaining-"+name, l.Remaining)
			if l.ResetAfter != Unknown {
				w.put("x-ratelimit-reset-"+name, max(ceilTo(l.ResetAfter, time.Millisecond), 0).String())
			}
			continue
		}
		w.putCount("anthropic-ratelimit-"+name+"-limit", l.Quota)
		w.putCount("anthropic-ratelimit-"+name+"-remaining", l.Remaining)
		if l.ResetAfter != Unknown {
			at := time.Unix(w.epochCeil(l.ResetAfter, time.Second), 0).UTC()
			w.put("anthropic-ratelimit-"+name+"-reset", at.Format(time.RFC3339))
		}
	}
	return nil
}

// ceilTo rounds d up to a multiple of unit.
func ceilTo(d, unit time.Duration) time.Duration {
	if rest := d % unit; rest > 0 && d <= math.MaxInt64-unit {
		return d - rest + unit
	}
	return d
}

// token tells whether s can be part of a field's name.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
