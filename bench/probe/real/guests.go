package main

// ofGuests are limiters that another stranger chose, with no look at the lists before.
func ofGuests() []trial {
	inNpm := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: node, start: inNode(args...)}
	}
	inPyPI := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: python, start: inPython(args...)}
	}
	byRedis := func(limiter, set string, t truth, args ...string) trial {
		return trial{limiter: limiter, set: set, truth: t, needs: node,
			start: withRedis(func(port string) starter { return inNode(append([]string{args[0], port}, args[1:]...)...) })}
	}
	return []trial{
		// It looks four times a second whether to begin anew, so that its windows are some milliseconds too long.
		inNpm("Bottleneck reservoir", "20 per 10s", window(byClock, 20, 10), "bottleneck", "20", "10000"),
		inNpm("Bottleneck reservoir", "100 per 5s", window(byClock, 100, 5), "bottleneck", "100", "5000"),
		inNpm("Bottleneck minTime", "333ms, highWater 5", queued(6, 0, 1000./333), "bottleneck-queue", "5", "333"),
		inNpm("fast-ratelimit", "20 per 3s", window(fromFirst, 20, 3), "fast-ratelimit", "20", "3"),
		inNpm("fast-ratelimit", "6 per 1s", window(fromFirst, 6, 1), "fast-ratelimit", "6", "1"),
		inNpm("lambda-rate-limiter", "10 per 10s", window(fromFirst, 10, 10), "lambda-rate-limiter", "10", "10000"),
		inNpm("sliding-window-rate-limiter", "15 per 10s", window(slidingLog, 15, 10), "sliding-window-rate-limiter", "15", "10000"),
		inNpm("express-slow-down", "5 per 10s", other("refuses nothing; 100 ms more for each beyond 5 in 10s, 2s at most"), "express-slow-down", "5", "10000"),
		byRedis("async-ratelimiter", "20 per 5s", window(slidingLog, 20, 5), "async-ratelimiter", "20", "5000"),
		byRedis("koa-simple-ratelimit", "20 per 5s", window(fromFirst, 20, 5), "koa-simple-ratelimit", "20", "5000"),
		inPyPI("django-ninja", "10/10s", window(slidingLog, 10, 10), "django-ninja", "10/10"),
		inPyPI("django-ninja", "5/s", window(slidingLog, 5, 1), "django-ninja", "5/s"),
	}
}
