// Package envoy reads and writes the limits of Envoy's rate limit service, and
// finds them: a Tree gives the policy for a domain and a list of entries as
// github.com/envoyproxy/ratelimit does.
//
// The rules are those of that project at the revision of 2026-01-22
// (3fb702589d36), read 2026-11-21. A limit of its files is a fixed window that
// starts at multiples of the unit since the Unix epoch (a month is 30 days, a
// year 365, a week begins on Thursday), and counts refused requests too.
package envoy

import (
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Units of a rate_limit in the order of their length.
func Units() []Unit {
	const day = 24 * time.Hour
	return []Unit{
		{"second", time.Second}, {"minute", time.Minute}, {"hour", time.Hour}, {"day", day},
		{"week", 7 * day}, {"month", 30 * day}, {"year", 365 * day},
	}
}

// Unit is the span of time that a limit is for.
type Unit struct {
	Name  string // in lower case
	Width time.Duration
}

// UnitNamed returns the one with a name, whatever its case.
func UnitNamed(name string) (Unit, bool) {
	for _, u := range Units() {
		if strings.EqualFold(u.Name, name) {
			return u, true
		}
	}
	return Unit{}, false
}

// UnitOf returns the largest unit that a window is a multiple of, and how many
// of it; false when it is shorter than a second or no multiple of one.
func UnitOf(window time.Duration) (u Unit, times int64, ok bool) {
	for _, candidate := range Units() {
		if window >= candidate.Width && window%candidate.Width == 0 {
			u, times, ok = candidate, int64(window/candidate.Width), true
		}
	}
	return u, times, ok
}

// Counts tells whether a policy counts as a limit of the reference service does.
func Counts(p *limit.Policy) bool {
	return p.Algorithm == limit.FixedWindow && p.Align == limit.AlignClock && p.Phase == 0 && p.Ban == 0 && p.CountDenied
}

// maxRequests is the largest requests_per_unit: the field has 32 bits.
const maxRequests = 1<<32 - 1

// entryName is what an entry is called in a tree: two entries of one name are the
// same to the reference service, even where key and value are divided elsewhere.
func entryName(e policy.DescriptorEntry) string {
	switch {
	case e.Wildcard:
		return e.Key + "_" + e.Value + "*"
	case e.Value == "":
		return e.Key
	}
	return e.Key + "_" + e.Value
}

// valueText is the value as it stands in a configuration.
func valueText(e policy.DescriptorEntry) string {
	if e.Wildcard {
		return e.Value + "*"
	}
	return e.Value
}

// path is what a descriptor is called in messages and statistics.
func path(d *policy.Descriptor) string {
	var b strings.Builder
	b.WriteString(d.Domain)
	for _, e := range d.Entries {
		b.WriteString("." + entryName(e))
	}
	return b.String()
}
