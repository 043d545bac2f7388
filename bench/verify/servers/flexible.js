// rate-limiter-flexible: 5 points in 2 s for each X-Api-Key.
const http = require('http');
const { RateLimiterMemory } = require('rate-limiter-flexible');
const limiter = new RateLimiterMemory({ points: 5, duration: 2 });
http.createServer((req, res) => {
  limiter.consume(req.headers['x-api-key'] || '').then(
    (r) => { res.setHeader('X-RateLimit-Limit', 5); res.setHeader('X-RateLimit-Remaining', r.remainingPoints); res.end('ok'); },
    (r) => { res.statusCode = 429; res.setHeader('Retry-After', Math.ceil(r.msBeforeNext / 1000)); res.end('no'); },
  );
}).listen(Number(process.argv[2]), '127.0.0.1');
