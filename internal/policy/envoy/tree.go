package envoy

import (
	"strings"

	"github.com/weir-dev/weir/internal/policy"
)

// Entry is one key and value of a descriptor in a request.
type Entry struct{ Key, Value string }

// Tree finds the policy for the entries of a request. It does not change, and is
// safe for concurrent use. The zero value knows no domain.
type Tree struct{ domains map[string]*node }

// node is what is configured for one entry below another.
type node struct {
	policy    int // index in the file, -1 for none
	share     bool
	name      string // of the entry
	children  map[string]*node
	wildcards []wildcard // in the order of the file
}

type wildcard struct {
	prefix string
	node   *node
}

// NewTree returns the tree of the policies of a file that have a descriptor. Of
// two with the same one the first counts.
func NewTree(f *policy.File) *Tree {
	t := &Tree{domains: map[string]*node{}}
	for i := range f.Policies {
		d := f.Policies[i].Descriptor
		if d == nil {
			continue
		}
		at := t.domains[d.Domain]
		if at == nil {
			at = &node{policy: -1}
			t.domains[d.Domain] = at
		}
		for _, e := range d.Entries {
			at = at.child(e)
		}
		if at.policy < 0 && d.Mode != policy.DescriptorExempt {
			at.policy = i
		}
	}
	return t
}

// child returns the node of an entry, made when there is none.
func (n *node) child(e policy.DescriptorEntry) *node {
	name := entryName(e)
	if next := n.children[name]; next != nil {
		next.share = next.share || e.Share
		return next
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	next := &node{policy: -1, share: e.Share, name: name}
	n.children[name] = next
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		n.wildcards = append(n.wildcards, wildcard{prefix, next})
	}
	return next
}

// Knows tells whether a domain is configured.
func (t *Tree) Knows(domain string) bool { return t.domains[domain] != nil }

// Find returns the index of the policy for a descriptor, and the key that it is
// counted by. At each level the entry of this key and value is taken, else the
// first with a star that its beginning matches, else that of the key alone. ok is
// false when the levels end before the entries do, or the last one has no limit.
func (t *Tree) Find(domain string, entries []Entry) (index int, key string, ok bool) {
	at := t.domains[domain]
	if at == nil || len(entries) == 0 {
		return 0, "", false
	}
	var shared []string // for each entry the pattern it is counted by, "" for its value; nil when all are
	for i, e := range entries {
		name := e.Key + "_" + e.Value
		next := at.children[name]
		if next == nil {
			if next = at.star(name); next != nil && next.share {
				if shared == nil {
					shared = make([]string, len(entries))
				}
				shared[i] = strings.TrimPrefix(next.name, e.Key+"_")
			}
		}
		if next == nil {
			next = at.children[e.Key]
		}
		if next == nil {
			return 0, "", false
		}
		at = next
	}
	if at.policy < 0 {
		return 0, "", false
	}
	return at.policy, counterKey(domain, entries, shared), true
}

// star returns the first node with a star that matches.
func (n *node) star(name string) *node {
	for _, w := range n.wildcards {
		if strings.HasPrefix(name, w.prefix) {
			return w.node
		}
	}
	return nil
}

// Key returns what a descriptor of a request is counted by when no policy of the
// file says otherwise: for a limit that the request brings along.
func Key(domain string, entries []Entry) string { return counterKey(domain, entries, nil) }

func counterKey(domain string, entries []Entry, shared []string) string {
	size := len(domain)
	for _, e := range entries {
		size += len(e.Key) + len(e.Value) + 2
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(domain)
	for i, e := range entries {
		value := e.Value
		if shared != nil && shared[i] != "" {
			value = shared[i]
		}
		b.WriteByte('_')
		b.WriteString(e.Key)
		b.WriteByte('_')
		b.WriteString(value)
	}
	return b.String()
}
