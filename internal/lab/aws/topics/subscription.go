package topics

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

func (s *Service) subscribe(c *wire.Call) (wire.Out, error) {
	t, err := s.find(c)
	if err != nil {
		return nil, err
	}
	b := &subscription{topic: t.arn, protocol: c.In.String("Protocol"), endpoint: c.In.String("Endpoint"), arn: t.arn + ":" + wire.NewID()}
	show := c.In.Bool("ReturnSubscriptionArn")
	attributes := c.In.Entries("Attributes")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	for k, v := range attributes {
		if err := b.set(k, v); err != nil {
			return nil, err
		}
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(s.subscriptions, func(o *subscription) bool {
		return o.topic == b.topic && o.protocol == b.protocol && o.endpoint == b.endpoint
	}); i >= 0 {
		b = s.subscriptions[i]
	} else {
		if len(s.subscriptions) >= maxSubscriptions {
			return nil, wire.Fail(http.StatusForbidden, "SubscriptionLimitExceeded", "SubscriptionLimitExceeded", "This stand-in keeps no more subscriptions")
		}
		if b.protocol != "sqs" && b.protocol != "sms" {
			b.token = strings.ReplaceAll(wire.NewID()+wire.NewID(), "-", "")
		}
		s.subscriptions = append(s.subscriptions, b)
	}
	if b.token != "" && b.post() {
		s.post.send(c.Now, b, "SubscriptionConfirmation", wire.NewID(), s.confirmation(c, b))
	}
	if b.token != "" && !show {
		return wire.Out{"SubscriptionArn": "pending confirmation"}, nil
	}
	return wire.Out{"SubscriptionArn": b.arn}, nil
}

func (b *subscription) post() bool { return b.protocol == "http" || b.protocol == "https" }

// check refuses endpoints that are not of their protocol.
func (b *subscription) check() error {
	switch b.protocol {
	case "http", "https":
		u, err := url.Parse(b.endpoint)
		if err != nil || u.Scheme != b.protocol || u.Host == "" || u.User != nil {
			return invalid("Endpoint must match the specified protocol")
		}
		if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
			return invalid("Endpoint Reason: this stand-in delivers to this machine only, such as http://127.0.0.1:8080/")
		}
	case "email", "email-json":
		if !strings.Contains(b.endpoint, "@") {
			return invalid("Email address")
		}
	case "sqs":
		if !strings.HasPrefix(b.endpoint, "arn:aws:sqs:") {
			return invalid("SQS endpoint ARN")
		}
	case "sms":
		if strings.Trim(b.endpoint, "+0123456789") != "" || b.endpoint == "" {
			return invalid("Endpoint Reason: not a phone number")
		}
	default:
		return invalid("Protocol Reason: this stand-in has http, https, email, email-json, sqs and sms")
	}
	return nil
}

func (b *subscription) set(name, value string) error {
	if name != "RawMessageDelivery" || value != "true" && value != "false" {
		return invalid("Attributes Reason: this stand-in has RawMessageDelivery, which is true or false")
	}
	b.raw = value == "true"
	return nil
}

func (s *Service) confirm(c *wire.Call) (wire.Out, error) {
	t, err := s.find(c)
	if err != nil {
		return nil, err
	}
	token := c.In.String("Token")
	for _, b := range s.subscriptions {
		if b.topic == t.arn && b.token == token && token != "" {
			b.token = ""
			return wire.Out{"SubscriptionArn": b.arn}, nil
		}
	}
	return nil, invalid("Token")
}

func (s *Service) subscription(c *wire.Call) (*subscription, error) {
	arn := c.In.String("SubscriptionArn")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	for _, b := range s.subscriptions {
		if b.arn == arn {
			return b, nil
		}
	}
	if strings.Count(arn, ":") != 6 {
		return nil, invalid("SubscriptionArn Reason: An ARN must have at least 6 elements, not %d", strings.Count(arn, ":"))
	}
	return nil, absent("Subscription")
}

func (s *Service) unsubscribe(c *wire.Call) (wire.Out, error) {
	b, err := s.subscription(c)
	if err != nil {
		if strings.Contains(err.Error(), "does not exist") {
			return wire.Out{}, nil
		}
		return nil, err
	}
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(o *subscription) bool { return o == b })
	if t := s.topics[b.topic]; t != nil {
		t.deleted++
	}
	return nil, nil
}

func (s *Service) listSubscriptions(c *wire.Call) (wire.Out, error) {
	only := ""
	if c.Op == "ListSubscriptionsByTopic" {
		t, err := s.find(c)
		if err != nil {
			return nil, err
		}
		only = t.arn
	}
	var found []wire.Out
	for _, b := range s.subscriptions {
		if only == "" || b.topic == only {
			arn := b.arn
			if b.token != "" {
				arn = "PendingConfirmation"
			}
			found = append(found, wire.Out{"SubscriptionArn": arn, "Owner": s.cfg.Account, "Protocol": b.protocol, "Endpoint": b.endpoint, "TopicArn": b.topic})
		}
	}
	from, to, next, err := cut(c, len(found))
	if err != nil {
		return nil, err
	}
	out := wire.Out{"Subscriptions": append([]wire.Out{}, found[from:to]...)}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (s *Service) attributes(c *wire.Call) (wire.Out, error) {
	b, err := s.subscription(c)
	if err != nil {
		return nil, err
	}
	return wire.Out{"Attributes": wire.Entries{
		"SubscriptionArn": b.arn, "TopicArn": b.topic, "Protocol": b.protocol, "Endpoint": b.endpoint, "Owner": s.cfg.Account,
		"PendingConfirmation": strconv.FormatBool(b.token != ""), "RawMessageDelivery": strconv.FormatBool(b.raw),
		"ConfirmationWasAuthenticated": strconv.FormatBool(b.protocol == "sqs"),
	}}, nil
}

func (s *Service) setAttributes(c *wire.Call) (wire.Out, error) {
	b, err := s.subscription(c)
	if err != nil {
		return nil, err
	}
	return nil, b.set(c.In.String("AttributeName"), c.In.String("AttributeValue"))
}
