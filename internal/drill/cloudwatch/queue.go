package cloudwatch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/weir-dev/weir/internal/account"
)

// queuePrefix begins the names of all queues that drills make.
const queuePrefix = "weir-drill-"

// Owner marks who made a queue, so that what was left behind can be told from what is
// in use: a queue is removed when its time is over, or when its process is not there
// any more.
type Owner struct {
	Host  string // letters and digits
	PID   int
	Alive func(pid int) bool // on this host
}

// mailbox is the queue of a drill.
type mailbox struct {
	name, arn, url string
	made           bool              // CreateQueue was called, whatever came of it
	subs           map[string]string // ARNs of subscriptions by topic; "" where that is not known
	notices        []notice
	seen           map[string]bool // message ids
	closed         bool
}

// notice is one notification.
type notice struct {
	topic, state string
	at           time.Time // when it reached the queue
}

func (b *mailbox) open() bool { return b.url != "" && len(b.subs) > 0 && !b.closed }

// first is when the first notification of a state came from a topic.
func (b *mailbox) first(topic, state string, since time.Time) (time.Time, bool) {
	const slack = 2 * time.Second // its clock is not ours
	for _, n := range b.notices {
		if n.topic == topic && n.state == state && !n.at.Before(since.Add(-slack)) {
			return n.at, true
		}
	}
	return time.Time{}, false
}

// name makes a queue's name: when it may be removed, who made it, and chance.
func (a *Alarm) name() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	until := a.o.Clock.Now().Add(a.o.Until).Unix()
	return fmt.Sprintf("%s%s-%s-%d-%s", queuePrefix, strconv.FormatInt(until, 36), a.o.Mine.Host, a.o.Mine.PID, hex.EncodeToString(b[:]))
}

// abandoned says whether a queue is nobody's any more.
func (a *Alarm) abandoned(name string) bool {
	f := strings.Split(strings.TrimPrefix(name, queuePrefix), "-")
	if len(f) != 4 {
		return false
	}
	until, err := strconv.ParseInt(f[0], 36, 64)
	pid, err2 := strconv.Atoi(f[2])
	if err != nil || err2 != nil {
		return false
	}
	if a.o.Clock.Now().Unix() > until {
		return true
	}
	return f[1] == a.o.Mine.Host && pid != a.o.Mine.PID && a.o.Mine.Alive != nil && !a.o.Mine.Alive(pid)
}

// Open removes what earlier drills left behind, and makes the queue.
func (a *Alarm) Open(ctx context.Context) ([]string, error) {
	if !a.queued() {
		return nil, nil
	}
	notes := a.sweep(ctx)
	fall := func(action string, err error) []string {
		a.Close(context.WithoutCancel(ctx))
		return append(notes, fmt.Sprintf("the notification is proved by the alarm's history only, which says what was sent and not what came: %s: %s", action, account.Words(err)))
	}
	b := &a.box
	b.name, b.subs, b.seen = a.name(), map[string]string{}, map[string]bool{}
	partition := part(aws.ToString(a.alarm.AlarmArn), 1)
	if partition == "" {
		partition = "aws"
	}
	b.arn = "arn:" + partition + ":sqs:" + a.cfg.Region + ":" + a.account + ":" + b.name
	all := slices.Clone(a.topics)
	for _, t := range a.okTopics {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	b.made = true
	out, err := a.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &b.name, Attributes: map[string]string{
		"MessageRetentionPeriod": "3600", "Policy": queuePolicy(b.arn, all),
	}})
	if err != nil {
		return fall("sqs:CreateQueue", err), ctx.Err()
	}
	b.url = aws.ToString(out.QueueUrl)
	for _, topic := range all {
		b.subs[topic] = ""
		sub, err := a.topicClient(topic).Subscribe(ctx, &sns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &b.arn, ReturnSubscriptionArn: true})
		if err != nil {
			return fall("sns:Subscribe", err), ctx.Err()
		}
		b.subs[topic] = aws.ToString(sub.SubscriptionArn)
	}
	// What was subscribed a moment ago may miss the next message.
	a.o.Clock.Sleep(ctx, settle)
	return notes, ctx.Err()
}

// settle is how long a new subscription takes to be known everywhere.
const settle = 3 * time.Second

// queuePolicy lets the topics send to the queue, and nobody do anything else.
func queuePolicy(queue string, topics []string) string {
	b, _ := json.Marshal(map[string]any{ // texts
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]string{"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue,
			"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": topics}},
		}},
	})
	return string(b)
}

// receive takes what has come.
func (a *Alarm) receive(ctx context.Context) error {
	for range 10 {
		out, err := a.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &a.box.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"SentTimestamp"},
		})
		if err != nil {
			return err
		}
		for _, m := range out.Messages {
			if id := aws.ToString(m.MessageId); !a.box.seen[id] {
				a.box.seen[id] = true
				a.take(aws.ToString(m.Body), m.Attributes["SentTimestamp"])
			}
		}
		if len(out.Messages) < 10 {
			return nil
		}
	}
	return nil
}

// take reads one message; what is not a notification of this alarm is left alone.
func (a *Alarm) take(body, sent string) {
	var envelope struct{ Type, TopicArn, Message string }
	var message struct{ AlarmName, NewStateValue string }
	if json.Unmarshal([]byte(body), &envelope) != nil || json.Unmarshal([]byte(envelope.Message), &message) != nil || message.AlarmName != a.o.Name {
		return
	}
	at := a.o.Clock.Now()
	if ms, err := strconv.ParseInt(sent, 10, 64); err == nil {
		at = time.UnixMilli(ms).UTC()
	}
	a.box.notices = append(a.box.notices, notice{envelope.TopicArn, message.NewStateValue, at})
}

// Close removes the queue and its subscriptions, and says what is left.
func (a *Alarm) Close(ctx context.Context) (left []string) {
	b := &a.box
	if !b.made || b.closed {
		return nil
	}
	b.closed = true
	for topic, arn := range b.subs {
		if err := a.unsubscribe(ctx, topic, arn, b.arn); err != nil {
			left = append(left, fmt.Sprintf("the subscription of %s to %s (%s)", b.arn, topic, account.Words(err)))
		}
	}
	if b.url == "" { // its answer may have been lost
		out, err := a.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &b.name})
		if err != nil {
			return left // it is not there
		}
		b.url = aws.ToString(out.QueueUrl)
	}
	if err := a.deleteQueue(ctx, b.url); err != nil {
		left = append(left, fmt.Sprintf("the queue %s (%s)", b.url, account.Words(err)))
	}
	return left
}

func (a *Alarm) deleteQueue(ctx context.Context, url string) error {
	_, err := a.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	var gone *sqstypes.QueueDoesNotExist
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

// unsubscribe removes a subscription; without its ARN it is looked for.
func (a *Alarm) unsubscribe(ctx context.Context, topic, arn, queue string) error {
	c := a.topicClient(topic)
	if !strings.HasPrefix(arn, "arn:") {
		in := &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}
		for range 20 {
			page, err := c.ListSubscriptionsByTopic(ctx, in)
			if err != nil {
				return err
			}
			for _, s := range page.Subscriptions {
				if aws.ToString(s.Endpoint) == queue {
					arn = aws.ToString(s.SubscriptionArn)
				}
			}
			if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
				break
			}
		}
		if !strings.HasPrefix(arn, "arn:") {
			return nil // there is none
		}
	}
	_, err := c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
	return err
}

// sweep removes what drills that were killed have left.
func (a *Alarm) sweep(ctx context.Context) (notes []string) {
	in := &sqs.ListQueuesInput{QueueNamePrefix: aws.String(queuePrefix), MaxResults: aws.Int32(100)}
	for range 10 {
		page, err := a.sqs.ListQueues(ctx, in)
		if err != nil {
			return append(notes, "what earlier drills may have left could not be looked for (sqs:ListQueues): "+account.Words(err))
		}
		for _, url := range page.QueueUrls {
			name := url[strings.LastIndexByte(url, '/')+1:]
			if !a.abandoned(name) {
				notes = append(notes, "another drill seems to be under way: its queue is "+name)
				continue
			}
			if err := a.remove(ctx, url, name); err != nil {
				notes = append(notes, fmt.Sprintf("an earlier drill left the queue %s, which could not be removed: %s", name, account.Words(err)))
				continue
			}
			notes = append(notes, "removed what an earlier drill left: the queue "+name+" and its subscription")
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			return notes
		}
	}
	return notes
}

// remove deletes a queue that was left, after the subscriptions that its policy is for.
func (a *Alarm) remove(ctx context.Context, url, name string) error {
	topics := slices.Clone(a.topics)
	arn := ""
	if out, err := a.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"Policy", "QueueArn"}}); err == nil {
		arn = out.Attributes["QueueArn"]
		var p struct {
			Statement []struct {
				Condition struct {
					ArnEquals map[string][]string
				}
			}
		}
		if json.Unmarshal([]byte(out.Attributes["Policy"]), &p) == nil {
			for _, s := range p.Statement {
				topics = append(topics, s.Condition.ArnEquals["aws:SourceArn"]...)
			}
		}
	}
	if arn == "" {
		arn = "arn:aws:sqs:" + a.cfg.Region + ":" + a.account + ":" + name
	}
	slices.Sort(topics)
	for _, topic := range slices.Compact(topics) {
		if err := a.unsubscribe(ctx, topic, "", arn); err != nil {
			return err
		}
	}
	return a.deleteQueue(ctx, url)
}
