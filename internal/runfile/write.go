package runfile

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// checkpointEvery is after how many ticks the log is carried over into the file
// itself: what a copy of the file alone can lack.
const checkpointEvery = 10

// maxKnown bounds the names and the errors whose row numbers are remembered. Over
// it they are forgotten, and written again when they come again.
const maxKnown = 10_000

// Writer records a run while it goes on. Its methods are safe for concurrent use.
type Writer struct {
	path string

	mu      sync.Mutex
	db      *sql.DB
	conn    *sql.Conn
	insert  inserts
	names   map[nameKey]int64
	errors  map[errorKey]int64
	watches map[watchKey]int64
	broken  error // the first failure to store a tick
	lost    int64
	ticks   int64
}

type (
	nameKey  struct{ method, name string }
	errorKey struct {
		nameKey
		failure hit.Failure
		status  int
		text    string
	}
	watchKey struct{ source, chart, name, unit, limit string }
)

// inserts are the prepared statements of Append.
type inserts struct{ tick, name, series, error, failed, watch, watched, event, told *sql.Stmt }

// start writes the schema and Meta, in the file itself, before the log is
// switched on: so even a copy of the file alone always tells what it is.
func (w *Writer) start(m Meta) error {
	ctx := context.Background()
	var err error
	if w.db, err = database(w.path, "mode=rw"); err != nil {
		return err
	}
	w.db.SetMaxOpenConns(1)
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", schemaVersion),
	} {
		if _, err := w.conn.ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	err = w.transaction(ctx, func() error {
		if _, err := w.conn.ExecContext(ctx, schema); err != nil {
			return err
		}
		return w.putMeta(ctx, m)
	})
	if err != nil {
		return err
	}
	var mode string
	if err := w.conn.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return err
	}
	if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return err
	}
	// The first write opens the log's files: now, while there are descriptors
	// for them, and not after a thousand users have taken theirs.
	if err := w.transaction(ctx, func() error {
		_, err := w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	}); err != nil {
		return err
	}
	return w.prepare(ctx)
}

func (w *Writer) putMeta(ctx context.Context, m Meta) error {
	all, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("the description of the run: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(all, &fields); err != nil {
		return err
	}
	for key, value := range fields {
		if err := w.put(ctx, key, value); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) put(ctx context.Context, key string, value []byte) error {
	_, err := w.conn.ExecContext(ctx, "INSERT OR REPLACE INTO run (key, value) VALUES (?, ?)", key, string(value))
	return err
}

func (w *Writer) prepare(ctx context.Context) error {
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&w.insert.tick, `INSERT INTO tick VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`},
		{&w.insert.name, `INSERT INTO name (method, name) VALUES (?,?)`},
		{&w.insert.series, `INSERT INTO series VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`},
		{&w.insert.error, `INSERT INTO error (method, name, failure, status, text) VALUES (?,?,?,?,?)`},
		{&w.insert.failed, `INSERT INTO failed VALUES (?,?,?,?,?)`},
		{&w.insert.watch, `INSERT INTO watch (source, chart, name, unit, limit_name) VALUES (?,?,?,?,?)`},
		{&w.insert.watched, `INSERT INTO watched VALUES (?,?,?,?,?,?)`},
		{&w.insert.event, `INSERT INTO event VALUES (?,?,?,?,?)`},
		{&w.insert.told, `INSERT INTO told VALUES (?,?)`},
	} {
		var err error
		if *s.to, err = w.conn.PrepareContext(ctx, s.query); err != nil {
			return err
		}
	}
	return nil
}

// transaction does all of it or nothing.
func (w *Writer) transaction(ctx context.Context, do func() error) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		_, err = w.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// SQLite has rolled back by itself after some failures; then this one fails, and may.
		_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

var errClosed = errors.New("the run file is closed")

// Append stores one tick. After it has returned nil the tick outlives the death
// of the process (a power cut may cost the latest ticks, never the file).
//
// The first failure is returned once, with its reason. From then on ticks are
// only counted, so that the file holds an unbroken beginning of the run, and
// Append returns nil: a load need not stop because a disk is full. Finish and Err
// give the reason again.
func (w *Writer) Append(k *tally.Tick) error { return w.AppendWith(k, nil, nil) }

// AppendWith stores a tick and, in the same transaction, the telemetry that is
// ready with it: sinks have given everything up to this tick in parcels.
func (w *Writer) AppendWith(k *tally.Tick, sinks []string, parcels []Parcel) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return fmt.Errorf("store tick %d in %s: %w", k.Index, w.path, errClosed)
	}
	if w.broken != nil {
		w.lost++
		return nil
	}
	ctx := context.Background()
	err := w.transaction(ctx, func() error {
		if err := w.putTick(ctx, k); err != nil {
			return err
		}
		return post(ctx, w.conn, k.Index, sinks, parcels)
	})
	if err != nil {
		w.lost++
		w.broken = fmt.Errorf("store tick %d in %s: %w; from here on the run is not recorded", k.Index, w.path, explain(err))
		return w.broken
	}
	w.ticks++
	if w.ticks%checkpointEvery == 0 {
		// A reader may be in the way, then it is done ten ticks later.
		_, _ = w.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	}
	return nil
}

// Err returns the failure after which ticks were no longer stored, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

func (w *Writer) putTick(ctx context.Context, k *tally.Tick) error {
	var counts [hit.NumOutcomes]int64
	for i := range k.Series {
		s := &k.Series[i]
		if int(s.Outcome) >= hit.NumOutcomes {
			return fmt.Errorf("%s %s has the unknown outcome %d", s.Method, s.Name, s.Outcome)
		}
		counts[s.Outcome] += s.Count
		if err := w.putSeries(ctx, k.Index, s); err != nil {
			return err
		}
	}
	for i := range k.Errors {
		if err := w.putError(ctx, k.Index, &k.Errors[i]); err != nil {
			return err
		}
	}
	for i := range k.Watched {
		if err := w.putWatched(ctx, k.Index, &k.Watched[i]); err != nil {
			return err
		}
	}
	if err := w.putLimits(ctx, k); err != nil {
		return err
	}
	for _, e := range k.Events {
		if _, err := w.insert.event.ExecContext(ctx, k.Index, int64(e.At), e.Kind, e.Text, e.Data); err != nil {
			return err
		}
	}
	var sent int64
	for _, n := range k.Sends {
		sent += int64(n)
	}
	lags, err := encodeHists(k.SendLag, k.WakeLag, k.Connect)
	if err != nil {
		return err
	}
	h := &k.Health
	cpu := h.CPU
	if math.IsNaN(cpu) {
		cpu = 0 // SQLite has no NaN
	}
	_, err = w.insert.tick.ExecContext(ctx, k.Index, int64(k.Start), int64(k.Length), k.Users, k.InFlight, k.Due,
		sent, counts[hit.Admitted], counts[hit.Throttled], counts[hit.Failed], counts[hit.Missed], k.Retried,
		cpu, h.Cores, int64(h.GCPause), h.Goroutines, h.Files, h.FileLimit, int64(h.HeapBytes), h.Lost,
		encodeSends(k.Sends), lags[0], lags[1], lags[2])
	return err
}

func (w *Writer) putSeries(ctx context.Context, tick int, s *tally.Series) error {
	name, err := w.nameID(ctx, nameKey{s.Method, s.Name})
	if err != nil {
		return err
	}
	times, err := encodeHists(s.Response, s.Service)
	if err != nil {
		return err
	}
	var p50, p95, p99, longest any // NULL when there are no times
	if s.Response.Count() > 0 {
		p50, p95, p99 = int64(s.Response.Quantile(0.5)), int64(s.Response.Quantile(0.95)), int64(s.Response.Quantile(0.99))
		longest = int64(s.Response.Max())
	}
	_, err = w.insert.series.ExecContext(ctx, tick, name, s.Outcome.String(), s.Count, s.BytesIn, s.BytesOut,
		int64(s.First), int64(s.Last), p50, p95, p99, longest, encodeCodes(s.Codes), times[0], times[1])
	return err
}

func (w *Writer) putError(ctx context.Context, tick int, e *tally.Error) error {
	key := errorKey{nameKey{e.Method, e.Name}, e.Failure, e.Status, e.Text}
	id, known := w.errors[key]
	if !known {
		var err error
		if id, err = inserted(w.insert.error.ExecContext(ctx, e.Method, e.Name, e.Failure.String(), e.Status, e.Text)); err != nil {
			return err
		}
		if len(w.errors) >= maxKnown {
			clear(w.errors)
		}
		w.errors[key] = id
	}
	_, err := w.insert.failed.ExecContext(ctx, tick, id, e.Count, int64(e.First), int64(e.Last))
	return err
}

// AddWatched stores readings that came after their tick, with a later one.
func (w *Writer) AddWatched(tick int, list []tally.Watched) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return fmt.Errorf("store readings in %s: %w", w.path, errClosed)
	}
	if w.broken != nil || len(list) == 0 {
		return nil
	}
	ctx := context.Background()
	err := w.transaction(ctx, func() error {
		for i := range list {
			if err := w.putWatched(ctx, tick, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store readings in %s: %w", w.path, explain(err))
	}
	return nil
}

// putWatched stores a reading. One that is no number is left out: SQLite has no NaN.
func (w *Writer) putWatched(ctx context.Context, tick int, r *tally.Watched) error {
	if math.IsNaN(r.Value) {
		return nil
	}
	key := watchKey{r.Source, r.Group, r.Name, r.Unit, r.LimitName}
	id, known := w.watches[key]
	if !known {
		var err error
		if id, err = inserted(w.insert.watch.ExecContext(ctx, key.source, key.chart, key.name, key.unit, key.limit)); err != nil {
			return err
		}
		if len(w.watches) >= maxKnown {
			clear(w.watches)
		}
		w.watches[key] = id
	}
	var limit any // NULL when there is none
	if r.Limit != 0 && !math.IsNaN(r.Limit) {
		limit = r.Limit
	}
	if r.Corrects {
		if _, err := w.conn.ExecContext(ctx, "DELETE FROM watched WHERE watch = ? AND at_ns = ?", id, int64(r.At)); err != nil {
			return err
		}
	}
	_, err := w.insert.watched.ExecContext(ctx, tick, id, int64(r.At), r.Value, limit, r.Refused)
	return err
}

func (w *Writer) nameID(ctx context.Context, key nameKey) (int64, error) {
	if id, known := w.names[key]; known {
		return id, nil
	}
	id, err := inserted(w.insert.name.ExecContext(ctx, key.method, key.name))
	if err != nil {
		return 0, err
	}
	if len(w.names) >= maxKnown {
		clear(w.names)
	}
	w.names[key] = id
	return id, nil
}

func inserted(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// encodeHists returns a blob for each histogram, nil (NULL) for those that are nil.
func encodeHists(hists ...*hist.Hist) ([3]any, error) {
	var blobs [3]any
	for i, h := range hists {
		if h == nil {
			continue
		}
		b, err := h.AppendBinary(nil)
		if err != nil {
			return blobs, err
		}
		blobs[i] = b
	}
	return blobs, nil
}

// Finish stores how the run ended, makes one file of it (nothing stays beside
// it) and closes it. The error tells when ticks or the end could not be stored.
func (w *Writer) Finish(e End) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return fmt.Errorf("finish run file %s: %w", w.path, errClosed)
	}
	ctx := context.Background()
	e.LostTicks = w.lost
	for i, c := range e.Checks {
		if c.Estimate.Known() {
			if e.Estimates == nil {
				e.Estimates = map[int]threshold.Estimate{}
			}
			e.Estimates[i] = c.Estimate
		}
	}
	err := w.finish(ctx, e)
	if err != nil {
		err = fmt.Errorf("finish run file %s: %w", w.path, explain(err))
	}
	return errors.Join(w.broken, err, w.release())
}

func (w *Writer) finish(ctx context.Context, e End) error {
	// The end is worth a flush to the disk.
	if _, err := w.conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return err
	}
	end, err := json.Marshal(e)
	if err != nil {
		return err
	}
	err = w.transaction(ctx, func() error {
		for _, c := range e.Checks {
			_, err := w.conn.ExecContext(ctx, "INSERT INTO verdict VALUES (?,?,?,?)", c.Expr, c.Verdict.String(), c.Value, int64(c.At))
			if err != nil {
				return err
			}
		}
		return w.put(ctx, "end", end)
	})
	if err != nil {
		return err
	}
	// A reader that has the file open keeps the log alive. Then it stays beside
	// the file, which is as readable.
	for _, pragma := range []string{"PRAGMA busy_timeout = 2000", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode = DELETE"} {
		_, _ = w.conn.ExecContext(ctx, pragma)
	}
	return nil
}

// Close ends writing. Without Finish before it the run stays marked as partial;
// after Finish it does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.release()
}

func (w *Writer) release() error {
	var err error
	for _, s := range []*sql.Stmt{w.insert.tick, w.insert.name, w.insert.series, w.insert.error, w.insert.failed, w.insert.watch, w.insert.watched, w.insert.event, w.insert.told} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	w.insert = inserts{}
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
		w.conn = nil
	}
	if w.db != nil {
		err = errors.Join(err, w.db.Close())
		w.db = nil
	}
	return err
}
