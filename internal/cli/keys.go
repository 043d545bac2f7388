package cli

import (
	"fmt"
	"os"
	"sync"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/report"
)

// keySteps are the keys that change the load while it runs, as Locust has them.
var keySteps = map[byte]int{'w': +1, 'W': +10, 's': -1, 'S': -10}

// listen lets a person at the terminal change the load by keys until restore is
// called, which may be done again. Elsewhere it does nothing.
func (x *execution) listen(engine *load.Engine) (restore func()) {
	in, ok := x.session.stdin.(*os.File)
	if !x.keys || !ok {
		return func() {}
	}
	if tty, _ := isTerminal(in); !tty {
		return func() {}
	}
	k := openKeys(in)
	if k == nil {
		return func() {}
	}
	tty, _ := isTerminal(x.session.stderr)
	live := report.DetectMode(tty && x.out.Progress != "plain", x.session.getenv).Redraw && x.out.Progress != "none" && !x.out.Quiet
	go k.read(func(key byte) {
		step, ok := keySteps[key]
		if !ok {
			return
		}
		// The live display shows the users; anything else is told.
		text := engine.Nudge(step)
		if text == "" {
			return
		}
		switch {
		case x.locust != nil:
			x.locust.nudged(step)
		case !live && !x.out.Quiet:
			fmt.Fprintf(x.session.stderr, "weir: %s\n", text)
		}
		if x.python != nil {
			x.python.bridge.Nudged(step)
		}
	})
	var once sync.Once
	return func() { once.Do(k.close) }
}
