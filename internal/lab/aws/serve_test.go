package aws_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/weir-dev/weir/internal/lab/aws"
	"github.com/weir-dev/weir/internal/lab/aws/topics"
	"github.com/weir-dev/weir/internal/lab/cognito"
)

// code is the service's word for an error, or how it failed otherwise.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &api):
		return api.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "cut"
}

// putOne sends one request that counts n.
func putOne(ctx context.Context, c *cloudwatch.Client, n float64) error {
	_, err := c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: ptr("Weir"), MetricData: []types.MetricDatum{{MetricName: ptr("Requests"), Value: &n}}})
	return err
}

// total is what CloudWatch holds of Requests.
func total(t *testing.T, a *account) float64 {
	t.Helper()
	out := must[*cloudwatch.GetMetricDataOutput](t)(a.cloudwatch("cbor").GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: ptr(a.Now().Add(-time.Hour)), EndTime: ptr(a.Now().Add(time.Hour)),
		MetricDataQueries: []types.MetricDataQuery{{Id: ptr("q"), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: ptr("Weir"), MetricName: ptr("Requests")}, Period: ptr(int32(60)), Stat: ptr("Sum")}}}}))
	sum := 0.0
	for _, v := range out.MetricDataResults[0].Values {
		sum += v
	}
	return sum
}

// TestScript holds what each step does, to the client and to the data.
func TestScript(t *testing.T) {
	script, err := aws.ParseScript("PutMetricData: throttle*2 error, reset lost ok; ListMetrics: throttle")
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"cbor", "json", "query"} {
		a := newAccount(t, aws.Config{Clock: newHand().now, Script: script})
		var got []string
		for i := range 7 {
			got = append(got, code(putOne(ctx, a.cloudwatch(protocol), float64(int(1)<<i))))
		}
		if want := "[Throttling Throttling InternalServiceFault cut cut ok ok]"; strings.Replace(fmt.Sprint(got), "InternalServiceError", "InternalServiceFault", 1) != want {
			t.Errorf("%s: %v, want %s", protocol, got, want)
		}
		// The lost one was carried out.
		if sum := total(t, a); sum != 16+32+64 {
			t.Errorf("%s: stored %v, want 112", protocol, sum)
		}
		if _, err := a.cloudwatch(protocol).ListMetrics(ctx, nil); code(err) != "Throttling" {
			t.Errorf("%s: another operation's script: %v", protocol, err)
		}
		st := a.Stats(0)
		sum := st.Aborted
		for _, n := range st.Answers {
			sum += n
		}
		if st.Requests != sum || st.Aborted != 2 {
			t.Errorf("%s: %d requests, %d aborted, %v", protocol, st.Requests, st.Aborted, st.Answers)
		}
	}
}

// TestHang holds that a call that hangs ends with its client.
func TestHang(t *testing.T) {
	a := newAccount(t, aws.Config{Script: aws.Script{"*": {aws.Hang}}})
	short, cancel := context.WithTimeout(ctx, 2*time.Second) // the call is there by then
	defer cancel()
	if err := putOne(short, a.cloudwatch("cbor"), 1); code(err) != "timeout" {
		t.Errorf("%v", err)
	}
	if err := putOne(ctx, a.cloudwatch("cbor"), 1); err != nil {
		t.Errorf("the next: %v", err)
	}
}

func TestParseScript(t *testing.T) {
	for _, bad := range []string{"", " ; ", "PutMetricData:", "boom", "ok*0", "ok*x", "PutMetricData: ok*200000"} {
		if s, err := aws.ParseScript(bad); err == nil {
			t.Errorf("%q is read as %v", bad, s)
		}
	}
	s, err := aws.ParseScript("ok*2 lost; A: throttle,error\nB: reset hang")
	if err != nil || fmt.Sprint(s) != "map[*:[ok ok lost] A:[throttle error] B:[reset hang]]" {
		t.Errorf("%v %v", s, err)
	}
	if _, err := aws.New(aws.Config{Script: aws.Script{"PutMetrics": {aws.OK}}}); err == nil || !strings.Contains(err.Error(), "PutMetrics") {
		t.Errorf("an operation that is not there: %v", err)
	}
}

// TestRates holds that the shares come out, repeatably.
func TestRates(t *testing.T) {
	outcomes := func() string {
		a := newAccount(t, aws.Config{Clock: newHand().now, ThrottleRate: 0.3, LostRate: 0.2, Seed: 7, Unlimited: true})
		count := map[string]int{}
		for range 200 {
			count[code(putOne(ctx, a.cloudwatch("json"), 1))]++
		}
		a.SetScript(aws.Script{"GetMetricData": {aws.OK}})
		if sum := total(t, a); sum != float64(count["ok"]+count["cut"]) {
			t.Errorf("stored %v of %v", sum, count)
		}
		return fmt.Sprint(count)
	}
	if a, b := outcomes(), outcomes(); a != b || !strings.Contains(a, "Throttling:") {
		t.Errorf("%s and %s", a, b)
	}
}

// TestQuotas holds each service's way of throttling, and that quotas are in the
// account's time.
func TestQuotas(t *testing.T) {
	clock := newHand()
	a := newAccount(t, aws.Config{Clock: clock.now, TPS: map[string]int64{"PutMetricData": 2, "DescribeLogGroups": 1, "ListQueues": 1, "ListTopics": 1}})
	var got []string
	for range 4 {
		got = append(got, code(putOne(ctx, a.cloudwatch("cbor"), 1)))
	}
	clock.add(time.Second)
	got = append(got, code(putOne(ctx, a.cloudwatch("cbor"), 1)))
	_, _ = a.logs().DescribeLogGroups(ctx, nil)
	_, err := a.logs().DescribeLogGroups(ctx, nil)
	got = append(got, code(err))
	_, _ = a.sqs().ListQueues(ctx, nil)
	_, err = a.sqs().ListQueues(ctx, nil)
	got = append(got, code(err))
	_, _ = a.sns().ListTopics(ctx, nil)
	_, err = a.sns().ListTopics(ctx, nil)
	got = append(got, code(err))
	for range 10 {
		_, err = a.cloudwatch("json").DescribeAlarms(ctx, nil)
	}
	got = append(got, code(err))
	if want := "[ok ok Throttling Throttling ok ThrottlingException RequestThrottled Throttling Throttling]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, c := range a.Stats(0).Categories {
		if c.Category == "PutMetricData" && (c.CallCount != 5 || c.ThrottleCount != 2 || c.Limit != 2) {
			t.Errorf("%+v", c)
		}
	}
}

// TestUnsigned holds AWS's error for a request without a signature, in each form.
func TestUnsigned(t *testing.T) {
	a := newAccount(t, aws.Config{})
	for _, c := range []struct{ target, body, want string }{
		{"", "Action=ListMetrics&Version=2010-08-01", "<Code>MissingAuthenticationToken</Code>"},
		{"GraniteServiceVersion20100801.ListMetrics", "{}", `"com.amazonaws.cloudwatch#MissingAuthenticationTokenException"`},
		{"Logs_20140328.DescribeLogGroups", "{}", `"com.amazonaws.logs#MissingAuthenticationTokenException"`},
	} {
		r, _ := http.NewRequest("POST", a.url, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.target != "" {
			r.Header.Set("X-Amz-Target", c.target)
		}
		answer := must[*http.Response](t)(http.DefaultClient.Do(r))
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != 403 || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: %d %s", c.body, answer.StatusCode, body)
		}
	}
}

// TestSubscribers follows a message to each kind of subscriber.
func TestSubscribers(t *testing.T) {
	clock := newHand()
	a := newAccount(t, aws.Config{Clock: clock.now})
	topic := must[*sns.CreateTopicOutput](t)(a.sns().CreateTopic(ctx, &sns.CreateTopicInput{Name: ptr("t")})).TopicArn
	type post struct{ kind, body string }
	posts := make(chan post, 10)
	status := http.StatusOK
	var mu sync.Mutex
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
		posts <- post{r.Header.Get("x-amz-sns-message-type"), string(b)}
	}))
	defer hook.Close()
	subscribe := func(protocol, endpoint string) (string, error) {
		out, err := a.sns().Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: &protocol, Endpoint: &endpoint})
		if err != nil {
			return "", err
		}
		return *out.SubscriptionArn, nil
	}
	if arn := must[string](t)(subscribe("http", hook.URL)); arn != "pending confirmation" {
		t.Errorf("subscribed as %q", arn)
	}
	confirm := <-posts
	var message struct{ Type, SubscribeURL, Token, Message string }
	if err := json.Unmarshal([]byte(confirm.body), &message); err != nil || confirm.kind != "SubscriptionConfirmation" || message.Type != confirm.kind {
		t.Fatalf("%+v %v", confirm, err)
	}
	publish := func(text string) {
		must[*sns.PublishOutput](t)(a.sns().Publish(ctx, &sns.PublishInput{TopicArn: topic, Message: &text, Subject: ptr("s")}))
	}
	publish("before the confirmation")
	visit := must[*http.Response](t)(http.Get(message.SubscribeURL))
	visit.Body.Close()
	if visit.StatusCode != 200 {
		t.Errorf("the link: %d", visit.StatusCode)
	}
	publish("after it")
	if got := <-posts; got.kind != "Notification" || !strings.Contains(got.body, "after it") {
		t.Errorf("%+v", got)
	}
	// Three attempts, then it is noted as failed.
	mu.Lock()
	status = 500
	mu.Unlock()
	publish("lost")
	for range 3 {
		<-posts
	}
	waitFor(t, func() bool {
		return slices.ContainsFunc(a.Deliveries(), func(d topics.Delivery) bool { return d.Status == "FAILURE" && strings.Contains(d.Error, "500") })
	})
	// Mail waits for a person; other machines are not posted to; nor are users' names.
	must[string](t)(subscribe("email", "someone@example.com"))
	for _, bad := range [][2]string{{"http", "http://example.com/"}, {"http", "http://169.254.169.254/"}, {"http", "https://127.0.0.1/"}, {"http", "http://user:pw@127.0.0.1/"}, {"email", "nobody"}, {"fax", "1"}, {"sqs", "queue"}} {
		if _, err := subscribe(bad[0], bad[1]); code(err) != "InvalidParameter" && code(err) != "InvalidParameterException" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	list := must[*sns.ListSubscriptionsByTopicOutput](t)(a.sns().ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: topic})).Subscriptions
	if len(list) != 2 || *list[1].SubscriptionArn != "PendingConfirmation" || *list[0].Protocol != "http" {
		t.Errorf("%+v", list)
	}
	attributes := must[*sns.GetSubscriptionAttributesOutput](t)(a.sns().GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: list[0].SubscriptionArn})).Attributes
	if attributes["PendingConfirmation"] != "false" || attributes["Endpoint"] != hook.URL {
		t.Errorf("%v", attributes)
	}
	var pending []struct{ Token, Protocol string }
	answer := must[*http.Response](t)(http.Get(a.url + "/_aws/sns/pending"))
	if err := json.NewDecoder(answer.Body).Decode(&pending); err != nil || len(pending) != 1 || pending[0].Protocol != "email" {
		t.Fatalf("%v %v", pending, err)
	}
	answer.Body.Close()
	must[*sns.ConfirmSubscriptionOutput](t)(a.sns().ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: topic, Token: &pending[0].Token}))
	// A phone is the other stand-in's, behind the same endpoint.
	must[*sns.PublishOutput](t)(a.sns().Publish(ctx, &sns.PublishInput{PhoneNumber: ptr("+819012345678"), Message: ptr("hello")}))
	answer = must[*http.Response](t)(http.Get(a.url + "/_aws/sns/sms-messages"))
	body, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if !strings.Contains(string(body), "+819012345678") {
		t.Errorf("%s", body)
	}
}

// waitFor polls, with a deadline that only a broken test meets.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

// TestQueuePolicy holds that a queue takes from a topic only what its policy allows.
func TestQueuePolicy(t *testing.T) {
	a := newAccount(t, aws.Config{Clock: newHand().now, Unlimited: true})
	topic := *must[*sns.CreateTopicOutput](t)(a.sns().CreateTopic(ctx, &sns.CreateTopicInput{Name: ptr("t")})).TopicArn
	queue := must[*sqs.CreateQueueOutput](t)(a.sqs().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: ptr("q")})).QueueUrl
	const arn = "arn:aws:sqs:us-east-1:000000000000:q"
	must[*sns.SubscribeOutput](t)(a.sns().Subscribe(ctx, &sns.SubscribeInput{TopicArn: &topic, Protocol: ptr("sqs"), Endpoint: ptr(arn), Attributes: map[string]string{"RawMessageDelivery": "true"}}))
	statement := func(effect, principal, action, resource, condition string) string {
		return `{"Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + action + `,"Resource":"` + resource + `"` + condition + `}]}`
	}
	const service = `{"Service":"sns.amazonaws.com"}`
	cases := []struct {
		policy  string
		arrives bool
	}{
		{"", false},
		{statement("Allow", service, `"sqs:SendMessage"`, arn, ""), true},
		{statement("Allow", service, `["SQS:SendMessage","sqs:GetQueueUrl"]`, arn, `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+topic+`"}}`), true},
		{statement("Allow", `"*"`, `"sqs:*"`, "*", `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}}`), true},
		{statement("Allow", `{"AWS":"*"}`, `"*"`, arn, `,"Condition":{"StringEquals":{"AWS:SourceArn":["x","`+topic+`"]}}`), true},
		{statement("Allow", service, `"sqs:SendMessage"`, arn, `,"Condition":{"ArnEquals":{"aws:SourceArn":"`+topic+`x"}}`), false},
		{statement("Allow", service, `"sqs:ReceiveMessage"`, arn, ""), false},
		{statement("Allow", service, `"sqs:SendMessage"`, arn+"x", ""), false},
		{statement("Allow", `{"Service":"s3.amazonaws.com"}`, `"sqs:SendMessage"`, arn, ""), false},
		{statement("Deny", service, `"sqs:SendMessage"`, arn, ""), false},
		{statement("Allow", service, `"sqs:SendMessage"`, arn, `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), false},
	}
	for i, c := range cases {
		must[*sqs.SetQueueAttributesOutput](t)(a.sqs().SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{"Policy": c.policy}}))
		text := fmt.Sprint("message ", i)
		must[*sns.PublishOutput](t)(a.sns().Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: &text}))
		out := must[*sqs.ReceiveMessageOutput](t)(a.sqs().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10}))
		if arrived := len(out.Messages) == 1 && *out.Messages[0].Body == text; arrived != c.arrives {
			t.Errorf("%s: arrives: %v", c.policy, arrived)
		}
		for _, m := range out.Messages {
			must[*sqs.DeleteMessageOutput](t)(a.sqs().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}))
		}
	}
	if len(cases) != 11 {
		t.Errorf("%d cases", len(cases))
	}
}

// ask sends a Query call without a socket, for tests in virtual time.
func ask(s http.Handler, form string) string {
	r := httptest.NewRequest("POST", "http://lab/", strings.NewReader(form))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20261122/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=s")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Body.String()
}

// TestLongPoll holds waiting and being woken, visibility, and the account's own speed,
// all in virtual time.
func TestLongPoll(t *testing.T) {
	for _, speed := range []float64{1, 60} {
		synctest.Test(t, func(t *testing.T) {
			s, err := aws.New(aws.Config{Speed: speed})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			const q = "&Version=2012-11-05&QueueUrl=http://lab/000000000000/q"
			ask(s, "Action=CreateQueue&QueueName=q"+q+"&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=30")
			began := time.Now()
			took := func() time.Duration {
				d := time.Duration(float64(time.Since(began)) * speed).Round(time.Second)
				began = time.Now()
				return d
			}
			if got := ask(s, "Action=ReceiveMessage&WaitTimeSeconds=20"+q); strings.Contains(got, "<Message>") || took() != 20*time.Second {
				t.Errorf("an empty queue: %s", got)
			}
			go func() {
				time.Sleep(time.Duration(5 * float64(time.Second) / speed))
				ask(s, "Action=SendMessage&MessageBody=hello"+q)
			}()
			if got := ask(s, "Action=ReceiveMessage&WaitTimeSeconds=20"+q); !strings.Contains(got, "<Body>hello</Body>") || took() != 5*time.Second {
				t.Errorf("woken: %s", got)
			}
			// Hidden for 30 s, then there again.
			if got := ask(s, "Action=ReceiveMessage&WaitTimeSeconds=20"+q); strings.Contains(got, "<Message>") {
				t.Errorf("hidden: %s", got)
			}
			if got := ask(s, "Action=ReceiveMessage&WaitTimeSeconds=20"+q); !strings.Contains(got, "<Name>ApproximateReceiveCount</Name><Value>2</Value>") {
				t.Errorf("again: %s", got)
			}
			if took() > 31*time.Second {
				t.Error("it took longer than the visibility timeout")
			}
			if got := ask(s, "Action=DeleteQueue"+q) + ask(s, "Action=CreateQueue&QueueName=q"+q); !strings.Contains(got, "QueueDeletedRecently") {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestCognito goes from a flood to an alarm in virtual time: calls beyond the quota,
// the usage published by the minute, discovered by ListMetrics, the alarm, and OK again.
func TestCognito(t *testing.T) {
	clock := newHand()
	quota := cognito.PerSecond(5)
	a := newAccount(t, aws.Config{Clock: clock.now, CognitoDelay: time.Minute, Unlimited: true,
		Cognito: &cognito.Config{ClientAuthentication: &quota, UserAuthentication: &quota, Clock: clock.now}})
	c := a.cloudwatch("cbor")
	token := func(grant, id, secret string) int {
		r, _ := http.NewRequest("POST", a.url+cognito.TokenPath, strings.NewReader("grant_type="+grant+"&refresh_token="+cognito.RefreshToken))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
		answer := must[*http.Response](t)(http.DefaultClient.Do(r))
		answer.Body.Close()
		return answer.StatusCode
	}
	clock.add(10 * time.Second)
	count := map[int]int{}
	for range 12 {
		count[token("client_credentials", cognito.MachineClientID, cognito.MachineSecret)]++
	}
	for range 7 {
		token("refresh_token", cognito.UserClientID, cognito.UserSecret)
	}
	if count[200] != 5 || count[429] != 7 {
		t.Fatalf("%v", count)
	}
	usage := func(metric string) []types.Metric {
		return must[*cloudwatch.ListMetricsOutput](t)(c.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Namespace: ptr("AWS/Usage"), MetricName: &metric,
			Dimensions: []types.DimensionFilter{{Name: ptr("Resource"), Value: ptr("ClientAuthentication")}}})).Metrics
	}
	clock.add(109 * time.Second) // one second before it is published
	if m := usage("CallCount"); len(m) != 0 {
		t.Errorf("too early: %v", m)
	}
	clock.add(time.Second)
	found := usage("ThrottleCount")
	if len(found) != 1 || len(found[0].Dimensions) != 4 || len(usage("CallCount")) != 1 {
		t.Fatalf("listed %v", found)
	}
	read := must[*cloudwatch.GetMetricDataOutput](t)(c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: &start, EndTime: ptr(start.Add(5 * time.Minute)), MetricDataQueries: []types.MetricDataQuery{
		{Id: ptr("throttled"), MetricStat: &types.MetricStat{Metric: &found[0], Period: ptr(int32(60)), Stat: ptr("Sum")}},
		{Id: ptr("calls"), MetricStat: &types.MetricStat{Metric: &usage("CallCount")[0], Period: ptr(int32(60)), Stat: ptr("Sum")}},
		{Id: ptr("limit"), Expression: ptr("SERVICE_QUOTA(calls)")},
	}})).MetricDataResults
	if len(read) != 3 || fmt.Sprint(read[0].Values, read[1].Values) != "[7] [12]" || read[2].Values[0] != 5 || !read[0].Timestamps[0].Equal(start) {
		t.Errorf("read %+v", read)
	}
	pool := []types.Dimension{{Name: ptr("UserPool"), Value: ptr(cognito.DefaultPoolID)}, {Name: ptr("UserPoolClient"), Value: ptr(cognito.UserClientID)}}
	for metric, want := range map[string][2]float64{"TokenRefreshSuccesses": {5, 7}, "TokenRefreshThrottles": {2, 2}} {
		out := must[*cloudwatch.GetMetricStatisticsOutput](t)(c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{Namespace: ptr("AWS/Cognito"), MetricName: &metric, Dimensions: pool,
			StartTime: &start, EndTime: ptr(start.Add(5 * time.Minute)), Period: ptr(int32(60)), Statistics: []types.Statistic{types.StatisticSum, types.StatisticSampleCount}}))
		if len(out.Datapoints) != 1 || *out.Datapoints[0].Sum != want[0] || *out.Datapoints[0].SampleCount != want[1] {
			t.Errorf("%s: %+v", metric, out.Datapoints)
		}
	}
	must[*cloudwatch.PutMetricAlarmOutput](t)(c.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{AlarmName: ptr("a"), Namespace: ptr("AWS/Usage"), MetricName: ptr("ThrottleCount"),
		Dimensions: found[0].Dimensions, Statistic: types.StatisticSum, Period: ptr(int32(60)), EvaluationPeriods: ptr(int32(1)), Threshold: ptr(0.0),
		ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: ptr("notBreaching")}))
	var states []string
	for range 4 { // of 10:03 to 10:06: the point of 10:00 leaves the range of three periods after 10:03
		clock.add(time.Minute)
		states = append(states, string(must[*cloudwatch.DescribeAlarmsOutput](t)(c.DescribeAlarms(ctx, nil)).MetricAlarms[0].StateValue))
	}
	if fmt.Sprint(states) != "[ALARM OK OK OK]" {
		t.Errorf("states %v", states)
	}
	if st := a.Stats(-1); st.Categories[0].Category != "ClientAuthentication" || st.Categories[0].ThrottleCount != 7 {
		t.Errorf("%+v", st.Categories[0])
	}
}

// TestNoThrottleCount holds that the metric does not exist before the first refusal,
// and that a category without calls has none.
func TestNoThrottleCount(t *testing.T) {
	clock := newHand()
	a := newAccount(t, aws.Config{Clock: clock.now, Cognito: &cognito.Config{}})
	r, _ := http.NewRequest("POST", a.url+cognito.TokenPath, strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	must[*http.Response](t)(http.DefaultClient.Do(r)).Body.Close()
	clock.add(2 * time.Minute)
	list := must[*cloudwatch.ListMetricsOutput](t)(a.cloudwatch("json").ListMetrics(ctx, nil)).Metrics
	if len(list) != 1 || *list[0].MetricName != "CallCount" {
		t.Errorf("%+v", list)
	}
}

// TestClock holds the two ways to a time that passes faster, and what tells it.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := aws.New(aws.Config{Speed: 60})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		before := s.Now()
		time.Sleep(2 * time.Second)
		if d := s.Now().Sub(before); d != 2*time.Minute {
			t.Errorf("2 s are %v of the account", d)
		}
		s.Leap(time.Hour)
		if d := s.Now().Sub(before); d != 62*time.Minute {
			t.Errorf("after the leap %v", d)
		}
		r := httptest.NewRequest("POST", "/_aws/clock?advance=10m", nil)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if d := s.Now().Sub(before); d != 72*time.Minute || !strings.Contains(w.Body.String(), `"speed":60`) || w.Header().Get("Date") == "" {
			t.Errorf("after %s: %v", w.Body, d)
		}
	})
}

// TestNewRefuses lists what a configuration may not say.
func TestNewRefuses(t *testing.T) {
	for want, cfg := range map[string]aws.Config{
		"clock speed": {Speed: 0.5}, "metric delay": {MetricDelay: -1}, "rate": {ThrottleRate: 0.6, LostRate: 0.6}, "quota of Nope": {TPS: map[string]int64{"Nope": 1}}, "negative": {TPS: map[string]int64{"ListMetrics": -1}},
	} {
		if s, err := aws.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v", cfg, s, err)
		}
	}
}
