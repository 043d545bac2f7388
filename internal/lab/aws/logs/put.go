package logs

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

func (s *Service) put(c *wire.Call) (wire.Out, error) {
	st, err := s.stream(c)
	if err != nil {
		return nil, err
	}
	list := c.In.List("logEvents")
	events := make([]event, 0, len(list))
	size := 0
	for i, p := range list {
		e := event{at: p.Int("timestamp"), message: p.String("message"), ingested: c.Now.UnixMilli()}
		switch {
		case c.In.Err() != nil:
			return nil, c.In.Err()
		case e.message == "":
			return nil, invalid("1 validation error detected: Value '' at 'logEvents.%d.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		case len(e.message)+overhead > maxEvent:
			return nil, invalid("Log event too large: %d bytes exceeds limit of %d", len(e.message)+overhead, maxEvent)
		case i > 0 && e.at < events[i-1].at:
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
		size += len(e.message) + overhead
		events = append(events, e)
	}
	switch {
	case c.In.Err() != nil:
		return nil, c.In.Err()
	case len(events) == 0:
		return nil, invalid("1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case len(events) > maxEvents:
		return nil, invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to %d", maxEvents)
	case size > maxBatch:
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	case time.Duration(events[len(events)-1].at-events[0].at)*time.Millisecond > maxSpan:
		return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	out := wire.Out{"nextSequenceToken": "not-used"}
	rejected := wire.Out{}
	oldest, newest := c.Now.Add(-tooOld).UnixMilli(), c.Now.Add(tooNew).UnixMilli()
	kept := events
	if n := sort.Search(len(events), func(i int) bool { return events[i].at >= oldest }); n > 0 {
		rejected["tooOldLogEventEndIndex"] = n // the index after the last one
		kept = kept[n:]
	}
	if n := sort.Search(len(events), func(i int) bool { return events[i].at > newest }); n < len(events) {
		rejected["tooNewLogEventStartIndex"] = n
		kept = kept[:max(0, len(kept)-(len(events)-n))]
	}
	if len(rejected) > 0 {
		out["rejectedLogEventsInfo"] = rejected
	}
	for _, e := range kept {
		s.events++
		e.id = fmt.Sprintf("%020d%036d", e.at, s.events) // 56 digits, ordered
		st.insert(e)
	}
	if len(kept) > 0 {
		st.ingested = c.Now
	}
	return out, nil
}

func (st *stream) insert(e event) {
	i := sort.Search(len(st.events), func(k int) bool { return st.events[k].at > e.at })
	st.events = slices.Insert(st.events, i, e)
	if len(st.events) > maxEventsIn {
		st.events = slices.Delete(st.events, 0, maxEventsIn/10)
	}
}
