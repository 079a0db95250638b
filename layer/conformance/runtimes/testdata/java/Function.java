import com.amazonaws.services.lambda.runtime.Context;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.Map;
import java.util.TreeMap;
import software.amazon.awssdk.services.eventbridge.EventBridgeClient;
import software.amazon.awssdk.services.eventbridge.model.PutEventsRequestEntry;

/** A user's function on AWS's runtime client for Java: it does what its event says, and knows nothing of Throughline. */
public class Function {
    private static final EventBridgeClient EVENTS = EventBridgeClient.create();

    public Map<String, Object> handle(Map<String, Object> event, Context context) throws Exception {
        String id = (String) event.get("id");
        System.out.println("handles " + id);
        switch ((String) event.get("do")) {
            case "publish":
                Thread.sleep((long) (1000 * ((Number) event.getOrDefault("seconds", 0)).doubleValue()));
                var answer = EVENTS.putEvents(r -> r.entries(PutEventsRequestEntry.builder().source("s").detailType("Planned")
                    .detail("{\"event_id\": \"" + id + "\", \"n\": 12345678901234567890, \"text\": \"< ünï\"}").build()));
                return new TreeMap<>(Map.of("failed", answer.failedEntryCount(), "entries", answer.entries().size()));
            case "call":
                var connection = (HttpURLConnection) URI.create(System.getenv("API") + "/v2/clock").toURL().openConnection();
                return Map.of("plain", connection.getResponseCode());
            case "fail":
                throw new IllegalStateException("no: " + id + " ünï" + event.getOrDefault("text", ""));
            case "exit":
                System.exit(3);
                break;
            case "sleep":
                Thread.sleep(60_000);
                break;
            case "rest":
                Thread.sleep((long) (1000 * ((Number) event.get("seconds")).doubleValue()));
                return Map.of("rested", id);
            case "large":
                return new TreeMap<>(Map.of("text", "z".repeat(5 << 20), "read", String.valueOf(event.getOrDefault("text", "")).length()));
        }
        return Map.of();
    }
}
