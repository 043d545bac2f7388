package main

import (
	"time"
)

// trials are all limiters with all sets of parameters. Each list has those of
// one ecosystem.
func trials() []trial {
	var all []trial
	// A window takes several of itself to see.
	long := map[string]time.Duration{
		"ulule/limiter 15 per 30s": 2 * time.Minute, "express-rate-limit 100 per 30s": 2 * time.Minute, "slowapi 50/minute": 4 * time.Minute,
		"DRF throttling 30/minute": 4 * time.Minute, "express-rate-limit twice 8 per 1s, 60 per 30s": 3 * time.Minute,
		"express-rate-limit twice 5 per 2s, 12 per 12s": 5 * time.Minute, "hapi-rate-limit 8 per 2s, 30 per 20s": 5 * time.Minute,
	}
	for _, list := range [][]trial{ofNginx(), ofGo(), ofNode(), ofPython(), ofJava(), ofOthers(), ofEdges(), ofMoreGo(), ofMorePrograms(), ofStrangers(), ofGuests(), several(), before(), keys()} {
		for _, t := range list {
			t.budget = long[t.name()]
			all = append(all, t)
		}
	}
	return all
}

func ofNginx() []trial {
	req := func(set, rate, args string, t truth) trial {
		return trial{limiter: "nginx limit_req", set: set, truth: t, needs: nginx,
			start: inNginx("limit_req_zone $binary_remote_addr zone=one:1m rate="+rate+"; limit_req_status 429;", "limit_req zone=one "+args+";")}
	}
	conn := func(n string, count float64) trial {
		return trial{limiter: "nginx limit_conn", set: n, needs: nginx,
			truth: truth{families: []string{concurrency}, policies: []figures{{n: count}}},
			start: inNginx("limit_conn_zone $binary_remote_addr zone=one:1m; limit_conn_status 429;", "limit_conn one "+n+"; proxy_pass SLOW;")}
	}
	// The status that nginx answers when nobody chose another.
	plain := trial{limiter: "nginx limit_req", set: "50r/s burst=100 nodelay, status 503", truth: tokens(101, 50), needs: nginx, flags: []string{"--throttled", "503"},
		start: inNginx("limit_req_zone $binary_remote_addr zone=one:1m rate=50r/s;", "limit_req zone=one burst=100 nodelay;")}
	return []trial{
		req("10r/s burst=20 nodelay", "10r/s", "burst=20 nodelay", tokens(21, 10)),
		req("90r/m burst=6 nodelay", "90r/m", "burst=6 nodelay", tokens(7, 1.5)),
		plain,
		req("5r/s, no burst", "5r/s", "", tokens(1, 5).or(fromFirst).or(slidingLog)),
		req("5r/s burst=12", "5r/s", "burst=12", queued(12, 0, 5)),
		req("20r/s burst=30", "20r/s", "burst=30", queued(30, 0, 20)),
		req("60r/m burst=4", "60r/m", "burst=4", queued(4, 0, 1)),
		req("20r/s burst=30 delay=10", "20r/s", "burst=30 delay=10", queued(30, 10, 20)),
		req("5r/s burst=10 delay=4", "5r/s", "burst=10 delay=4", queued(10, 4, 5)),
		req("10r/s burst=15 delay=5", "10r/s", "burst=15 delay=5", queued(15, 5, 10)),
		conn("6", 6), conn("3", 3), conn("20", 20),
	}
}

func ofNode() []trial {
	of := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: node, start: inNode(args...)}
	}
	return []trial{
		of("express-rate-limit", "23 per 7s", window(fromFirst, 23, 7), "express-rate-limit", "23", "7000"),
		of("express-rate-limit", "5 per 2s", window(fromFirst, 5, 2), "express-rate-limit", "5", "2000"),
		of("express-rate-limit", "100 per 30s", window(fromFirst, 100, 30), "express-rate-limit", "100", "30000"),
		of("rate-limiter-flexible", "17 per 5s", window(fromFirst, 17, 5), "rate-limiter-flexible", "17", "5"),
		of("rate-limiter-flexible", "6 per 1s", window(fromFirst, 6, 1), "rate-limiter-flexible", "6", "1"),
		of("rate-limiter-flexible", "50 per 12s", window(fromFirst, 50, 12), "rate-limiter-flexible", "50", "12"),
		of("rate-limiter-flexible", "12 per 4s, blockDuration 9s", banned(12, 4, 9), "rate-limiter-flexible", "12", "4", "9"),
		of("rate-limiter-flexible", "5 per 2s, blockDuration 5s", banned(5, 2, 5), "rate-limiter-flexible", "5", "2", "5"),
		of("rate-limiter-flexible", "30 per 3s, blockDuration 12s", banned(30, 3, 12), "rate-limiter-flexible", "30", "3", "12"),
		of("BurstyRateLimiter", "5 per 1s, or else 20 per 6s", other("5 in 1s, or else one of 20 in 6s, both from the first request"), "rate-limiter-flexible-bursty", "5", "1", "20", "6"),
		of("@fastify/rate-limit", "12 per 3s", window(fromFirst, 12, 3), "fastify", "12", "3000"),
		of("@fastify/rate-limit", "40 per 10s", window(fromFirst, 40, 10), "fastify", "40", "10000"),
		of("@fastify/rate-limit", "8 per 2s, continueExceeding", banned(8, 2, 2).whileAsked(), "fastify", "8", "2000", "1"),
		of("koa-ratelimit", "18 per 2500ms", window(fromFirst, 18, 2.5), "koa-ratelimit", "18", "2500"),
		of("koa-ratelimit", "7 per 8s", window(fromFirst, 7, 8), "koa-ratelimit", "7", "8000"),
		of("hono-rate-limiter", "9 per 3s", window(fromFirst, 9, 3), "hono-rate-limiter", "9", "3000"),
		of("limiter (npm)", "15, 5/s", tokens(15, 5), "limiter", "15", "5", "1000"),
		of("limiter (npm)", "4, 2/s", tokens(4, 2), "limiter", "4", "2", "1000"),
		of("limiter (npm)", "60, 30/s", tokens(60, 30), "limiter", "60", "30", "1000"),
	}
}

func ofPython() []trial {
	of := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: python, start: inPython(args...)}
	}
	return []trial{
		of("flask-limiter", "fixed-window 14 per 4s", window(fromFirst, 14, 4), "flask-limiter", "fixed-window", "14 per 4 second"),
		of("flask-limiter", "moving-window 10 per 3s", window(slidingLog, 10, 3), "flask-limiter", "moving-window", "10 per 3 second"),
		of("flask-limiter", "moving-window 30 per 10s", window(slidingLog, 30, 10), "flask-limiter", "moving-window", "30 per 10 second"),
		of("flask-limiter", "moving-window 5 per 1s", window(slidingLog, 5, 1), "flask-limiter", "moving-window", "5 per 1 second"),
		of("flask-limiter", "sliding-window-counter 10 per 4s", window(weighted, 10, 4), "flask-limiter", "sliding-window-counter", "10 per 4 second"),
		of("flask-limiter", "sliding-window-counter 40 per 8s", window(weighted, 40, 8), "flask-limiter", "sliding-window-counter", "40 per 8 second"),
		of("flask-limiter", "sliding-window-counter 6 per 2s", window(weighted, 6, 2), "flask-limiter", "sliding-window-counter", "6 per 2 second"),
		of("slowapi", "20/5second", window(fromFirst, 20, 5), "slowapi", "20/5 second"),
		of("slowapi", "3/1second", window(fromFirst, 3, 1), "slowapi", "3/1 second"),
		of("slowapi", "50/minute", window(fromFirst, 50, 60), "slowapi", "50/minute"),
		of("django-ratelimit", "10/5s", window(byClock, 10, 5), "django-ratelimit", "10/5s"),
		of("django-ratelimit", "25/10s", window(byClock, 25, 10), "django-ratelimit", "25/10s"),
		of("django-ratelimit", "4/s", window(byClock, 4, 1), "django-ratelimit", "4/s"),
		of("DRF throttling", "5/second", window(slidingLog, 5, 1), "drf", "5", "1"),
		of("DRF throttling", "20 per 10s", window(slidingLog, 20, 10), "drf", "20", "10"),
		of("DRF throttling", "30/minute", window(slidingLog, 30, 60), "drf", "30", "60"),
		of("aiolimiter", "10 per 2s", tokens(10, 5), "aiolimiter", "10", "2"),
		of("aiolimiter", "30 per 10s", tokens(30, 3), "aiolimiter", "30", "10"),
		of("aiolimiter", "4 per 1s", tokens(4, 4), "aiolimiter", "4", "1"),
		of("pyrate-limiter", "10 per 2.5s", window(slidingLog, 10, 2.5), "pyrate-limiter", "10", "2500"),
		of("pyrate-limiter", "40 per 6s", window(slidingLog, 40, 6), "pyrate-limiter", "40", "6000"),
		of("pyrate-limiter", "5 per 1s and 15 per 10s", both(window(slidingLog, 5, 1), window(slidingLog, 15, 10)), "pyrate-limiter", "5", "1000", "15", "10000"),
		of("quart-rate-limiter (GCRA)", "6 per 3s", tokens(6, 2), "quart-rate-limiter", "6", "3"),
		of("quart-rate-limiter (GCRA)", "25 per 5s", tokens(25, 5), "quart-rate-limiter", "25", "5"),
		// Whole seconds, from the first one: windows of the clock.
		of("litestar", "8/second", window(byClock, 8, 1), "litestar", "second", "8"),
		of("fastapi-limiter", "12 per 4s", window(slidingLog, 12, 4), "fastapi-limiter", "12", "4000"),
		of("throttled-py", "fixed_window 12 per 3s", window(byClock, 12, 3), "throttled-py", "fixed_window", "12", "3"),
		of("throttled-py", "sliding_window 15 per 5s", window(weighted, 15, 5), "throttled-py", "sliding_window", "15", "5"),
		of("throttled-py", "gcra 5/s, 10", tokens(10, 5), "throttled-py", "gcra", "5", "1", "10"),
	}
}

func ofJava() []trial {
	of := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: java, start: inJava(args...)}
	}
	return []trial{
		of("Bucket4j greedy", "10, 5 per 1s", tokens(10, 5), "bucket4j-greedy", "10", "5", "1000"),
		of("Bucket4j greedy", "50, 20 per 1s", tokens(50, 20), "bucket4j-greedy", "50", "20", "1000"),
		of("Bucket4j greedy", "6, 30 per 1min", tokens(6, 0.5), "bucket4j-greedy", "6", "30", "60000"),
		of("Bucket4j interval", "20, 5 per 2s", portions(20, 5, 2), "bucket4j-interval", "20", "5", "2000"),
		of("Bucket4j interval", "12, 6 per 3s", portions(12, 6, 3), "bucket4j-interval", "12", "6", "3000"),
		of("Bucket4j interval", "10, 10 per 4s", window(byClock, 10, 4), "bucket4j-interval", "10", "10", "4000"),
		of("resilience4j RateLimiter", "10 per 2s", window(byClock, 10, 2), "resilience4j", "10", "2000"),
		of("resilience4j RateLimiter", "4 per 500ms", window(byClock, 4, 0.5), "resilience4j", "4", "500"),
		of("resilience4j RateLimiter", "60 per 10s", window(byClock, 60, 10), "resilience4j", "60", "10000"),
		of("resilience4j Bulkhead", "5", truth{families: []string{concurrency}, policies: []figures{{n: 5}}}, "resilience4j-bulkhead", "5", "150"),
		// A second's worth is saved up, and one more is lent.
		of("Guava RateLimiter", "2/s", tokens(3, 2), "guava", "2"),
		of("Guava RateLimiter", "5/s", tokens(6, 5), "guava", "5"),
		of("Guava RateLimiter", "20/s", tokens(21, 20), "guava", "20"),
	}
}

func ofOthers() []trial {
	rs := func(set string, t truth, args ...string) trial {
		return trial{limiter: "tower_governor (Rust)", set: set, truth: t, needs: rust, start: inRust(args...)}
	}
	ha := func(set string, t truth, n int, period string) trial {
		return trial{limiter: "HAProxy http_req_rate", set: set, truth: t, needs: haproxy, start: inHAProxy(n, period)}
	}
	return []trial{
		rs("1 per 500ms, 8", tokens(8, 2), "500", "8"),
		rs("1 per 100ms, 30", tokens(30, 10), "100", "30"),
		rs("1 per 2s, 3", tokens(3, 0.5), "2000", "3"),
		ha("10 in 3s", window(weightedDen, 10, 3), 10, "3s"),
		ha("40 in 10s", window(weightedDen, 40, 10), 40, "10s"),
		ha("5 in 1s", window(weightedDen, 5, 1), 5, "1s"),
	}
}

// before are limiters that were used a moment before they are probed, as by
// somebody who has just tried the URL.
func before() []trial {
	return []trial{
		{limiter: "nginx limit_req", set: "5r/s burst=14 nodelay, 12 sent before", truth: tokens(15, 5), needs: nginx,
			start: used(12, inNginx("limit_req_zone $binary_remote_addr zone=one:1m rate=5r/s; limit_req_status 429;", "limit_req zone=one burst=14 nodelay;"))},
		{limiter: "express-rate-limit", set: "10 per 4s, 6 sent before", truth: window(fromFirst, 10, 4), needs: node, start: used(6, inNode("express-rate-limit", "10", "4000"))},
		{limiter: "flask-limiter", set: "moving-window 8 per 3s, 20 sent before", truth: window(slidingLog, 8, 3), needs: python,
			start: used(20, inPython("flask-limiter", "moving-window", "8 per 3 second"))},
	}
}

// keys are limiters that count clients apart, or not.
func keys() []trial {
	byNginx := func(variable string, t truth, vary ...string) trial {
		return trial{limiter: "nginx limit_req by " + variable, set: "10r/s burst=7 nodelay", truth: t, needs: nginx, flags: vary,
			start: inNginx("limit_req_zone "+variable+" zone=one:1m rate=10r/s; limit_req_status 429;", "limit_req zone=one burst=7 nodelay; try_files /page =404;")}
	}
	header := []string{"--vary", "header:X-Api-Key=a,b"}
	return []trial{
		byNginx("$http_x_api_key", tokens(8, 10).by("request.header['X-Api-Key']"), append(header, "--vary", "path=/a,/b")...),
		byNginx("$uri", tokens(8, 10).by("request.path"), append(header, "--vary", "path=/a,/b")...),
		byNginx("$binary_remote_addr", tokens(8, 10).by("request.ip"), append(header, "--vary", "source-ip=127.0.0.1,127.0.0.2")...),
		{limiter: "rate-limiter-flexible by X-Api-Key", set: "6 per 2s", truth: window(fromFirst, 6, 2).by("request.header['X-Api-Key']"), needs: node, flags: header,
			start: inNode("rate-limiter-flexible-keyed", "6", "2")},
		{limiter: "express-rate-limit by address", set: "6 per 2s", truth: window(fromFirst, 6, 2).by(""), needs: node, flags: header,
			start: inNode("express-rate-limit", "6", "2000")},
	}
}

func several() []trial {
	stack := func(limiter, set string, n need, a, b truth, start starter) trial {
		return trial{limiter: limiter, set: set, truth: both(a, b), needs: n, start: start}
	}
	return []trial{
		stack("express-rate-limit twice", "8 per 1s, 60 per 30s", node, window(fromFirst, 8, 1), window(fromFirst, 60, 30), inNode("express-rate-limit-twice", "8", "1000", "60", "30000")),
		stack("express-rate-limit twice", "5 per 2s, 12 per 12s", node, window(fromFirst, 5, 2), window(fromFirst, 12, 12), inNode("express-rate-limit-twice", "5", "2000", "12", "12000")),
		stack("nginx limit_req twice", "10r/s burst=4, 1r/s burst=25, nodelay", nginx, tokens(5, 10), tokens(26, 1),
			inNginx("limit_req_zone $binary_remote_addr zone=one:1m rate=10r/s; limit_req_zone $server_port zone=two:1m rate=1r/s; limit_req_status 429;", "limit_req zone=one burst=4 nodelay; limit_req zone=two burst=25 nodelay;")),
		stack("flask-limiter", "moving-window 4 per 1s, 20 per 15s", python, window(slidingLog, 4, 1), window(slidingLog, 20, 15), inPython("flask-limiter", "moving-window", "4 per 1 second", "20 per 15 second")),
		stack("Bucket4j two bandwidths", "5 per 1s, 30 per 15s, greedy", java, tokens(5, 5), tokens(30, 2), inJava("bucket4j-two", "5", "1000", "30", "15000")),
		{limiter: "express-rate-limit behind nginx", set: "10 per 4s, 2 replicas", needs: node, truth: replicated(2, window(fromFirst, 10, 4)), start: behindNginx(2, "", "express-rate-limit", "10", "4000")},
		{limiter: "express-rate-limit behind nginx", set: "12 per 5s, 3 replicas", needs: node, truth: replicated(3, window(fromFirst, 12, 5)), start: behindNginx(3, "", "express-rate-limit", "12", "5000")},
		{limiter: "limiter (npm) behind nginx", set: "6, 2/s, 2 replicas", needs: node, truth: replicated(2, tokens(6, 2)), start: behindNginx(2, "", "limiter", "6", "2", "1000")},
		{limiter: "express-rate-limit behind nginx, random", set: "10 per 4s, 3 replicas", needs: node, truth: replicated(3, window(fromFirst, 10, 4)), start: behindNginx(3, "random;", "express-rate-limit", "10", "4000")},
		{limiter: "limiter (npm) behind nginx, random", set: "8, 1/s, 3 replicas", needs: node, truth: replicated(3, tokens(8, 1)), start: behindNginx(3, "random;", "limiter", "8", "1", "1000")},
		{limiter: "express-rate-limit behind nginx, least_conn", set: "10 per 4s, 3 replicas", needs: node, truth: replicated(3, window(fromFirst, 10, 4)), start: behindNginx(3, "least_conn;", "express-rate-limit", "10", "4000")},
		{limiter: "limiter (npm) behind nginx, least_conn", set: "6, 2/s, 2 replicas", needs: node, truth: replicated(2, tokens(6, 2)), start: behindNginx(2, "least_conn;", "limiter", "6", "2", "1000")},
		{limiter: "express-rate-limit behind nginx, by connection", set: "10 per 4s, 3 replicas", needs: node, truth: replicated(3, window(fromFirst, 10, 4)), start: behindNginx(3, "hash $remote_port;", "express-rate-limit", "10", "4000")},
		// All requests of one address go to one of them: that is one limit.
		{limiter: "express-rate-limit behind nginx, ip_hash", set: "10 per 4s, 3 replicas", needs: node, truth: window(fromFirst, 10, 4), start: behindNginx(3, "ip_hash;", "express-rate-limit", "10", "4000")},
	}
}
