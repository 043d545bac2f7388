package tally

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// EpisodeGap is how long nothing must be throttled for one Interval to end.
const EpisodeGap = 2 * time.Second

// Onset is the moment at which throttling began: how much was sent, and how
// much was let through, just before it.
//
// Offered is what the service saw in the second before its first refusal. For a
// limit on each second it is the limit plus one when the load grows slowly, and
// more when it grows fast; a limiter with a burst refuses later, at a higher
// rate. Plateau does not depend on either.
type Onset struct {
	At       time.Duration // sent instant of the earliest throttled hit, as an offset from the start of the run
	Method   string        // the request that it was
	Name     string
	Status   int     // its status; when several came for that request in that tick, the most frequent; 0 is unknown
	Offered  float64 // sends in the second that ended at At, to BinWidth; before the start of the run there were none. 0 is unknown
	Admitted float64 // admitted per second in the last tick that ended before At; 0 when there is none
}

// Interval is a stretch of time in which hits were throttled.
type Interval struct {
	From, To time.Duration // sent instants of its first and last throttled hit
	Count    int64         // throttled hits
}

// throttling is what Totals remembers of the ticks to find Onset, Throttling and Plateau.
type throttling struct {
	recent []tickRate // the latest ones, for the rate before the onset
	gauge  gauge
}

type tickRate struct {
	end      time.Duration
	admitted float64
}

// refusals is what one tick says about throttling.
type refusals struct {
	count       int64
	first, last time.Duration
	row         *Series // the one with the earliest hit
}

func refusalsOf(k *Tick) refusals {
	var r refusals
	for i := range k.Series {
		row := &k.Series[i]
		if row.Outcome != hit.Throttled || row.Count <= 0 {
			continue
		}
		if r.count == 0 || row.First < r.first {
			r.first, r.row = row.First, row
		}
		if r.count == 0 || row.Last > r.last {
			r.last = row.Last
		}
		r.count += row.Count
	}
	return r
}

func (t *Totals) noteThrottling(k *Tick, admitted int64) {
	r := refusalsOf(k)
	if r.count > 0 {
		if t.Onset == nil || r.first < t.Onset.At {
			t.Onset = t.onset(r)
		}
		t.Throttling = addInterval(t.Throttling, Interval{From: r.first, To: r.last, Count: r.count})
	}
	end := k.Start + k.Length
	var after int64
	known := true
	if r.count > 0 {
		after, known = t.bins.between(int64(r.last/BinWidth)+1, int64((end+BinWidth-1)/BinWidth))
	}
	if !known {
		t.throttle.gauge.any = false // answers came too late to place: start anew
	} else {
		t.throttle.gauge.add(r, admitted, after)
	}
	if k.Length > 0 {
		t.throttle.recent = append(t.throttle.recent, tickRate{end, perSecond(admitted, k.Length)})
		if len(t.throttle.recent) >= 256 {
			t.throttle.recent = slices.Delete(t.throttle.recent, 0, 128)
		}
	}
}

func (t *Totals) onset(r refusals) *Onset {
	o := &Onset{At: r.first, Method: r.row.Method, Name: r.row.Name}
	var most int64
	for _, c := range r.row.Codes {
		if c.Count > most {
			most, o.Status = c.Count, c.Status
		}
	}
	end := int64(r.first/BinWidth) + 1
	if n, known := t.bins.between(end-int64(time.Second/BinWidth), end); known {
		o.Offered = float64(n)
	}
	for _, p := range slices.Backward(t.throttle.recent) {
		if p.end <= o.At {
			o.Admitted = p.admitted
			break
		}
	}
	return o
}

// addInterval puts one more interval into an ascending list, joining what is
// less than EpisodeGap apart. Answers may come late, so it may belong anywhere.
func addInterval(list []Interval, n Interval) []Interval {
	at, _ := slices.BinarySearchFunc(list, n.From, func(x Interval, from time.Duration) int {
		return cmp.Compare(x.To+EpisodeGap, from+1)
	})
	to := at
	for ; to < len(list) && list[to].From-n.To < EpisodeGap; to++ {
		n.From = min(n.From, list[to].From)
		n.To = max(n.To, list[to].To)
		n.Count += list[to].Count
	}
	return slices.Replace(list, at, to, n)
}
