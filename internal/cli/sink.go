package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/sink/cloudwatch"
)

// sinkFlags say where the telemetry of a run goes.
type sinkFlags struct {
	CloudWatch           string        `name:"cloudwatch" enum:"off,live,deferred" default:"off" placeholder:"WHEN" help:"Send the run to Amazon CloudWatch: live, or deferred until after it. What cannot be delivered waits in the run file." group:"Telemetry"`
	CloudWatchNamespace  string        `name:"cloudwatch-namespace" default:"Weir" placeholder:"NAME" help:"Namespace of the metrics." group:"Telemetry"`
	CloudWatchTest       string        `name:"cloudwatch-test" placeholder:"NAME" help:"Value of the dimension Test on every metric. Default: the host that is loaded, or the scenario." group:"Telemetry"`
	CloudWatchDimension  []string      `name:"cloudwatch-dimension" sep:"none" placeholder:"NAME=VALUE" help:"A further dimension on every metric. Repeat for more." group:"Telemetry"`
	CloudWatchFlush      time.Duration `name:"cloudwatch-flush" default:"10s" placeholder:"DURATION" help:"How much of the run one call carries: 1s to 5m." group:"Telemetry"`
	CloudWatchResolution time.Duration `name:"cloudwatch-resolution" default:"1s" placeholder:"DURATION" help:"1s, or 1m." group:"Telemetry"`
	CloudWatchRequests   int           `name:"cloudwatch-requests" default:"20" placeholder:"N" help:"Most request names with metrics of their own; the others are (other)." group:"Telemetry"`
	CloudWatchLogs       string        `name:"cloudwatch-logs" default:"weir" placeholder:"GROUP" help:"Log group for stages, findings and the verdict; none for none." group:"Telemetry"`
	CloudWatchRegion     string        `name:"cloudwatch-region" placeholder:"REGION" help:"Default: of the environment or the AWS profile." group:"Telemetry"`
	CloudWatchRole       string        `name:"cloudwatch-role" placeholder:"ARN" help:"Role to assume." group:"Telemetry"`
	CloudWatchEndpoint   string        `name:"cloudwatch-endpoint" placeholder:"URL" help:"Instead of AWS's own, for stand-ins." group:"Telemetry"`

	OnAmbiguous string         `enum:"skip,resend" default:"skip" placeholder:"RULE" help:"What to do with a call to CloudWatch or OTLP that got no answer, so that nobody knows whether it arrived: skip keeps it and counts nothing twice, resend sends it again." group:"Telemetry"`
	Prices      string         `placeholder:"FILE" type:"existingfile" help:"Price table to state costs by, instead of the built-in one." group:"Telemetry"`
	SendWithin  *time.Duration `placeholder:"DURATION" help:"How long to go on sending after the run; what is left waits for weir report RUN --send. Default: 15s, or 5m when deferred." group:"Telemetry"`

	otherSinkFlags

	watchedMetrics int  // that CloudWatch is asked for
	discovered     bool // some of them stand for those that there are
}

// telemetry is what the flags, or a run file, say about sinks.
type telemetry struct {
	settings map[string]json.RawMessage // for the run file
	deferred bool
	within   time.Duration
	build    []func(m runfile.Meta) sink.Sink
	words    []string // where it goes
}

// any says whether there is something to send.
func (t *telemetry) any() bool { return t != nil && len(t.build) > 0 }

// set makes the sinks of a run.
func (t *telemetry) set(m runfile.Meta, tell func(string)) *sink.Set {
	if !t.any() {
		return nil
	}
	var list []sink.Sink
	for _, b := range t.build {
		list = append(list, b(m))
	}
	return sink.NewSet(tell, list...)
}

// keep adds a sink to what the run file says.
func (t *telemetry) keep(name string, settings any) error {
	b, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	if t.settings == nil {
		t.settings = map[string]json.RawMessage{}
	}
	t.settings[name] = b
	return nil
}

const (
	liveWithin     = 15 * time.Second
	deferredWithin = 5 * time.Minute
)

// open checks the flags and finds out, before the first request, whether what is
// sent live can be sent. Target is what is loaded.
func (f *sinkFlags) open(ctx context.Context, target, out string) (*telemetry, error) {
	t := &telemetry{within: liveWithin, deferred: f.CloudWatch == "deferred"}
	if t.deferred {
		t.within = deferredWithin
	}
	if f.SendWithin != nil {
		t.within = *f.SendWithin
	}
	if f.CloudWatch != "off" && f.CloudWatch != "" {
		if err := f.openCloudWatch(ctx, t, target); err != nil {
			return nil, err
		}
	}
	if err := f.openOthers(ctx, t, target); err != nil {
		return nil, err
	}
	if t.any() && out == "none" {
		return nil, usage("leave out --out none", "telemetry waits in the run file until it is delivered, and --out none keeps none")
	}
	return t, nil
}

// idle refuses flags that would do nothing, because what they are about was not asked for.
func (f *sinkFlags) idle() error {
	metrics := f.CloudWatch != "off" && f.CloudWatch != ""
	if !metrics {
		for _, g := range []struct {
			given bool
			flag  string
		}{
			{f.CloudWatchNamespace != "Weir", "--cloudwatch-namespace"}, {len(f.CloudWatchDimension) > 0, "--cloudwatch-dimension"},
			{f.CloudWatchFlush != 10*time.Second, "--cloudwatch-flush"}, {f.CloudWatchResolution != time.Second, "--cloudwatch-resolution"},
			{f.CloudWatchLogs != "weir", "--cloudwatch-logs"},
			{f.CloudWatchRegion != "" && f.watchedMetrics == 0, "--cloudwatch-region"}, {f.CloudWatchEndpoint != "" && f.watchedMetrics == 0, "--cloudwatch-endpoint"},
			{f.CloudWatchRole != "" && f.watchedMetrics == 0 && f.OTLPSigV4 == "", "--cloudwatch-role"},
		} {
			if g.given {
				return usage("add --cloudwatch live, or --cloudwatch deferred", "%s says how --cloudwatch sends, and that is not given", g.flag)
			}
		}
	}
	if !metrics && f.OTLP == "" && f.PrometheusWrite == "" {
		for _, g := range []struct {
			given bool
			flag  string
		}{
			{f.CloudWatchTest != "", "--cloudwatch-test"}, {f.CloudWatchRequests != 20, "--cloudwatch-requests"},
			{f.OnAmbiguous == "resend", "--on-ambiguous"}, {f.SendWithin != nil, "--send-within"},
		} {
			if g.given {
				return usage("add --cloudwatch, --otlp or --prometheus-write", "%s says how telemetry is sent, and none is asked for", g.flag)
			}
		}
	}
	return nil
}

func (f *sinkFlags) cloudWatchSettings(target string) (cloudwatch.Settings, error) {
	set := cloudwatch.Settings{
		Live: f.CloudWatch == "live", Namespace: f.CloudWatchNamespace, Test: f.CloudWatchTest, Flush: f.CloudWatchFlush,
		Resolution: f.CloudWatchResolution, Requests: f.CloudWatchRequests, LogGroup: f.CloudWatchLogs,
		Region: f.CloudWatchRegion, Role: f.CloudWatchRole, Endpoint: f.CloudWatchEndpoint, Resend: f.OnAmbiguous == "resend",
	}
	if set.LogGroup == "none" {
		set.LogGroup = ""
	}
	if set.Test == "" {
		set.Test = cloudwatch.TestName(testName(target))
	}
	for _, d := range f.CloudWatchDimension {
		name, value, ok := strings.Cut(d, "=")
		if !ok {
			return set, usage("write NAME=VALUE", "--cloudwatch-dimension %q has no =", d)
		}
		set.Dimensions = append(set.Dimensions, cloudwatch.Dimension{Name: name, Value: value})
	}
	if err := set.Check(); err != nil {
		return set, usage("see weir run --help, Telemetry", "--cloudwatch: %v", err)
	}
	return set, nil
}

// access is how AWS is reached, for what is sent and what is watched.
func (f *sinkFlags) access() account.Access {
	return account.Access{Region: f.CloudWatchRegion, Role: f.CloudWatchRole, Endpoint: f.CloudWatchEndpoint}
}

// testName is what a run is called when nobody gave it a name.
func testName(target string) string {
	for _, word := range strings.Fields(target) {
		if u, err := url.Parse(word); err == nil && u.Host != "" {
			return u.Host
		}
	}
	return target
}

func (f *sinkFlags) openCloudWatch(ctx context.Context, t *telemetry, target string) error {
	set, err := f.cloudWatchSettings(target)
	if err != nil {
		return err
	}
	client, err := cloudwatch.Open(ctx, set)
	if err != nil {
		return cannotRun(account.Advice(err), "nothing was sent: %v", err)
	}
	set.Region = client.Region()
	if set.Live {
		ctx, cancel := context.WithTimeout(ctx, connectWithin)
		defer cancel()
		if err := client.Identify(ctx); err != nil {
			return cannotRun(account.Advice(err)+"\n  or use --cloudwatch deferred, and send later", "nothing was sent: %v", err)
		}
	}
	if err := t.keep(cloudwatch.Name, set); err != nil {
		return err
	}
	t.add(set, client)
	return nil
}

func (t *telemetry) add(set cloudwatch.Settings, client *cloudwatch.Client) {
	t.words = append(t.words, cloudWatchWords(&set))
	t.build = append(t.build, func(m runfile.Meta) sink.Sink { return client.Sink(set, m.ID, m.Started) })
}

func cloudWatchWords(set *cloudwatch.Settings) string {
	where := set.Region
	if set.Endpoint != "" {
		where += " at " + set.Endpoint
	}
	return "CloudWatch in " + where + ", namespace " + set.Namespace
}

// recordedTelemetry opens the sinks that a run file was made with.
func recordedTelemetry(ctx context.Context, m runfile.Meta, resend bool) (*telemetry, error) {
	t := &telemetry{}
	for _, name := range slices.Sorted(maps.Keys(m.Sinks)) {
		raw := m.Sinks[name]
		switch name {
		case cloudwatch.Name:
			var set cloudwatch.Settings
			err := json.Unmarshal(raw, &set)
			if err == nil {
				err = set.Check()
			}
			if err != nil {
				return nil, usage("", "what the run file says about CloudWatch cannot be used: %v", err)
			}
			set.Resend = resend
			client, err := cloudwatch.Open(ctx, set)
			if err != nil {
				return nil, cannotRun(account.Advice(err), "%v", err)
			}
			t.add(set, client)
		default:
			ok, err := t.recordedOther(ctx, name, raw, resend)
			if err != nil {
				return nil, err
			}
			if ok {
				continue
			}
			return nil, usage("send it with a newer Weir", "the run file has telemetry for %q, which this version does not know", name)
		}
	}
	return t, nil
}

// sinks makes the sinks of a run, and the outbox that they send from; both nil when there are none.
func (x *execution) sinks(w *runfile.Writer) (*sink.Set, *runfile.Outbox, error) {
	if !x.telemetry.any() {
		return nil, nil, nil
	}
	o, err := w.Outbox()
	if err != nil {
		return nil, nil, cannotRun("", "%v", err)
	}
	return x.telemetry.set(x.meta, x.tell), o, nil
}

func (x *execution) tell(text string) { fmt.Fprintln(x.session.stderr, "weir: "+text) }

// lastParcels stores what the sinks still hold, with the end of the run.
func (x *execution) lastParcels(set *sink.Set, o *runfile.Outbox, end *runfile.End, last int) error {
	if set == nil {
		return nil
	}
	carried, parcels := set.Flush(end)
	return o.Post(last, carried, parcels)
}

// lateReadings goes on watching after the run, for what is read late, until it is over or interrupted.
func (x *execution) lateReadings(interrupted func() bool) {
	if x.watch == nil || x.linger <= 0 || interrupted() {
		return
	}
	x.tell(fmt.Sprintf("the load is over; CloudWatch is read for %v more, because its figures are late (interrupt to leave)", x.linger))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := time.NewTimer(x.linger)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drain goes on sending after the run, for the time that the flags give.
func (x *execution) drain(set *sink.Set) {
	if set == nil || x.telemetry.within <= 0 {
		return
	}
	x.sending.Store(true)
	o, err := runfile.OpenOutbox(x.path)
	if err != nil {
		x.tell(err.Error())
		return
	}
	defer o.Close()
	if _, err := drain(x.session, set, o, x.telemetry.within, x.out.Quiet || x.out.Progress == "none"); err != nil {
		x.tell(err.Error())
	}
}

// drain sends what is in the outbox of a finished run, and shows how far it is.
func drain(s *session, set *sink.Set, o *runfile.Outbox, within time.Duration, quiet bool) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tty, _ := isTerminal(s.stderr)
	shown := false
	n, err := set.Drain(ctx, o, within, func(p sink.Progress) {
		if quiet || !tty && int(p.Passed.Seconds())%10 != 0 {
			return
		}
		shown = true
		line := progressWords(p)
		if tty {
			fmt.Fprintf(s.stderr, "\r\x1b[K%s", line)
			return
		}
		fmt.Fprintln(s.stderr, line)
	})
	if shown && tty {
		fmt.Fprint(s.stderr, "\r\x1b[K")
	}
	return n, err
}

func progressWords(p sink.Progress) string {
	text := fmt.Sprintf("telemetry: %s sent, %d left", plural(p.Sent, "call"), p.Left)
	switch d, ok := p.Remaining(); {
	case p.Trouble != "":
		text += "; waiting, because " + p.Trouble
	case ok:
		text += ", about " + d.Round(time.Second).String() + " at the pace so far"
	}
	return text
}

// deliveryWords say of each lane what became of it. Open says that something is left.
func deliveryWords(list []runfile.Delivery) (details []report.Detail, notes []string) {
	for _, d := range list {
		name := laneWords(d.Lane)
		text := fmt.Sprintf("%s made, %d delivered with %s", plural(int(d.Calls), "call"), d.Sent, plural(int(d.Items), "item"))
		var more []string
		add := func(n int64, format string) {
			if n > 0 {
				more = append(more, fmt.Sprintf(format, n))
			}
		}
		add(d.Throttled, "%d throttled")
		add(d.Failed, "%d failed")
		add(d.Ambiguous, "%d without an answer")
		add(d.Resent, "%d sent again though they may have arrived")
		add(d.Discarded, "%d discarded")
		if len(more) > 0 {
			text += "; " + strings.Join(more, ", ")
		}
		details = append(details, report.Detail{Name: name, Value: text})
		if d.Waiting > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s with %s not delivered yet. Send with weir report RUN --send, or forget with --discard.%s",
				name, plural(int(d.Waiting), "call"), plural(int(d.WaitingItems), "item"), because(d.Error)))
		}
		if d.Doubtful > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s with %s may or may not have arrived, because no answer came. They are kept and were not sent again, which could count twice: weir report RUN --send --on-ambiguous resend does.",
				name, plural(int(d.Doubtful), "call"), plural(int(d.DoubtfulItems), "item")))
		}
		if d.Resent > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s again though the first call may have arrived: what they carry may count twice there.", name, plural(int(d.Resent), "call was sent")))
		}
		if d.Refused > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s with %s refused as they are.%s", name, plural(int(d.Refused), "call"), plural(int(d.RefusedItems), "item"), because(d.Error)))
		}
	}
	return details, notes
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " The last answer: " + strings.TrimSuffix(reason, ".") + "."
}

func laneWords(lane string) string {
	switch lane {
	case cloudwatch.Metrics:
		return "CloudWatch metrics"
	case cloudwatch.Logs:
		return "CloudWatch Logs"
	case "otlp":
		return "OTLP"
	case "prometheus":
		return "Prometheus"
	}
	return lane
}

// sendRecorded is "weir report RUN --send".
func sendRecorded(s *session, path string, within time.Duration, resend, quiet bool) error {
	rec, err := runfile.Open(path)
	if err != nil {
		return usage("", "%v", err)
	}
	defer rec.Close()
	if len(rec.Meta.Sinks) == 0 {
		return usage("", "%s has no telemetry: it was made without --cloudwatch, --otlp or --prometheus-write", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	t, err := recordedTelemetry(ctx, rec.Meta, resend)
	if err != nil {
		return err
	}
	o, err := runfile.OpenOutbox(path)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	defer o.Close()
	set := t.set(rec.Meta, func(text string) { fmt.Fprintln(s.stderr, "weir: "+text) })
	if err := set.CatchUp(o, warmed(rec)); err != nil {
		return cannotRun("", "%v", err)
	}
	if err := o.Reopen(); err != nil {
		return cannotRun("", "%v", err)
	}
	if !quiet {
		fmt.Fprintf(s.stderr, "sending telemetry to %s\n", strings.Join(t.words, " and "))
	}
	if _, err := drain(s, set, o, within, quiet); err != nil {
		return cannotRun("", "%v", err)
	}
	list, err := o.Deliveries()
	if err != nil {
		return cannotRun("", "%v", err)
	}
	writeDeliveries(s.stdout, list)
	for _, d := range list {
		if d.Left() > 0 {
			return verdict(exitCannotRun)
		}
	}
	return nil
}

// discardRecorded is "weir report RUN --discard".
func discardRecorded(s *session, path string) error {
	o, err := runfile.OpenOutbox(path)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	defer o.Close()
	if err := o.Discard(); err != nil {
		return cannotRun("", "%v", err)
	}
	list, err := o.Deliveries()
	if err != nil {
		return cannotRun("", "%v", err)
	}
	writeDeliveries(s.stdout, list)
	return nil
}

func writeDeliveries(w io.Writer, list []runfile.Delivery) {
	details, notes := deliveryWords(list)
	for _, d := range details {
		fmt.Fprintf(w, "%-20s %s\n", d.Name+":", d.Value)
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
}
