package main

// ofStrangers are limiters that somebody tried who had not seen how weir probe is made.
func ofStrangers() []trial {
	inNpm := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: node, start: inNode(args...)}
	}
	inPyPI := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: python, start: inPython(args...)}
	}
	// Refused requests count, and every one begins the window of its own again.
	redis := func(n, window string, t truth) trial {
		return trial{limiter: "ratelimiter (npm)", set: n + " per " + window + "ms", truth: t, needs: node,
			start: withRedis(func(port string) starter { return inNode("ratelimiter", port, n, window) })}
	}
	hapi := trial{limiter: "hapi-rate-limit", set: "8 per 2s, 30 per 20s", truth: both(window(fromFirst, 8, 2), window(fromFirst, 30, 20)), needs: node,
		start: inNode("hapi-rate-limit", "8", "2000", "30", "20000")}
	return []trial{
		inNpm("express-throttle", "10, 5/s", tokens(10, 5), "express-throttle", "10", "5/s"),
		inNpm("express-throttle", "4, 30/m", tokens(4, 0.5), "express-throttle", "4", "30/m"),
		inNpm("express-throttle", "25, 20/s", tokens(25, 20), "express-throttle", "25", "20/s"),
		inNpm("restify throttle", "10, 2/s", tokens(10, 2), "restify", "10", "2"),
		inNpm("restify throttle", "5, 1/s", tokens(5, 1), "restify", "5", "1"),
		inNpm("restify throttle", "30, 10/s", tokens(30, 10), "restify", "30", "10"),
		inNpm("hapi-rate-limit", "8 per 3s", window(fromFirst, 8, 3), "hapi-rate-limit", "8", "3000"),
		inNpm("hapi-rate-limit", "20 per 5s", window(fromFirst, 20, 5), "hapi-rate-limit", "20", "5000"),
		hapi,
		inNpm("koa2-ratelimit", "10 per 3s", window(fromFirst, 10, 3), "koa2-ratelimit", "10", "3000"),
		inNpm("koa2-ratelimit", "4 per 1s", window(fromFirst, 4, 1), "koa2-ratelimit", "4", "1000"),
		inNpm("koa2-ratelimit", "25 per 6s", window(fromFirst, 25, 6), "koa2-ratelimit", "25", "6000"),
		redis("12", "4000", window(slidingDen, 12, 4)),
		redis("5", "2000", window(slidingDen, 5, 2)),
		redis("30", "6000", window(slidingDen, 30, 6)),
		inPyPI("token-bucket (PyPI)", "12, 3/s", tokens(12, 3), "token-bucket", "3", "12"),
		inPyPI("token-bucket (PyPI)", "5, 1/s", tokens(5, 1), "token-bucket", "1", "5"),
		inPyPI("token-bucket (PyPI)", "40, 20/s", tokens(40, 20), "token-bucket", "20", "40"),
		inPyPI("rush periodic", "10 and 4 per 3s", window(fromFirst, 14, 3), "rush", "10", "4", "3"),
		inPyPI("rush periodic", "5 per 1s", window(fromFirst, 5, 1), "rush", "5", "0", "1"),
		inPyPI("rush periodic", "20 and 10 per 6s", window(fromFirst, 30, 6), "rush", "20", "10", "6"),
	}
}
