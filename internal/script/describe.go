package script

import (
	"fmt"
	"strings"
)

// Describe returns the classes with their share of the users, and their tasks
// with their share of the runs, as locust --show-task-ratio does. Shares of a
// sequence's tasks are even, whatever takes longer.
func (s *Script) Describe() string {
	var b strings.Builder
	var weights int64
	for _, c := range s.classes {
		if c.fixed == 0 {
			weights += c.weight
		}
	}
	b.WriteString("Users\n")
	for _, c := range s.classes {
		share := fmt.Sprintf("%5.1f%%", 100*float64(c.weight)/float64(max(weights, 1)))
		if c.fixed > 0 {
			share = fmt.Sprintf("%6d", c.fixed)
		}
		fmt.Fprintf(&b, "  %s  %s", share, c.name)
		if c.wait != nil {
			fmt.Fprintf(&b, "  wait_time = %s", c.wait.text)
		}
		if c.host != "" {
			fmt.Fprintf(&b, "  host = %s", c.host)
		}
		b.WriteByte('\n')
		c.tasks.describe(&b, "          ")
	}
	return b.String()
}

func (s *taskSet) describe(b *strings.Builder, indent string) {
	for i, t := range s.tasks {
		share := fmt.Sprintf("%5.1f%%", 100*float64(t.weight)/float64(s.total))
		if s.inOrder {
			share = fmt.Sprintf("%5d.", i+1)
		}
		fmt.Fprintf(b, "%s%s  %s", indent, share, t.name())
		if t.set != nil {
			fmt.Fprintf(b, " (%s)", t.set.kind)
		}
		if len(t.tags) > 0 {
			fmt.Fprintf(b, "  tags: %s", strings.Join(t.tags, ", "))
		}
		b.WriteByte('\n')
		if t.set != nil {
			t.set.describe(b, indent+"        ")
		}
	}
}
