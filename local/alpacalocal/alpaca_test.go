package alpacalocal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/alpacalocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func call(s *alpacalocal.Service, method, path, body string) (int, http.Header, map[string]any) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "https://paper-api.alpaca.markets"+path, strings.NewReader(body))
	r.Header.Set("X-Correlation-ID", "workflow-1")
	s.ServeHTTP(w, r)
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out) // a list is none
	return w.Code, w.Header(), out
}

func TestOrders(t *testing.T) {
	s := alpacalocal.New(alpacalocal.Options{FailFirst: 1})
	if status, header, _ := call(s, "POST", "/v2/orders", `{"symbol":"AAPL"}`); status != 500 || header.Get("X-Request-ID") == "" {
		t.Errorf("%d %v", status, header)
	}
	if status, _, out := call(s, "POST", "/v2/orders", `{"symbol":`); status != 422 || out["code"] != 42210000.0 {
		t.Errorf("%d %v", status, out)
	}
	status, header, placed := call(s, "POST", "/v2/orders", `{"symbol":"AAPL","qty":"3","side":"buy"}`)
	if status != 200 || placed["status"] != "accepted" || placed["symbol"] != "AAPL" || header.Get("X-Ratelimit-Limit") != "200" {
		t.Errorf("%d %v", status, placed)
	}
	if status, _, out := call(s, "GET", "/v2/orders/"+placed["id"].(string), ""); status != 200 || out["status"] != "filled" || out["filled_qty"] != "3" {
		t.Errorf("%d %v", status, out)
	}
	if status, _, _ := call(s, "GET", "/v2/orders/none", ""); status != 404 {
		t.Errorf("%d", status)
	}
	_, _, _ = call(s, "POST", "/v2/orders", `{"symbol":"AAPL","qty":"1","side":"sell"}`)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/v2/positions", nil))
	if !strings.Contains(w.Body.String(), `"qty":"2"`) || !strings.Contains(w.Body.String(), `"side":"long"`) {
		t.Errorf("%s", w.Body)
	}
	if seen := s.Orders(); len(seen) != 4 || seen[0].Status != 500 || seen[2].CorrelationID != "workflow-1" {
		t.Errorf("%+v", seen)
	}
	for _, path := range []string{"/v2/clock", "/v2/account"} {
		if status, _, out := call(s, "GET", path, ""); status != 200 || len(out) < 4 {
			t.Errorf("%s: %d %v", path, status, out)
		}
	}
	if status, _, out := call(s, "GET", "/v2/watchlists", ""); status != 404 || !strings.Contains(fmt.Sprint(out["message"]), "does not answer GET /v2/watchlists") {
		t.Errorf("%d %v", status, out)
	}
}

func TestRemembersTheLast(t *testing.T) {
	s := alpacalocal.New(alpacalocal.Options{Keep: 10})
	for range 100 {
		call(s, "POST", "/v2/orders", `{"symbol":"A","qty":"1","side":"buy"}`)
	}
	if n := len(s.Orders()); n > 10 || n < 5 {
		t.Errorf("%d orders are kept", n)
	}
}

func ExampleService() {
	s := alpacalocal.New(alpacalocal.Options{})
	url, err := s.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	resp, err := http.Get(url + "/v2/positions")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	fmt.Println(resp.StatusCode, string(body))
	http.DefaultClient.CloseIdleConnections()
	// Output: 200 []
}
