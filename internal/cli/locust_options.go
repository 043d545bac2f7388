package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// locustOptions are those of Locust's options, by its own names, that are
// carried out here; the script has all of them as environment.parsed_options.
type locustOptions struct {
	Host        string   `json:"host"`
	Users       *int     `json:"num_users"`
	SpawnRate   *float64 `json:"spawn_rate"`
	RunTime     *float64 `json:"run_time"`     // seconds
	StopTimeout float64  `json:"stop_timeout"` // seconds
	Headless    bool     `json:"headless"`
	Autostart   bool     `json:"autostart"`
	Autoquit    int      `json:"autoquit"`
	Master      bool     `json:"master"`
	Worker      bool     `json:"worker"`
	Processes   *int     `json:"processes"`

	WebHost     string `json:"web_host"`
	WebPort     int    `json:"web_port"`
	WebLogin    bool   `json:"web_login"`
	WebBasePath string `json:"web_base_path"`
	TLSCert     string `json:"tls_cert"`
	TLSKey      string `json:"tls_key"`
	ClassPicker bool   `json:"class_picker"`

	CSV         string `json:"csv_prefix"`
	FullHistory bool   `json:"stats_history_enabled"`
	HTML        string `json:"html_file"`
	JSON        bool   `json:"json"`
	JSONFile    string `json:"json_file"`
	PrintStats  bool   `json:"print_stats"`
	OnlySummary bool   `json:"only_summary"`
	ResetStats  bool   `json:"reset_stats"`
	ExitCode    int    `json:"exit_code_on_error"`
	SkipLog     bool   `json:"skip_log_setup"`
	LogLevel    string `json:"loglevel"`
	LogFile     string `json:"logfile"`
	Profile     string `json:"profile"`
	OTel        bool   `json:"otel"`
}

func readLocustOptions(options map[string]any) (o locustOptions, err error) {
	text, err := json.Marshal(options)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		return o, cannotRun("", "the script's options cannot be read: %v", err)
	}
	return o, nil
}

const defaultWebPort = 8089

// check refuses what cannot be done here, and returns what is to be said about
// flags that have no effect.
func (o *locustOptions) check(shape bool) (notes []string, err error) {
	if o.Master || o.Worker {
		return nil, usage("leave --master and --worker out: one weir does the work of many Locust workers, and --processes gives the script more CPUs. On several machines, run the same line on each with its share of --users",
			"Weir does not speak the protocol between Locust's master and its workers")
	}
	if o.Processes != nil && *o.Processes < -1 {
		return nil, &failure{exitFailed, fmt.Errorf("invalid --processes count %d", *o.Processes), "-1 is one for each CPU"}
	}
	if o.Users != nil && *o.Users < 1 && !shape {
		return nil, usage("give a number above zero", "-u %d starts nobody", *o.Users)
	}
	loads := o.Users != nil || o.SpawnRate != nil || o.RunTime != nil
	if !o.Headless && !o.Autostart && !loads {
		example := "--headless -u 10 -r 2 -t 1m"
		if shape {
			example = "--headless"
		}
		return nil, usage("say how much load on the command line: "+example, "Weir has no web page to start a test from")
	}
	if !o.Headless {
		notes = append(notes, "there is no web page here: the test starts at once, as with --headless")
	}
	var idle []string
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--web-host", o.WebHost != ""}, {"--web-port", o.WebPort != 0 && o.WebPort != defaultWebPort}, {"--web-login", o.WebLogin},
		{"--web-base-path", o.WebBasePath != ""}, {"--tls-cert", o.TLSCert != ""}, {"--tls-key", o.TLSKey != ""}, {"--class-picker", o.ClassPicker},
	} {
		if f.given {
			idle = append(idle, f.flag)
		}
	}
	if len(idle) > 0 {
		verb := "has"
		if len(idle) > 1 {
			verb = "have"
		}
		notes = append(notes, fmt.Sprintf("%s %s no effect: there is no web page", list(idle), verb))
	}
	if o.Autostart && !o.Headless && o.Autoquit != 0 {
		notes = append(notes, "weir ends with the test; --autoquit is not needed")
	}
	return notes, nil
}

// command is the run of "weir run" that carries the options out.
func (l *locustRun) command(f *locustOwn, given map[string]bool) *runCmd {
	o := &l.options
	c := &runCmd{locust: l, python: l.python}
	c.limitFlags, c.outcomeFlags, c.watchFlags, c.sinkFlags, c.connectionFlags = f.limitFlags, f.outcomeFlags, f.watchFlags, f.sinkFlags, f.connectionFlags
	if !given["connect-timeout"] {
		c.ConnectTimeout = forever
	}
	if !given["max-redirects"] {
		c.MaxRedirects = 30 // of Python's requests
	}
	c.Seed, c.CatchUp, c.Keys, c.Yes = f.Seed, "spread", true, true
	c.Host, c.StopTimeout = o.Host, seconds(o.StopTimeout)
	c.Users = max(*o.Users, 1) // fewer are refused, but with a shape, which decides itself
	c.SpawnRate = strconv.FormatFloat(*o.SpawnRate, 'f', -1, 64)
	if o.RunTime != nil && *o.RunTime > 0 && l.python.loaded.Shape == nil { // a shape says itself when it ends
		c.RunTime = seconds(*o.RunTime).String()
	} else {
		c.endless = true
	}
	c.Out, c.JUnit, c.Markdown, c.Progress, c.Quiet = f.Out, f.JUnit, f.Markdown, "none", true
	if c.Out == "" && !c.sends() {
		c.Out = "none"
	}
	if o.OTel && c.OTLP == "" {
		c.OTLP, c.Out = l.collector(), f.Out
	}
	return c
}

// sends reports whether telemetry leaves by way of a run file.
func (f *sinkFlags) sends() bool {
	return f.CloudWatch != "off" && f.CloudWatch != "" || f.OTLP != "" || f.PrometheusWrite != ""
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// collector is where OpenTelemetry's variables say that metrics go.
func (l *locustRun) collector() string {
	if u := l.getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"); u != "" {
		return u
	}
	if u := l.getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); u != "" {
		return strings.TrimSuffix(u, "/") + "/v1/metrics"
	}
	return "http://localhost:4318/v1/metrics"
}

// htmlName is the name of the HTML report, with the load that it was.
func (o *locustOptions) htmlName() string {
	name := o.HTML
	put := func(mark string, value *float64) {
		if value != nil {
			name = strings.ReplaceAll(name, mark, strconv.FormatFloat(*value, 'f', -1, 64))
		}
	}
	if o.Users != nil {
		users := float64(*o.Users)
		put("{u}", &users)
	}
	put("{r}", o.SpawnRate)
	if o.RunTime != nil && *o.RunTime > 0 {
		put("{t}", o.RunTime)
	}
	return name
}

// masked is the command line without the values of the script's secret
// arguments.
func (l *locustRun) masked(args []string) []string {
	var secret []string
	var arguments []struct {
		Dest  string   `json:"dest"`
		Flags []string `json:"flags"`
	}
	_ = json.Unmarshal(l.python.loaded.Arguments, &arguments) // without any there are no secrets
	for _, a := range arguments {
		if slices.Contains(l.python.loaded.Secret, a.Dest) {
			secret = append(secret, a.Flags...)
		}
	}
	out := slices.Clone(args)
	for i := range out {
		flag, _, joined := strings.Cut(out[i], "=")
		if !slices.Contains(secret, flag) {
			continue
		}
		if joined {
			out[i] = flag + "=" + masked
		} else if i+1 < len(out) {
			out[i+1] = masked
		}
	}
	return out
}

// scriptName is what a run is called.
func (l *locustRun) scriptName() string {
	if l.python.loaded.File != "" {
		return filepath.Base(l.python.loaded.File)
	}
	return "locustfile.py"
}
