// Package sns is Service: a local stand-in of Amazon SNS as far as it sends text
// messages, which is Publish to a phone number in the Query protocol.
//
// Nothing is ever sent. What was published is kept and shown under SentPath, the
// path and the shape in which LocalStack shows it, so that tests written for
// LocalStack find it.
//
// Sources: the SNS service model in botocore 1.44.5 for error codes and statuses;
// the SNS API reference, "Publish" (constraints of Message and PhoneNumber), and
// the SNS developer guide, "Requesting increases to your monthly SMS spending
// quota", both read 2026-11. What the documents leave open is said at the spot.
//
// # Limits
//
// Rate is the account's limit on Publish: a refusal is Throttling with status 400,
// never 429, which is what a client that looks only at the status misses.
// SpendLimit is the account's monthly spending quota for text messages. When it is
// used up, Publish still succeeds and returns a MessageId; the message is just not
// delivered, which only the delivery log tells ("No quota left for account"). So
// it is here: the message is kept with status FAILURE.
package sns

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// SentPath shows what was published: GET, with ?phoneNumber= for one number;
// DELETE forgets it.
const SentPath = "/_aws/sns/sms-messages"

// Config says what the account may do. The zero value limits nothing.
type Config struct {
	// Rate is the limit on Publish over the account; nil refuses none. AWS's own
	// for Publish is between 300 and 30,000 a second, by region.
	Rate *limit.Policy

	// SpendLimit is the monthly spending quota in US dollars; 0 means none.
	// AWS gives a new account 1 dollar.
	SpendLimit float64

	// Price is what one part of a message costs, in US dollars; 0 means 0.07.
	Price float64

	// Keep is how many messages are kept to be shown, the latest ones; 0 means
	// 1000.
	Keep int

	// Latency, Faults, Seed, History and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

const (
	defaultPrice = 0.07
	defaultKeep  = 1000
	region       = "us-east-1"
)

// Service is the stand-in: an http.Handler, safe for concurrent use. It owns no
// goroutines.
type Service struct {
	cfg   Config
	stand *stand.Stand

	mu        sync.Mutex // guards all below
	month     time.Time  // the first instant of the month that spent is for, UTC
	spent     float64    // US dollars
	accepted  uint64
	delivered uint64
	ring      []Message // grows up to cfg.Keep, then wraps
	head      int       // the oldest, once the ring is full
}

// Message is one accepted Publish, with the names that LocalStack gives them; the
// last three are from the delivery log of AWS.
type Message struct {
	PhoneNumber       string
	TopicArn          *string
	SubscriptionArn   *string
	MessageId         string
	Message           string
	MessageAttributes map[string]Attribute
	MessageStructure  *string
	Subject           *string

	Timestamp        time.Time `json:"timestamp"`
	Status           string    `json:"status"` // SUCCESS or FAILURE
	ProviderResponse string    `json:"providerResponse"`
	Parts            int       `json:"parts"`
	PriceInUSD       float64   `json:"priceInUSD"`
}

// Attribute is a message attribute, such as AWS.SNS.SMS.SMSType.
type Attribute struct {
	DataType    string
	StringValue string
}

// Totals are the counts of an account since the start.
type Totals struct {
	Accepted  uint64  // got a MessageId
	Delivered uint64  // of those, were not stopped by the spend limit
	Spent     float64 // US dollars in the current month
}

// New builds a service. The error names the field that is wrong.
func New(cfg Config) (*Service, error) {
	if cfg.Price == 0 {
		cfg.Price = defaultPrice
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	var errs []error
	// Written so that NaN fails too.
	if !(cfg.SpendLimit >= 0 && cfg.SpendLimit < math.Inf(1)) {
		errs = append(errs, fmt.Errorf("spend limit %v: must be a number of dollars from 0 (no limit) up", cfg.SpendLimit))
	}
	if !(cfg.Price > 0 && cfg.Price < math.Inf(1)) {
		errs = append(errs, fmt.Errorf("price %v: must be a number of dollars above 0", cfg.Price))
	}
	if cfg.Keep < 0 {
		errs = append(errs, fmt.Errorf("keep %d: must be a number of messages from 1 up", cfg.Keep))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("sns stand-in: %w", err)
	}
	st, err := stand.New(stand.Config{
		Quotas:  []stand.Quota{{Category: "Publish", Policy: cfg.Rate}},
		Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, History: cfg.History, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("sns stand-in: %w", err)
	}
	return &Service{cfg: cfg, stand: st}, nil
}

// Stand is the machinery below: counts, quota, faults.
func (s *Service) Stand() *stand.Stand { return s.stand }

// Commands are shell lines to try, a title and a line each.
func (s *Service) Commands(base string) [][2]string {
	return [][2]string{
		{"one message", "curl -sS -d Action=Publish -d Version=2010-03-31 --data-urlencode PhoneNumber=+819012345678 -d Message=hello " + base + "/"},
		{"the same by the AWS CLI", "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws sns publish --region " + region + " --endpoint-url " + base + " --phone-number +819012345678 --message hello"},
		{"what was sent", "curl -sS " + base + SentPath},
	}
}

// Totals returns the counts so far.
func (s *Service) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Totals{Accepted: s.accepted, Delivered: s.delivered, Spent: s.spent}
}

// Sent returns the messages that are kept, oldest first.
func (s *Service) Sent() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Message, 0, len(s.ring))
	out = append(out, s.ring[s.head:]...)
	return append(out, s.ring[:s.head]...)
}

// Forget drops the messages that are kept; the totals stay.
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring, s.head = nil, 0
}

// accept decides on delivery and keeps the message.
func (s *Service) accept(m Message, now time.Time) {
	m.Timestamp = now.UTC()
	m.Parts = parts(m.Message)
	m.PriceInUSD = s.cfg.Price * float64(m.Parts)
	m.Status, m.ProviderResponse = "SUCCESS", "Message has been accepted by phone carrier"

	s.mu.Lock()
	defer s.mu.Unlock()
	month := time.Date(m.Timestamp.Year(), m.Timestamp.Month(), 1, 0, 0, 0, 0, time.UTC)
	if month.After(s.month) {
		s.month, s.spent = month, 0
	}
	s.accepted++
	// A hair above the limit is the sum of prices that have no exact binary form.
	if s.cfg.SpendLimit > 0 && s.spent+m.PriceInUSD > s.cfg.SpendLimit+1e-9 {
		m.Status, m.ProviderResponse, m.PriceInUSD = "FAILURE", "No quota left for account", 0
	} else {
		s.spent += m.PriceInUSD
		s.delivered++
	}
	if len(s.ring) < s.cfg.Keep {
		s.ring = append(s.ring, m)
		return
	}
	s.ring[s.head] = m
	s.head = (s.head + 1) % len(s.ring)
}

var _ http.Handler = (*Service)(nil)
