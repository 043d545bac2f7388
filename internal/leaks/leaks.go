// Package leaks ends a package's tests with a look for goroutines that were left
// behind; Find is what looks. Only tests import it.
//
// goleak alone gives goroutines that are about to end less than half a second. On a
// machine that is busy with other tests that is not enough for a connection to notice
// that it was closed, so this asks again for a while. What was really left behind is
// still there after that.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end once the tests are through.
const patience = 20 * time.Second

// Find returns an error that lists the goroutines still there after 20 s, and nil as
// soon as there are none. It is not for tests that run in parallel with others.
func Find(options ...goleak.Option) error { return find(patience, options...) }

func find(patience time.Duration, options ...goleak.Option) error {
	for begin := time.Now(); ; {
		err := goleak.Find(options...)
		if err == nil || time.Since(begin) >= patience {
			return err
		}
	}
}

// Main runs the tests and exits with their code, or with 1 where they pass and leave
// goroutines behind: func TestMain(m *testing.M) { leaks.Main(m) }.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := Find(options...); err != nil {
			fmt.Fprintf(os.Stderr, "leaks: goroutines left behind: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}
