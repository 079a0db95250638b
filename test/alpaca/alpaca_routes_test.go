package alpaca_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/alpacahq/alpaca-trade-api-go/v3/alpaca"
	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	throughline "github.com/throughline/throughline/alpaca"
	"github.com/throughline/throughline/internal/lineage"
	"github.com/throughline/throughline/internal/outbound"
)

// tradingAPI are the operations of Alpaca's trading API, as its specification
// of November 2026 names them.
const tradingAPI = `
GET /v2/account
GET /v2/account/activities
GET /v2/account/activities/{activity_type}
GET,PATCH /v2/account/configurations
GET /v2/account/portfolio/history
GET /v2/assets
GET /v2/assets/fixed_income/us_corporates
GET /v2/assets/fixed_income/us_treasuries
GET /v2/assets/{symbol_or_asset_id}
GET /v2/calendar
GET /v2/clock
GET /v2/corporate_actions/announcements
GET /v2/corporate_actions/announcements/{id}
GET /v2/options/contracts
GET /v2/options/contracts/{symbol_or_id}
DELETE,GET,POST /v2/orders
GET /v2/orders:by_client_order_id
DELETE,GET,PATCH /v2/orders/{order_id}
GET /v2/perpetuals/account_vitals
GET,POST /v2/perpetuals/leverage
GET /v2/perpetuals/wallets
GET /v2/perpetuals/wallets/fees/estimate
GET,POST /v2/perpetuals/wallets/transfers
GET /v2/perpetuals/wallets/transfers/{transfer_id}
GET,POST /v2/perpetuals/wallets/whitelists
DELETE /v2/perpetuals/wallets/whitelists/{whitelisted_address_id}
DELETE,GET /v2/positions
DELETE,GET /v2/positions/{symbol_or_asset_id}
POST /v2/positions/{symbol_or_contract_id}/do-not-exercise
POST /v2/positions/{symbol_or_contract_id}/exercise
POST /v2/tokenization/mint
GET /v2/tokenization/requests
GET /v2/tokenization/requests:by_client_request_id
GET /v2/tokenization/requests/{tokenization_request_id}
GET /v2/wallets
GET /v2/wallets/fees/estimate
GET,POST /v2/wallets/transfers
GET /v2/wallets/transfers/{transfer_id}
GET,POST /v2/wallets/whitelists
DELETE /v2/wallets/whitelists/{whitelisted_address_id}
GET,POST /v2/watchlists
DELETE,GET,POST,PUT /v2/watchlists:by_name
DELETE,GET,POST,PUT /v2/watchlists/{watchlist_id}
DELETE /v2/watchlists/{watchlist_id}/{symbol}
GET,POST /v1/locates
GET /v1/locates/quotes
GET /v1/locates/{locate_id}
GET /v2beta1/events/activities
GET /v3/calendar/{market}
GET /v3/clock
`

func TestRoutesOfTheTradingAPI(t *testing.T) {
	for line := range strings.Lines(strings.TrimSpace(tradingAPI)) {
		_, template, _ := strings.Cut(strings.TrimSpace(line), " ")
		var path []string
		for segment := range strings.SplitSeq(template, "/") {
			if strings.HasPrefix(segment, "{") {
				segment = "904837e3-3b76-47ec-b432-046db621571b"
			}
			path = append(path, segment)
		}
		if got := throughline.Route(strings.Join(path, "/")); got != template {
			t.Errorf("%s is told as %q", template, got)
		}
	}
}

// Every call that Alpaca's own Go client can make has a name of its own kind,
// and none tells an ID, a symbol or a key.
func TestEveryMethodOfAlpacasClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) }))
	defer server.Close()
	spans := tracetest.NewInMemoryExporter()
	var calls []outbound.Call
	cfg := lineage.Config{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))}
	client := &http.Client{Transport: outbound.NewTransport(wholeAnswers{}, throughline.Calls("127.0.0.1"), outbound.WithTracerProvider(cfg.TracerProvider), throughline.WithClientOrderID(),
		outbound.WithObserver(func(_ context.Context, c outbound.Call) { calls = append(calls, c) }))}
	for _, c := range []any{
		alpaca.NewClient(alpaca.ClientOpts{APIKey: "hush-key", APISecret: "hush-secret", BaseURL: server.URL, HTTPClient: client, RetryLimit: -1}),
		alpaca.NewClient(alpaca.ClientOpts{BrokerKey: "hush-broker", BrokerSecret: "hush-secret", BaseURL: server.URL, HTTPClient: client, RetryLimit: -1}),
		alpaca.NewClient(alpaca.ClientOpts{OAuth: "hush-token", BaseURL: server.URL, HTTPClient: client, RetryLimit: -1}),
		marketdata.NewClient(marketdata.ClientOpts{APIKey: "hush-key", APISecret: "hush-secret", BaseURL: server.URL, HTTPClient: client, RetryLimit: -1}),
	} {
		methods := reflect.ValueOf(c)
		for i := range methods.NumMethod() {
			name, method := methods.Type().Method(i).Name, methods.Method(i)
			if strings.HasPrefix(name, "Stream") || name == "GetLatestCryptoPerpPricingData" {
				continue // for as long as it likes; a path that Alpaca does not have, but by GetLatestCryptoPerpPricing
			}
			before := len(calls)
			func() {
				defer func() { _ = recover() }() // some take an answer for granted, after the call
				method.Call(arguments(method.Type()))
			}()
			if len(calls) == before {
				t.Errorf("%s made no call", name)
			}
			for _, call := range calls[before:] {
				if call.Route == "" {
					t.Errorf("%s calls what the table of routes does not have", name)
				}
			}
		}
	}
	if len(spans.GetSpans()) != len(calls) || len(calls) < 100 {
		t.Errorf("%d spans of %d calls", len(spans.GetSpans()), len(calls))
	}
	for _, told := range []string{fmt.Sprintf("%+v", spans.GetSpans()), fmt.Sprintf("%+v", calls)} {
		for _, secret := range []string{"hush", "aHVzaC", "904837e3", "SECRETSYM"} { // the second is how Basic writes the first
			if at := strings.Index(told, secret); at >= 0 {
				t.Errorf("told: %s", told[max(0, at-80):at+20])
			}
		}
	}
}

// wholeAnswers reads answers to their end: the client leaves some of them open.
type wholeAnswers struct{}

func (wholeAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	base := &http.Transport{DisableKeepAlives: true}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// arguments are some for a method: an ID for a text, a symbol for a list, else zeros.
func arguments(method reflect.Type) (list []reflect.Value) {
	for i := range method.NumIn() {
		switch of := method.In(i); of {
		case reflect.TypeFor[string]():
			list = append(list, reflect.ValueOf("904837e3-3b76-47ec-b432-046db621571b"))
		case reflect.TypeFor[[]string]():
			list = append(list, reflect.ValueOf([]string{"SECRETSYM"}))
		default:
			value := reflect.New(of).Elem()
			if value.Kind() == reflect.Struct && value.FieldByName("Symbol").Kind() == reflect.String {
				value.FieldByName("Symbol").SetString("SECRETSYM")
			}
			list = append(list, value)
		}
	}
	return list
}
