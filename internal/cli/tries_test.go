package cli

import (
	"fmt"
	"strings"
	"testing"
)

// differences are what a comparison found.
type differences struct{ list []string }

func (d *differences) Errorf(format string, args ...any) {
	d.list = append(d.list, fmt.Sprintf(format, args...))
}

// tries makes a measurement that a machine without a free CPU can spoil, up to three
// times: it fails when each of them found differences. What is wrong is so each time.
func tries(t *testing.T, measure func(found *differences)) {
	t.Helper()
	for try := 1; ; try++ {
		found := &differences{}
		measure(found)
		text := strings.Join(found.list, "\n")
		switch {
		case len(found.list) == 0:
			return
		case try == 3:
			t.Errorf("three times, the last: %s", text)
			return
		}
		t.Logf("try %d: %s", try, text)
	}
}
