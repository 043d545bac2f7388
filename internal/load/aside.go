package load

import "runtime"

// Aside runs f on a goroutine of its own and waits for it. A panic of f, and
// runtime.Goexit in it, go on on the caller's goroutine.
//
// A user is a goroutine, and a goroutine's stack stays as large as it ever was
// until it has been collected a few times: sending the first request of a script
// needs 16 KB of it, waiting for the next task less than 4 KB. What f needs is
// given back when f returns, so that a thousand users who mostly wait need the
// large stacks of the few who do not. It costs a microsecond or two.
func Aside(f func()) {
	done := make(chan any) // unbuffered: the stack is free for the next one
	go func() {
		var end any = ended{}
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(leave); ok {
					end = r
				} else {
					end = relayed{r, panicSite()}
				}
			}
			done <- end
		}()
		f()
		end = nil
	}()
	switch end := (<-done).(type) {
	case nil:
	case ended:
		runtime.Goexit()
	default:
		panic(end)
	}
}

// ended tells that a function ended its goroutine.
type ended struct{}

// relayed is a panic that began on another goroutine.
type relayed struct {
	value any
	site  string
}
