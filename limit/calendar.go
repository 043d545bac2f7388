package limit

import "time"

// calendar divides time into the periods of a place.
type calendar struct {
	period Period
	loc    *time.Location
}

func newCalendar(p Policy) calendar {
	c := calendar{period: p.Period, loc: p.Location}
	if c.loc == nil {
		c.loc = time.UTC
	}
	return c
}

// end returns the end of the period that holds t: the first instant of the next.
func (c calendar) end(t time.Time) time.Time {
	if c.period == PerHour {
		return c.hourEnd(t)
	}
	year, month, day := t.In(c.loc).Date()
	switch c.period {
	case PerWeek:
		// Days since Monday; Go's week starts with Sunday.
		day -= (int(t.In(c.loc).Weekday()) + 6) % 7
	case PerMonth:
		day = 1
	case PerYear:
		month, day = time.January, 1
	}
	// Subtle: more than one step is needed where a whole local date was skipped
	// (Samoa had no 30 December 2011) or shown twice, so that the next date
	// begins no later than t.
	for {
		switch c.period {
		case PerDay:
			day++
		case PerWeek:
			day += 7
		case PerMonth:
			month++
		default:
			year++
		}
		if end := c.firstInstant(year, month, day); end.After(t) {
			return end
		}
	}
}

// firstInstant returns the first instant at which the local date is the one
// given or a later one. The day and the month may overflow, as in time.Date.
//
// Subtle: time.Date(year, month, day, 0, 0, 0, 0, loc) is not it. Where summer
// time starts at midnight there is no such local time, and Date may return one
// of the day before; where it ends at midnight, Date may return the later of two.
func (c calendar) firstInstant(year int, month time.Month, day int) time.Time {
	local := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	// No place is more than a day away from UTC, so the first instant lies
	// within a day of local; walk the stretches of constant offset there.
	at := local.Add(-26 * time.Hour)
	for {
		_, offset := at.In(c.loc).Zone()
		midnight := local.Add(-time.Duration(offset) * time.Second)
		if midnight.Before(at) {
			return at // the offset changed past midnight
		}
		_, next := at.In(c.loc).ZoneBounds()
		if next.IsZero() || midnight.Before(next) {
			return midnight
		}
		at = next
	}
}

// hourEnd returns the next instant at which the local clock shows a full hour
// or changes its offset from one to another.
func (c calendar) hourEnd(t time.Time) time.Time {
	local := t.In(c.loc)
	_, offset := local.Zone()
	// How far the local clock is past the hour.
	past := (t.Unix() + int64(offset)) % 3600
	if past < 0 {
		past += 3600
	}
	end := time.Unix(t.Unix()-past+3600, 0)
	if _, next := local.ZoneBounds(); !next.IsZero() && next.Before(end) {
		return next
	}
	return end
}
