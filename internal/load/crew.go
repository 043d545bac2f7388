package load

import "sync"

// manyUsers is how many users must have failed to start, and none succeeded,
// for the run to be given up; fewer when there are fewer.
const manyUsers = 100

// crew counts the users who are alive.
type crew struct {
	mu     sync.Mutex
	alive  int
	peak   int
	doors  int           // parts that may let users in
	closed bool          // there is none
	atEnd  int           // users alive when load ended
	gone   chan struct{} // closed when it is closed and the last user has left

	limit   int  // most users there can be
	started bool // a user has started
	failed  int  // users that did not
	err     error
}

func newCrew(limit, doors int) *crew {
	return &crew{gone: make(chan struct{}), limit: limit, doors: doors}
}

// join counts a user in. It reports false when nobody may join any more.
func (c *crew) join() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.alive++
	c.peak = max(c.peak, c.alive)
	return true
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive--
	if c.closed && c.alive == 0 {
		close(c.gone)
	}
}

// close is called once by each part: after the last one nobody may join any more.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doors--; c.doors > 0 {
		return
	}
	c.closed = true
	if c.alive == 0 {
		close(c.gone)
	}
}

// report tells how the first attempt of a user to start went. It returns an
// error when it looks as if nobody can.
func (c *crew) report(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.started = true
		return nil
	}
	if c.err == nil {
		c.err = err
	}
	c.failed++
	if c.started || c.failed < min(c.limit, manyUsers) {
		return nil
	}
	return c.err
}

// mark remembers how many users are alive as load ends.
func (c *crew) mark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atEnd = c.alive
}

// count returns the users alive now, those alive when load ended, and the most
// there ever were.
func (c *crew) count() (alive, atEnd, peak int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive, c.atEnd, c.peak
}

// neverStarted returns why no user has started, nil when one has.
func (c *crew) neverStarted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return nil
	}
	return c.err
}
