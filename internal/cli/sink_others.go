package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/sink/hitlog"
	"github.com/weir-dev/weir/internal/sink/otlp"
	"github.com/weir-dev/weir/internal/sink/prometheus"
)

// otherSinkFlags are those beside CloudWatch.
type otherSinkFlags struct {
	OTLP                string `name:"otlp" placeholder:"URL" help:"Send metrics by OTLP over HTTP, such as to http://127.0.0.1:4318/v1/metrics." group:"Telemetry"`
	OTLPHeaderEnv       string `name:"otlp-header-env" placeholder:"NAME" help:"Environment variable with headers for it, as lines of 'Name: value'." group:"Telemetry"`
	OTLPSigV4           string `name:"otlp-sigv4" placeholder:"REGION" help:"Sign for CloudWatch's own OTLP endpoint in this region." group:"Telemetry"`
	Prometheus          string `name:"prometheus" placeholder:"ADDR" help:"Serve metrics to be scraped while the run goes on, such as at 127.0.0.1:9099, path /metrics." group:"Telemetry"`
	PrometheusWrite     string `name:"prometheus-write" placeholder:"URL" help:"Send metrics by Prometheus remote write, such as to http://127.0.0.1:9090/api/v1/write." group:"Telemetry"`
	PrometheusHeaderEnv string `name:"prometheus-header-env" placeholder:"NAME" help:"Environment variable with headers for it, as lines of 'Name: value'." group:"Telemetry"`
	Log                 string `name:"log" placeholder:"FILE" help:"Write every request to FILE, a line of JSON each. What the disk is too slow for is counted." group:"Output"`
}

// othersFlush is how much of the run one call of OTLP or remote write carries.
const othersFlush = 10 * time.Second

func (f *sinkFlags) openOthers(ctx context.Context, t *telemetry, target string) error {
	test := f.CloudWatchTest
	if test == "" {
		test = testName(target)
	}
	if f.OTLP != "" {
		if maskURL(f.OTLP) != f.OTLP {
			return usage("give it as a header, with --otlp-header-env", "--otlp: there may be a secret in the URL, and the run file would keep it")
		}
		set := otlp.Settings{
			URL: sink.Path(f.OTLP, "/v1/metrics"), Test: test, Flush: othersFlush, Requests: f.CloudWatchRequests, HeaderEnv: f.OTLPHeaderEnv, SigV4: f.OTLPSigV4,
			Role: f.CloudWatchRole, Resend: f.OnAmbiguous == "resend",
		}
		if err := t.addOTLP(ctx, set); err != nil {
			return err
		}
	} else if f.OTLPHeaderEnv != "" || f.OTLPSigV4 != "" {
		return usage("add --otlp URL", "--otlp-header-env and --otlp-sigv4 say how --otlp sends, and that is not given")
	}
	if f.PrometheusWrite != "" {
		if maskURL(f.PrometheusWrite) != f.PrometheusWrite {
			return usage("give it as a header, with --prometheus-header-env", "--prometheus-write: there may be a secret in the URL, and the run file would keep it")
		}
		set := prometheus.Settings{URL: sink.Path(f.PrometheusWrite, "/api/v1/write"), Test: test, Flush: othersFlush, Requests: f.CloudWatchRequests, HeaderEnv: f.PrometheusHeaderEnv}
		if err := t.addPrometheus(set); err != nil {
			return err
		}
	} else if f.PrometheusHeaderEnv != "" {
		return usage("add --prometheus-write URL", "--prometheus-header-env says how --prometheus-write sends, and that is not given")
	}
	if f.Prometheus != "" {
		if _, _, err := net.SplitHostPort(f.Prometheus); err != nil {
			return usage("such as 127.0.0.1:9099", "--prometheus %q is not an address to listen at", f.Prometheus)
		}
	}
	if f.Log != "" {
		if err := writable("--log", f.Log); err != nil {
			return err
		}
	}
	return nil
}

func (t *telemetry) addOTLP(ctx context.Context, set otlp.Settings) error {
	if err := set.Check(); err != nil {
		return usage("such as --otlp http://127.0.0.1:4318/v1/metrics", "--otlp: %v", err)
	}
	if err := headersThere(set.HeaderEnv); err != nil {
		return err
	}
	var cfg aws.Config
	if set.SigV4 != "" {
		var err error
		if cfg, err = (account.Access{Region: set.SigV4, Role: set.Role}).Load(ctx); err != nil {
			return cannotRun(account.Advice(err), "nothing was sent: %v", err)
		}
	}
	if _, err := otlp.New(set, cfg, "", time.Time{}); err != nil {
		return usage("", "--otlp: %v", err)
	}
	t.words = append(t.words, "OTLP at "+set.URL)
	t.build = append(t.build, func(m runfile.Meta) sink.Sink {
		k, _ := otlp.New(set, cfg, m.ID, m.Started) // it was made above
		return k
	})
	return t.keep(otlp.Name, set)
}

func (t *telemetry) addPrometheus(set prometheus.Settings) error {
	if err := set.Check(); err != nil {
		return usage("such as --prometheus-write http://127.0.0.1:9090/api/v1/write", "--prometheus-write: %v", err)
	}
	if err := headersThere(set.HeaderEnv); err != nil {
		return err
	}
	if _, err := prometheus.New(set, "", time.Time{}); err != nil {
		return usage("", "--prometheus-write: %v", err)
	}
	t.words = append(t.words, "Prometheus at "+set.URL)
	t.build = append(t.build, func(m runfile.Meta) sink.Sink {
		k, _ := prometheus.New(set, m.ID, m.Started) // it was made above
		return k
	})
	return t.keep(prometheus.Name, set)
}

func headersThere(env string) error {
	if env != "" && os.Getenv(env) == "" {
		return usage("it holds lines such as 'Authorization: Bearer …'", "there is nothing in the environment variable %s", env)
	}
	return nil
}

// recorded opens a sink of this name as a run file has it; ok is false for others.
func (t *telemetry) recordedOther(ctx context.Context, name string, raw json.RawMessage, resend bool) (ok bool, err error) {
	switch name {
	case otlp.Name:
		var set otlp.Settings
		if err := json.Unmarshal(raw, &set); err != nil {
			return true, usage("", "what the run file says about OTLP cannot be used: %v", err)
		}
		set.Resend = resend
		return true, t.addOTLP(ctx, set)
	case prometheus.Name:
		var set prometheus.Settings
		if err := json.Unmarshal(raw, &set); err != nil {
			return true, usage("", "what the run file says about Prometheus cannot be used: %v", err)
		}
		return true, t.addPrometheus(set)
	}
	return false, nil
}

// beside are what a run gives its figures to besides the run file, and without it.
type beside struct {
	page *prometheus.Page
	hits *hitlog.Log
}

// besides opens the page that is scraped and the log of every request.
func (x *execution) besides() (b beside, err error) {
	f := x.others
	if f.Prometheus != "" {
		if b.page, err = prometheus.Serve(f.Prometheus, testName(x.meta.Target), x.meta.ID, 100); err != nil {
			return b, cannotRun("choose another with --prometheus", "cannot listen at %s: %v", f.Prometheus, err)
		}
		x.tell(fmt.Sprintf("metrics for Prometheus are at http://%s/metrics", b.page.Addr()))
	}
	if f.Log != "" {
		if b.hits, err = hitlog.Create(f.Log); err != nil {
			return b, cannotRun("choose another place with --log", "cannot write %s: %v", f.Log, bare(err))
		}
		x.plan.OnHit = b.hits.Add
	}
	return b, nil
}

// close ends both, and returns what has to be said of them.
func (b *beside) close() (notes []string) {
	b.page.Close()
	written, dropped, err := b.hits.Close()
	if err != nil {
		notes = append(notes, fmt.Sprintf("The log of requests is not complete: %v.", bare(err)))
	}
	if dropped > 0 {
		notes = append(notes, fmt.Sprintf("The log of requests lacks %s, because the disk was too slow: it has %d.", plural(int(dropped), "request"), written))
	}
	return notes
}
