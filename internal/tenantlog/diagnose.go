package tenantlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Diagnosis says which limits a tenant met, who met them, and how early the log
// warned: what seed report 001 does by hand.
type Diagnosis struct {
	Entries int            `json:"entries"` // without doubles
	From    *time.Time     `json:"from"`
	To      *time.Time     `json:"to"`
	Types   map[string]int `json:"types"` // of entries about limits
	Other   map[string]int `json:"other_types"`

	Buckets []BucketDiagnosis `json:"buckets"` // that refused most entries first
	Burst   *BurstDiagnosis   `json:"performance_burst"`
}

// BucketDiagnosis is about one bucket.
type BucketDiagnosis struct {
	Name         string        `json:"name"`
	Warnings     int           `json:"warnings"` // entries
	Limited      int           `json:"limited"`  // entries
	FirstWarning *time.Time    `json:"first_warning"`
	FirstLimited *time.Time    `json:"first_limited"`
	Stretches    []Stretch     `json:"stretches"` // in which it refused
	Clients      []ClientCount `json:"clients"`   // that brought entries, most first
	Paths        []PathCount   `json:"requests"`
}

// Stretch is a time in which a bucket refused. An entry is written at once and then
// each minute while it lasts: it went on for at least AtLeast, and for less than a
// minute longer.
type Stretch struct {
	From    time.Time `json:"from"`
	Entries int       `json:"entries"`
	AtLeast float64   `json:"at_least_seconds"`
	AtMost  float64   `json:"at_most_seconds"`

	// Warned is how long before it the log began to warn; nil when it did not.
	Warned *float64 `json:"warned_before_seconds"`
}

// ClientCount is how many entries a client brought.
type ClientCount struct {
	ID      string `json:"client_id"`
	Name    string `json:"client_name"`
	IP      string `json:"ip,omitempty"` // when there is no client
	Entries int    `json:"entries"`
}

// PathCount is how many entries a request brought.
type PathCount struct {
	Request string `json:"request"`
	Entries int    `json:"entries"`
}

// BurstDiagnosis is about the performance burst.
type BurstDiagnosis struct {
	Blocks  int            `json:"blocks"` // appi entries
	Months  map[string]int `json:"blocks_by_month"`
	Most    int            `json:"blocks_a_month"` // there are
	Minutes int            `json:"minutes"`
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
}

// again is when the next entry of something that lasts must have come: after a
// minute, and as long as requests may be apart.
const again = 90 * time.Second

// Diagnose explains the entries of a log, in any order.
func Diagnose(entries []Entry) *Diagnosis {
	d := &Diagnosis{Types: map[string]int{}, Other: map[string]int{}, Buckets: []BucketDiagnosis{}}
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry) int { return a.At().Compare(b.At()) })
	seen := map[string]bool{}
	of := map[string][]*Entry{}
	var names []string
	for i := range sorted {
		e := &sorted[i]
		if id := cmp.Or(e.LogID, e.ID); id != "" {
			if seen[id] {
				continue
			}
			seen[id] = true
		}
		at := e.At()
		if d.Entries++; d.From == nil {
			d.From = &at
		}
		d.To = &at
		switch e.Type {
		case APILimit, APILimitWarning:
			d.Types[e.Type]++
			name := bucketName(e)
			if of[name] == nil {
				names = append(names, name)
			}
			of[name] = append(of[name], e)
		case PerformanceUsed:
			d.Types[e.Type]++
			d.block(at)
		default:
			d.Other[short(e.Type)]++
		}
	}
	for _, name := range names {
		d.Buckets = append(d.Buckets, bucket(name, of[name]))
	}
	slices.SortStableFunc(d.Buckets, func(a, b BucketDiagnosis) int {
		return cmp.Or(cmp.Compare(b.Limited, a.Limited), cmp.Compare(b.Warnings, a.Warnings))
	})
	return d
}

// bucketName is what a description says of the bucket.
func bucketName(e *Entry) string {
	name := strings.TrimSpace(e.Description)
	for _, end := range []string{" limit has been reached", " limit is about to be reached"} {
		if rest, ok := strings.CutSuffix(strings.TrimSuffix(name, "."), end); ok {
			return short(rest)
		}
	}
	if name == "" {
		return "(a bucket without a name)"
	}
	return short(name)
}

func (d *Diagnosis) block(at time.Time) {
	if d.Burst == nil {
		d.Burst = &BurstDiagnosis{First: at, Months: map[string]int{}, Most: int(BurstAllotment / BurstBlock)}
	}
	b := d.Burst
	b.Blocks++
	b.Months[at.UTC().Format("2006-01")]++
	b.Minutes = b.Blocks * int(BurstBlock/time.Minute)
	b.Last = at
}

// bucket explains the entries of one bucket, oldest first.
func bucket(name string, entries []*Entry) BucketDiagnosis {
	b := BucketDiagnosis{Name: name, Stretches: []Stretch{}, Clients: []ClientCount{}, Paths: []PathCount{}}
	clients, paths := map[ClientCount]int{}, map[string]int{}
	var warnedFrom, warnedTo time.Time // of the warnings that go on
	var last time.Time                 // refusal
	for _, e := range entries {
		at := e.At()
		if e.Type == APILimitWarning {
			if b.Warnings++; b.FirstWarning == nil {
				b.FirstWarning = &at
			}
			if warnedTo.IsZero() || at.Sub(warnedTo) > again {
				warnedFrom = at
			}
			warnedTo = at
			continue
		}
		if b.Limited++; b.FirstLimited == nil {
			b.FirstLimited = &at
		}
		n := len(b.Stretches)
		if n == 0 || at.Sub(last) > again {
			s := Stretch{From: at}
			if !warnedTo.IsZero() && at.Sub(warnedTo) <= again {
				w := at.Sub(warnedFrom).Seconds()
				s.Warned = &w
			}
			b.Stretches = append(b.Stretches, s)
			n++
		}
		last = at
		s := &b.Stretches[n-1]
		s.Entries++
		s.AtLeast = at.Sub(s.From).Seconds()
		s.AtMost = s.AtLeast + time.Minute.Seconds()
		who := ClientCount{ID: short(e.ClientID), Name: short(e.ClientName)}
		if who.ID == "" && who.Name == "" {
			who.IP = short(e.IP)
		}
		clients[who]++
		if r := request(e); r != "" {
			paths[r]++
		}
	}
	for c, n := range clients {
		c.Entries = n
		b.Clients = append(b.Clients, c)
	}
	slices.SortFunc(b.Clients, func(x, y ClientCount) int {
		return cmp.Or(cmp.Compare(y.Entries, x.Entries), cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID), cmp.Compare(x.IP, y.IP))
	})
	for p, n := range paths {
		b.Paths = append(b.Paths, PathCount{p, n})
	}
	slices.SortFunc(b.Paths, func(x, y PathCount) int {
		return cmp.Or(cmp.Compare(y.Entries, x.Entries), cmp.Compare(x.Request, y.Request))
	})
	return b
}

// request is the method and path that an entry tells of, "" when it does not.
func request(e *Entry) string {
	r, ok := e.Details["request"].(map[string]any)
	if !ok {
		return ""
	}
	method, _ := r["method"].(string)
	path, _ := r["path"].(string)
	return short(strings.TrimSpace(strings.ToUpper(method) + " " + path))
}

// Sentences say the diagnosis in plain words.
func (d *Diagnosis) Sentences() (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if d.Entries == 0 {
		return []string{"The log has no entries."}
	}
	if len(d.Buckets) == 0 && d.Burst == nil {
		add("No limit was met or nearly met in these %d entries.", d.Entries)
	}
	for i := range d.Buckets {
		b := &d.Buckets[i]
		if b.Limited == 0 {
			add("%s: nearly used up, from %s on (warnings: %d), and never refused.", b.Name, clock(*b.FirstWarning), b.Warnings)
			continue
		}
		s := fmt.Sprintf("%s: refused from %s on", b.Name, clock(*b.FirstLimited))
		switch w := b.Stretches[0].Warned; {
		case w != nil && *w > 0:
			s += fmt.Sprintf(", %s after the first warning", length(*w))
		case w != nil:
			s += ", at the instant of the first warning"
		default:
			s += ", without a warning before"
		}
		longest := b.Stretches[0]
		for _, one := range b.Stretches {
			if one.AtLeast > longest.AtLeast {
				longest = one
			}
		}
		if len(b.Stretches) > 1 {
			s += fmt.Sprintf("; in %d stretches, the longest from %s %s", len(b.Stretches), clock(longest.From), lasted(longest))
		} else {
			s += "; " + lasted(longest)
		}
		if c := b.Clients[0]; len(b.Clients) == 1 {
			s += "; " + who(c) + " brought every entry"
		} else {
			s += fmt.Sprintf("; %s brought %d of %d entries", who(c), c.Entries, b.Limited)
		}
		out = append(out, s+".")
	}
	if b := d.Burst; b != nil {
		if b.Blocks == 1 {
			add("The performance burst: one block of 15 minutes was used, from %s on; there are %d a month.", clock(b.First), b.Most)
		} else {
			add("The performance burst: %d blocks of 15 minutes were used, the first at %s, the last at %s; there are %d a month.", b.Blocks, clock(b.First), clock(b.Last), b.Most)
		}
	}
	return out
}

func who(c ClientCount) string {
	switch {
	case c.Name != "" && c.ID != "":
		return "client " + c.Name + " (" + c.ID + ")"
	case c.IP != "":
		return "no client, from " + c.IP + ","
	}
	return "client " + cmp.Or(c.Name, c.ID, "unknown")
}

// lasted says how long a stretch went on.
func lasted(s Stretch) string {
	if s.AtLeast == 0 {
		return "for less than " + length(s.AtMost)
	}
	return "for " + length(s.AtLeast) + " to " + length(s.AtMost)
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000") }

func length(seconds float64) string {
	d := time.Duration(seconds * 1e9)
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
