package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/sink"
)

// lookMetric spaces the questions for the metric, each of which costs money.
const lookMetric = 10 * time.Second

// phase is one stretch of looking: a rehearsal, or the drill.
type phase struct {
	since     time.Time
	rehearsal bool
	asked     time.Time // when the metric was, last
	pointed   bool
	late      time.Duration // after the end of its period, that the point was first seen
	seen      []point
	ringing   bool
	over      bool
}

// Rehearse sets the alarm's state by hand, which notifies as an alarm does.
func (a *Alarm) Rehearse(ctx context.Context) error {
	a.set = true
	_, err := a.cw.SetAlarmState(ctx, &sdk.SetAlarmStateInput{
		AlarmName: &a.o.Name, StateValue: types.StateValueAlarm, StateReason: aws.String("weir drill --rehearse: set by hand, nothing is wrong"),
	})
	if err != nil && denied(err) {
		return fmt.Errorf("these credentials may not do cloudwatch:SetAlarmState: %s", account.Words(err))
	}
	if err != nil {
		return fmt.Errorf("SetAlarmState: %s", account.Words(err))
	}
	return nil
}

// Look says which stages there are since an instant.
func (a *Alarm) Look(ctx context.Context, since time.Time) ([]drill.Sighting, error) {
	if !a.now.since.Equal(since) {
		a.now = phase{since: since, rehearsal: a.set}
		a.set = false
	}
	p := &a.now
	var out []drill.Sighting
	if !p.over {
		states, err := a.states(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, states...)
	}
	if !p.pointed && !p.rehearsal && a.o.Clock.Now().Sub(p.asked) >= lookMetric {
		p.asked = a.o.Clock.Now()
		list, err := a.points(ctx, since)
		if err != nil && denied(err) {
			// The alarm proves it as well.
			a.blind, p.asked = account.Words(err), p.asked.Add(time.Minute)
		} else if err != nil {
			return out, fmt.Errorf("reading the metric: %s", account.Words(err))
		}
		p.seen = list
		if i := slices.IndexFunc(list, func(x point) bool { return a.breaches(x.v) }); i >= 0 {
			p.pointed, p.late = true, p.asked.Sub(list[i].at.Add(a.period))
			out = append(out, drill.Sighting{Stage: Datapoint, At: p.asked, Text: fmt.Sprintf("%g at %s", list[i].v, list[i].at.Format("15:04:05"))})
		}
	}
	notices, err := a.notices(ctx, p)
	if err == nil && len(notices) > 0 && !p.ringing {
		// It rang since the state was read: the state has the instant and the reason.
		states, failed := a.states(ctx)
		out, err = append(out, states...), failed
	}
	return append(out, notices...), err
}

// states reads the alarm's state.
func (a *Alarm) states(ctx context.Context) ([]drill.Sighting, error) {
	p := &a.now
	out, err := a.cw.DescribeAlarms(ctx, &sdk.DescribeAlarmsInput{AlarmNames: []string{a.o.Name}})
	if err != nil {
		return nil, fmt.Errorf("reading the alarm: %s", account.Words(err))
	}
	if len(out.MetricAlarms) == 0 {
		return []drill.Sighting{{Stage: Ringing, Wrong: true, Text: "the alarm has been deleted"}}, nil
	}
	al := &out.MetricAlarms[0]
	a.alarm.ActionsEnabled, a.alarm.StateValue, a.alarm.StateReason = al.ActionsEnabled, al.StateValue, al.StateReason
	at := aws.ToTime(al.StateTransitionedTimestamp).UTC()
	since := p.since
	if p.rehearsal {
		since = since.Add(-2 * time.Second) // its clock is not ours
	}
	if at.Before(since) {
		return nil, nil
	}
	reason := sink.Line(aws.ToString(al.StateReason), 160)
	ring := func(at time.Time, text string) drill.Sighting {
		p.ringing = true
		return drill.Sighting{Stage: Ringing, At: at, Text: text}
	}
	switch al.StateValue {
	case types.StateValueAlarm:
		return []drill.Sighting{ring(at, reason)}, nil
	case types.StateValueOk, types.StateValueInsufficientData:
		var list []drill.Sighting
		if !p.ringing {
			// It changed between two looks: the history knows when.
			rang, ok := a.rang(ctx, since)
			if !ok {
				return nil, nil
			}
			list = append(list, ring(rang, "for a short time"))
		}
		p.over = true
		s := drill.Sighting{Stage: drill.Again, At: at, Text: reason}
		if al.StateValue != types.StateValueOk && !(p.rehearsal && a.before == al.StateValue) {
			s.Wrong, s.Text = true, "it went to INSUFFICIENT_DATA and not to OK"
		}
		return append(list, s), nil
	}
	return nil, nil
}

// rang asks the history whether the alarm was in ALARM since an instant.
func (a *Alarm) rang(ctx context.Context, since time.Time) (time.Time, bool) {
	for _, h := range a.history(ctx, types.HistoryItemTypeStateUpdate, since) {
		if strings.HasSuffix(aws.ToString(h.HistorySummary), "to ALARM") {
			return aws.ToTime(h.Timestamp).UTC(), true
		}
	}
	return time.Time{}, false
}

// history is what the alarm did since an instant, newest first; nothing where that
// cannot be read.
func (a *Alarm) history(ctx context.Context, kind types.HistoryItemType, since time.Time) []types.AlarmHistoryItem {
	out, err := a.cw.DescribeAlarmHistory(ctx, &sdk.DescribeAlarmHistoryInput{
		AlarmName: &a.o.Name, HistoryItemType: kind, StartDate: aws.Time(since.Add(-time.Second)), EndDate: aws.Time(a.o.Clock.Now().Add(time.Minute)), MaxRecords: aws.Int32(50),
	})
	if err != nil {
		return nil
	}
	return out.AlarmHistoryItems
}

// notices are the notifications that came.
func (a *Alarm) notices(ctx context.Context, p *phase) ([]drill.Sighting, error) {
	if !a.box.open() {
		if !p.ringing {
			return nil, nil
		}
		return a.executed(ctx, p), nil
	}
	if err := a.receive(ctx); err != nil {
		return nil, fmt.Errorf("reading the queue: %s", account.Words(err))
	}
	var out []drill.Sighting
	for _, want := range []struct {
		stage, state string
		topics       []string
	}{{drill.Notified, "ALARM", a.topics}, {OKNotice, "OK", a.okTopics}} {
		var last time.Time
		missing := 0
		for _, topic := range want.topics {
			at, ok := a.box.first(topic, want.state, p.since)
			if !ok {
				missing++
			} else if at.After(last) {
				last = at
			}
		}
		if missing == 0 && !last.IsZero() {
			text := "by " + part(want.topics[0], 5)
			if n := len(want.topics); n > 1 {
				text = fmt.Sprintf("by all %d topics", n)
			}
			out = append(out, drill.Sighting{Stage: want.stage, At: last, Text: text})
		}
	}
	return out, nil
}

// executed is the same from the alarm's history: what was sent, not what came.
func (a *Alarm) executed(ctx context.Context, p *phase) []drill.Sighting {
	var out []drill.Sighting
	stage := drill.Notified
	if p.over {
		stage = OKNotice
	}
	for _, h := range a.history(ctx, types.HistoryItemTypeAction, p.since) {
		text := aws.ToString(h.HistorySummary)
		switch {
		case strings.HasPrefix(text, "Successfully executed"):
			out = append(out, drill.Sighting{Stage: drill.Notified, At: aws.ToTime(h.Timestamp).UTC(), Text: "by the alarm's history"})
			if stage == OKNotice {
				out = append(out, drill.Sighting{Stage: stage, At: aws.ToTime(h.Timestamp).UTC(), Text: "by the alarm's history"})
			}
		case strings.HasPrefix(text, "Failed to execute"):
			out = append(out, drill.Sighting{Stage: stage, Wrong: true, Text: sink.Line(text, 300)})
		}
	}
	return out
}
