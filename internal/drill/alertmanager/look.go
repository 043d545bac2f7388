package alertmanager

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/drill"
)

// Look asks for the alert on each of its stations.
func (a *Alert) Look(ctx context.Context, since time.Time) ([]drill.Sighting, error) {
	var out []drill.Sighting
	var alerts struct {
		Data struct {
			Alerts []struct {
				Labels   map[string]string
				State    string
				ActiveAt time.Time
				Value    string
			}
		}
	}
	if err := a.get(ctx, a.o.Prometheus, "/api/v1/alerts", nil, &alerts); err != nil {
		return nil, err
	}
	now := a.o.Clock.Now()
	active := false
	for _, one := range alerts.Data.Alerts {
		if one.Labels["alertname"] != a.o.Alert {
			continue
		}
		active = true
		at := one.ActiveAt.UTC()
		if at.Before(since) || at.After(now) {
			at = now
		}
		if one.State == "firing" {
			a.fired = true
			out = append(out, drill.Sighting{Stage: Firing, At: now, Text: "value " + short(one.Value)})
			if a.rule.Duration > 0 {
				out = append([]drill.Sighting{{Stage: Pending, At: at, Text: "value " + short(one.Value)}}, out...)
			}
			continue
		}
		out = append(out, drill.Sighting{Stage: Pending, At: at, Text: "value " + short(one.Value)})
	}
	if a.fired && !active {
		out = append(out, drill.Sighting{Stage: drill.Again, At: now})
	}
	if a.o.Alertmanager != "" && a.fired {
		more, err := a.received(ctx, since, now)
		if err != nil {
			return out, err
		}
		out = append(out, more...)
	}
	if a.o.Webhook != nil {
		if at, receiver, ok := a.o.Webhook.First(a.o.Alert, since); ok {
			out = append(out, drill.Sighting{Stage: drill.Notified, At: at, Text: "by the receiver " + receiver})
		}
	}
	return out, nil
}

// received looks for the alert in Alertmanager.
func (a *Alert) received(ctx context.Context, since, now time.Time) ([]drill.Sighting, error) {
	var list []struct {
		UpdatedAt time.Time
		Status    struct {
			State                            string
			SilencedBy, InhibitedBy, MutedBy []string
		}
		Receivers []struct{ Name string }
	}
	if err := a.get(ctx, a.o.Alertmanager, "/api/v2/alerts", url.Values{"filter": {fmt.Sprintf("alertname=%q", a.o.Alert)}}, &list); err != nil {
		return nil, err
	}
	for _, one := range list {
		if one.UpdatedAt.Before(since) {
			continue
		}
		if one.Status.State == "suppressed" {
			why := "it is there and suppressed"
			switch {
			case len(one.Status.SilencedBy) > 0:
				why += ", by the silence " + one.Status.SilencedBy[0]
			case len(one.Status.InhibitedBy) > 0:
				why += ", inhibited by the alert " + one.Status.InhibitedBy[0]
			case len(one.Status.MutedBy) > 0:
				why += ", by the time interval " + one.Status.MutedBy[0]
			}
			return []drill.Sighting{{Stage: Received, Wrong: true, Text: why}}, nil
		}
		var names []string
		for _, r := range one.Receivers {
			names = append(names, r.Name)
		}
		at := one.UpdatedAt.UTC()
		if at.After(now) {
			at = now
		}
		return []drill.Sighting{{Stage: Received, At: at, Text: "for " + strings.Join(names, ", ")}}, nil
	}
	return nil, nil
}

// Why explains a stage that did not come.
func (a *Alert) Why(ctx context.Context, stage string) []drill.Finding {
	switch stage {
	case Pending, Firing:
		var out struct {
			Data struct{ Result []any }
		}
		err := a.get(ctx, a.o.Prometheus, "/api/v1/query", url.Values{"query": {a.rule.Query}}, &out)
		switch {
		case err != nil:
			return []drill.Finding{{Code: drill.CodeRuleBroken, Text: err.Error()}}
		case len(out.Data.Result) == 0 && stage == Pending || a.rule.Duration == 0 && len(out.Data.Result) == 0:
			return []drill.Finding{{
				Code: drill.CodeDimensions, Text: "its expression is true for nothing: " + a.rule.Query,
				Advice: "does the service count its refusals in this metric, with these labels, and is it scraped? Or is the threshold higher than this load reaches: --max-throttled",
			}}
		case len(out.Data.Result) == 0:
			return []drill.Finding{{
				Code: drill.CodeThreshold, Text: fmt.Sprintf("its expression did not stay true for the %v that it must", time.Duration(a.rule.Duration*float64(time.Second))),
				Advice: "allow more load: --max-throttled, --max-requests; or a longer range in the expression",
			}}
		}
	case Received:
		return []drill.Finding{{
			Code: drill.CodeNoAction, Text: "Prometheus fires, and Alertmanager has no alert of this name: it may send to another one, or drop it by alert_relabel_configs",
			Advice: "compare /api/v1/alertmanagers of Prometheus with --alertmanager",
		}}
	case drill.Notified:
		return []drill.Finding{{
			Code: drill.CodeNoSubscription, Text: "Alertmanager has it, and sent nothing to this drill's webhook",
			Advice: "a route must lead this alert to a receiver whose webhook_configs has the address of --webhook; it waits group_wait first, and does not repeat within repeat_interval",
		}}
	case drill.Again:
		return []drill.Finding{{Code: drill.CodeOthers, Text: "its expression is true still: others are refused too, or it looks far back", Advice: "allow more with --bound ok=30m"}}
	}
	return nil
}

// short writes a value of Prometheus without digits that say nothing.
func short(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return v
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
