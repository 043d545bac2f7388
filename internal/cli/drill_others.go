package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/drill/alertmanager"
	"github.com/weir-dev/weir/internal/drill/tenant"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// auth0 fills in where the tenant's log is, and asks for what is missing.
func (c *drillCmd) auth0() error {
	if c.Alarm != "" || c.Alert != "" {
		return usage("weir drill URL", "weir drill auth0 is for tenant logs")
	}
	if len(c.urls) == 0 {
		return usage("weir drill auth0 https://TENANT/oauth/token -d '…'\n  and export AUTH0_TOKEN=… with a Management API token that may read:logs, or --log FILE",
			"weir drill auth0 needs the URL of the tenant that is to refuse")
	}
	if c.Log == "" {
		u, err := parseTarget(c.urls[0])
		if err != nil {
			return err
		}
		c.Log = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/api/v2/logs"}).String()
	}
	return c.one()
}

// logSide makes the side that is a tenant log.
func (c *drillCmd) logSide(s *session) (*drillSide, error) {
	o := tenant.Options{Name: maskURL(c.Log), Bound: c.LogBound}
	if c.LogBound <= 0 {
		return nil, usage("give a time such as 1m", "--log-bound must be above zero")
	}
	here := true
	if strings.HasPrefix(c.Log, "http://") || strings.HasPrefix(c.Log, "https://") {
		api, err := newLogsAPI(c.Log, s.getenv(c.TokenEnv), c.TokenEnv)
		if err != nil {
			return nil, err
		}
		o.Reader = &apiTail{api: api}
		here = local(api.base, "")
	} else {
		o.Reader = &fileTail{path: c.Log}
	}
	return &drillSide{Side: tenant.New(o), here: here, close: func() {}}, nil
}

// apiTail reads on in a log through the Management API.
type apiTail struct {
	api  *logsAPI
	last string // log_id of the newest entry that was read
}

// Read returns what is new.
func (t *apiTail) Read(ctx context.Context) ([]tenantlog.Entry, error) {
	q := url.Values{"from": {t.last}, "take": {strconv.Itoa(logsPage)}}
	if t.last == "" {
		q = url.Values{"page": {"0"}, "per_page": {"50"}, "sort": {"date:-1"}}
	}
	entries, err := t.api.page(ctx, q)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "answered 401") || strings.Contains(text, "answered 403") {
			return nil, fmt.Errorf("%w: %w", tenant.ErrDenied, err)
		}
		return nil, err
	}
	if t.last == "" {
		slices.Reverse(entries)
	}
	if n := len(entries); n > 0 {
		t.last = entries[n-1].LogID
	}
	return entries, nil
}

// fileTail reads on in a log that is a file of JSON lines.
type fileTail struct {
	path string
	at   int64
}

// Read returns what is new: whole lines only.
func (t *fileTail) Read(context.Context) ([]tenantlog.Entry, error) {
	f, err := os.Open(t.path)
	if err != nil {
		return nil, usage("give the file that the log is written to", "--log: %v", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < t.at {
		t.at = 0 // it was begun anew
	}
	if _, err := f.Seek(t.at, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 64<<20))
	if err != nil {
		return nil, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	t.at += int64(len(data))
	read, err := tenantlog.Read(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return read.Entries, nil
}

// alertSide makes the side that is an alert of Prometheus.
func (c *drillCmd) alertSide(s *session) (*drillSide, error) {
	o := alertmanager.Options{Alert: c.Alert, Prometheus: c.Prometheus, Alertmanager: c.Alertmanager}
	here := true
	for _, raw := range []string{c.Prometheus, c.Alertmanager} {
		if raw == "" {
			continue
		}
		u, err := parseTarget(raw)
		if err != nil {
			return nil, err
		}
		here = here && local(u, "")
	}
	side := &drillSide{here: here, close: func() {}}
	if c.Webhook != "" {
		hook, err := listenWebhook(c.Webhook)
		if err != nil {
			return nil, cannotRun("give a free address such as 127.0.0.1:9099", "--webhook: %v", err)
		}
		o.Webhook, side.close = hook, hook.close
	}
	side.Side = alertmanager.New(o)
	return side, nil
}

// webhook receives what Alertmanager sends.
type webhook struct {
	server *http.Server
	done   chan struct{}

	mu   sync.Mutex // guards all below
	news []alertNews
}

type alertNews struct {
	at              time.Time
	alert, receiver string
}

func listenWebhook(addr string) (*webhook, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	h := &webhook{done: make(chan struct{})}
	h.server = &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() {
		defer close(h.done)
		_ = h.server.Serve(l) // ends when it is closed
	}()
	return h, nil
}

func (h *webhook) close() {
	_ = h.server.Close() // nothing is lost with it
	<-h.done
}

// ServeHTTP takes one notification (Alertmanager, "webhook_config", version 4).
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Receiver string
		Alerts   []struct {
			Status string
			Labels map[string]string
		}
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<20)).Decode(&body); err != nil {
		http.Error(w, "not a notification of Alertmanager", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range body.Alerts {
		if a.Status == "firing" && len(h.news) < 10_000 {
			h.news = append(h.news, alertNews{time.Now(), a.Labels["alertname"], body.Receiver})
		}
	}
}

// First is when the first notification of an alert came.
func (h *webhook) First(alert string, since time.Time) (time.Time, string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.news {
		if n.alert == alert && !n.at.Before(since) {
			return n.at.Round(0).UTC(), n.receiver, true
		}
	}
	return time.Time{}, "", false
}
