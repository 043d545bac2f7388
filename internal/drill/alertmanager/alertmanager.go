// Package alertmanager holds Alert: an alert of Prometheus, on its way from the rule
// to Alertmanager and to whoever that notifies.
//
// The HTTP APIs are those of Prometheus ("HTTP API", prometheus.io/docs, rules,
// alerts and alertmanagers) and of Alertmanager (api/v2/openapi.yaml), read 2026-11.
package alertmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/sink"
)

// The ids of stages, beside those that all sides share.
const (
	Pending  = "pending"
	Firing   = "firing"
	Received = "received"
)

// Webhook are the notifications that Alertmanager sent to a receiver of this drill.
type Webhook interface {
	// First is when the first one came that has a firing alert of a name, from an
	// instant on, and for which receiver.
	First(alert string, since time.Time) (at time.Time, receiver string, ok bool)
}

// Options say which alert.
type Options struct {
	Alert        string
	Prometheus   string // base URL
	Alertmanager string // base URL; "": its part is not looked at
	Webhook      Webhook
	Client       *http.Client // nil: one with a time limit
	Clock        drill.Clock
}

// Alert is a drill.Side.
type Alert struct {
	o     Options
	rule  rule
	fired bool
}

type rule struct {
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	State     string            `json:"state"`
	Query     string            `json:"query"`
	Duration  float64           `json:"duration"`
	Health    string            `json:"health"`
	LastError string            `json:"lastError"`
	Labels    map[string]string `json:"labels"`
	interval  time.Duration     // of its group
}

// New makes one.
func New(o Options) *Alert {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 15 * time.Second}
	}
	o.Prometheus, o.Alertmanager = strings.TrimSuffix(o.Prometheus, "/"), strings.TrimSuffix(o.Alertmanager, "/")
	return &Alert{o: o}
}

// get reads an answer of one of the two APIs.
func (a *Alert) get(ctx context.Context, base, path string, q url.Values, into any) error {
	u := base + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fmt.Errorf("%s: the address cannot be read", host(base))
	}
	res, err := a.o.Client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %s", host(base), sink.Words(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("%s: the answer broke off: %s", host(base), sink.Words(err))
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %d: %s", host(base), path, res.StatusCode, sink.Line(string(body), 200))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s%s: the answer is no JSON of this API", host(base), path)
	}
	return nil
}

// host is an address without what may be secret in it.
func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "the address"
	}
	return u.Host
}

// Check looks at the rule, at where its alerts go, and at what keeps them quiet.
func (a *Alert) Check(ctx context.Context) (*drill.Brief, error) {
	b := &drill.Brief{What: fmt.Sprintf("the alert %s of %s", a.o.Alert, host(a.o.Prometheus)), Until: Firing}
	found, err := a.find(ctx, b)
	if err != nil || !found {
		return b, err
	}
	r := &a.rule
	hold := time.Duration(r.Duration * float64(time.Second))
	stop := func(code, advice, format string, args ...any) {
		b.Findings = append(b.Findings, drill.Finding{Code: code, Level: drill.Stops, Text: fmt.Sprintf(format, args...), Advice: advice})
	}
	b.Facts = append(b.Facts,
		drill.Fact{Name: "Rule", Text: sink.Line(r.Query, 200)},
		drill.Fact{Name: "Fires after", Text: fmt.Sprintf("%v, looked at every %v", hold, r.interval)},
		drill.Fact{Name: "State", Text: r.State})
	switch {
	case r.Health == "err":
		stop(drill.CodeRuleBroken, "correct the rule", "the rule cannot be evaluated: %s", sink.Line(r.LastError, 300))
	case r.State == "firing" || r.State == "pending":
		stop(drill.CodeAlready, "wait until it is inactive", "it is %s before the drill", r.State)
	}
	if a.o.Alertmanager != "" {
		if err := a.downstream(ctx, b, stop); err != nil {
			return nil, err
		}
	}
	// The expression must stay true for the rule's time: a refusal in each interval keeps
	// its counter rising.
	b.Period, b.Refusals = r.interval, 1
	b.Periods = int(hold/r.interval) + 6
	b.Every = min(max(r.interval/4, time.Second), 5*time.Second)
	b.Delay = time.Minute
	a.stages(b, hold)
	return b, nil
}

// find gets the rule. False without an error means that a finding says why not.
func (a *Alert) find(ctx context.Context, b *drill.Brief) (bool, error) {
	var out struct {
		Data struct {
			Groups []struct {
				Interval float64 `json:"interval"`
				Rules    []rule  `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := a.get(ctx, a.o.Prometheus, "/api/v1/rules", url.Values{"type": {"alert"}}, &out); err != nil {
		return false, err
	}
	var names []string
	for _, g := range out.Data.Groups {
		for _, r := range g.Rules {
			if r.Type != "" && r.Type != "alerting" {
				continue
			}
			if r.Name == a.o.Alert {
				r.interval = max(time.Duration(g.Interval*float64(time.Second)), time.Second)
				a.rule = r
				return true, nil
			}
			names = append(names, "there is "+r.Name)
		}
	}
	if len(names) == 0 {
		names = []string{"there is no alerting rule at all"}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	b.Findings = append(b.Findings, drill.Finding{
		Code: drill.CodeRuleMissing, Level: drill.Stops, Text: fmt.Sprintf("%s has no alerting rule %s", host(a.o.Prometheus), a.o.Alert),
		Detail: names[:min(len(names), 10)], Advice: "is the name right, and is the rule loaded? POST /-/reload loads it",
	})
	return false, nil
}

// downstream looks at Alertmanager.
func (a *Alert) downstream(ctx context.Context, b *drill.Brief, stop func(code, advice, format string, args ...any)) error {
	var targets struct {
		Data struct {
			Active []struct{ URL string } `json:"activeAlertmanagers"`
		} `json:"data"`
	}
	if err := a.get(ctx, a.o.Prometheus, "/api/v1/alertmanagers", nil, &targets); err == nil && len(targets.Data.Active) == 0 {
		stop(drill.CodeNoAction, "name it under alerting: alertmanagers: in Prometheus's configuration", "Prometheus sends its alerts to no Alertmanager")
	}
	var silences []struct {
		ID      string
		Comment string
		EndsAt  time.Time
		Status  struct{ State string }
		Match   []matcher `json:"matchers"`
	}
	if err := a.get(ctx, a.o.Alertmanager, "/api/v2/silences", nil, &silences); err != nil {
		return err
	}
	for _, s := range silences {
		if s.Status.State != "active" {
			continue
		}
		if all, some := a.silenced(s.Match); all {
			stop(drill.CodeMuted, "wait until it ends, or: amtool silence expire "+s.ID, "a silence keeps it quiet until %s: %s", s.EndsAt.UTC().Format("2006-01-02 15:04 UTC"), sink.Line(s.Comment, 100))
		} else if some {
			b.Findings = append(b.Findings, drill.Finding{Code: drill.CodeMuted, Level: drill.Note, Text: "a silence may keep it quiet, which depends on labels that it gets when it fires: " + s.ID, Advice: "amtool silence query"})
		}
	}
	b.Facts = append(b.Facts, drill.Fact{Name: "Alertmanager", Text: host(a.o.Alertmanager)})
	return nil
}

type matcher struct {
	Name, Value string
	IsRegex     bool
	IsEqual     *bool
}

// silenced says whether matchers hold for the alert: all that can be judged by the
// rule's own labels; some is true when others cannot.
func (a *Alert) silenced(list []matcher) (all, some bool) {
	all = len(list) > 0
	for _, m := range list {
		v, known := a.rule.Labels[m.Name]
		if m.Name == "alertname" {
			v, known = a.rule.Name, true
		}
		if !known {
			all, some = false, true
			continue
		}
		is := v == m.Value
		if m.IsRegex {
			re, err := regexp.Compile("^(?:" + m.Value + ")$")
			is = err == nil && re.MatchString(v)
		}
		if is != (m.IsEqual == nil || *m.IsEqual) {
			return false, false
		}
	}
	return all, some
}

func (a *Alert) stages(b *drill.Brief, hold time.Duration) {
	before := drill.Throttled
	if hold > 0 {
		b.Stages = append(b.Stages, drill.Stage{ID: Pending, Title: "pending", Needs: before, Bound: 2*time.Minute + 2*a.rule.interval, Missing: drill.CodeNotPending})
		before = Pending
	}
	b.Stages = append(b.Stages, drill.Stage{ID: Firing, Title: "firing", Needs: before, Bound: hold + 2*time.Minute + 2*a.rule.interval, Proof: true, Missing: drill.CodeNotFiring})
	before = Firing
	if a.o.Alertmanager != "" {
		b.Stages = append(b.Stages, drill.Stage{ID: Received, Title: "in Alertmanager", Needs: before, Bound: time.Minute + a.rule.interval, Proof: true, Missing: drill.CodeNotReceived})
		before = Received
	}
	if a.o.Webhook != nil {
		// Alertmanager waits for more alerts of a group first: group_wait, 30 s by default.
		b.Stages = append(b.Stages, drill.Stage{ID: drill.Notified, Title: "notification received", Needs: before, Bound: 3 * time.Minute, Proof: before == Received, Missing: drill.CodeNoNotification})
	}
	b.Stages = append(b.Stages, drill.Stage{ID: drill.Again, Title: "resolved", Needs: Firing, Bound: 10*time.Minute + 2*a.rule.interval, After: true, Missing: drill.CodeNotAgain})
}
