// Package topics holds Service: the part of Amazon SNS that has topics and
// subscriptions. What is published to phone numbers is package lab/sns's.
//
// Sources: the SNS API reference, the service model in botocore 1.43.11, and of the
// developer guide "Message and JSON formats", "HTTP/HTTPS headers" and "Subscribing an
// Amazon SQS queue to a topic", all read 2026-11.
package topics

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// Config says where the topics are and how messages leave.
type Config struct {
	Account, Region string

	// Base is the URL under which the stand-in is reached, for the links in messages.
	Base string

	// Queue brings a message to a queue, given by its ARN.
	Queue func(queueARN, topicARN, body string, now time.Time) error

	// Post sends to a subscriber over HTTP; nil means a client with a time limit.
	Post func(*http.Request) (status int, err error)
}

// Service is the stand-in. It is safe for concurrent use, and posts to subscribers in
// goroutines: Close ends them.
type Service struct {
	cfg  Config
	post poster

	mu            sync.Mutex // guards all below
	topics        map[string]*topic
	names         []string // of topics, sorted
	subscriptions []*subscription
	deliveries    []Delivery // the latest, oldest first
}

type topic struct {
	name, arn, display string
	deleted            int // subscriptions that are gone
}

type subscription struct {
	arn, topic, protocol, endpoint string
	token                          string // while it waits for confirmation
	raw                            bool
}

// Delivery is one message to one subscriber, for a look from outside.
type Delivery struct {
	At                 time.Time `json:"at"`
	Topic              string    `json:"topicArn"`
	Protocol, Endpoint string
	MessageID          string `json:"messageId"`
	Status             string `json:"status"` // SUCCESS or FAILURE
	Error              string `json:"error,omitempty"`
}

const (
	maxTopics        = 1000
	maxSubscriptions = 10_000
	maxDeliveries    = 1000
	maxMessage       = 256 << 10
	pageSize         = 100
)

// New builds a service.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg, topics: map[string]*topic{}}
	s.post.start(cfg.Post, s.note)
	return s
}

// Close gives up what is being posted.
func (s *Service) Close() error { s.post.close(); return nil }

// Ops are the operations by name.
func (s *Service) Ops() map[string]wire.Op {
	ops := map[string]wire.Op{
		"CreateTopic": s.createTopic, "DeleteTopic": s.deleteTopic, "ListTopics": s.listTopics, "GetTopicAttributes": s.topicAttributes,
		"Subscribe": s.subscribe, "ConfirmSubscription": s.confirm, "Unsubscribe": s.unsubscribe,
		"ListSubscriptions": s.listSubscriptions, "ListSubscriptionsByTopic": s.listSubscriptions,
		"GetSubscriptionAttributes": s.attributes, "SetSubscriptionAttributes": s.setAttributes, "Publish": s.publish,
	}
	for name, op := range ops {
		ops[name] = func(c *wire.Call) (wire.Out, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return op(c)
		}
	}
	return ops
}

func invalid(format string, args ...any) error {
	return wire.Failf("InvalidParameter", "", "Invalid parameter: "+format, args...)
}

func absent(what string) error {
	return wire.Fail(http.StatusNotFound, "NotFound", "NotFound", what+" does not exist")
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (s *Service) createTopic(c *wire.Call) (wire.Out, error) {
	name, attributes := c.In.String("Name"), c.In.Entries("Attributes")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if !topicName.MatchString(name) {
		return nil, invalid("Topic Name")
	}
	arn := "arn:aws:sns:" + s.cfg.Region + ":" + s.cfg.Account + ":" + name
	if s.topics[arn] == nil {
		if len(s.topics) >= maxTopics {
			return nil, wire.Fail(http.StatusForbidden, "TopicLimitExceeded", "TopicLimitExceeded", "This stand-in keeps no more topics")
		}
		s.topics[arn] = &topic{name: name, arn: arn, display: attributes["DisplayName"]}
		i, _ := slices.BinarySearch(s.names, arn)
		s.names = slices.Insert(s.names, i, arn)
	}
	return wire.Out{"TopicArn": arn}, nil
}

// find is the topic of a call.
func (s *Service) find(c *wire.Call) (*topic, error) {
	arn := c.In.String("TopicArn")
	if arn == "" {
		arn = c.In.String("TargetArn")
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if t := s.topics[arn]; t != nil {
		return t, nil
	}
	if !strings.HasPrefix(arn, "arn:aws:sns:") || strings.Count(arn, ":") != 5 {
		return nil, invalid("TopicArn")
	}
	return nil, absent("Topic")
}

func (s *Service) deleteTopic(c *wire.Call) (wire.Out, error) {
	t, err := s.find(c)
	if err != nil {
		if strings.Contains(err.Error(), "does not exist") {
			return wire.Out{}, nil // deleting twice is no error
		}
		return nil, err
	}
	delete(s.topics, t.arn)
	if i, there := slices.BinarySearch(s.names, t.arn); there {
		s.names = slices.Delete(s.names, i, i+1)
	}
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(b *subscription) bool { return b.topic == t.arn })
	return nil, nil
}

// cut is the page of a call: where it begins and ends, and the next token.
func cut(c *wire.Call, length int) (from, to int, next string, err error) {
	if text := c.In.String("NextToken"); text != "" {
		b, bad := base64.RawURLEncoding.DecodeString(text)
		if bad == nil {
			from, bad = strconv.Atoi(string(b))
		}
		if bad != nil || from < 0 {
			return 0, 0, "", invalid("NextToken Reason: the token is not one of this operation")
		}
	}
	from = min(from, length)
	if to = min(from+pageSize, length); to < length {
		next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return from, to, next, c.In.Err()
}

func (s *Service) listTopics(c *wire.Call) (wire.Out, error) {
	from, to, next, err := cut(c, len(s.names))
	if err != nil {
		return nil, err
	}
	list := []wire.Out{}
	for _, arn := range s.names[from:to] {
		list = append(list, wire.Out{"TopicArn": arn})
	}
	out := wire.Out{"Topics": list}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (s *Service) topicAttributes(c *wire.Call) (wire.Out, error) {
	t, err := s.find(c)
	if err != nil {
		return nil, err
	}
	confirmed, pending := 0, 0
	for _, b := range s.subscriptions {
		switch {
		case b.topic != t.arn:
		case b.token == "":
			confirmed++
		default:
			pending++
		}
	}
	return wire.Out{"Attributes": wire.Entries{
		"TopicArn": t.arn, "Owner": s.cfg.Account, "DisplayName": t.display, "SubscriptionsConfirmed": strconv.Itoa(confirmed),
		"SubscriptionsPending": strconv.Itoa(pending), "SubscriptionsDeleted": strconv.Itoa(t.deleted),
	}}, nil
}

func (s *Service) publish(c *wire.Call) (wire.Out, error) {
	subject, message := c.In.String("Subject"), c.In.String("Message")
	t, err := s.find(c)
	switch {
	case err != nil:
		return nil, err
	case message == "":
		return nil, invalid("Empty message")
	case len(message) > maxMessage:
		return nil, invalid("Message too long")
	case !utf8.ValidString(message):
		return nil, invalid("Message Reason: not UTF-8")
	case utf8.RuneCountInString(subject) > 100 || strings.ContainsAny(subject, "\n\r"):
		return nil, invalid("Subject")
	}
	return wire.Out{"MessageId": s.send(t, subject, message, c.Now)}, nil
}

// PublishTo publishes as a service of AWS does, such as an alarm.
func (s *Service) PublishTo(arn, subject, message string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(arn, "arn:aws:sns:") {
		return fmt.Errorf("this stand-in carries out actions of SNS topics only")
	}
	t := s.topics[arn]
	if t == nil {
		return errors.New("Resource: " + arn + " does not exist") //nolint:staticcheck // AWS's words
	}
	s.send(t, subject, message, now)
	return nil
}

// send brings a message to every confirmed subscriber; the caller holds the lock.
func (s *Service) send(t *topic, subject, message string, now time.Time) string {
	id := wire.NewID()
	for _, b := range s.subscriptions {
		if b.topic != t.arn || b.token != "" {
			continue
		}
		body := message
		if !b.raw {
			body = s.notification(b, id, subject, message, now)
		}
		switch {
		case b.protocol == "sqs":
			s.noteLocked(b, id, now, s.cfg.Queue(b.endpoint, b.topic, body, now))
		case b.post():
			s.post.send(now, b, "Notification", id, body)
		default:
			s.noteLocked(b, id, now, nil) // nobody reads mail here
		}
	}
	return id
}

func (s *Service) note(b *subscription, id string, now time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLocked(b, id, now, err)
}

func (s *Service) noteLocked(b *subscription, id string, now time.Time, err error) {
	d := Delivery{At: now, Topic: b.topic, Protocol: b.protocol, Endpoint: b.endpoint, MessageID: id, Status: "SUCCESS"}
	if err != nil {
		d.Status, d.Error = "FAILURE", err.Error()
	}
	s.deliveries = append(s.deliveries, d)
	if len(s.deliveries) > maxDeliveries {
		s.deliveries = slices.Delete(s.deliveries, 0, 1)
	}
}

// Deliveries are the latest ones, oldest first.
func (s *Service) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deliveries)
}

// Pending is a subscription that waits for its confirmation.
type Pending struct {
	Topic    string `json:"topicArn"`
	Protocol string `json:"protocol"`
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
}

// Pending are the subscriptions that wait, with what would be in the mail.
func (s *Service) Pending() []Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Pending{}
	for _, b := range s.subscriptions {
		if b.token != "" {
			out = append(out, Pending{b.topic, b.protocol, b.endpoint, b.token})
		}
	}
	return out
}
