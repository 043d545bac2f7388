package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
)

// gateStore says where counts are kept.
type gateStore struct {
	Redis        string        `placeholder:"URL" help:"Keep counts in Redis or Valkey, shared by all gates: redis://host:6379/0, rediss:// with TLS, redis+cluster://a:6379,b:6379, unix:///path. Default: in this process." group:"Store"`
	RedisEnv     string        `placeholder:"NAME" help:"The same, with the URL in this environment variable: for one with a password." group:"Store"`
	RedisPrefix  string        `default:"weir" placeholder:"TEXT" help:"What the names of its keys begin with." group:"Store"`
	StoreBudget  time.Duration `default:"10ms" help:"The longest that a decision waits for it." group:"Store"`
	StoreHoldFor time.Duration `default:"5m" help:"After this time it takes back what a concurrency limit gave to a gate that has died: longer than any request lasts." group:"Store"`
	MaxKeys      int           `placeholder:"N" help:"The most keys that are kept in this process. Default: 1000000." group:"Store"`
}

// where names the store without its password; "" is this process.
func (f *gateStore) where() string {
	switch {
	case f.Redis != "":
		return maskURL(f.Redis)
	case f.RedisEnv != "":
		return "the Redis of $" + f.RedisEnv
	}
	return ""
}

// open makes the store; nil without one. It does not wait for the server.
func (f *gateStore) open(getenv func(string) string) (*redis.Store, error) {
	text := f.Redis
	flag := "--redis"
	if f.RedisEnv != "" {
		if text != "" {
			return nil, usage("leave one of them out", "--redis and --redis-env both say where the counts are")
		}
		flag = "--redis-env " + f.RedisEnv
		if text = getenv(f.RedisEnv); text == "" {
			return nil, usage("set it to redis://USER:PASSWORD@HOST:6379", "%s: the variable is not set", flag)
		}
	}
	if text == "" {
		return nil, nil
	}
	o, err := parseRedis(text)
	if err != nil {
		return nil, usage("write redis://host:6379, rediss://, redis+cluster:// or unix:///path", "%s: %v", flag, err)
	}
	o.Prefix, o.HoldFor = f.RedisPrefix, f.StoreHoldFor
	store, err := redis.New(o)
	if err != nil {
		return nil, usage("", "%s: %v", flag, err)
	}
	return store, nil
}

// awaitStore gives a store a moment to connect, so that the first requests after
// a start are not decided without it. The error is why it does not answer.
func awaitStore(store enforce.Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for {
		_, err := store.Gates(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// parseRedis reads the URL of a store. No error has any of it, because of the
// password.
func parseRedis(text string) (o redis.Options, err error) {
	begin := strings.Index(text, "://") + len("://")
	if begin < len("://") {
		return o, errors.New("this is not a URL")
	}
	// Of several hosts url.Parse gets the first.
	end := begin + strings.IndexAny(text[begin:]+"/", "/?#")
	begin += strings.LastIndexByte(text[begin:end], '@') + 1
	hosts := strings.Split(text[begin:end], ",")
	u, err := url.Parse(text[:begin] + hosts[0] + text[end:])
	if err != nil {
		return o, errors.New("this is not a URL")
	}
	scheme, cluster := strings.CutSuffix(u.Scheme, "+cluster")
	o.Cluster = cluster
	switch scheme {
	case "unix":
		if u.Path == "" {
			return o, errors.New("the path of the socket is missing")
		}
		o.Addresses = []string{u.Path}
	case "redis", "rediss", "valkey", "valkeys":
		for _, host := range hosts {
			if _, _, err := net.SplitHostPort(host); err != nil && host != "" {
				host = net.JoinHostPort(strings.Trim(host, "[]"), "6379")
			}
			if host == "" {
				return o, errors.New("the host is missing")
			}
			o.Addresses = append(o.Addresses, host)
		}
		if db := strings.Trim(u.Path, "/"); db != "" {
			if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 {
				return o, errors.New("the path must be the number of a database")
			}
		}
		if scheme == "rediss" || scheme == "valkeys" {
			o.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: hostOf(o.Addresses[0])}
		}
	default:
		return o, errors.New("this does not begin with redis://, rediss://, redis+cluster:// or unix://")
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	return o, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
