package cloudwatch

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/tally"
)

// Limits of PutLogEvents: docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference,
// API_PutLogEvents, read 2026-11-22. An event counts 26 bytes beside its text.
const (
	maxEvents     = 10_000
	maxEventBytes = 1_048_576
	eventOverhead = 26
	maxEvent      = 256 << 10 // the older bound of one event: a sentence is far below it
	maxSpan       = 24 * time.Hour
)

// event is one log event, as the outbox keeps it.
type event struct {
	At   int64  `json:"t"` // Unix milliseconds
	Text string `json:"m"`
}

// letter is what one PutLogEvents carries.
type letter struct {
	Group  string  `json:"group"`
	Stream string  `json:"stream"`
	Events []event `json:"events"`
}

// record is the text of an event: JSON, for Logs Insights.
type record struct {
	Kind     string          `json:"kind"`
	Text     string          `json:"text,omitempty"`
	Run      string          `json:"run"`
	Test     string          `json:"test"`
	Second   float64         `json:"second"` // of the run
	Data     json.RawMessage `json:"data,omitempty"`
	Verdict  string          `json:"verdict,omitempty"`
	ExitCode *int            `json:"exit_code,omitempty"`
	Value    string          `json:"value,omitempty"`
}

func (e *Encoder) write(at time.Time, r record) event {
	r.Run, r.Test = e.runID, e.set.Test
	r.Second = at.Sub(e.started).Seconds()
	b, err := json.Marshal(r)
	if err != nil { // its data are no JSON
		r.Data = nil
		b, _ = json.Marshal(r)
	}
	if len(b) > maxEvent {
		r.Data, r.Text = nil, strings.ToValidUTF8(r.Text[:min(len(r.Text), maxEvent/8)], "")
		b, _ = json.Marshal(r)
	}
	return event{At: at.UnixMilli(), Text: string(b)}
}

// event is one of a tick.
func (e *Encoder) event(v tally.Event) event {
	r := record{Kind: v.Kind, Text: v.Text}
	if v.Data != "" {
		r.Data = json.RawMessage(v.Data)
	}
	return e.write(e.started.Add(v.At), r)
}

// ending are the findings and the verdict.
func (e *Encoder) ending(end *runfile.End) []event {
	at := end.Ended
	if at.Before(e.started) {
		at = e.started
	}
	var out []event
	for _, c := range end.Checks {
		out = append(out, e.write(at, record{Kind: "check", Text: c.Expr, Verdict: c.Verdict.String(), Value: c.Value}))
	}
	for _, n := range end.Notes {
		out = append(out, e.write(at, record{Kind: "finding", Text: n}))
	}
	return append(out, e.write(at, record{Kind: "verdict", Text: end.Reason, Verdict: end.Verdict, ExitCode: &end.ExitCode}))
}

// packEvents cuts events into parcels that fit one call each, in the order of time.
func packEvents(s *Settings, runID string, events []event, tick int) []runfile.Parcel {
	slices.SortStableFunc(events, func(a, b event) int { return int(min(max(a.At-b.At, -1), 1)) })
	var out []runfile.Parcel
	for len(events) > 0 {
		n, bytes := 0, 0
		for n < len(events) && n < maxEvents && events[n].At-events[0].At < maxSpan.Milliseconds() {
			if bytes += len(events[n].Text) + eventOverhead; bytes > maxEventBytes && n > 0 {
				break
			}
			n++
		}
		body := zip(letter{Group: s.LogGroup, Stream: runID, Events: events[:n]})
		out = append(out, runfile.Parcel{Lane: Logs, Tick: tick, Items: int64(n), Body: body})
		events = events[n:]
	}
	return out
}
