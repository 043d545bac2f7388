// Package tenantlog keeps the log of a tenant as Auth0 does: a Log is told of
// refusals and of buckets that run low, and writes an entry when there is news.
//
// What is news is seed report 001 and "Rate Limit Use Cases" (auth0.com/docs/
// troubleshoot/customer-support/operational-policies/rate-limit-policy/
// rate-limit-use-cases, read 2026-11-21):
//
//   - api_limit: at once when the limit of a bucket is exceeded; again when it is
//     still exceeded a minute later; for each bucket by itself.
//   - api_limit_warning: likewise, when 80 % of a bucket are used.
//   - appi: when a tenant with the performance burst goes over its sustained
//     limit and so begins a 15-minute block of its 48 hours; again when it is over
//     it in the next block.
//
// The shape of entries is that of the Management API's logs. Nothing secret gets
// into one: no query, no body, no header but User-Agent.
package tenantlog

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weir-dev/weir/limit"
)

// The types of entries that a Log writes.
const (
	APILimit        = "api_limit"
	APILimitWarning = "api_limit_warning"
	PerformanceUsed = "appi"
)

// Options are the settings of a Log. The zero value keeps 10,000 entries.
type Options struct {
	Tenant, Environment, Hostname string // as entries tell them; may be empty

	// Keep is how many entries are kept, the newest; zero means 10,000.
	Keep int

	// Again is how long after an entry there is another one of the same type and
	// bucket, if it lasts; zero means a minute.
	Again time.Duration

	// Buckets is how many buckets are remembered; zero means 100,000. News of
	// further ones is written each time.
	Buckets int

	// Lines, when not nil, gets every entry as one line of JSON, in order. A
	// failure is counted and ends nothing.
	Lines io.Writer

	// Sink, when not nil, gets every entry, in order, while the log is locked: it
	// must be quick, and must not call the Log.
	Sink func(Entry)
}

// Log is the log of one tenant. It is safe for concurrent use.
type Log struct {
	o Options

	mu      sync.Mutex // guards all below
	entries []Entry    // a ring once it is full
	first   int        // place of the oldest
	written int64      // ever
	failed  int64
	last    time.Time            // of the newest entry
	told    map[news]time.Time   // when there was an entry last
	sweep   time.Time            // when told may be looked through again
	blocks  map[string]*Allotted // by bucket
}

// news is what has its entries by itself.
type news struct{ kind, bucket string }

// New returns an empty log.
func New(o Options) *Log {
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Again <= 0 {
		o.Again = time.Minute
	}
	if o.Buckets <= 0 {
		o.Buckets = 100_000
	}
	return &Log{o: o, told: map[news]time.Time{}, blocks: map[string]*Allotted{}}
}

// Bucket is one limit with its count.
type Bucket struct {
	ID   string // different for each count
	Name string // what a description calls it, such as "Global"
}

// Request is what an entry tells of the request that brought the news.
type Request struct {
	Method, Path         string // Path without the query; a template such as /api/v2/clients/{id} is best
	ClientID, ClientName string
	UserID               string
	IP, UserAgent        string
}

// Decided tells the log what a bucket said at an instant: a refusal is an
// api_limit, a decision with Warn an api_limit_warning, if they are news. It
// reports what was written.
func (l *Log) Decided(at time.Time, b Bucket, d limit.Decision, r Request) (limited, warned bool) {
	if d.Allowed && !d.Warn {
		return false, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !d.Allowed && l.due(news{APILimit, b.ID}, at) {
		limited = true
		l.add(l.entry(at, APILimit, b.Name+" limit has been reached", r))
	}
	if d.Warn && l.due(news{APILimitWarning, b.ID}, at) {
		warned = true
		l.add(l.entry(at, APILimitWarning, b.Name+" limit is about to be reached", r))
	}
	return limited, warned
}

// due tells whether there is to be an entry, and remembers that there was.
func (l *Log) due(n news, at time.Time) bool {
	if before, ok := l.told[n]; ok && at.Sub(before) < l.o.Again {
		return false
	}
	if len(l.told) >= l.o.Buckets && !at.Before(l.sweep) {
		l.sweep = at.Add(time.Second) // looking at all of them takes a while
		for other, before := range l.told {
			if at.Sub(before) >= l.o.Again {
				delete(l.told, other)
			}
		}
	}
	if len(l.told) < l.o.Buckets {
		l.told[n] = at
	}
	return true
}

// entry makes an entry without its ids.
func (l *Log) entry(at time.Time, kind, description string, r Request) Entry {
	e := Entry{
		Date: Date(at), Type: kind, Description: description,
		ClientID: short(r.ClientID), ClientName: short(r.ClientName), UserID: short(r.UserID),
		IP: short(r.IP), UserAgent: short(r.UserAgent),
		Hostname: l.o.Hostname, TenantName: l.o.Tenant, EnvironmentName: l.o.Environment,
		at: at,
	}
	if r.Method != "" || r.Path != "" {
		e.Details = map[string]any{
			"request":  map[string]any{"method": strings.ToLower(short(r.Method)), "path": short(r.Path)},
			"response": map[string]any{},
		}
	}
	return e
}

// maxText is how much of a client's text an entry holds, in bytes.
const maxText = 256

func short(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// Add writes an entry of the caller's: its Type, Description and whatever else
// is set. Date and the ids are given by the log.
func (l *Log) Add(at time.Time, e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Date, e.at = Date(at), at
	l.add(e)
}

// add keeps an entry and gives it its ids. mu is held.
func (l *Log) add(e Entry) {
	if e.at.Before(l.last) {
		e.at = l.last // ids are in the order of writing, whatever the clock does
	}
	l.last = e.at
	l.written++
	e.LogID = id(e.at, l.written)
	e.ID = e.LogID
	if len(l.entries) < l.o.Keep {
		l.entries = append(l.entries, e)
	} else {
		l.entries[l.first] = e
		l.first = (l.first + 1) % len(l.entries)
	}
	if l.o.Lines != nil {
		line, err := json.Marshal(e)
		if err == nil {
			_, err = l.o.Lines.Write(append(line, '\n'))
		}
		if err != nil {
			l.failed++
		}
	}
	if l.o.Sink != nil {
		l.o.Sink(e)
	}
}

// id is a log_id: 56 digits that sort as the entries do, of the form seen in
// auth0/auth0-deploy-cli issue 500: 900, the time in UTC to the millisecond, and
// digits that make it unique.
func id(at time.Time, n int64) string {
	at = at.UTC()
	return fmt.Sprintf("900%s%03d%036d", at.Format("20060102150405"), at.Nanosecond()/int(time.Millisecond), n)
}

// Stats is what a Log has done.
type Stats struct {
	Written int64 // entries ever
	Kept    int   // that can be read
	Failed  int64 // lines that could not be written
}

// Stats returns the figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Written: l.written, Kept: len(l.entries), Failed: l.failed}
}

// snapshot returns the entries kept, oldest first.
func (l *Log) snapshot() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Entry, 0, len(l.entries))
	return append(append(out, l.entries[l.first:]...), l.entries[:l.first]...)
}
