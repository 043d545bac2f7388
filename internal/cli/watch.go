package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/watch"
	"github.com/weir-dev/weir/internal/watch/cloudwatch"
	"github.com/weir-dev/weir/internal/watch/postgres"
	"github.com/weir-dev/weir/internal/watch/prometheus"
)

// watchFlags say what is read from the system under test beside the load.
type watchFlags struct {
	Watch         []string      `sep:"none" placeholder:"URL" help:"Read figures of the system beside the load: postgres://user@host/database, prometheus+http://host:9090, or cloudwatch: and cognito, ecs/CLUSTER/SERVICE, ec2/INSTANCE, alb/app/NAME/ID, rds/INSTANCE, sns/TOPIC or NAME=STAT NAMESPACE METRIC DIMENSION=VALUE. Repeat for more." group:"Watch"`
	WatchEnv      []string      `placeholder:"NAME" help:"The same, with the URL in this environment variable: for one with a password." group:"Watch"`
	WatchQuery    []string      `sep:"none" placeholder:"NAME=PROMQL" help:"A question for Prometheus, with a name and perhaps a unit: 'CPU[%]=100*sum(rate(process_cpu_seconds_total[1m]))'. Repeat for more." group:"Watch"`
	WatchLimit    []string      `sep:"none" placeholder:"NAME=PROMQL" help:"At which value the question of this name is at its limit: CPU=200, or PromQL." group:"Watch"`
	WatchTokenEnv string        `placeholder:"NAME" help:"Environment variable with the bearer token for Prometheus." group:"Watch"`
	WatchAfter    time.Duration `placeholder:"DURATION" help:"How long to go on reading CloudWatch after the run: its figures come one to six minutes late." group:"Watch"`
	WatchEvery    time.Duration `default:"1s" help:"How often they are asked, 100ms or more." group:"Watch"`
}

// any says whether anything is watched.
func (f *watchFlags) any() bool { return len(f.Watch)+len(f.WatchEnv) > 0 }

// connectWithin bounds how long the start waits for what is watched.
const connectWithin = 15 * time.Second

// watched is one URL and its words: what it is called, and where.
type watched struct{ url, name, where string }

const (
	prometheusScheme = "prometheus+"
	cloudWatchScheme = "cloudwatch:"
)

// figures are what CloudWatch is to be asked for.
func (f *watchFlags) figures() ([]cloudwatch.Query, error) {
	var out []cloudwatch.Query
	for _, u := range f.Watch {
		rest, ok := strings.CutPrefix(u, cloudWatchScheme)
		if !ok {
			continue
		}
		list, err := cloudwatch.Parse(rest)
		if err != nil {
			return nil, usage("such as --watch cloudwatch:cognito, or 'cloudwatch:CPU[%]=Average AWS/EC2 CPUUtilization InstanceId=i-1'", "--watch cloudwatch: %v", err)
		}
		out = append(out, list...)
	}
	return out, nil
}

// watchCloudWatch makes the one source for all of them.
func watchCloudWatch(ctx context.Context, figures []cloudwatch.Query, access account.Access) (*cloudwatch.Source, string, error) {
	if err := account.CheckEndpoint(access.Endpoint); err != nil {
		return nil, "", usage("such as --cloudwatch-endpoint http://127.0.0.1:4566", "--cloudwatch-endpoint: %v", err)
	}
	cfg, err := access.Load(ctx)
	if err == nil {
		err = account.Identify(ctx, cfg)
	}
	if err != nil {
		return nil, "", cannotRun(account.Advice(err)+"; or leave it out of --watch", "nothing was sent: CloudWatch: %v", err)
	}
	s, err := cloudwatch.New("CloudWatch", account.CloudWatch(cfg), figures)
	if err != nil {
		return nil, "", usage("", "--watch: %v", err)
	}
	if err := s.Check(ctx); err != nil {
		return nil, "", unwatched(err)
	}
	return s, cfg.Region, nil
}

// open connects to everything that is watched, so that what is wrong with it is
// known before the first request. Where is a line for each of them.
func (f *watchFlags) open(getenv func(string) string, access account.Access) (w *watch.Watcher, where []string, err error) {
	list, err := f.urls(getenv)
	if err != nil {
		return nil, nil, err
	}
	queries, err := f.queries()
	if err != nil {
		return nil, nil, err
	}
	if f.WatchEvery < watch.MinEvery {
		return nil, nil, usage("give 100ms or more", "--watch-every %v is too often: it would be a load of its own", f.WatchEvery)
	}
	var sources []watch.Source
	defer func() {
		if err != nil {
			for _, s := range sources {
				s.Close()
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), connectWithin)
	defer cancel()
	servers := 0
	for _, t := range list {
		where = append(where, t.name+" ("+t.where+")")
		if !strings.HasPrefix(t.url, prometheusScheme) {
			s, err := postgres.Open(ctx, t.url, t.name)
			if err != nil {
				return nil, nil, unwatched(err)
			}
			sources = append(sources, s)
			continue
		}
		servers++
		token := ""
		if f.WatchTokenEnv != "" {
			if token = getenv(f.WatchTokenEnv); token == "" {
				return nil, nil, usage("", "--watch-token-env: there is nothing in the environment variable %s", f.WatchTokenEnv)
			}
		}
		s, err := prometheus.New(prometheus.Options{URL: t.url, Token: token, Name: t.name, Queries: queries})
		if err != nil {
			return nil, nil, usage("a question is --watch-query NAME=PROMQL", "%v", err)
		}
		sources = append(sources, s)
		if err := s.Check(ctx); err != nil {
			return nil, nil, unwatched(err)
		}
	}
	figures, err := f.figures()
	if err != nil {
		return nil, nil, err
	}
	if len(figures) > 0 {
		s, region, err := watchCloudWatch(ctx, figures, access)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, s)
		where = append(where, "CloudWatch ("+region+")")
	}
	switch {
	case servers == 0 && len(queries) > 0:
		return nil, nil, usage("add --watch prometheus+http://host:9090", "--watch-query asks Prometheus, and none is watched")
	case servers > 1:
		return nil, nil, usage("", "%d Prometheus servers are watched, and it is not clear which --watch-query is for which: give one", servers)
	}
	return watch.New(f.WatchEvery, sources...), where, nil
}

func unwatched(err error) error {
	return cannotRun("leave it out of --watch to run without it", "nothing was sent: %v", err)
}

// urls are the systems of both flags, with names that tell them apart.
func (f *watchFlags) urls(getenv func(string) string) ([]watched, error) {
	var all []string
	for _, u := range f.Watch {
		if !strings.HasPrefix(u, cloudWatchScheme) {
			all = append(all, u)
		}
	}
	for _, name := range f.WatchEnv {
		u := getenv(name)
		if u == "" {
			return nil, usage("it holds a URL such as postgres://user:password@host/database", "--watch-env: there is nothing in the environment variable %s", name)
		}
		all = append(all, u)
	}
	var list []watched
	kinds := map[string]int{}
	for _, u := range all {
		t := watched{url: u}
		var err error
		if strings.HasPrefix(u, prometheusScheme) {
			t.name = "Prometheus"
			t.where, err = prometheus.Where(u)
		} else {
			t.name = "PostgreSQL"
			t.where, err = postgres.Where(u)
		}
		if err != nil {
			return nil, usage("watched can be postgres://user@host/database and prometheus+http://host:9090", "--watch: %v", err)
		}
		kinds[t.name]++
		list = append(list, t)
	}
	seen := map[string]bool{}
	for i := range list {
		t := &list[i]
		if kinds[t.name] > 1 {
			t.name += " " + t.where
		}
		if seen[t.name] {
			return nil, usage("", "--watch: %s is given twice", t.name)
		}
		seen[t.name] = true
	}
	return list, nil
}

// queries puts questions and their limits together.
func (f *watchFlags) queries() ([]prometheus.Query, error) {
	var list []prometheus.Query
	for _, text := range f.WatchQuery {
		q, err := prometheus.ParseQuery(text)
		if err != nil {
			return nil, usage("", "--watch-query: %v", err)
		}
		list = append(list, q)
	}
	for _, text := range f.WatchLimit {
		limit, err := prometheus.ParseQuery(text)
		if err != nil {
			return nil, usage("", "--watch-limit: %v", err)
		}
		i := slices.IndexFunc(list, func(q prometheus.Query) bool { return q.Name == limit.Name })
		if i < 0 {
			return nil, usage("", "--watch-limit: there is no --watch-query called %q", limit.Name)
		}
		list[i].Limit = limit.Expr
	}
	return list, nil
}
