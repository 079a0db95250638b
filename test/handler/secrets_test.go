package handler_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/alpaca"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/shopspring/decimal"

	orders "github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/handler"
	"github.com/throughline/throughline/local/lambdalocal"
	"github.com/throughline/throughline/metrics"
	"github.com/throughline/throughline/publisher"
	"github.com/throughline/throughline/tracing"
	"github.com/throughline/throughline/tracing/export"
)

// What must be told to nobody but the host that it is sent to.
var secrets = map[string]string{
	"APCA-API-KEY-ID": "PKHUSHKEYID", "APCA-API-SECRET-KEY": "hush-secret-key", "Authorization": "Bearer hush-oauth-token", "Cookie": "session=hush-cookie",
	"query": "hush-query-value", "body": "hush-order-text", "broker": "hush-broker-secret", "detail": "hush-detail-text", "backend": "hush-backend-key",
}

// keeping is a function that trades with keys, well and badly, and publishes.
func keeping(*metrics.Set) any {
	telemetry := export.Setup(aws.Config{}, os.Getenv)
	fmt.Println(telemetry.Picked, telemetry.Warnings)
	h := func(ctx context.Context, _ json.RawMessage) error {
		client := tracing.Client(ctx, tracing.WithTelemetry(telemetry), orders.WithClientOrderID())
		trading := alpaca.NewClient(alpaca.ClientOpts{APIKey: secrets["APCA-API-KEY-ID"], APISecret: secrets["APCA-API-SECRET-KEY"],
			BaseURL: os.Getenv("TEST_ALPACA"), HTTPClient: client, RetryDelay: time.Millisecond})
		quantity := decimal.NewFromInt(1)
		_, _ = trading.PlaceOrder(alpaca.PlaceOrderRequest{Symbol: "AAPL", Qty: &quantity, Side: alpaca.Buy, Type: alpaca.Market, TimeInForce: alpaca.Day, ClientOrderID: secrets["body"]})
		broker := alpaca.NewClient(alpaca.ClientOpts{BrokerKey: "hush-broker", BrokerSecret: secrets["broker"], BaseURL: os.Getenv("TEST_ALPACA"), HTTPClient: client})
		_, _ = broker.GetAccount()
		publishing := publisher.New(&stub{}, publisher.WithTelemetry(telemetry))
		if _, err := publishing.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
			{Source: aws.String("test"), DetailType: aws.String("Planned"), Detail: aws.String(`{"event_id":"next","text":"` + secrets["detail"] + `"}`)},
		}}); err != nil {
			return err
		}
		// The error that ends the invocation quotes a URL, as net/http's do.
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("TEST_CLOSED")+"/v2/orders?token="+secrets["query"], strings.NewReader(secrets["body"]))
		if err != nil {
			return err
		}
		for name, value := range secrets {
			if strings.Contains(name, "-") || name == "Authorization" || name == "Cookie" {
				req.Header.Set(name, value)
			}
		}
		resp, err := client.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		return fmt.Errorf("place the order: %w", err)
	}
	return handler.Wrap(h, handler.WithTelemetry(telemetry))
}

// Every span, log line and metric of a function that holds keys is searched for
// each of them, as it is and as Basic and JSON write it.
func TestSecretsStayInside(t *testing.T) {
	var mu sync.Mutex
	received := map[string]bool{} // which of the secrets reached the exchange, or nothing is shown
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent := fmt.Sprint(r.Header, string(body))
		if _, password, ok := r.BasicAuth(); ok {
			sent += password
		}
		mu.Lock()
		for name, secret := range secrets {
			received[name] = received[name] || strings.Contains(sent, secret)
		}
		n := len(received)
		mu.Unlock()
		w.Header().Set("X-Request-ID", "request-1")
		if n > 0 && r.Method == http.MethodPost {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		_, _ = fmt.Fprintf(w, `{"code":42210000,"message":"%s"}`, secrets["APCA-API-KEY-ID"])
	}))
	t.Cleanup(exchange.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	b := newBackend(t)
	var logs strings.Builder
	d := startLogging(t, "secrets", false, func(l lambdalocal.LogLine) {
		if strings.Contains(l.Text, `{"errorMessage":`) {
			return // aws-lambda-go's, about the error that the function returned: it reads as without us
		}
		mu.Lock()
		defer mu.Unlock()
		logs.WriteString(l.Text + "\n")
	}, func(f *lambdalocal.Function) {
		f.MaxEnvironments = 1
		maps.Copy(f.Env, map[string]string{"TEST_ALPACA": exchange.URL, "TEST_CLOSED": closed.URL, "THROUGHLINE_HTTP_HOSTS": "127.0.0.1", "THROUGHLINE_METRICS": "full",
			"OTEL_EXPORTER_OTLP_ENDPOINT": strings.Replace(b.URL, "://", "://user:"+secrets["backend"]+"@", 1), "OTEL_EXPORTER_OTLP_HEADERS": "api-key=" + secrets["backend"]})
	})
	for range 2 { // the second is a repeat, and says so in a line
		result, err := d.Invoke(t.Context(), event(1), lambdalocal.InvokeOptions{Wait: true})
		if err != nil || result.FunctionError == "" {
			t.Fatalf("%v %s", err, result.Payload)
		}
	}
	// The log arrives beside the answers.
	const repeat = `"throughline":"repeat"`
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		arrived := strings.Contains(logs.String(), repeat)
		mu.Unlock()
		if arrived {
			break
		}
	}
	b.mu.Lock()
	spans := fmt.Sprint(b.spans)
	kinds := map[string]bool{}
	for _, s := range b.spans {
		kinds[s.Name] = true
	}
	b.mu.Unlock()
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"process Signal", "POST /v2/orders", "GET /v2/account", "send Planned"} {
		if !kinds[name] {
			t.Errorf("there is no span %s: %v", name, kinds)
		}
	}
	for _, line := range []string{`"RequestErrors":`, `"EventsPublished":`, repeat} {
		if !strings.Contains(logs.String(), line) {
			t.Errorf("no line with %s in\n%s", line, logs.String())
		}
	}
	for _, name := range []string{"APCA-API-KEY-ID", "APCA-API-SECRET-KEY", "body", "broker"} {
		if !received[name] {
			t.Errorf("%s was not sent: nothing is shown", name)
		}
	}
	for name, secret := range secrets {
		forms := []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("hush-broker:" + secret))}
		for where, text := range map[string]string{"spans": spans, "log": logs.String()} {
			if at := slices.IndexFunc(forms, func(form string) bool { return strings.Contains(text, form) }); at >= 0 {
				i := strings.Index(text, forms[at])
				t.Errorf("%s stands in the %s: …%s…", name, where, text[max(0, i-100):min(len(text), i+50)])
			}
		}
	}
}
