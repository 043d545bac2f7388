package topics

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// stamp is how SNS writes instants.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// The signature cannot be checked by anyone: there is no key behind it.
const (
	signature = "V0VJUi1MQUItTk8tU0lHTkFUVVJF"
	certURL   = "https://example.com/weir-lab-has-no-certificate.pem"
)

func (s *Service) notification(b *subscription, id, subject, message string, now time.Time) string {
	m := map[string]any{
		"Type": "Notification", "MessageId": id, "TopicArn": b.topic, "Message": message, "Timestamp": stamp(now),
		"SignatureVersion": "1", "Signature": signature, "SigningCertURL": certURL,
		"UnsubscribeURL": s.cfg.Base + "/?Action=Unsubscribe&SubscriptionArn=" + url.QueryEscape(b.arn),
	}
	if subject != "" {
		m["Subject"] = subject
	}
	return text(m)
}

func (s *Service) confirmation(c *wire.Call, b *subscription) string {
	base := s.cfg.Base
	if base == "" {
		base = c.Base
	}
	return text(map[string]any{
		"Type": "SubscriptionConfirmation", "MessageId": wire.NewID(), "TopicArn": b.topic, "Token": b.token, "Timestamp": stamp(c.Now),
		"Message":          "You have chosen to subscribe to the topic " + b.topic + ".\nTo confirm the subscription, visit the SubscribeURL included in this message.",
		"SignatureVersion": "1", "Signature": signature, "SigningCertURL": certURL,
		"SubscribeURL": base + "/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(b.topic) + "&Token=" + b.token,
	})
}

func text(m map[string]any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(m) // texts
	return strings.TrimSuffix(b.String(), "\n")
}

// poster posts messages to subscribers, a few at a time, each up to three times.
type poster struct {
	post  func(*http.Request) (int, error)
	note  func(*subscription, string, time.Time, error)
	slots chan struct{}
	ctx   context.Context
	stop  context.CancelFunc
	busy  sync.WaitGroup
}

const (
	atOnce   = 16
	attempts = 3 // SNS's immediate retries, without a pause between them
)

func (p *poster) start(post func(*http.Request) (int, error), note func(*subscription, string, time.Time, error)) {
	if post == nil {
		client := &http.Client{
			Timeout:       15 * time.Second, // SNS waits as long
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 5 * time.Second},
		}
		post = func(r *http.Request) (int, error) {
			answer, err := client.Do(r)
			if err != nil {
				return 0, err
			}
			_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
			return answer.StatusCode, answer.Body.Close()
		}
	}
	p.post, p.note, p.slots = post, note, make(chan struct{}, atOnce)
	p.ctx, p.stop = context.WithCancel(context.Background())
}

func (p *poster) close() {
	p.stop()
	p.busy.Wait()
}

// send posts in the background. The fields of the subscription that it reads do not
// change.
func (p *poster) send(now time.Time, b *subscription, kind, id, body string) {
	p.busy.Go(func() {
		select {
		case p.slots <- struct{}{}:
		case <-p.ctx.Done():
			return
		}
		defer func() { <-p.slots }()
		var err error
		for range attempts {
			if err = p.once(b, kind, id, body); err == nil || p.ctx.Err() != nil {
				break
			}
		}
		p.note(b, id, now, err)
	})
}

func (p *poster) once(b *subscription, kind, id, body string) error {
	r, err := http.NewRequestWithContext(p.ctx, http.MethodPost, b.endpoint, strings.NewReader(body))
	if err != nil {
		return err
	}
	h := r.Header
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("User-Agent", "Amazon Simple Notification Service Agent")
	h.Set("x-amz-sns-message-type", kind)
	h.Set("x-amz-sns-message-id", id)
	h.Set("x-amz-sns-topic-arn", b.topic)
	if kind == "Notification" {
		h.Set("x-amz-sns-subscription-arn", b.arn)
	}
	status, err := p.post(r)
	if err == nil && (status < 200 || status > 299) {
		err = fmt.Errorf("the endpoint answered %d", status)
	}
	return err
}
