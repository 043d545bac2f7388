package pace

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Profile is one load of a run, as it is asked for by profile(…) in a scenario,
// by weir.Profile in Go, or by --profile: all three mean the same. Texts have the
// form of the flags of "weir run" with these names; "" and 0 are what is not given.
type Profile struct {
	Name    string   // for people; of a profile without Classes, also the class of that name, when there is one
	Classes []string // only users of these classes; none: of all

	Start   string // after the start of the run
	RunTime string // after Start

	Users     int
	SpawnRate string
	Rate      string // arrivals instead of users
	Stages    string // users or arrivals in stages
	Shape     Shape  // users or arrivals as a function of the time since Start
	MaxUsers  int    // of arrivals
	Requests  int64  // it ends after so many

	WarmUp string // of the run: how long load is sent before it counts
}

// profileKeys are the words of ParseProfile.
var profileKeys = []string{"classes", "start", "for", "users", "spawn", "rate", "stages", "max-users", "requests"}

// ParseProfile reads a profile in one line: a name and a colon, which may be left
// out, and the rest as key=value with commas between them:
//
//	Admin: users=10, spawn=5, start=15s, for=1m
//	rate=1000/h, classes=Clerk,Admin
//	ramp: stages=0..300:30s,300:1m
//
// A value may have commas in it. The keys are those of the flags: users, spawn
// (or spawn-rate), rate, stages, max-users, requests, start, for (or run-time),
// and classes. An error is a *ParseError.
func ParseProfile(s string) (Profile, error) {
	p := parser{what: "profile", s: s}
	var out Profile
	p.space()
	if name, rest, ok := strings.Cut(s, ":"); ok && !strings.Contains(name, "=") {
		out.Name = strings.TrimSpace(name)
		p.i = len(s) - len(rest)
		if out.Name == "" {
			p.fail(0, "a name is missing before the colon")
		}
	}
	var seen []string
	for p.err == nil {
		p.space()
		at := p.i
		key := p.key()
		if p.err != nil {
			break
		}
		if slices.Contains(seen, key) {
			p.fail(at, "%s is given twice", key)
			break
		}
		seen = append(seen, key)
		from := p.i
		value := p.value()
		p.set(&out, key, value, from)
		if p.i >= len(s) {
			break
		}
		p.i++ // the comma
	}
	if p.err == nil {
		p.i = len(s)
		p.consistent(&out)
	}
	if p.err != nil {
		return Profile{}, p.err
	}
	return out, nil
}

// key reads "users=" and returns the flag it means.
func (p *parser) key() string {
	start := p.i
	word := p.s[start:keyEnd(p.s, start)]
	p.i += len(word)
	p.space()
	if !p.take("=") {
		p.fail(p.i, "want one of %s, then = and its value", strings.Join(profileKeys, ", "))
		return ""
	}
	switch strings.ReplaceAll(word, "_", "-") {
	case "spawn-rate":
		return "spawn"
	case "run-time":
		return "for"
	case "class":
		return "classes"
	case "max-users":
		return "max-users"
	}
	if !slices.Contains(profileKeys, word) {
		p.fail(start, "%q is nothing that a profile has: there are %s", excerpt(word, 1), strings.Join(profileKeys, ", "))
	}
	return word
}

// keyEnd returns where the word at i ends.
func keyEnd(s string, i int) int {
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] == '-' || s[i] == '_') {
		i++
	}
	return i
}

// value reads up to a comma after which another key=value begins, or to the end.
func (p *parser) value() string {
	start := p.i
	for ; p.i < len(p.s); p.i++ {
		if p.s[p.i] != ',' {
			continue
		}
		k := p.i + 1
		for k < len(p.s) && (p.s[k] == ' ' || p.s[k] == '\t') {
			k++
		}
		end := keyEnd(p.s, k)
		rest := strings.TrimLeft(p.s[end:], " \t")
		if end > k && strings.HasPrefix(rest, "=") || k == len(p.s) {
			break
		}
	}
	return strings.TrimSpace(p.s[start:p.i])
}

func (p *parser) set(out *Profile, key, value string, at int) {
	if p.err != nil {
		return
	}
	if value == "" {
		p.fail(at, "%s has no value", key)
		return
	}
	var err error
	whole := func(most int64) int64 {
		n, bad := strconv.ParseInt(value, 10, 64)
		if bad != nil || n < 1 || n > most {
			err = fmt.Errorf("want a whole number from 1 to %d", most)
		}
		return n
	}
	switch key {
	case "classes":
		for _, c := range strings.Split(value, ",") {
			out.Classes = append(out.Classes, strings.TrimSpace(c))
		}
	case "start":
		out.Start = value
		_, err = ParseDuration(value)
	case "for":
		out.RunTime = value
		_, err = positive(value)
	case "users":
		out.Users = int(whole(maxShapeUsers))
	case "spawn":
		out.SpawnRate = value
		_, err = ParseSpawn(value)
	case "rate":
		out.Rate = value
		_, err = ParseRate(value)
	case "stages":
		out.Stages = value
		err = checkStages(value)
	case "max-users":
		out.MaxUsers = int(whole(maxShapeUsers))
	case "requests":
		out.Requests = whole(1 << 53)
	}
	if err != nil {
		p.fail(at, "%s: %v", key, err)
	}
}

func checkStages(text string) (err error) {
	if IsRateStages(text) {
		_, err = ParseStages(text)
	} else {
		_, err = ParseLevel(text)
	}
	return err
}

func positive(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("%q is no time at all", text)
	}
	return d, err
}

// ParseSpawn reads how fast users start: a rate, or a number of users per second.
func ParseSpawn(text string) (Rate, error) {
	if !strings.Contains(text, "/") {
		text = strings.TrimSpace(text) + "/s"
	}
	r, err := ParseRate(text)
	if err == nil && r.IsZero() {
		err = fmt.Errorf("a spawn rate of zero starts nobody; leave it out to start all at once")
	}
	return r, err
}

func (p *parser) consistent(out *Profile) {
	if reason := out.Check(); reason != nil {
		p.fail(p.i, "%v", reason)
	}
}

// Check returns what is wrong with the texts or with their being together.
func (p *Profile) Check() error {
	var given []string
	for _, x := range []struct {
		name string
		is   bool
	}{{"users", p.Users != 0}, {"rate", p.Rate != ""}, {"stages", p.Stages != ""}, {"shape", p.Shape != nil}} {
		if x.is {
			given = append(given, x.name)
		}
	}
	if len(given) > 1 {
		return fmt.Errorf("%s each say how much load there is: keep one", strings.Join(given, " and "))
	}
	if p.Users < 0 || p.Users > maxShapeUsers || p.MaxUsers < 0 || p.MaxUsers > maxShapeUsers || p.Requests < 0 {
		return fmt.Errorf("users and max_users are from 0 to %d, requests not negative", maxShapeUsers)
	}
	if p.SpawnRate != "" {
		if _, err := ParseSpawn(p.SpawnRate); err != nil {
			return fmt.Errorf("spawn_rate: %w", err)
		}
		if p.Rate != "" || p.Stages != "" || p.Shape != nil {
			return fmt.Errorf("spawn_rate says how fast users start, and belongs to users")
		}
	}
	if p.Rate != "" {
		if r, err := ParseRate(p.Rate); err != nil {
			return fmt.Errorf("rate: %w", err)
		} else if r.IsZero() {
			return fmt.Errorf("rate is zero")
		}
	}
	if p.Stages != "" {
		if err := checkStages(p.Stages); err != nil {
			return fmt.Errorf("stages: %w", err)
		}
	}
	for _, x := range []struct {
		name, text string
		zero       bool
	}{{"start", p.Start, true}, {"run_time", p.RunTime, false}, {"warm_up", p.WarmUp, true}} {
		if x.text == "" {
			continue
		}
		d, err := ParseDuration(x.text)
		if err == nil && d == 0 && !x.zero {
			err = fmt.Errorf("%q is no time at all", x.text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	if p.MaxUsers > 0 && (p.Users > 0 || p.Stages != "" && !IsRateStages(p.Stages)) {
		return fmt.Errorf("max_users bounds the users of a rate; here their number is given")
	}
	return nil
}

// Load reports whether the profile says how much load there is, and not only
// when or for whom.
func (p *Profile) Load() bool {
	return p.Users > 0 || p.Rate != "" || p.Stages != "" || p.Shape != nil
}
