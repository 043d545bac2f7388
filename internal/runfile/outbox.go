package runfile

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// Parcel is telemetry on its way to a service: what one call to it carries.
type Parcel struct {
	ID       int64  // given by the outbox
	Lane     string // where it goes: the name of a sink, perhaps with "/" and a part of it: "cloudwatch/logs"
	Tick     int    // the latest tick it has something of
	Items    int64  // data, points or log events in it
	Body     []byte // in the form of its sink
	Attempts int    // calls made with it before this one
	Doubtful bool   // an earlier call may have arrived
}

// Fate is what became of a call that carried a parcel.
type Fate uint8

const (
	Returned  Fate = iota // not taken; the same call may succeed later
	Delivered             // taken: the parcel leaves the outbox
	Doubtful              // it may have arrived: there was no answer
	Refused               // it will never be taken as it is
)

// Settlement is the end of one call.
type Settlement struct {
	Fate      Fate
	Throttled bool          // Returned because of a limit
	Reason    string        // one line without secrets; "" when Delivered
	Wire      int64         // bytes of the request, when known
	Took      time.Duration // the call
}

// Delivery is the state of one lane. Counts are of parcels unless said otherwise.
type Delivery struct {
	Lane string

	Waiting, WaitingItems, WaitingBytes    int64 // still to be sent
	Doubtful, DoubtfulItems, DoubtfulBytes int64 // may have arrived, and are kept
	Refused, RefusedItems                  int64 // the service will not have them as they are
	Error                                  string

	Calls          int64 // made, whatever came of them
	Sent, Items    int64 // delivered, and what was in them
	Wire           int64 // bytes of the delivered ones
	Throttled      int64 // calls answered with a limit
	Failed         int64 // other calls that were not taken
	Ambiguous      int64 // calls without an answer, or cut off by the end of the program
	Resent         int64 // parcels sent again although an earlier call may have arrived
	Discarded      int64 // thrown away by hand
	DiscardedItems int64
	Took           time.Duration // of all calls
}

// Left says how many parcels are still in the outbox.
func (d *Delivery) Left() int64 { return d.Waiting + d.Doubtful + d.Refused }

// Outbox is the telemetry in a run file that has not been delivered. Its methods
// are safe for concurrent use.
//
// What is promised: a parcel is in the file until a service has taken it or a
// person has thrown it away; before each call the file says that there is one. So
// after kill -9 every parcel is either delivered, waiting, or known as doubtful.
type Outbox struct {
	mu      *sync.Mutex
	conn    func() *sql.Conn // nil when closed
	path    string
	release func() error
}

// Outbox returns the outbox of the file that is being written, and keeps others
// from sending from it until it is closed. It ends with the Writer.
func (w *Writer) Outbox() (*Outbox, error) {
	free, err := guard(w.path)
	if err != nil {
		return nil, fmt.Errorf("open the outbox of %s: %w", w.path, explain(err))
	}
	return &Outbox{mu: &w.mu, conn: func() *sql.Conn { return w.conn }, path: w.path, release: free}, nil
}

// OpenOutbox opens the outbox of a run file that nobody is writing or sending
// from; else the error is ErrInUse. Calls that were cut off are doubtful from now on.
func OpenOutbox(path string) (*Outbox, error) {
	o, err := openOutbox(path)
	if err != nil {
		return nil, fmt.Errorf("open the outbox of %s: %w", path, explain(err))
	}
	return o, nil
}

func openOutbox(path string) (o *Outbox, err error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	free, err := guard(path)
	if err != nil {
		return nil, err
	}
	closers := []func() error{free}
	shut := func() error {
		var errs []error
		for _, c := range slices.Backward(closers) {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, shut())
		}
	}()
	ctx := context.Background()
	db, err := database(path, "mode=rw&_pragma=trusted_schema(0)&_pragma=synchronous(1)")
	if err != nil {
		return nil, err
	}
	closers = append(closers, db.Close)
	db.SetMaxOpenConns(1)
	if err := identify(ctx, db); err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	closers = append(closers, conn.Close, func() error {
		// One file is left where nobody reads it; where somebody does, its log stays beside it.
		_, _ = conn.ExecContext(ctx, "PRAGMA journal_mode = DELETE")
		return nil
	})
	if err := hasOutbox(ctx, conn); err != nil {
		return nil, err
	}
	o = &Outbox{mu: &sync.Mutex{}, path: path, release: shut, conn: func() *sql.Conn { return conn }}
	return o, o.recover(ctx)
}

// errNoOutbox: the file was written before there was an outbox.
var errNoOutbox = errors.New("this run has no telemetry: it was made without --cloudwatch, --otlp or --prometheus-write")

func hasOutbox(ctx context.Context, conn *sql.Conn) error {
	var n int
	err := conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('outbox', 'delivery')").Scan(&n)
	if err == nil && n != 2 {
		err = errNoOutbox
	}
	return err
}

// guard holds the right to send from a run file, for this process, until it
// ends however it ends.
//
// Subtle: an SQLite lock on a file of its own is released by the death of the
// process on every system, and does not keep anybody from reading the run.
func guard(path string) (func() error, error) {
	lock := path + "-sending"
	db, err := database(lock, "mode=rwc")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	for _, q := range []string{"PRAGMA busy_timeout = 0", "PRAGMA journal_mode = MEMORY", "BEGIN EXCLUSIVE"} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			if c := code(err); c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED {
				err = fmt.Errorf("%w, or sending from it", ErrInUse)
			}
			return nil, errors.Join(err, conn.Close(), db.Close())
		}
	}
	return func() error {
		kept := os.Remove(lock) // before the lock is given back: whoever comes next makes a new file
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
		err := errors.Join(conn.Close(), db.Close())
		if kept != nil { // Windows removes no open file
			_ = os.Remove(lock) // an empty file may stay: it says nothing
		}
		return err
	}, nil
}

// recover marks the calls that were cut off: nobody knows whether they arrived.
func (o *Outbox) recover(ctx context.Context) error {
	return o.do(func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, `INSERT INTO delivery (lane, ambiguous) SELECT lane, count(*) FROM outbox WHERE state = 'sending' GROUP BY lane
			ON CONFLICT (lane) DO UPDATE SET ambiguous = ambiguous + excluded.ambiguous`)
		if err == nil {
			_, err = c.ExecContext(ctx, "UPDATE outbox SET state = 'doubtful', error = 'the program ended during the call' WHERE state = 'sending'")
		}
		return err
	})
}

// Close lets others send. No other method does anything afterwards.
func (o *Outbox) Close() error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.release == nil {
		return nil
	}
	release := o.release
	o.release, o.conn = nil, func() *sql.Conn { return nil }
	return release()
}

// do runs one transaction.
func (o *Outbox) do(f func(c *sql.Conn) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.conn()
	if c == nil {
		return errClosed
	}
	ctx := context.Background()
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("the outbox of %s: %w", o.path, explain(err))
	}
	err := f(c)
	if err == nil {
		_, err = c.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = c.ExecContext(ctx, "ROLLBACK") // fails when SQLite has done it already
		return fmt.Errorf("the outbox of %s: %w", o.path, explain(err))
	}
	return nil
}

// Take returns the oldest parcel of a lane that is to be sent, and notes that a
// call is made with it; nil when there is none. With doubtful, those that may have
// arrived are to be sent too.
func (o *Outbox) Take(lane string, doubtful bool) (*Parcel, error) {
	var p *Parcel
	err := o.do(func(c *sql.Conn) error {
		ctx := context.Background()
		q := &Parcel{Lane: lane}
		err := c.QueryRowContext(ctx, `SELECT id, tick, items, body, attempts, state = 'doubtful' FROM outbox
			WHERE lane = ? AND (state = 'waiting' OR ? AND state = 'doubtful') ORDER BY id LIMIT 1`, lane, doubtful).
			Scan(&q.ID, &q.Tick, &q.Items, &q.Body, &q.Attempts, &q.Doubtful)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		p = q
		if _, err = c.ExecContext(ctx, "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?", p.ID); err != nil {
			return err
		}
		resent := 0
		if p.Doubtful {
			resent = 1
		}
		return note(ctx, c, lane, "calls = calls + 1, resent = resent + ?", resent)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// note changes the counts of a lane, which is there from its first parcel on.
func note(ctx context.Context, c *sql.Conn, lane, set string, args ...any) error {
	_, err := c.ExecContext(ctx, "UPDATE delivery SET "+set+" WHERE lane = ?", append(args, lane)...)
	return err
}

// Settle notes what became of the call with a parcel that Take returned.
func (o *Outbox) Settle(p *Parcel, s Settlement) error {
	return o.do(func(c *sql.Conn) error {
		ctx := context.Background()
		state := "waiting"
		switch s.Fate {
		case Delivered:
			if _, err := c.ExecContext(ctx, "DELETE FROM outbox WHERE id = ?", p.ID); err != nil {
				return err
			}
			return note(ctx, c, p.Lane, "sent = sent + 1, items = items + ?, wire = wire + ?, took_ns = took_ns + ?", p.Items, s.Wire, int64(s.Took))
		case Doubtful:
			state = "doubtful"
		case Refused:
			state = "refused"
		case Returned:
			if p.Doubtful {
				state = "doubtful" // this call did not arrive; an earlier one may have
			}
		}
		if _, err := c.ExecContext(ctx, "UPDATE outbox SET state = ?, error = ? WHERE id = ?", state, s.Reason, p.ID); err != nil {
			return err
		}
		count := "failed"
		switch {
		case s.Fate == Doubtful:
			count = "ambiguous"
		case s.Throttled:
			count = "throttled"
		}
		return note(ctx, c, p.Lane, count+" = "+count+" + 1, took_ns = took_ns + ?", int64(s.Took))
	})
}

// Reopen lets refused parcels be tried once more, because a person asks for it.
func (o *Outbox) Reopen() error {
	return o.do(func(c *sql.Conn) error {
		_, err := c.ExecContext(context.Background(), "UPDATE outbox SET state = 'waiting' WHERE state = 'refused'")
		return err
	})
}

// Discard throws away what is in the outbox.
func (o *Outbox) Discard() error {
	return o.do(func(c *sql.Conn) error {
		ctx := context.Background()
		_, err := c.ExecContext(ctx, `UPDATE delivery SET
			discarded = discarded + (SELECT count(*) FROM outbox WHERE outbox.lane = delivery.lane),
			discarded_items = discarded_items + coalesce((SELECT sum(outbox.items) FROM outbox WHERE outbox.lane = delivery.lane), 0)`)
		if err == nil {
			_, err = c.ExecContext(ctx, "DELETE FROM outbox")
		}
		return err
	})
}

// Post stores parcels outside of any tick: those of the end of a run, or those
// made later of ticks that no parcel carried. Through is the latest tick that the
// sinks need not see again.
func (o *Outbox) Post(through int, sinks []string, parcels []Parcel) error {
	return o.do(func(c *sql.Conn) error {
		return post(context.Background(), c, through, sinks, parcels)
	})
}

func post(ctx context.Context, c *sql.Conn, through int, sinks []string, parcels []Parcel) error {
	for _, p := range parcels {
		if _, err := c.ExecContext(ctx, "INSERT INTO outbox (lane, tick, items, body) VALUES (?,?,?,?)", p.Lane, p.Tick, p.Items, p.Body); err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, "INSERT OR IGNORE INTO delivery (lane) VALUES (?)", p.Lane); err != nil {
			return err
		}
	}
	for _, s := range sinks {
		_, err := c.ExecContext(ctx, "INSERT INTO carried (sink, tick) VALUES (?,?) ON CONFLICT (sink) DO UPDATE SET tick = max(tick, excluded.tick)", s, through)
		if err != nil {
			return err
		}
	}
	return nil
}

// Carried returns the latest tick of which everything for a sink is, or was, in
// the outbox; -1 when there is none.
func (o *Outbox) Carried(sink string) (int, error) {
	tick := -1
	err := o.do(func(c *sql.Conn) error {
		err := c.QueryRowContext(context.Background(), "SELECT tick FROM carried WHERE sink = ?", sink).Scan(&tick)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return tick, err
}

// Deliveries returns the state of every lane, sorted by name.
func (o *Outbox) Deliveries() ([]Delivery, error) {
	var out []Delivery
	err := o.do(func(c *sql.Conn) error {
		rows, err := c.QueryContext(context.Background(), deliveries)
		if err != nil {
			return err
		}
		out, err = scanDeliveries(rows)
		return err
	})
	return out, err
}

// Deliveries returns the state of every lane as the file has it now. A file
// without telemetry has none. A call that is under way, or was cut off, counts as waiting.
func (r *Run) Deliveries() ([]Delivery, error) {
	ctx := context.Background()
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := hasOutbox(ctx, conn); err != nil {
		if errors.Is(err, errNoOutbox) {
			return nil, nil
		}
		return nil, unreadable(err)
	}
	rows, err := conn.QueryContext(ctx, deliveries)
	if err != nil {
		return nil, unreadable(err)
	}
	list, err := scanDeliveries(rows)
	if err != nil {
		return nil, unreadable(err)
	}
	return list, nil
}

const deliveries = `SELECT d.lane, d.calls, d.sent, d.items, d.wire, d.throttled, d.failed, d.ambiguous, d.resent, d.discarded, d.discarded_items, d.took_ns,
	coalesce(sum(o.state IN ('waiting', 'sending')), 0), coalesce(sum(iif(o.state IN ('waiting', 'sending'), o.items, 0)), 0),
	coalesce(sum(iif(o.state IN ('waiting', 'sending'), length(o.body), 0)), 0),
	coalesce(sum(o.state = 'doubtful'), 0), coalesce(sum(iif(o.state = 'doubtful', o.items, 0)), 0), coalesce(sum(iif(o.state = 'doubtful', length(o.body), 0)), 0),
	coalesce(sum(o.state = 'refused'), 0), coalesce(sum(iif(o.state = 'refused', o.items, 0)), 0), coalesce(max(o.error), '')
	FROM delivery d LEFT JOIN outbox o ON o.lane = d.lane GROUP BY d.lane ORDER BY d.lane`

func scanDeliveries(rows *sql.Rows) ([]Delivery, error) {
	var out []Delivery
	for rows.Next() {
		var d Delivery
		err := rows.Scan(&d.Lane, &d.Calls, &d.Sent, &d.Items, &d.Wire, &d.Throttled, &d.Failed, &d.Ambiguous, &d.Resent, &d.Discarded, &d.DiscardedItems, &d.Took,
			&d.Waiting, &d.WaitingItems, &d.WaitingBytes, &d.Doubtful, &d.DoubtfulItems, &d.DoubtfulBytes, &d.Refused, &d.RefusedItems, &d.Error)
		if err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Delivery) int { return cmp.Compare(a.Lane, b.Lane) })
	return out, errors.Join(rows.Err(), rows.Close())
}

// Admitted counts the requests that were admitted, in a warm-up too.
func (r *Run) Admitted() (n int64, err error) {
	if err = r.db.QueryRowContext(context.Background(), `SELECT coalesce(sum(admitted), 0) FROM tick`).Scan(&n); err != nil {
		err = unreadable(err)
	}
	return n, err
}

// Kinds counts what a run has of series: outcomes, names with an outcome each, and
// when the latest tick began.
func (r *Run) Kinds() (outcomes, rows int, last time.Duration, err error) {
	err = r.db.QueryRowContext(context.Background(), `SELECT count(DISTINCT outcome), count(DISTINCT name || outcome), coalesce((SELECT max(start_ns) FROM tick), 0) FROM series`).
		Scan(&outcomes, &rows, &last)
	if err != nil {
		err = unreadable(err)
	}
	return outcomes, rows, last, err
}
