package forecast

import (
	"bytes"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// split is one part of the arrivals of a schedule: of every whole, part arrivals,
// spread evenly. The parts of a schedule together are as many as it has.
type split struct {
	all         pace.Pacer
	part, whole int64
	skip        int64 // where in the whole it begins
}

// Due returns the instant of the part's n-th arrival.
func (s split) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > 1<<40 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(n), uint64(s.whole))
	lo, carry := bits.Add64(lo, uint64(s.skip), 0)
	if hi+carry >= uint64(s.part) {
		return 0, false
	}
	i, _ := bits.Div64(hi+carry, lo, uint64(s.part))
	return s.all.Due(int64(i))
}

// scaled is a schedule with its arrivals multiplied.
type scaled struct {
	of         pace.Pacer
	times, per int64 // times/per
}

// Due returns the instant of the n-th arrival, between those of the schedule.
func (s scaled) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > 1<<40 {
		return 0, false
	}
	i, rest := n*s.per/s.times, n*s.per%s.times
	at, ok := s.of.Due(i)
	if !ok || rest == 0 {
		return at, ok
	}
	next, more := s.of.Due(i + 1)
	if !more {
		return at, true
	}
	return at + time.Duration(float64(next-at)*float64(rest)/float64(s.times)), true
}

// repeated plays a schedule of a certain length again and again.
type repeated struct {
	of     pace.Pacer
	count  int64
	length time.Duration
}

// Due returns the instant of the n-th arrival.
func (r repeated) Due(n int64) (time.Duration, bool) {
	if n < 0 || r.count == 0 || n/r.count > int64((1<<62)/max(r.length, 1)) {
		return 0, false
	}
	at, ok := r.of.Due(n % r.count)
	return at + time.Duration(n/r.count)*r.length, ok
}

// ParseCurve reads how the rate goes through a day: a line for each change, with a
// time (08:30, or a duration from the start such as 8h30m) and a rate (120/min, or a
// number per second), separated by a comma. Between two lines the rate goes in a
// straight line; after the last it stays, until the end of the day when the times
// are of the clock. A first line of words is a head. The error names the line.
func ParseCurve(data []byte) (pace.Stages, error) {
	type point struct {
		at   time.Duration
		rate pace.Rate
	}
	var points []point
	clock := false
	if len(data) > 16<<20 {
		return nil, fmt.Errorf("has more than 16 MB; one line a minute is enough for a day")
	}
	line := 0
	for text := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		line++
		s := strings.TrimSpace(string(text))
		if s == "" || s[0] == '#' {
			continue
		}
		when, rate, ok := strings.Cut(s, ",")
		when, rate = strings.Trim(strings.TrimSpace(when), `"`), strings.Trim(strings.TrimSpace(rate), `"`)
		if len(points) == 0 && (when == "" || when[0] < '0' || when[0] > '9') {
			continue // the head
		}
		if !ok {
			return nil, fmt.Errorf("line %d: needs a time and a rate with a comma between, such as 08:30,120/min", line)
		}
		at, isClock, err := curveTime(when)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if !strings.Contains(rate, "/") {
			rate += "/s"
		}
		r, err := pace.ParseRate(rate)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if n := len(points); n > 0 && at <= points[n-1].at {
			return nil, fmt.Errorf("line %d: the time %s is not after that of the line before", line, when)
		}
		clock = clock || isClock
		points = append(points, point{at, r})
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("has no line with a time and a rate, such as 08:30,120/min")
	}
	var stages pace.Stages
	if first := points[0]; first.at > 0 {
		stages = append(stages, pace.Stage{From: first.rate, To: first.rate, For: first.at})
	}
	for i, p := range points[1:] {
		stages = append(stages, pace.Stage{From: points[i].rate, To: p.rate, For: p.at - points[i].at})
	}
	if last := points[len(points)-1]; clock && last.at < 24*time.Hour {
		stages = append(stages, pace.Stage{From: last.rate, To: last.rate, For: 24*time.Hour - last.at})
	}
	if len(stages) == 0 {
		return nil, fmt.Errorf("has one line only, which says nothing of how long; add the end")
	}
	return stages, nil
}

func curveTime(s string) (at time.Duration, clock bool, err error) {
	if !strings.Contains(s, ":") {
		at, err = pace.ParseDuration(s)
		return at, false, err
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, true, fmt.Errorf("%q is not a time of the day; write 08:30 or 08:30:15", s)
	}
	most := []int{24, 59, 59}
	unit := []time.Duration{time.Hour, time.Minute, time.Second}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > most[i] || len(p) > 2 {
			return 0, true, fmt.Errorf("%q is not a time of the day; write 08:30 or 08:30:15", s)
		}
		at += time.Duration(n) * unit[i]
	}
	if at > 24*time.Hour {
		return 0, true, fmt.Errorf("%q is after the end of the day", s)
	}
	return at, true, nil
}
