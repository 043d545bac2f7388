package cloudwatch

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// muteRule keeps alarms from acting for a time (API reference, PutAlarmMuteRule and
// Schedule, read 2026-11).
type muteRule struct {
	name, description      string
	expression, zoneName   string
	durationText           string
	duration               time.Duration
	zone                   *time.Location
	once                   time.Time // of at(); zero: cron
	cron                   *cron
	alarms                 []string
	start, expire, updated time.Time
}

// maxMute and the shortest are the bounds of Duration.
const maxMute = 15 * 24 * time.Hour

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?)?$`)

func (s *Service) putMuteRule(c *wire.Call) (wire.Out, error) {
	schedule := c.In.Struct("Rule").Struct("Schedule")
	r := &muteRule{
		name: c.In.String("Name"), description: c.In.String("Description"), start: c.In.Time("StartDate"), expire: c.In.Time("ExpireDate"),
		expression: schedule.String("Expression"), durationText: schedule.String("Duration"), zoneName: schedule.String("Timezone"),
		alarms: c.In.Struct("MuteTargets").Strings("AlarmNames"), updated: c.Now, zone: time.UTC,
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if r.name == "" || len(r.name) > maxName || len(r.alarms) > 100 {
		return nil, validation("Name must have 1 to 255 characters, and MuteTargets at most 100 alarms.")
	}
	if r.zoneName != "" {
		zone, err := time.LoadLocation(r.zoneName)
		if err != nil {
			return nil, validation("The time zone '%s' is not known.", r.zoneName)
		}
		r.zone = zone
	}
	parts := isoDuration.FindStringSubmatch(r.durationText)
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if parts != nil && parts[i+1] != "" {
			n, _ := strconv.Atoi(parts[i+1]) // digits
			r.duration += time.Duration(n) * unit
		}
	}
	if r.duration < time.Minute || r.duration > maxMute {
		return nil, validation("The duration '%s' must be in ISO 8601 form, from PT1M to P15D.", r.durationText)
	}
	var err error
	if text, isAt := strings.CutPrefix(r.expression, "at("); isAt {
		r.once, err = time.ParseInLocation("2006-01-02T15:04", strings.TrimSuffix(text, ")"), r.zone)
	} else {
		r.cron, err = parseCron(r.expression)
	}
	if err != nil {
		return nil, validation("The schedule expression '%s' is neither cron(Minutes Hours Day-of-month Month Day-of-week) nor at(yyyy-MM-ddThh:mm).", r.expression)
	}
	s.mutes[r.name] = r
	return nil, nil
}

// active says whether a rule mutes at an instant.
func (r *muteRule) active(at time.Time) bool {
	if at.Before(r.start) || !r.expire.IsZero() && !at.Before(r.expire) {
		return false
	}
	if r.cron == nil {
		return !at.Before(r.once) && at.Before(r.once.Add(r.duration))
	}
	// The latest start within the duration: at most 15 days of minutes, by whole days
	// where none of them fits.
	for t := at.In(r.zone).Truncate(time.Minute); at.Sub(t) < r.duration; {
		if !r.cron.day(t) {
			y, m, d := t.Date()
			t = time.Date(y, m, d, 0, 0, 0, 0, r.zone).Add(-time.Minute)
			continue
		}
		if r.cron.fits(t) {
			return true
		}
		t = t.Add(-time.Minute)
	}
	return false
}

func (r *muteRule) status(now time.Time) string {
	switch {
	case !r.expire.IsZero() && !now.Before(r.expire), r.cron == nil && !now.Before(r.once.Add(r.duration)):
		return "EXPIRED"
	case r.active(now):
		return "ACTIVE"
	}
	return "SCHEDULED"
}

// mutedBy is the name of a rule that mutes an alarm, or "".
func (s *Service) mutedBy(alarm string, at time.Time) string {
	for name, r := range s.mutes {
		if slices.Contains(r.alarms, alarm) && r.active(at) {
			return name
		}
	}
	return ""
}

func (r *muteRule) kind() string {
	if r.cron == nil {
		return "ONE_TIME"
	}
	return "RECURRING"
}

func (s *Service) getMuteRule(c *wire.Call) (wire.Out, error) {
	name := c.In.String("AlarmMuteRuleName")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	r := s.mutes[name]
	if r == nil {
		return nil, wire.Fail(404, "ResourceNotFoundException", "ResourceNotFoundException", "Alarm mute rule "+name+" does not exist")
	}
	schedule := wire.Out{"Expression": r.expression, "Duration": r.durationText}
	if r.zoneName != "" {
		schedule["Timezone"] = r.zoneName
	}
	out := wire.Out{
		"Name": r.name, "AlarmMuteRuleArn": s.arn("alarm-mute-rule", r.name), "Rule": wire.Out{"Schedule": schedule},
		"MuteTargets": wire.Out{"AlarmNames": list(r.alarms)}, "Status": r.status(c.Now), "LastUpdatedTimestamp": r.updated, "MuteType": r.kind(),
	}
	if r.description != "" {
		out["Description"] = r.description
	}
	if !r.start.IsZero() {
		out["StartDate"] = r.start
	}
	if !r.expire.IsZero() {
		out["ExpireDate"] = r.expire
	}
	return out, nil
}

func (s *Service) listMuteRules(c *wire.Call) (wire.Out, error) {
	alarm, statuses, size := c.In.String("AlarmName"), c.In.Strings("Statuses"), int(c.In.Int("MaxRecords"))
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if size <= 0 || size > 100 {
		size = 50
	}
	var names []string
	for name, r := range s.mutes {
		if (alarm == "" || slices.Contains(r.alarms, alarm)) && (len(statuses) == 0 || slices.Contains(statuses, r.status(c.Now))) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	from, to, next, err := page(c, len(names), size)
	if err != nil {
		return nil, err
	}
	rules := []wire.Out{}
	for _, name := range names[from:to] {
		r := s.mutes[name]
		out := wire.Out{"AlarmMuteRuleArn": s.arn("alarm-mute-rule", name), "Status": r.status(c.Now), "MuteType": r.kind(), "LastUpdatedTimestamp": r.updated}
		if !r.expire.IsZero() {
			out["ExpireDate"] = r.expire
		}
		rules = append(rules, out)
	}
	out := wire.Out{"AlarmMuteRuleSummaries": rules}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (s *Service) deleteMuteRule(c *wire.Call) (wire.Out, error) {
	name := c.In.String("AlarmMuteRuleName")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	delete(s.mutes, name)
	return nil, nil
}

// cron is a schedule of five fields, each a set of numbers.
type cron struct{ minute, hour, dom, month, dow uint64 }

func parseCron(text string) (*cron, error) {
	inner, ok := strings.CutPrefix(text, "cron(")
	fields := strings.Fields(strings.TrimSuffix(inner, ")"))
	if !ok || len(fields) != 5 {
		return nil, strconv.ErrSyntax
	}
	months := []string{"", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	days := []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	c := &cron{}
	for i, f := range []struct {
		set       *uint64
		low, high int
		names     []string
	}{{&c.minute, 0, 59, nil}, {&c.hour, 0, 23, nil}, {&c.dom, 1, 31, nil}, {&c.month, 1, 12, months}, {&c.dow, 0, 7, days}} {
		for _, part := range strings.Split(fields[i], ",") {
			low, high, err := f.low, f.high, error(nil)
			if part != "*" {
				a, b, ranged := strings.Cut(part, "-")
				if low, err = cronNumber(a, f.names); err != nil {
					return nil, err
				}
				high = low
				if ranged {
					if high, err = cronNumber(b, f.names); err != nil {
						return nil, err
					}
				}
			}
			if low < f.low || high > f.high || low > high {
				return nil, strconv.ErrRange
			}
			for n := low; n <= high; n++ {
				*f.set |= 1 << n
			}
		}
	}
	if c.dow&(1<<7) != 0 {
		c.dow |= 1
	}
	return c, nil
}

func cronNumber(text string, names []string) (int, error) {
	if i := slices.Index(names, strings.ToUpper(text)); i >= 0 && text != "" {
		return i, nil
	}
	return strconv.Atoi(text)
}

func (c *cron) day(t time.Time) bool {
	return c.dom&(1<<t.Day()) != 0 && c.month&(1<<t.Month()) != 0 && c.dow&(1<<t.Weekday()) != 0
}

func (c *cron) fits(t time.Time) bool {
	return c.day(t) && c.hour&(1<<t.Hour()) != 0 && c.minute&(1<<t.Minute()) != 0
}
