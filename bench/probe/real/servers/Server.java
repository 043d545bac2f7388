import com.alibaba.csp.sentinel.SphO;
import com.alibaba.csp.sentinel.slots.block.RuleConstant;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRule;
import com.alibaba.csp.sentinel.slots.block.flow.FlowRuleManager;
import com.google.common.util.concurrent.RateLimiter;
import com.sun.net.httpserver.HttpServer;
import io.github.bucket4j.Bucket;
import io.github.resilience4j.bulkhead.Bulkhead;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.function.BooleanSupplier;

/** Limiters of Maven Central, one at a time: java Server.java PORT KIND FIGURES... (counts and milliseconds). */
public class Server {
    static Bulkhead bulkhead;

    public static void main(String[] args) throws Exception {
        long[] n = new long[args.length + 2];
        for (int i = 2; i < args.length; i++) {
            n[i - 2] = Long.parseLong(args[i]);
        }
        BooleanSupplier allow = limiter(args[1], n);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 1024);
        server.setExecutor(Executors.newFixedThreadPool(32));
        server.createContext("/", exchange -> {
            boolean ok = allow.getAsBoolean();
            if (ok && bulkhead != null) {
                sleep(n[1]);
                bulkhead.onComplete();
            }
            exchange.sendResponseHeaders(ok ? 200 : 429, -1);
            exchange.close();
        });
        server.start();
    }

    static BooleanSupplier limiter(String kind, long[] n) {
        switch (kind) {
            case "bucket4j-greedy": { // capacity, units, window
                Bucket bucket = Bucket.builder().addLimit(l -> l.capacity(n[0]).refillGreedy(n[1], Duration.ofMillis(n[2]))).build();
                return () -> bucket.tryConsume(1);
            }
            case "bucket4j-interval": { // capacity, units, window
                Bucket bucket = Bucket.builder().addLimit(l -> l.capacity(n[0]).refillIntervally(n[1], Duration.ofMillis(n[2]))).build();
                return () -> bucket.tryConsume(1);
            }
            case "bucket4j-two": { // capacity, window, capacity, window
                Bucket bucket = Bucket.builder()
                    .addLimit(l -> l.capacity(n[0]).refillGreedy(n[0], Duration.ofMillis(n[1])))
                    .addLimit(l -> l.capacity(n[2]).refillGreedy(n[2], Duration.ofMillis(n[3]))).build();
                return () -> bucket.tryConsume(1);
            }
            case "resilience4j": { // limit, window
                var limiter = io.github.resilience4j.ratelimiter.RateLimiter.of("all", RateLimiterConfig.custom()
                    .limitForPeriod((int) n[0]).limitRefreshPeriod(Duration.ofMillis(n[1])).timeoutDuration(Duration.ZERO).build());
                return limiter::acquirePermission;
            }
            case "resilience4j-bulkhead": { // limit, milliseconds of work
                bulkhead = Bulkhead.of("all", BulkheadConfig.custom().maxConcurrentCalls((int) n[0]).maxWaitDuration(Duration.ZERO).build());
                return bulkhead::tryAcquirePermission;
            }
            case "guava": { // permits a second
                RateLimiter limiter = RateLimiter.create(n[0]);
                return limiter::tryAcquire;
            }
            case "sentinel": // a second, [milliseconds that a request may wait in its queue]
                return sentinel(n);
            case "failsafe-smooth": { // limit, window
                var limiter = dev.failsafe.RateLimiter.smoothBuilder(n[0], Duration.ofMillis(n[1])).build();
                return limiter::tryAcquirePermit;
            }
            case "failsafe-bursty": { // limit, window
                var limiter = dev.failsafe.RateLimiter.burstyBuilder(n[0], Duration.ofMillis(n[1])).build();
                return limiter::tryAcquirePermit;
            }
        }
        throw new IllegalArgumentException("no kind " + kind);
    }

    static BooleanSupplier sentinel(long[] n) {
        var rule = new FlowRule("all");
        rule.setGrade(RuleConstant.FLOW_GRADE_QPS);
        rule.setCount(n[0]);
        if (n[1] > 0) {
            rule.setControlBehavior(RuleConstant.CONTROL_BEHAVIOR_RATE_LIMITER);
            rule.setMaxQueueingTimeMs((int) n[1]);
        }
        FlowRuleManager.loadRules(List.of(rule));
        return () -> {
            boolean ok = SphO.entry("all");
            if (ok) {
                SphO.exit();
            }
            return ok;
        };
    }

    static void sleep(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
