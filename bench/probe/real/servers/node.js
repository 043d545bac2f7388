// Limiters of npm, one at a time: node node.js PORT KIND FIGURES...
// FIGURES are counts and milliseconds as each kind below names them.
const http = require('http');
const [port, kind, ...figures] = process.argv.slice(2);
const [a, b, c, d] = figures.map(Number);
const hear = (app) => app.listen(Number(port), '127.0.0.1');

function express(...layers) {
  const app = require('express')();
  for (const l of layers) app.use(l);
  app.get('/', (req, res) => res.send('ok'));
  hear(app);
}

// flexible answers by what a limiter of rate-limiter-flexible says.
function flexible(limiter, key = () => 'all') {
  hear(http.createServer((req, res) => {
    limiter.consume(key(req)).then(
      () => res.end('ok'),
      (r) => { res.statusCode = 429; res.setHeader('Retry-After', Math.ceil(r.msBeforeNext / 1000)); res.end('no'); },
    );
  }));
}

const kinds = {
  // limit, window
  'express-rate-limit': () => {
    const { rateLimit } = require('express-rate-limit');
    express(rateLimit({ windowMs: b, limit: a, standardHeaders: 'draft-8', legacyHeaders: false }));
  },
  // limit, window, limit of the second, its window
  'express-rate-limit-twice': () => {
    const { rateLimit } = require('express-rate-limit');
    express(rateLimit({ windowMs: b, limit: a }), rateLimit({ windowMs: d, limit: c }));
  },
  // limit, window in seconds, [ban in seconds]
  'rate-limiter-flexible': () => {
    const { RateLimiterMemory } = require('rate-limiter-flexible');
    flexible(new RateLimiterMemory({ points: a, duration: b, blockDuration: c || 0 }));
  },
  // limit, window in seconds, for each X-Api-Key
  'rate-limiter-flexible-keyed': () => {
    const { RateLimiterMemory } = require('rate-limiter-flexible');
    flexible(new RateLimiterMemory({ points: a, duration: b }), (req) => 'key ' + (req.headers['x-api-key'] || ''));
  },
  // limit, window in seconds, extra, window of the extra in seconds
  'rate-limiter-flexible-bursty': () => {
    const { RateLimiterMemory, BurstyRateLimiter } = require('rate-limiter-flexible');
    flexible(new BurstyRateLimiter(
      new RateLimiterMemory({ points: a, duration: b }),
      new RateLimiterMemory({ keyPrefix: 'burst', points: c, duration: d }),
    ));
  },
  // limit, window, [1: asking while refused prolongs it]
  'fastify': async () => {
    const app = require('fastify')();
    await app.register(require('@fastify/rate-limit'), { max: a, timeWindow: b, continueExceeding: c === 1 });
    app.get('/', async () => 'ok');
    await app.listen({ port: Number(port), host: '127.0.0.1' });
  },
  // limit, window
  'koa-ratelimit': () => {
    const app = new (require('koa'))();
    app.use(require('koa-ratelimit')({ driver: 'memory', db: new Map(), max: a, duration: b }));
    app.use((ctx) => { ctx.body = 'ok'; });
    hear(app);
  },
  // limit, window
  'hono-rate-limiter': () => {
    const { Hono } = require('hono');
    const app = new Hono();
    app.use(require('hono-rate-limiter').rateLimiter({ windowMs: b, limit: a, keyGenerator: () => 'all' }));
    app.get('/', (c) => c.text('ok'));
    require('@hono/node-server').serve({ fetch: app.fetch, port: Number(port), hostname: '127.0.0.1' });
  },
  // bucket, units, window
  'limiter': () => {
    const { TokenBucket } = require('limiter');
    const bucket = new TokenBucket({ bucketSize: a, tokensPerInterval: b, interval: c });
    bucket.content = a;
    hear(http.createServer((req, res) => {
      res.statusCode = bucket.tryRemoveTokens(1) ? 200 : 429;
      res.end();
    }));
  },
};

Object.assign(kinds, {
  // limit, window, [ban]
  'nest-throttler': async () => {
    require('reflect-metadata');
    const { Module, Controller, Get } = require('@nestjs/common');
    const { NestFactory, APP_GUARD } = require('@nestjs/core');
    const { ThrottlerModule, ThrottlerGuard } = require('@nestjs/throttler');
    class Home { index() { return 'ok'; } }
    Get()(Home.prototype, 'index', Object.getOwnPropertyDescriptor(Home.prototype, 'index'));
    Controller()(Home);
    class Root {}
    const each = { ttl: b, limit: a, ...(c ? { blockDuration: c } : {}) };
    Module({ imports: [ThrottlerModule.forRoot([each])], controllers: [Home], providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }] })(Root);
    const app = await NestFactory.create(Root, { logger: false });
    await app.listen(Number(port), '127.0.0.1');
  },
  // limit, window
  'rolling-rate-limiter': () => {
    const { InMemoryRateLimiter } = require('rolling-rate-limiter');
    const limiter = new InMemoryRateLimiter({ interval: b, maxInInterval: a });
    hear(http.createServer(async (req, res) => {
      res.statusCode = await limiter.limit('all') ? 429 : 200;
      res.end();
    }));
  },
  // port of a Redis, limit, window in seconds, [ban in seconds]
  'rate-limiter-flexible-redis': () => {
    const { RateLimiterRedis } = require('rate-limiter-flexible');
    const Redis = require('ioredis');
    flexible(new RateLimiterRedis({ storeClient: new Redis(a), points: b, duration: c, blockDuration: d || 0 }));
  },
  // burst, rate as text
  'express-throttle': () => express(require('express-throttle')({ burst: a, rate: figures[1] })),
  // burst, rate in seconds
  'restify': () => {
    const restify = require('restify');
    const app = restify.createServer();
    app.use(restify.plugins.throttle({ burst: a, rate: b, ip: true }));
    app.get('/', (req, res, next) => { res.send('ok'); next(); });
    hear(app);
  },
  // limit, window, [limit of the user, its window]: each of the two counts what the other refuses
  'hapi-rate-limit': async () => {
    const app = require('@hapi/hapi').server({ port: Number(port), host: '127.0.0.1' });
    const user = c ? { userLimit: c, userCache: { expiresIn: d } } : { userLimit: false };
    await app.register({ plugin: require('hapi-rate-limit'), options: { pathLimit: a, pathCache: { expiresIn: b }, ...user } });
    app.route({ method: 'GET', path: '/', handler: () => 'ok' });
    await app.start();
  },
  // limit, window
  'koa2-ratelimit': () => {
    const app = new (require('koa'))();
    app.use(require('koa2-ratelimit').RateLimit.middleware({ max: a, interval: b }));
    app.use((ctx) => { ctx.body = 'ok'; });
    hear(app);
  },
  // port of a Redis, limit, window
  'ratelimiter': () => {
    const Limiter = require('ratelimiter');
    const Redis = require('ioredis');
    const db = new Redis(a);
    hear(http.createServer((req, res) => {
      new Limiter({ id: 'all', db, max: b, duration: c }).get((err, now) => {
        res.statusCode = err ? 500 : now.remaining ? 200 : 429;
        res.end();
      });
    }));
  },
});

// reply answers by whether a promise holds.
function reply(allowed) {
  hear(http.createServer(async (req, res) => {
    let ok = false;
    try { ok = await allowed(req); } catch (e) { ok = false; }
    res.statusCode = ok ? 200 : 429;
    res.end();
  }));
}

Object.assign(kinds, {
  // limit, window
  'bottleneck': () => {
    const Bottleneck = require('bottleneck');
    const limiter = new Bottleneck({
      reservoir: a, reservoirRefreshAmount: a, reservoirRefreshInterval: b, highWater: 0, strategy: Bottleneck.strategy.OVERFLOW,
    });
    reply(() => limiter.schedule(async () => true));
  },
  // how many wait, time between two
  'bottleneck-queue': () => {
    const Bottleneck = require('bottleneck');
    const limiter = new Bottleneck({ minTime: b, maxConcurrent: 1, highWater: a, strategy: Bottleneck.strategy.OVERFLOW });
    reply(() => limiter.schedule(async () => true));
  },
  // limit, window in seconds
  'fast-ratelimit': () => {
    const { FastRateLimit } = require('fast-ratelimit');
    const limiter = new FastRateLimit({ threshold: a, ttl: b });
    reply(async () => limiter.consumeSync('all'));
  },
  // limit, window
  'lambda-rate-limiter': () => {
    const made = require('lambda-rate-limiter');
    const limiter = (made.default || made)({ interval: b });
    reply(() => limiter.check(a, 'all').then(() => true));
  },
  // limit, window
  'sliding-window-rate-limiter': () => {
    const { SlidingWindowRateLimiter } = require('sliding-window-rate-limiter');
    const limiter = SlidingWindowRateLimiter.createLimiter({ interval: b });
    reply(async () => (await limiter.reserve('all', a)).token != null);
  },
  // how many are not delayed, window
  'express-slow-down': () => {
    const { slowDown } = require('express-slow-down');
    express(slowDown({ windowMs: b, delayAfter: a, delayMs: (hits) => (hits - a) * 100, maxDelayMs: 2000 }));
  },
  // port of a Redis, limit, window
  'async-ratelimiter': () => {
    const Limiter = require('async-ratelimiter');
    const Redis = require('ioredis');
    const limiter = new Limiter({ db: new Redis(a), max: b, duration: c });
    reply(async () => (await limiter.get({ id: 'all' })).remaining > 0);
  },
  // port of a Redis, limit, window
  'koa-simple-ratelimit': () => {
    const { ratelimit } = require('koa-simple-ratelimit');
    const Redis = require('ioredis');
    const app = new (require('koa'))();
    app.use(ratelimit({ db: new Redis(a), max: b, duration: c }));
    app.use((ctx) => { ctx.body = 'ok'; });
    hear(app);
  },
});

if (!kinds[kind]) throw new Error('no kind ' + kind);
kinds[kind]();
