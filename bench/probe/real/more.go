package main

import "fmt"

// ofEdges are limiters of proxies.
func ofEdges() []trial {
	of := func(limiter, set string, n need, t truth, start starter) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: n, start: start}
	}
	return []trial{
		of("Envoy local_ratelimit", "20, 5 per 1s", envoy, tokens(20, 5), inEnvoy(20, 5, "1s")),
		of("Envoy local_ratelimit", "10, 10 per 4s", envoy, tokens(10, 2.5), inEnvoy(10, 10, "4s")),
		of("Envoy local_ratelimit", "60, 30 per 1s", envoy, tokens(60, 30), inEnvoy(60, 30, "1s")),
		// It lets a request wait for up to half of what one takes to come back.
		of("Traefik rateLimit", "5 per 1s, burst 10", traefik, holds(10, 5), inTraefik(5, "1s", 10)),
		of("Traefik rateLimit", "30 per 1m, burst 4", traefik, holds(4, 0.5), inTraefik(30, "1m", 4)),
		of("Traefik rateLimit", "20 per 1s, burst 40", traefik, holds(40, 20), inTraefik(20, "1s", 40)),
		of("Traefik inFlightReq", "4", traefik, truth{families: []string{concurrency}, policies: []figures{{n: 4}}}, atOnceInTraefik(4)),
		of("Varnish vsthrottle", "15 per 5s", varnish, rounded(15, 5), inVarnish(15, "5s", "")),
		of("Varnish vsthrottle", "5 per 1s", varnish, rounded(5, 1), inVarnish(5, "1s", "")),
		of("Varnish vsthrottle", "40 per 10s", varnish, rounded(40, 10), inVarnish(40, "10s", "")),
		of("Varnish vsthrottle", "6 per 2s, blocked for 5s", varnish, other("bucket of 6, 3/s; once it is empty all is refused for 5s"), inVarnish(6, "2s", "5s")),
	}
}

// holds is a bucket that makes who comes a little early wait.
func holds(n, rate float64) truth {
	t := tokens(n, rate).or(queue)
	return t
}

func ofMorePrograms() []trial {
	of := func(limiter, set string, n need, t truth, start starter) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: n, start: start}
	}
	byRedis := func(args ...string) starter {
		return withRedis(func(port string) starter {
			return inNode(append([]string{"rate-limiter-flexible-redis", port}, args...)...)
		})
	}
	asgi := func(args ...string) starter {
		return withRedis(func(port string) starter { return inPython(append([]string{"asgi-ratelimit", port}, args...)...) })
	}
	return []trial{
		of("@nestjs/throttler", "8 per 3s", node, bannedLog(8, 3, 3), inNode("nest-throttler", "8", "3000")),
		of("@nestjs/throttler", "20 per 5s", node, bannedLog(20, 5, 5), inNode("nest-throttler", "20", "5000")),
		of("@nestjs/throttler", "5 per 1s, blockDuration 4s", node, bannedLog(5, 1, 4), inNode("nest-throttler", "5", "1000", "4000")),
		of("rolling-rate-limiter", "10 per 3s", node, window(slidingDen, 10, 3), inNode("rolling-rate-limiter", "10", "3000")),
		of("rolling-rate-limiter", "4 per 1s", node, window(slidingDen, 4, 1), inNode("rolling-rate-limiter", "4", "1000")),
		of("rolling-rate-limiter", "30 per 6s", node, window(slidingDen, 30, 6), inNode("rolling-rate-limiter", "30", "6000")),
		of("RateLimiterRedis", "9 per 4s", node, window(fromFirst, 9, 4), byRedis("9", "4")),
		of("RateLimiterRedis", "25 per 6s", node, window(fromFirst, 25, 6), byRedis("25", "6")),
		of("RateLimiterRedis", "6 per 2s, blockDuration 6s", node, banned(6, 2, 6), byRedis("6", "2", "6")),
		of("asgi-ratelimit", "7 per 1s", python, window(fromFirst, 7, 1), asgi("7")),
		of("asgi-ratelimit", "20 per 1s", python, window(fromFirst, 20, 1), asgi("20")),
		// It asks for how many seconds the ban lasts, and half a second is none.
		of("asgi-ratelimit", "5 per 1s, block_time 4s", python, banned(5, 1, 3.5), asgi("5", "4")),
		// In memory it counts as its backend does, whatever the view says: a log, of all that was asked.
		of("django-smart-ratelimit sliding_window", "10/3s", python, window(slidingDen, 10, 3), inPython("django-smart-ratelimit", "sliding_window", "10/3s")),
		of("django-smart-ratelimit fixed_window", "12/4s", python, window(slidingDen, 12, 4), inPython("django-smart-ratelimit", "fixed_window", "12/4s")),
		of("django-smart-ratelimit token_bucket", "10/5s", python, tokens(10, 2), inPython("django-smart-ratelimit", "token_bucket", "10/5s")),
		// Its clock has whole seconds.
		of("throttled-py", "token_bucket 5/s, 12", python, portions(12, 5, 1), inPython("throttled-py", "token_bucket", "5", "1", "12")),
		of("throttled-py", "leaking_bucket 5/s, 10", python, portions(10, 5, 1), inPython("throttled-py", "leaking_bucket", "5", "1", "10")),
		of("throttled-py", "token_bucket 30/min, 6", python, other("bucket of 6, one in 2s, by whole seconds of the clock, parts lost with each admission"), inPython("throttled-py", "token_bucket", "30", "60", "6")),
		of("Sentinel QPS", "5/s", java, window(slidingLog, 5, 1).ticking(0.5), inJava("sentinel", "5")),
		of("Sentinel QPS", "20/s", java, window(slidingLog, 20, 1).ticking(0.5), inJava("sentinel", "20")),
		of("Sentinel queue", "10/s, waiting up to 500ms", java, queued(5, 0, 10), inJava("sentinel", "10", "500")),
		of("Sentinel queue", "4/s, waiting up to 2s", java, queued(8, 0, 4), inJava("sentinel", "4", "2000")),
		of("Failsafe smooth", "5 per 1s", java, window(byClock, 1, 0.2).or(bucket).or(fromFirst).or(slidingLog), inJava("failsafe-smooth", "5", "1000")),
		of("Failsafe bursty", "10 per 2s", java, window(byClock, 10, 2), inJava("failsafe-bursty", "10", "2000")),
		of("Failsafe bursty", "30 per 5s", java, window(byClock, 30, 5), inJava("failsafe-bursty", "30", "5000")),
		of("Spring RedisRateLimiter", "5/s, 20", java, portions(20, 5, 1), inSpring(5, 20)),
		of("Spring RedisRateLimiter", "2/s, 8", java, portions(8, 2, 1), inSpring(2, 8)),
		of("Spring RedisRateLimiter", "10/s, 10", java, window(byClock, 10, 1), inSpring(10, 10)),
		of("Rack::Attack throttle", "10 per 4s", ruby, window(byClock, 10, 4), inRuby("10", "4")),
		of("Rack::Attack throttle", "5 per 1s", ruby, window(byClock, 5, 1), inRuby("5", "1")),
		of("Rack::Attack throttle", "30 per 10s", ruby, window(byClock, 30, 10), inRuby("30", "10")),
		{limiter: "Rack::Attack Allow2Ban", set: "6 per 3s, ban 8s", needs: ruby, flags: []string{"--throttled", "403"}, truth: other("6 in 3s by the clock, and all is refused for 8s from the sixth on"), start: inRuby("6", "3", "ban", "8")},
		of("Symfony fixed_window", "10 per 4s", php, window(fromFirst, 10, 4), inSymfony("fixed_window", 10, "4 seconds", 0)),
		of("Symfony sliding_window", "10 per 4s", php, window(weighted, 10, 4), inSymfony("sliding_window", 10, "4 seconds", 0)),
		of("Symfony sliding_window", "25 per 5s", php, window(weighted, 25, 5), inSymfony("sliding_window", 25, "5 seconds", 0)),
		of("Symfony token_bucket", "12, 4 per 2s", php, losing(12, 4, 2), inSymfony("token_bucket", 12, "2 seconds", 4)),
	}
}

// bannedLog is a log with a ban.
func bannedLog(n, seconds, ban float64) truth {
	t := banned(n, seconds, ban)
	t.families = []string{"sliding log with a ban"}
	return t
}

// rounded is a bucket that gives back whole units only: what came back beside them
// since the last request that was let pass is lost.
func rounded(n, seconds int) truth {
	return losing(float64(n), 1, float64(seconds)/float64(n))
}

// losing is a bucket that gets m for each so many seconds since the latest request that was let pass.
func losing(n, m, seconds float64) truth {
	t := portions(n, m, seconds)
	t.words, t.loses = fmt.Sprintf("bucket of %g, %g for each whole %.4gs since the latest that passed", n, m, seconds), true
	return t
}
