import com.google.common.util.concurrent.RateLimiter;
import com.sun.net.httpserver.HttpServer;
import io.github.bucket4j.Bucket;
import io.github.resilience4j.bulkhead.Bulkhead;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.ratelimiter.RateLimiterConfig;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.function.BooleanSupplier;

/** Limiters of Maven Central, one at a time: java Server.java PORT KIND FIGURES... (counts and milliseconds). */
public class Server {
    static Bulkhead bulkhead;

    public static void main(String[] args) throws Exception {
        long[] n = new long[args.length];
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
        }
        throw new IllegalArgumentException("no kind " + kind);
    }

    static void sleep(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
