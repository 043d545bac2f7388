// Package queues holds Service: the part of Amazon SQS that reads notifications,
// without sockets and without a clock of its own.
//
// Sources: the SQS API reference of 2012-11-05 and the service model in botocore
// 1.43.11, read 2026-11. Standard queues only.
package queues

import (
	"crypto/md5" //nolint:gosec // what SQS answers with, not a safeguard
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// Config says where the queues are. Wait waits for a time of the service's clock, or
// until the channel is closed.
type Config struct {
	Account, Region string
	Wait            func(c *wire.Call, d time.Duration, woken <-chan struct{})
	Now             func() time.Time
}

// Service is the stand-in. It is safe for concurrent use.
type Service struct {
	cfg Config

	mu      sync.Mutex // guards all below
	queues  map[string]*queue
	deleted map[string]time.Time
	arrived chan struct{} // closed and replaced when a message comes
}

type queue struct {
	name       string
	attributes map[string]string
	created    time.Time
	messages   []*message
}

type message struct {
	id, body, receipt string
	sent, first       time.Time
	visible           time.Time
	receives          int
}

const (
	maxQueues   = 1000
	maxMessages = 10_000 // kept per queue, then the oldest goes: ours
	maxBody     = 1 << 20
)

// defaults are the attributes of a new queue, in the form they are read in.
var defaults = map[string]string{
	"VisibilityTimeout": "30", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "DelaySeconds": "0",
	"ReceiveMessageWaitTimeSeconds": "0",
}

// bounds of the numeric attributes (API reference, SetQueueAttributes).
var bounds = map[string][2]int{
	"VisibilityTimeout": {0, 43200}, "MaximumMessageSize": {1024, maxBody}, "MessageRetentionPeriod": {60, 1209600},
	"DelaySeconds": {0, 900}, "ReceiveMessageWaitTimeSeconds": {0, 20},
}

// New builds a service; every field of the configuration is needed.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, queues: map[string]*queue{}, deleted: map[string]time.Time{}, arrived: make(chan struct{})}
}

// Ops are the operations by name.
func (s *Service) Ops() map[string]wire.Op {
	return map[string]wire.Op{
		"CreateQueue": s.create, "GetQueueUrl": s.url, "ListQueues": s.list, "GetQueueAttributes": s.get, "SetQueueAttributes": s.set,
		"SendMessage": s.send, "ReceiveMessage": s.receive, "DeleteMessage": s.deleteMessage, "ChangeMessageVisibility": s.change,
		"DeleteQueue": s.deleteQueue, "PurgeQueue": s.purge,
	}
}

func invalid(format string, args ...any) error {
	e := wire.Failf("InvalidParameterValue", "", format, args...)
	return e
}

func absent() error {
	return wire.Fail(http.StatusBadRequest, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
}

// ARN is a queue's.
func (s *Service) arn(name string) string {
	return "arn:aws:sqs:" + s.cfg.Region + ":" + s.cfg.Account + ":" + name
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (s *Service) create(c *wire.Call) (wire.Out, error) {
	name := c.In.String("QueueName")
	attributes, err := s.attributes(c)
	switch {
	case err != nil:
		return nil, err
	case strings.HasSuffix(name, ".fifo"):
		return nil, wire.Failf("UnsupportedOperation", "", "This stand-in has standard queues only")
	case !queueName.MatchString(name):
		return nil, invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		for k, v := range attributes {
			if q.attributes[k] != v {
				return nil, wire.Fail(http.StatusBadRequest, "QueueNameExists", "QueueAlreadyExists", "A queue already exists with the same name and a different value for attribute "+k)
			}
		}
		return wire.Out{"QueueUrl": s.at(c, name)}, nil
	}
	if at, ok := s.deleted[name]; ok && c.Now.Sub(at) < time.Minute {
		return nil, wire.Fail(http.StatusBadRequest, "QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	if len(s.queues) >= maxQueues {
		return nil, wire.Failf("OverLimit", "", "this stand-in keeps %d queues and no more", maxQueues)
	}
	q := &queue{name: name, attributes: map[string]string{}, created: c.Now}
	for k, v := range defaults {
		q.attributes[k] = v
	}
	for k, v := range attributes {
		q.attributes[k] = v
	}
	s.queues[name] = q
	return wire.Out{"QueueUrl": s.at(c, name)}, nil
}

// attributes reads and checks what a queue is given.
func (s *Service) attributes(c *wire.Call) (map[string]string, error) {
	in := "Attributes"
	if c.Protocol == wire.Query {
		in = "Attribute"
	}
	attributes := c.In.Entries(in)
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	for k, v := range attributes {
		b, numeric := bounds[k]
		n, err := strconv.Atoi(v)
		switch {
		case numeric && (err != nil || n < b[0] || n > b[1]):
			return nil, wire.Failf("InvalidAttributeValue", "", "Invalid value for the parameter %s.", k)
		case k == "Policy" && v != "" && !json.Valid([]byte(v)):
			return nil, wire.Failf("InvalidAttributeValue", "", "Invalid value for the parameter Policy.")
		case !numeric && !slices.Contains([]string{"Policy", "RedrivePolicy", "SqsManagedSseEnabled", "KmsMasterKeyId"}, k):
			return nil, wire.Failf("InvalidAttributeName", "", "Unknown Attribute %s.", k)
		}
	}
	return attributes, nil
}

func (s *Service) at(c *wire.Call, name string) string {
	return c.Base + "/" + s.cfg.Account + "/" + name
}

// find is the queue of a call's QueueUrl; the caller holds the lock.
func (s *Service) find(c *wire.Call) (*queue, error) {
	text := c.In.String("QueueUrl")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, wire.Failf("MissingParameter", "", "The request must contain the parameter QueueUrl.")
	}
	if q := s.queues[path.Base(text)]; q != nil && strings.HasSuffix(text, "/"+s.cfg.Account+"/"+q.name) {
		return q, nil
	}
	return nil, absent()
}

func (s *Service) url(c *wire.Call) (wire.Out, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.In.String("QueueName")
	if s.queues[name] == nil {
		return nil, absent()
	}
	return wire.Out{"QueueUrl": s.at(c, name)}, c.In.Err()
}

func (s *Service) list(c *wire.Call) (wire.Out, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := c.In.String("QueueNamePrefix")
	var urls []string
	for name := range s.queues {
		if strings.HasPrefix(name, prefix) {
			urls = append(urls, s.at(c, name))
		}
	}
	slices.Sort(urls)
	if len(urls) == 0 {
		return wire.Out{}, c.In.Err()
	}
	return wire.Out{"QueueUrls": urls}, c.In.Err()
}

func (s *Service) get(c *wire.Call) (wire.Out, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	if err != nil {
		return nil, err
	}
	in := "AttributeNames"
	if c.Protocol == wire.Query {
		in = "AttributeName"
	}
	names := c.In.Strings(in)
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	all := map[string]string{
		"QueueArn": s.arn(q.name), "CreatedTimestamp": strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp": strconv.FormatInt(q.created.Unix(), 10), "ApproximateNumberOfMessagesDelayed": "0",
	}
	for k, v := range q.attributes {
		if v != "" {
			all[k] = v
		}
	}
	q.expire(c.Now)
	seen, hidden := 0, 0
	for _, m := range q.messages {
		if m.visible.After(c.Now) {
			hidden++
		} else {
			seen++
		}
	}
	all["ApproximateNumberOfMessages"], all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(seen), strconv.Itoa(hidden)
	out := wire.Entries{}
	for k, v := range all {
		if slices.Contains(names, "All") || slices.Contains(names, k) {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return wire.Out{}, nil
	}
	return wire.Out{"Attributes": out}, nil
}

func (s *Service) set(c *wire.Call) (wire.Out, error) {
	attributes, err := s.attributes(c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	if err != nil {
		return nil, err
	}
	for k, v := range attributes {
		q.attributes[k] = v
	}
	return nil, nil
}

func (s *Service) send(c *wire.Call) (wire.Out, error) {
	body := c.In.String("MessageBody")
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	switch {
	case err != nil:
		return nil, err
	case body == "":
		return nil, wire.Failf("MissingParameter", "", "The request must contain the parameter MessageBody.")
	case len(body) > maxBody:
		return nil, invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxBody)
	}
	m := s.put(q, body, c.Now)
	return wire.Out{"MessageId": m.id, "MD5OfMessageBody": sum(body)}, nil
}

// put appends a message and wakes whoever waits; the caller holds the lock.
func (s *Service) put(q *queue, body string, now time.Time) *message {
	m := &message{id: wire.NewID(), body: body, sent: now, visible: now}
	q.messages = append(q.messages, m)
	if len(q.messages) > maxMessages {
		q.messages = slices.Delete(q.messages, 0, len(q.messages)-maxMessages)
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
	return m
}

// Deliver brings a message of a topic. It fails when there is no such queue or its
// policy does not let SNS send, as when AWS drops the message without a word.
func (s *Service) Deliver(queueARN, topicARN, body string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[queueARN[strings.LastIndexByte(queueARN, ':')+1:]]
	switch {
	case q == nil || s.arn(q.name) != queueARN:
		return errors.New("the queue does not exist")
	case !allows(q.attributes["Policy"], queueARN, topicARN):
		return errors.New("the queue's policy does not allow sns.amazonaws.com to send to it from this topic")
	}
	s.put(q, body, now)
	return nil
}

func (s *Service) receive(c *wire.Call) (wire.Out, error) {
	p := c.In
	count, wait := 1, time.Duration(-1)
	if p.Has("MaxNumberOfMessages") {
		count = int(p.Int("MaxNumberOfMessages"))
	}
	if p.Has("WaitTimeSeconds") {
		wait = time.Duration(p.Int("WaitTimeSeconds")) * time.Second
	}
	hide := time.Duration(-1)
	if p.Has("VisibilityTimeout") {
		hide = time.Duration(p.Int("VisibilityTimeout")) * time.Second
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if count < 1 || count > 10 {
		return nil, invalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", count)
	}
	if wait > 20*time.Second || hide > 12*time.Hour {
		return nil, invalid("WaitTimeSeconds must be >= 0 and <= 20, VisibilityTimeout at most 43200.")
	}
	deadline := time.Time{}
	for {
		s.mu.Lock()
		q, err := s.find(c)
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		now := s.cfg.Now()
		if deadline.IsZero() {
			if wait < 0 {
				wait = q.seconds("ReceiveMessageWaitTimeSeconds")
			}
			deadline = now.Add(wait)
		}
		if hide < 0 {
			hide = q.seconds("VisibilityTimeout")
		}
		out, next := q.take(count, hide, now)
		woken := s.arrived
		s.mu.Unlock()
		if len(out) > 0 {
			return wire.Out{"Messages": out}, nil
		}
		if left := deadline.Sub(now); left > 0 && c.Context.Err() == nil {
			if until := next.Sub(now); !next.IsZero() && until < left {
				left = until // a hidden message shows itself before
			}
			s.cfg.Wait(c, left, woken)
			continue
		}
		return wire.Out{}, nil
	}
}

func (q *queue) seconds(attribute string) time.Duration {
	n, _ := strconv.Atoi(q.attributes[attribute]) // checked when it was set
	return time.Duration(n) * time.Second
}

// expire forgets what is older than the retention period.
func (q *queue) expire(now time.Time) {
	old := now.Add(-q.seconds("MessageRetentionPeriod"))
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.sent.Before(old) })
}

// take hands out messages and hides them; next is when one that is hidden shows
// itself, or zero.
func (q *queue) take(count int, hide time.Duration, now time.Time) (out []wire.Out, next time.Time) {
	q.expire(now)
	for _, m := range q.messages {
		if len(out) == count {
			break
		}
		if m.visible.After(now) {
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
			continue
		}
		if m.receives++; m.receives == 1 {
			m.first = now
		}
		m.visible, m.receipt = now.Add(hide), wire.NewID()
		out = append(out, wire.Out{
			"MessageId": m.id, "ReceiptHandle": m.receipt, "MD5OfBody": sum(m.body), "Body": m.body,
			"Attributes": wire.Entries{
				"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.receives),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
			},
		})
	}
	return out, next
}

// withReceipt does something with the message of a receipt handle.
func (s *Service) withReceipt(c *wire.Call, do func(*queue, int)) (wire.Out, error) {
	receipt := c.In.String("ReceiptHandle")
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	if err != nil {
		return nil, err
	}
	if len(receipt) != 36 {
		return nil, wire.Failf("ReceiptHandleIsInvalid", "", "The input receipt handle is invalid.")
	}
	if i := slices.IndexFunc(q.messages, func(m *message) bool { return m.receipt == receipt }); i >= 0 {
		do(q, i)
	}
	return nil, nil // one that is gone is no error
}

func (s *Service) deleteMessage(c *wire.Call) (wire.Out, error) {
	return s.withReceipt(c, func(q *queue, i int) { q.messages = slices.Delete(q.messages, i, i+1) })
}

func (s *Service) change(c *wire.Call) (wire.Out, error) {
	seconds := c.In.Int("VisibilityTimeout")
	if seconds < 0 || seconds > 43200 {
		return nil, invalid("VisibilityTimeout must be between 0 and 43200.")
	}
	return s.withReceipt(c, func(q *queue, i int) { q.messages[i].visible = c.Now.Add(time.Duration(seconds) * time.Second) })
}

func (s *Service) deleteQueue(c *wire.Call) (wire.Out, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	if err != nil {
		return nil, err
	}
	delete(s.queues, q.name)
	if len(s.deleted) > maxQueues {
		clear(s.deleted)
	}
	s.deleted[q.name] = c.Now
	close(s.arrived) // whoever waits for it learns that it is gone
	s.arrived = make(chan struct{})
	return nil, nil
}

func (s *Service) purge(c *wire.Call) (wire.Out, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(c)
	if err != nil {
		return nil, err
	}
	q.messages = nil
	return nil, nil
}

// Names lists the queues, sorted, for a look from outside.
func (s *Service) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name := range s.queues {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}
