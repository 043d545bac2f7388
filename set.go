package weir

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// pick returns the next task; n is how many were picked before.
func (s *set) pick(n int, u *User) *task {
	if s.inOrder {
		return &s.tasks[n%len(s.tasks)]
	}
	if len(s.tasks) == 1 {
		return &s.tasks[0]
	}
	return s.draw(u.Rand())
}

func (s *set) draw(r *rand.Rand) *task {
	x := r.Int64N(s.total)
	i := 0
	for x -= s.tasks[0].weight; x >= 0; x -= s.tasks[i].weight {
		i++
	}
	return &s.tasks[i]
}

// filter returns the set without what the tags exclude, nil when nothing is
// left. inherited are the tags of what is around it.
func (s *set) filter(only, without, inherited []string) *set {
	own := slices.Concat(inherited, s.tags)
	kept := *s
	kept.tasks, kept.total = nil, 0
	for _, t := range s.tasks {
		tags := slices.Concat(own, t.tags)
		if t.sub != nil {
			if t.sub = t.sub.filter(only, without, tags); t.sub != nil {
				kept.add(t)
			}
		} else if (len(only) == 0 || overlap(only, tags)) && !overlap(without, tags) {
			kept.add(t)
		}
	}
	if len(kept.tasks) == 0 {
		return nil
	}
	return &kept
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(t string) bool { return slices.Contains(b, t) })
}

func (s *set) collectTags(into map[string]bool) {
	for _, t := range s.tags {
		into[t] = true
	}
	for _, t := range s.tasks {
		for _, g := range t.tags {
			into[g] = true
		}
		if t.sub != nil {
			t.sub.collectTags(into)
		}
	}
}

// describe returns the classes with their share of the users, and their tasks
// with their share of the runs, as locust --show-task-ratio does.
func (sc *scenario) describe() string {
	var b strings.Builder
	var weights int64
	for _, k := range sc.classes {
		if k.fixed == 0 {
			weights += k.weight
		}
	}
	b.WriteString("Users\n")
	for _, k := range sc.classes {
		share := fmt.Sprintf("%5.1f%%", 100*float64(k.weight)/float64(max(weights, 1)))
		if k.fixed > 0 {
			share = fmt.Sprintf("%6d", k.fixed)
		}
		fmt.Fprintf(&b, "  %s  %s", share, k.name)
		if k.wait.text != "" {
			fmt.Fprintf(&b, "  wait: %s", k.wait)
		}
		if k.host != "" {
			fmt.Fprintf(&b, "  host: %s", k.host)
		}
		b.WriteByte('\n')
		k.set.describe(&b, "          ")
	}
	return b.String()
}

func (s *set) describe(b *strings.Builder, indent string) {
	for i, t := range s.tasks {
		share := fmt.Sprintf("%5.1f%%", 100*float64(t.weight)/float64(s.total))
		if s.inOrder {
			share = fmt.Sprintf("%5d.", i+1)
		}
		fmt.Fprintf(b, "%s%s  %s", indent, share, t.name)
		if len(t.tags) > 0 {
			fmt.Fprintf(b, "  tags: %s", strings.Join(t.tags, ", "))
		}
		b.WriteByte('\n')
		if t.sub != nil {
			t.sub.describe(b, indent+"        ")
		}
	}
}
