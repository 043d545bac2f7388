import com.sun.net.httpserver.HttpServer;
import io.github.bucket4j.Bucket;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.Executors;

/** Bucket4j: 10 in 2 s, evenly, and at most 5 at once. */
public class Server {
    public static void main(String[] args) throws Exception {
        Bucket bucket = Bucket.builder().addLimit(l -> l.capacity(5).refillGreedy(10, Duration.ofSeconds(2))).build();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(bucket.tryConsume(1) ? 200 : 429, -1);
            exchange.close();
        });
        server.start();
    }
}
