package limit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestPeriodsEndWhereTheCalendarSays compares the end of the period with the
// local date: at the end it is another, a nanosecond before still the same. The
// places have every oddity there is: summer time that begins or ends at
// midnight, by half an hour, a skipped date, quarter-hour offsets.
func TestPeriodsEndWhereTheCalendarSays(t *testing.T) {
	places := []string{
		"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "Asia/Tehran",
		"Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Asia/Kathmandu", "Antarctica/Troll", "Asia/Pyongyang",
	}
	label := map[limit.Period]func(time.Time) string{
		limit.PerHour:  func(t time.Time) string { return t.Format("2006-01-02 15 -0700") },
		limit.PerDay:   func(t time.Time) string { return t.Format("2006-01-02") },
		limit.PerMonth: func(t time.Time) string { return t.Format("2006-01") },
		limit.PerYear:  func(t time.Time) string { return t.Format("2006") },
		limit.PerWeek: func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprint(year, week)
		},
	}
	random := rand.New(rand.NewPCG(7, 8))
	checked := 0
	for _, name := range places {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		check := func(at time.Time) {
			for period, label := range label {
				l := mustNew(t, limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: period, Location: loc}, time.Unix(0, 0))
				end := at.Add(l.Take(at, 1).ResetAfter)
				if !end.After(at) || label(end.In(loc)) == label(at.In(loc)) || label(end.Add(-1).In(loc)) != label(at.In(loc)) {
					t.Fatalf("%s, per %v: the period that holds %v ends at %v", name, period, at.In(loc), end.In(loc))
				}
				checked++
			}
		}
		for range 500 {
			check(time.Unix(random.Int64N(60*365*24*3600), 0))
		}
		// About every change of the offset, from day before to day after.
		for at := time.Unix(0, 0); ; {
			_, next := at.In(loc).ZoneBounds()
			if next.IsZero() || next.Year() > 2030 {
				break
			}
			for _, d := range []time.Duration{-25 * time.Hour, -90 * time.Minute, -time.Minute, -1, 0, 1, 20 * time.Minute, 40 * time.Minute, 25 * time.Hour} {
				check(next.Add(d))
			}
			at = next
		}
	}
	if checked < 1000 {
		t.Errorf("only %d periods checked", checked)
	}
}

// TestDayThatIsShownTwice covers the one oddity that dates cannot tell: in St.
// John's summer time ended a minute past midnight, so 25 October 1987 began,
// and a minute later it was 23:01 of the 24th again. The day has begun then and
// does not end again.
func TestDayThatIsShownTwice(t *testing.T) {
	loc, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		t.Fatal(err)
	}
	p := limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay, Location: loc}
	l := mustNew(t, p, time.Unix(0, 0))
	utc := func(day, hour, minute int) time.Time {
		return time.Date(1987, 10, day, hour, minute, 0, 0, time.UTC)
	}
	end := utc(26, 3, 30) // midnight of the 26th, 3:30 behind UTC
	for _, c := range []struct {
		at      time.Time
		local   string
		allowed bool
		end     time.Time
	}{
		{utc(25, 2, 29), "24 23:59 NDT", true, utc(25, 2, 30)},
		{utc(25, 2, 30), "25 00:00 NDT", true, end},
		{utc(25, 2, 31), "24 23:01 NST", false, end},
		{utc(25, 3, 30), "25 00:00 NST", false, end},
	} {
		if got := c.at.In(loc).Format("02 15:04 MST"); got != c.local {
			t.Fatalf("%v is %s there, want %s", c.at, got, c.local)
		}
		if d := l.Take(c.at, 1); d.Allowed != c.allowed || !c.at.Add(d.ResetAfter).Equal(c.end) {
			t.Errorf("at %s: %+v, want allowed %v and reset at %v", c.local, d, c.allowed, c.end)
		}
		if d := mustNew(t, p, c.at).Take(c.at, 1); !c.at.Add(d.ResetAfter).Equal(c.end) {
			t.Errorf("new at %s: %+v, want reset at %v", c.local, d, c.end)
		}
	}
}
