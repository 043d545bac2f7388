package tenant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/tenantlog"
)

// StreamOptions are the settings of a Stream.
type StreamOptions struct {
	// URL is the webhook. Each request is a POST with a JSON array of objects
	// {"log_id": …, "data": the entry}: one of the forms in which Auth0's custom
	// webhooks send (auth0.com/docs/extensions/loggly, read 2026-11-21; the fields
	// as in auth0/auth0-deploy-cli issue 500).
	URL string

	// Authorization is the value of that header; it is in no error.
	Authorization string

	// Client sends; nil means one with a limit of 10 s for a request.
	Client *http.Client

	// Batch is the most entries in one request, Queue the most that wait; what
	// does not fit is dropped and counted. Zero means 100 and 1000.
	Batch, Queue int

	// Tries is how often a request is sent that fails, with Pause and then twice
	// as long in between; zero means 5, and 1 s.
	Tries int
	Pause time.Duration
}

// Stream sends entries to a webhook, in order. Make one with NewStream; Push is
// the Sink of a tenantlog.Log.
type Stream struct {
	o     StreamOptions
	queue chan tenantlog.Entry
	ended chan struct{}
	abort context.CancelFunc

	mu     sync.RWMutex // held for reading by Push
	closed bool

	sent, dropped, failed atomic.Int64
}

// NewStream starts a stream. It has to be closed.
func NewStream(o StreamOptions) (*Stream, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the webhook must be an http or https URL")
	}
	if u.User != nil {
		return nil, errors.New("the webhook's URL has a user name in it; give an authorization instead")
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if o.Batch <= 0 {
		o.Batch = 100
	}
	if o.Queue <= 0 {
		o.Queue = 1000
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Pause <= 0 {
		o.Pause = time.Second
	}
	ctx, abort := context.WithCancel(context.Background())
	s := &Stream{o: o, queue: make(chan tenantlog.Entry, o.Queue), ended: make(chan struct{}), abort: abort}
	go s.run(ctx)
	return s, nil
}

// Push queues an entry; it never waits.
func (s *Stream) Push(e tenantlog.Entry) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		s.dropped.Add(1)
		return
	}
	select {
	case s.queue <- e:
	default:
		s.dropped.Add(1)
	}
}

// Close sends what is queued, until ctx ends.
func (s *Stream) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	defer s.abort()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		s.abort()
		<-s.ended
		return ctx.Err()
	}
}

// StreamStats is what a Stream has done, in entries.
type StreamStats struct {
	Sent    int64 // that the webhook has taken
	Dropped int64 // that found the queue full, or the stream closed
	Failed  int64 // given up on after all tries
}

// Stats returns the figures.
func (s *Stream) Stats() StreamStats {
	return StreamStats{Sent: s.sent.Load(), Dropped: s.dropped.Load(), Failed: s.failed.Load()}
}

func (s *Stream) run(ctx context.Context) {
	defer close(s.ended)
	for e := range s.queue {
		batch := []tenantlog.Entry{e}
	more:
		for len(batch) < s.o.Batch {
			select {
			case e, ok := <-s.queue:
				if !ok {
					break more
				}
				batch = append(batch, e)
			default:
				break more
			}
		}
		if s.deliver(ctx, batch) {
			s.sent.Add(int64(len(batch)))
		} else {
			s.failed.Add(int64(len(batch)))
		}
	}
}

// deliver sends a batch until it is taken.
func (s *Stream) deliver(ctx context.Context, batch []tenantlog.Entry) bool {
	type item struct {
		LogID string          `json:"log_id"`
		Data  tenantlog.Entry `json:"data"`
	}
	items := make([]item, len(batch))
	for i, e := range batch {
		items[i] = item{e.LogID, e}
	}
	body, err := json.Marshal(items)
	if err != nil {
		return false
	}
	pause := s.o.Pause
	for try := 1; ; try++ {
		if s.post(ctx, body) == nil {
			return true
		}
		if try == s.o.Tries {
			return false
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		pause *= 2
	}
}

func (s *Stream) post(ctx context.Context, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.o.Authorization != "" {
		r.Header.Set("Authorization", s.o.Authorization)
	}
	res, err := s.o.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the webhook answered %d", res.StatusCode)
	}
	return nil
}
