package forecast

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/weir-dev/weir/internal/pace"
)

// ParseCurve reads how the rate goes through a day: a line for each change, with a
// time and a rate, as people write it by hand and as spreadsheets and monitoring
// export it. Between two lines the rate goes in a straight line.
//
// A time is one of the clock (08:30, 8:30 PM), an instant (2026-11-20 08:30, also with
// a zone, or Unix seconds or milliseconds), or a duration from the start (8h30m). After
// the last line of the clock the rate stays until the end of the day; with the
// others the last line is the end, and with instants the first is the start.
//
// A rate is 120/min, or a number of what the head says (logins per minute), else per
// second. Columns are separated by commas, semicolons or tabs; where it is no comma, a
// comma may be the decimal point. A first line of words is the head. The error names
// the line.
func ParseCurve(data []byte) (pace.Stages, error) {
	if len(data) > 16<<20 {
		return nil, errors.New("has more than 16 MB; one line a minute is enough for a day")
	}
	c := curve{unit: "/s"}
	if err := c.read(decoded(data)); err != nil {
		return nil, err
	}
	if len(c.points) == 0 {
		return nil, errors.New("has no line with a time and a rate, such as 08:30,120/min")
	}
	kind, err := c.place()
	if err != nil {
		return nil, err
	}
	var stages pace.Stages
	if first := c.points[0]; first.at > 0 {
		stages = append(stages, pace.Stage{From: first.rate, To: first.rate, For: first.at})
	}
	for i, p := range c.points[1:] {
		stages = append(stages, pace.Stage{From: c.points[i].rate, To: p.rate, For: p.at - c.points[i].at})
	}
	if last := c.points[len(c.points)-1]; kind == ofClock && last.at < 24*time.Hour {
		stages = append(stages, pace.Stage{From: last.rate, To: last.rate, For: 24*time.Hour - last.at})
	}
	if len(stages) == 0 {
		return nil, errors.New("has one line only, which says nothing of how long; add the end")
	}
	return stages, nil
}

// curve is a file in the reading.
type curve struct {
	comma  rune
	unit   string // of rates that name none
	points []point
}

// point is a line.
type point struct {
	line int
	when string
	at   time.Duration
	rate pace.Rate
}

// decoded is the text of a file, which a spreadsheet may have written in UTF-16.
func decoded(data []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return string(bytes.TrimPrefix(data, []byte("\ufeff")))
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return string(utf16.Decode(units))
}

// read splits the lines and reads their rates.
func (c *curve) read(text string) error {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	first := 0 // lines before what is read as columns
	c.comma = ','
	for line := range strings.Lines(text) {
		s := strings.TrimSpace(line)
		if sep, ok := strings.CutPrefix(strings.ToLower(s), "sep="); ok && len(sep) == 1 { // as Excel has it
			c.comma, first = rune(sep[0]), first+1
			text = text[len(line):]
			break
		}
		if s == "" || s[0] == '#' {
			text, first = text[len(line):], first+1
			continue
		}
		switch {
		case strings.Contains(s, ";"):
			c.comma = ';'
		case strings.Contains(s, "\t"):
			c.comma = '\t'
		}
		break
	}
	if !strings.ContainsRune(",;\t|", c.comma) {
		return fmt.Errorf("line %d: columns are separated by a comma, a semicolon or a tab", first)
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.Comment, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = c.comma, '#', -1, true, true, true
	for {
		fields, err := r.Read()
		var broken *csv.ParseError
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &broken):
			return fmt.Errorf("line %d: %v", first+broken.Line, broken.Err)
		case err != nil:
			return err
		}
		line, _ := r.FieldPos(0)
		if err := c.line(first+line, fields); err != nil {
			return fmt.Errorf("line %d: %w", first+line, err)
		}
	}
}

func (c *curve) line(number int, fields []string) error {
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	for len(fields) > 2 && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1]
	}
	if len(c.points) == 0 && (fields[0] == "" || fields[0][0] < '0' || fields[0][0] > '9') {
		if len(fields) == 2 {
			c.unit = unitIn(fields[1], c.unit)
		}
		return nil // the head
	}
	switch {
	case len(fields) < 2:
		return errors.New("needs a time and a rate with a comma, a semicolon or a tab between, such as 08:30,120/min")
	case len(fields) > 2:
		return fmt.Errorf("has %d columns; keep the times and the one with the rates (a decimal comma needs a semicolon between columns)", len(fields))
	}
	rate, err := c.rate(fields[1])
	c.points = append(c.points, point{line: number, when: strings.Clone(fields[0]), rate: rate})
	return err
}

// per finds the unit in a head: per minute, 1/h, req/s, rpm; and as spreadsheets of
// other languages have it.
var per = regexp.MustCompile(`(?i)(?:/|\b(?:per|pro|par|por) )\s*(s|secs?|seconds?|sek|sekunde|seconde|segundo|m|mins?|minutes?|minuto|` +
	`h|hrs?|hours?|std|stunde|heure|hora|d|days?|tag|jour|d[ií]a)(?:\b|$)|\b(?:rp|qp|tp)(s|m|h)\b|(?:/|毎|1)\s*(秒|分|時|日)`)

// unitIn returns the unit of a rate that a head names.
func unitIn(head, otherwise string) string {
	m := per.FindStringSubmatch(head)
	if m == nil {
		return otherwise
	}
	switch name := strings.ToLower(m[1] + m[2] + m[3]); name {
	case "std", "stunde":
		return "/h"
	case "分":
		return "/min"
	case "時":
		return "/h"
	case "日", "tag", "jour":
		return "/d"
	default:
		switch name[0] {
		case 'm':
			return "/min"
		case 'h':
			return "/h"
		case 'd':
			return "/d"
		}
	}
	return "/s"
}

var (
	wordedRate   = regexp.MustCompile(`(?i)^([0-9][0-9., ]*?)\s*(?:[a-z]+\s*/\s*([a-z]+)|[a-z]*\s*\bper\s+([a-z]+)|(?:rp|qp|tp)(s|m|h))$`)
	decimalComma = regexp.MustCompile(`^[0-9]+,[0-9]+`)
	groups       = regexp.MustCompile(`^[0-9]{1,3}[.,][0-9]{3}$`)
)

func (c *curve) rate(s string) (pace.Rate, error) {
	if m := wordedRate.FindStringSubmatch(s); m != nil { // 10 req/s, 10 per minute, 10 rpm
		s = m[1] + unitIn("/"+m[2]+m[3]+m[4], c.unit)
	}
	number, unit, named := strings.Cut(s, "/")
	if number = strings.TrimSpace(number); number == "" {
		return pace.Rate{}, errors.New("has a time and no rate; write 0 where nothing comes")
	}
	if c.comma != ',' {
		if groups.MatchString(number) && number[0] != '0' {
			return pace.Rate{}, fmt.Errorf("%s may be %s or %s; write it with neither point nor comma, or with two decimals", number,
				strings.NewReplacer(".", "", ",", "").Replace(number), strings.Replace(number, ",", ".", 1))
		}
		if decimalComma.MatchString(number) {
			number = strings.Replace(number, ",", ".", 1)
		}
	}
	if unit = "/" + unit; !named {
		unit = c.unit
	}
	return pace.ParseRate(number + unit)
}

// The kinds of times.
const (
	ofClock = iota
	ofStart
	instants
)

// place turns the times into durations from the start, all in the one way that
// they can all be read.
func (c *curve) place() (kind int, err error) {
	if _, ok := instant(c.points[0].when, 0); ok {
		return instants, c.placeInstants()
	}
	kind = ofStart
	for i := range c.points {
		p := &c.points[i]
		var clock bool
		if p.at, clock, err = curveTime(p.when); err != nil {
			return 0, fmt.Errorf("line %d: %w", p.line, err)
		}
		if clock {
			kind = ofClock
		}
	}
	return kind, c.rises()
}

// rises holds that each time is after the one before.
func (c *curve) rises() error {
	for i := range c.points[1:] {
		if p := &c.points[i+1]; p.at <= c.points[i].at {
			return fmt.Errorf("line %d: the time %s is not after that of the line before", p.line, p.when)
		}
	}
	return nil
}

// placeInstants tries both orders of day and month, where they can be mistaken.
func (c *curve) placeInstants() error {
	var found [][]time.Duration
	var last error
	for order := range 2 {
		at := make([]time.Duration, len(c.points))
		var start time.Time
		var bad error
		for i := range c.points {
			p := &c.points[i]
			t, ok := instant(p.when, order)
			switch {
			case !ok:
				bad = fmt.Errorf("line %d: %q is no date and time like those above; write 2026-11-20 08:30", p.line, p.when)
			case i == 0:
				start = t
			case t.Sub(start) <= at[i-1]:
				bad = fmt.Errorf("line %d: the time %s is not after that of the line before", p.line, p.when)
			case t.Sub(start) > 366*24*time.Hour:
				bad = fmt.Errorf("line %d: %s is more than a year after the first line", p.line, p.when)
			default:
				at[i] = t.Sub(start)
			}
			if bad != nil {
				break
			}
		}
		switch {
		case bad != nil:
			if last == nil {
				last = bad
			}
		case len(found) == 0 || !slices.Equal(found[0], at):
			found = append(found, at)
		}
	}
	switch len(found) {
	case 0:
		return last
	case 2:
		return fmt.Errorf("line %d: %s can be read with the month first or the day first; write 2026-11-20 08:30", c.points[0].line, c.points[0].when)
	}
	for i := range c.points {
		c.points[i].at = found[0][i]
	}
	return nil
}

// instant reads a date with a time, with the month or the day first where that is
// not known, and Unix times.
func instant(s string, order int) (time.Time, bool) {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n >= 1e9 && n < 1e11:
			return time.UnixMilli(int64(n * 1000)), true
		case n >= 1e12 && n < 1e14:
			return time.UnixMilli(int64(n)), true
		}
		return time.Time{}, false
	}
	if len(s) < len("1/2/2006") || len(s) > 40 || s[0] < '0' || s[0] > '9' {
		return time.Time{}, false
	}
	dates := []string{"2006-1-2", "2006/1/2", "2.1.2006", "2.1.06", [2]string{"1/2/2006", "2/1/2006"}[order], [2]string{"1-2-2006", "2-1-2006"}[order], [2]string{"1/2/06", "2/1/06"}[order]}
	for _, date := range dates {
		for _, clock := range []string{" 15:04:05", " 15:04", " 3:04:05 PM", " 3:04 PM", "T15:04:05", "T15:04", ""} {
			for _, zone := range []string{"", "Z07:00", " Z07:00", " -0700", "-0700", " MST"} {
				if clock == "" && zone != "" {
					continue
				}
				if t, err := time.Parse(date+clock+zone, s); err == nil {
					return t, true
				}
			}
		}
	}
	return time.Time{}, false
}

var halfDay = regexp.MustCompile(`(?i)^([0-9]{1,2})(:[0-9:]+)?\s*([ap])\.?m\.?$`)

func curveTime(s string) (at time.Duration, clock bool, err error) {
	noTime := fmt.Errorf("%q is not a time of the day; write 08:30 or 08:30:15", s)
	part := time.Duration(0)
	if m := halfDay.FindStringSubmatch(s); m != nil { // 8:30 PM
		n, _ := strconv.Atoi(m[1])
		if n < 1 || n > 12 {
			return 0, true, noTime
		}
		if strings.EqualFold(m[3], "p") {
			part = 12 * time.Hour
		}
		s = strconv.Itoa(n%12) + m[2]
		if m[2] == "" {
			s += ":00"
		}
	}
	if !strings.Contains(s, ":") {
		at, err = pace.ParseDuration(s)
		return at, false, err
	}
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, true, noTime
	}
	most := []int{24, 59, 59}
	unit := []time.Duration{time.Hour, time.Minute, time.Second}
	for i, p := range parts {
		if i == 2 { // 08:30:15.000
			whole, fraction, ok := strings.Cut(p, ".")
			if ok && strings.Trim(fraction, "0") == "" {
				p = whole
			}
		}
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > most[i] || len(p) > 2 {
			return 0, true, noTime
		}
		at += time.Duration(n) * unit[i]
	}
	if at += part; at > 24*time.Hour {
		return 0, true, fmt.Errorf("%q is after the end of the day", s)
	}
	return at, true, nil
}
