package load

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// otherName is the row of every name over the cap.
const otherName = 0

// label is how a request is grouped.
type label struct{ method, name string }

// names numbers labels from 1 in the order in which they were first seen, up to
// a cap. Looking up a known label takes no lock.
type names struct {
	limit int
	table atomic.Pointer[nameTable]
	mu    sync.Mutex
}

// nameTable is never changed once published. A new label copies recent only;
// when that is full it is merged into settled, so that n labels cost about
// n²/recentNames copies and not n².
type nameTable struct {
	settled map[label]int
	recent  map[label]int
	labels  []label // by number
}

const recentNames = 64

func newNames(limit int) *names {
	n := &names{limit: limit}
	n.table.Store(&nameTable{labels: []label{{name: tally.Other}}})
	return n
}

func (t *nameTable) find(l label) (int, bool) {
	if i, ok := t.recent[l]; ok {
		return i, true
	}
	i, ok := t.settled[l]
	return i, ok
}

// index returns the number of l, or otherName when l is new and the cap is reached.
func (n *names) index(l label) int {
	t := n.table.Load()
	if i, ok := t.find(l); ok {
		return i
	}
	if len(t.labels) > n.limit {
		return otherName
	}
	return n.add(l)
}

func (n *names) add(l label) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.table.Load()
	if i, ok := t.find(l); ok {
		return i
	}
	i := len(t.labels)
	if i > n.limit {
		return otherName
	}
	// The strings may be parts of something large or short-lived.
	l = label{strings.Clone(l.method), strings.Clone(l.name)}
	next := &nameTable{settled: t.settled, recent: make(map[label]int, len(t.recent)+1)}
	maps.Copy(next.recent, t.recent)
	next.recent[l] = i
	// Subtle: append may write into the array that t.labels shares, behind its
	// end, where no reader of t looks; mu makes sure it is written once.
	next.labels = append(t.labels, l)
	if len(next.recent) >= recentNames {
		next.settled = make(map[label]int, len(t.settled)+len(next.recent))
		maps.Copy(next.settled, t.settled)
		maps.Copy(next.settled, next.recent)
		next.recent = nil
	}
	n.table.Store(next)
	return i
}

// label returns the label with number i.
func (n *names) label(i int) label { return n.table.Load().labels[i] }

// labelOf returns how req is grouped.
func labelOf(req *hit.Request) label {
	l := label{req.Method, req.Name}
	if l.method == "" {
		l.method = "GET"
	}
	if l.name == "" {
		l.name = pathOf(req.URL)
	}
	return l
}

// pathOf returns the path of an absolute URL as it is written, without
// allocating: parsing it is the sender's business.
func pathOf(url string) string {
	if i := strings.Index(url, "://"); i >= 0 {
		url = url[i+len("://"):]
	}
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	if i := strings.IndexByte(url, '/'); i >= 0 {
		return url[i:]
	}
	return "/"
}

// nameCache remembers the labels that one user met last.
type nameCache struct {
	entries [4]nameEntry
	next    uint8
}

type nameEntry struct {
	method, name, url string // as in the request
	index             int32  // plus one; 0: empty entry
}

// index is names.index through the cache.
func (c *nameCache) index(n *names, req *hit.Request) int {
	for i := range c.entries {
		e := &c.entries[i]
		// The URL decides only when there is no name.
		if e.index != 0 && e.name == req.Name && e.method == req.Method && (e.name != "" || e.url == req.URL) {
			return int(e.index) - 1
		}
	}
	i := n.index(labelOf(req))
	if i == otherName {
		return i // a flood of new names must not push out the known ones
	}
	c.entries[c.next] = nameEntry{req.Method, req.Name, req.URL, int32(i) + 1}
	c.next = (c.next + 1) % uint8(len(c.entries))
	return i
}
