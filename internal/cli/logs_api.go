package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// logsAPI reads the log of a tenant through its Management API, and keeps that API's
// own limits: it waits when nothing is left, and as long as a refusal says.
type logsAPI struct {
	base   *url.URL
	token  string
	client *http.Client
	say    func(text string)
}

const (
	logsPage     = 100  // the most that a page may have
	logsSearched = 1000 // the most that paging reaches
	longestWait  = time.Minute
)

// newLogsAPI checks where the token would go.
func newLogsAPI(source, token, env string) (*logsAPI, error) {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, usage("write https://TENANT.example.com", "the URL cannot be read, or has a password in it")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usage("use https", "a token is not sent to %s without TLS", u.Hostname())
	}
	if token == "" {
		return nil, usage("export "+env+"=… with a token that may read:logs", "the environment variable %s is empty", env)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usage("copy the token again", "the environment variable %s has a space or a line end in it, so it is no token", env)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/api/v2/logs"
	}
	return &logsAPI{base: u, token: token, say: func(string) {}, client: &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this host
	}}, nil
}

// all reads the log, oldest first: by page up to what paging reaches, then from the
// last entry on. With since it begins at that entry. Entries that came before an
// error are returned with it.
func (a *logsAPI) all(ctx context.Context, since string, most int) (entries []tenantlog.Entry, err error) {
	if since == "" {
		for page := 0; page < logsSearched/logsPage && len(entries) < most; page++ {
			some, err := a.page(ctx, url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(logsPage)}, "sort": {"date:1"}})
			if err != nil {
				return entries, err
			}
			entries = append(entries, some...)
			if len(some) < logsPage {
				return entries[:min(len(entries), most)], nil
			}
		}
		since = entries[len(entries)-1].LogID
	}
	for len(entries) < most && since != "" {
		some, err := a.page(ctx, url.Values{"from": {since}, "take": {strconv.Itoa(logsPage)}})
		if err != nil {
			return entries, err
		}
		if len(some) == 0 || some[len(some)-1].LogID == since {
			break
		}
		entries = append(entries, some...)
		since = some[len(some)-1].LogID
	}
	if len(entries) >= most {
		a.say(fmt.Sprintf("stopped after %d entries; --max and --since %s read on", most, since))
	}
	return entries[:min(len(entries), most)], nil
}

// page asks for some entries, again when it is refused.
func (a *logsAPI) page(ctx context.Context, q url.Values) ([]tenantlog.Entry, error) {
	for tries := 1; ; tries++ {
		status, h, body, err := a.get(ctx, q)
		if err != nil {
			return nil, err
		}
		wait, told := header.Parse(header.Map(h), time.Now()).Wait()
		switch {
		case status == http.StatusOK:
			read, err := tenantlog.Read(bytes.NewReader(body))
			if err != nil {
				return nil, cannotRun("", "%w: its answer cannot be read: %w", errAPI, err)
			}
			if read.Bad > 0 && len(read.Entries) == 0 {
				return nil, cannotRun("is this the Management API of a tenant?", "%w: its answer cannot be read as a log: %w", errAPI, read.Problems[0])
			}
			if read.Bad > 0 {
				a.say(fmt.Sprintf("%s of the answer could not be read: %v", entriesWord(read.Bad), read.Problems[0]))
			}
			if told && wait > 0 { // nothing is left: the next would be refused
				err = a.wait(ctx, wait, "nothing is left")
			}
			return read.Entries, err
		case status == http.StatusTooManyRequests && tries < 10:
			if !told {
				wait = time.Second << min(tries-1, 5)
			}
			if err := a.wait(ctx, max(wait, 100*time.Millisecond), "refused"); err != nil {
				return nil, err
			}
		default:
			return nil, refusal(status, body)
		}
	}
}

func (a *logsAPI) get(ctx context.Context, q url.Values) (status int, h http.Header, body []byte, err error) {
	u := *a.base
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, nil, nil, usage("", "the URL cannot be asked")
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		var of *url.Error // which has the whole URL in it
		if errors.As(err, &of) {
			err = of.Err
		}
		return 0, nil, nil, cannotRun("", "%w at %s does not answer: %w", errAPI, a.base.Host, err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return 0, nil, nil, cannotRun("", "%w at %s: the answer broke off: %w", errAPI, a.base.Host, err)
	}
	return res.StatusCode, res.Header, body, nil
}

// wait waits as the API asks, within reason.
func (a *logsAPI) wait(ctx context.Context, d time.Duration, why string) error {
	if d > longestWait {
		return cannotRun("try again later, with --since", "%w asks to wait for %v", errAPI, d.Round(time.Second))
	}
	a.say(fmt.Sprintf("the Management API: %s, waiting for %v as it asks", why, d.Round(100*time.Millisecond)))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return cannotRun("give more --timeout", "reading the log: %w", context.Cause(ctx))
	}
}

// refusal is an answer that is no log.
func refusal(status int, body []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &said) // an answer that is no JSON says nothing more
	text := printable(said.Message)
	if len(text) > 200 {
		text = text[:200]
	}
	hint := ""
	switch status {
	case http.StatusUnauthorized:
		hint = "the token is wrong or has ended"
	case http.StatusForbidden:
		hint = "the token needs read:logs"
	}
	if text != "" {
		return cannotRun(hint, "%w answered %d: %s", errAPI, status, text)
	}
	return cannotRun(hint, "%w answered %d", errAPI, status)
}
