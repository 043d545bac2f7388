// Package tenant holds Log: a tenant log, as Auth0 keeps one, in which a refusal is
// to appear as api_limit, and a warning before it.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// The ids of stages.
const (
	Warned = "warned"
	Logged = "logged"
)

// ErrDenied says that the log may not be read.
var ErrDenied = errors.New("the log may not be read")

// Reader reads the entries that it has not returned before, oldest first. The first
// call returns the newest that there are.
type Reader interface {
	Read(ctx context.Context) ([]tenantlog.Entry, error)
}

// Options say which log.
type Options struct {
	Name   string // where it is, without secrets
	Reader Reader
	Clock  drill.Clock
	Bound  time.Duration // until the refusal stands in it
}

// Log is a drill.Side.
type Log struct {
	o       Options
	entries []tenantlog.Entry // what came since Check, newest last
	others  map[string]int    // types of the other entries
	since   time.Time
}

// New makes one.
func New(o Options) *Log { return &Log{o: o, others: map[string]int{}} }

const (
	// repeats is how long after an entry the same bucket has no other one (seed report
	// 001: a second entry comes when it lasts for a minute).
	repeats = time.Minute
	// slack is how far its clock may be from ours.
	slack = 3 * time.Second
	every = 2 * time.Second
)

// Check reads the log once.
func (l *Log) Check(ctx context.Context) (*drill.Brief, error) {
	b := &drill.Brief{
		What: "the tenant log " + l.o.Name, Every: every, Until: Logged, Refusals: 1,
		Stages: []drill.Stage{
			{ID: Warned, Title: "api_limit_warning in log", Needs: drill.Throttled, Bound: l.o.Bound, Aside: true, Soft: true, Missing: drill.CodeNoWarning},
			{ID: Logged, Title: "api_limit in log", Needs: drill.Throttled, Bound: l.o.Bound, Missing: drill.CodeNoLogEntry},
		},
	}
	entries, err := l.o.Reader.Read(ctx)
	switch {
	case errors.Is(err, ErrDenied):
		b.Findings = append(b.Findings, drill.Finding{
			Code: drill.CodeNoPermission, Level: drill.Stops, Text: err.Error(), Advice: "the token needs read:logs, and must not have ended",
		})
		return b, nil
	case err != nil:
		return nil, err
	}
	now := l.o.Clock.Now()
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		ago := now.Sub(e.At())
		if e.Type == tenantlog.APILimit && ago < repeats {
			b.Findings = append(b.Findings, drill.Finding{
				Code: drill.CodeAlready, Level: drill.Stops,
				Text:   fmt.Sprintf("there was an api_limit %v ago (%s): the same bucket has no other one within a minute, so a new refusal might not show", max(ago, 0).Round(time.Second), e.Description),
				Advice: "wait a minute",
			})
			break
		}
	}
	newest := "it is empty"
	if n := len(entries); n > 0 {
		newest = "its newest entry is of " + entries[n-1].At().UTC().Format("2006-01-02 15:04:05 UTC")
	}
	b.Facts = append(b.Facts, drill.Fact{Name: "Log", Text: "readable; " + newest})
	return b, nil
}

// Look reads on.
func (l *Log) Look(ctx context.Context, since time.Time) ([]drill.Sighting, error) {
	l.since = since
	entries, err := l.o.Reader.Read(ctx)
	if err != nil {
		return nil, err
	}
	l.entries = append(l.entries, entries...)
	now := l.o.Clock.Now()
	var out []drill.Sighting
	for i := range l.entries {
		e := &l.entries[i]
		if e.At().Before(since.Add(-slack)) {
			continue
		}
		text := fmt.Sprintf("%s, written at %s", e.Description, e.At().UTC().Format("15:04:05.000"))
		switch e.Type {
		case tenantlog.APILimitWarning:
			// It counts from when it was written: what it is for is to come before.
			out = append(out, drill.Sighting{Stage: Warned, At: e.At(), Text: text})
		case tenantlog.APILimit:
			out = append(out, drill.Sighting{Stage: Logged, At: now, Text: text})
		default:
			l.others[e.Type]++
		}
	}
	l.entries = nil
	return out, nil
}

// Why explains a stage that did not come.
func (l *Log) Why(_ context.Context, stage string) []drill.Finding {
	if stage == Warned {
		return []drill.Finding{{
			Code: drill.CodeNoWarning, Level: drill.Note, Text: "the warning at 80 % did not come, or not before the end of the drill",
			Advice: "a small bucket goes from below 80 % to empty at once; else alarms on warnings would not have rung",
		}}
	}
	n := 0
	for _, k := range l.others {
		n += k
	}
	text := "nothing was written to the log at all since the load began"
	if n > 0 {
		text = fmt.Sprintf("%d entries of other types were written since the load began, and no api_limit", n)
	}
	return []drill.Finding{{
		Code: drill.CodeNoLogEntry, Text: text,
		Advice: "is it the log of the tenant that refused? A proxy or CDN before it refuses without an entry, and a log stream may be late: try --log-bound 5m",
	}}
}
