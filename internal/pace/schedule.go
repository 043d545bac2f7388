package pace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Schedule returns the schedule of exactly these instants, in ascending order
// whatever the order of at, which is copied. Negative ones count as 0.
func Schedule(at []time.Duration) Pacer {
	l := make(list, len(at))
	for i, t := range at {
		l[i] = max(t, 0)
	}
	slices.Sort(l)
	return l
}

type list []time.Duration

func (l list) Due(n int64) (time.Duration, bool) {
	if n < 0 || n >= int64(len(l)) {
		return 0, false
	}
	return l[n], true
}

// maxLine is the longest line that ParseSchedule reads.
const maxLine = 4096

// ParseSchedule reads instants for Schedule: one per line, as ParseDuration
// reads it ("0.5s", "1m2s", or a number of seconds), in any order. Empty lines
// are skipped, and so is everything after a "#". A mistake is a *ParseError with
// the number of its line; other errors are those of r.
func ParseSchedule(r io.Reader) ([]time.Duration, error) {
	var all []time.Duration
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	line := 0
	for lines.Scan() {
		line++
		text := lines.Text()
		p := parser{what: "schedule", s: text, line: line}
		p.space()
		if p.atEnd() {
			continue
		}
		d := p.duration()
		p.space()
		if !p.atEnd() {
			p.fail(p.i, "%s is one too many; write one instant on a line", p.next())
		}
		if p.err != nil {
			return nil, p.err
		}
		all = append(all, d)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &ParseError{What: "schedule", Line: line + 1, Column: maxLine, Reason: fmt.Sprintf("the line is longer than %d bytes; write one instant on a line", maxLine)}
	} else if err != nil {
		return nil, fmt.Errorf("schedule: after line %d: %w", line, err)
	}
	return all, nil
}

// atEnd says whether nothing but a comment follows.
func (p *parser) atEnd() bool {
	return p.i >= len(p.s) || p.s[p.i] == '#' || p.s[p.i] == '\r' && p.i+1 == len(p.s)
}
