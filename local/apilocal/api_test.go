package apilocal_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"

	"github.com/throughline/throughline/local/apilocal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is an API whose functions answer what the test says.
type scene struct {
	*apilocal.Service
	function string
	event    []byte
	answer   apilocal.Answer
	err      error
}

func newScene() *scene {
	s := &scene{answer: apilocal.Answer{Payload: []byte(`{"statusCode":201,"headers":{"X-N":7},"body":"ok"}`)}}
	s.Service = apilocal.New(apilocal.Options{Invoke: func(_ context.Context, function string, event []byte, _ string) (apilocal.Answer, error) {
		s.function, s.event = function, event
		return s.answer, s.err
	}},
		apilocal.Route{API: "rest", Method: "GET", Path: "/orders/{id}", Function: "one", Version: "1.0"},
		apilocal.Route{API: "rest", Method: "ANY", Path: "/orders/latest", Function: "latest", Version: "1.0"},
		apilocal.Route{API: "rest", Method: "ANY", Path: "/{all+}", Function: "rest", Version: "1.0"},
		apilocal.Route{API: "http", Method: "POST", Path: "/orders/{id}", Function: "post", Version: "2.0"},
		apilocal.Route{API: "http", Method: "ANY", Path: "$default", Function: "default", Version: "2.0"},
		apilocal.Route{API: "url", Method: "ANY", Function: "url", Version: "2.0"},
		apilocal.Route{API: "strict", Method: "GET", Path: "/a", Function: "a", Version: "2.0"},
	)
	return s
}

func (s *scene) call(method, target, body string, change ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, "http://127.0.0.1:4401"+target, strings.NewReader(body))
	for i := 0; i < len(change); i += 2 {
		if change[i] == "Host" {
			r.Host = change[i+1]
			continue
		}
		r.Header.Add(change[i], change[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path, function string
		status                 int
	}{
		{"GET", "/rest/orders/7", "one", 201}, {"GET", "/rest/orders/latest", "latest", 201}, {"POST", "/rest/orders/7", "rest", 201}, {"GET", "/rest/a/b/c", "rest", 201},
		{"GET", "/rest/", "", 403}, {"POST", "/http/orders/7", "post", 201}, {"GET", "/http/orders/7", "default", 201}, {"GET", "/http", "default", 201},
		{"DELETE", "/url/any/path", "url", 201}, {"GET", "/url", "url", 201}, {"POST", "/strict/a", "", 404}, {"GET", "/strict/b", "", 404}, {"GET", "/nobody/a", "", 404},
	} {
		s := newScene()
		if got := s.call(c.method, c.path, ""); got.Code != c.status || s.function != c.function {
			t.Errorf("%s %s: %d from %q", c.method, c.path, got.Code, s.function)
		}
	}
}

// TestEvents reads events with AWS's own types.
func TestEvents(t *testing.T) {
	s := newScene()
	s.call("GET", "/rest/orders/a%20b?x=1&x=2&y=3", "", "Accept", "a", "Accept", "b")
	var one events.APIGatewayProxyRequest
	if err := json.Unmarshal(s.event, &one); err != nil {
		t.Fatal(err)
	}
	if one.Resource != "/orders/{id}" || one.Path != "/orders/a%20b" || one.PathParameters["id"] != "a b" || one.QueryStringParameters["x"] != "2" ||
		len(one.MultiValueQueryStringParameters["x"]) != 2 || one.Headers["Accept"] != "b" || len(one.MultiValueHeaders["Accept"]) != 2 ||
		one.RequestContext.APIID != "rest" || one.RequestContext.RequestID == "" || one.Body != "" {
		t.Errorf("%s", s.event)
	}
	s.call("POST", "/http/orders/7?x=1&x=2", "\xff\x00", "Cookie", "a=1; b=2", "Accept", "a", "Accept", "b")
	var two events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(s.event, &two); err != nil {
		t.Fatal(err)
	}
	if two.Version != "2.0" || two.RouteKey != "POST /orders/{id}" || two.RawPath != "/orders/7" || two.RawQueryString != "x=1&x=2" || two.QueryStringParameters["x"] != "1,2" ||
		two.PathParameters["id"] != "7" || two.Headers["accept"] != "a,b" || len(two.Cookies) != 2 || !two.IsBase64Encoded || two.Body != "/wA=" ||
		two.RequestContext.HTTP.Method != "POST" {
		t.Errorf("%s", s.event)
	}
	s.call("PUT", "/url/p", `{"a":1}`)
	var url events.LambdaFunctionURLRequest
	if err := json.Unmarshal(s.event, &url); err != nil || url.RawPath != "/p" || url.Body != `{"a":1}` || url.RequestContext.HTTP.Method != "PUT" {
		t.Errorf("%v %s", err, s.event)
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		path, payload, err string
		status             int
		body, header       string
	}{
		"Proxy":        {"/rest/orders/1", `{"statusCode":418,"multiValueHeaders":{"X-A":["1","2"]},"body":"dGVh","isBase64Encoded":true}`, "", 418, "tea", "2"},
		"NoStatus":     {"/rest/orders/1", `{"body":"x"}`, "", 200, "x", ""},
		"NotAnObject":  {"/rest/orders/1", `"x"`, "", 502, `{"message":"Internal server error"}`, ""},
		"BodyObject":   {"/rest/orders/1", `{"statusCode":200,"body":{"a":1}}`, "", 502, `{"message":"Internal server error"}`, ""},
		"Plain":        {"/http/orders/1", `{"a":1}`, "", 200, `{"a":1}`, ""},
		"PlainString":  {"/http/orders/1", `"hello"`, "", 200, `hello`, ""},
		"Structured":   {"/http/orders/1", `{"statusCode":"204","cookies":["a=1"]}`, "", 204, ``, ""},
		"BadStatus":    {"/http/orders/1", `{"statusCode":9}`, "", 500, `{"message":"Internal Server Error"}`, ""},
		"FunctionREST": {"/rest/orders/1", `{"errorMessage":"x"}`, "function", 502, `{"message":"Internal server error"}`, ""},
		"FunctionHTTP": {"/http/orders/1", `{"errorMessage":"x"}`, "function", 500, `{"message":"Internal Server Error"}`, ""},
		"FunctionURL":  {"/url", `{"errorMessage":"x"}`, "function", 502, `{"message":"Internal Server Error"}`, ""},
		"Throttled":    {"/http/orders/1", ``, "throttled", 429, `{"message":"Too Many Requests"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			s.answer = apilocal.Answer{Payload: []byte(c.payload), Failed: c.err == "function"}
			if c.err == "throttled" {
				s.err = apilocal.ErrThrottled
			}
			method := "GET"
			if strings.HasPrefix(c.path, "/http") {
				method = "POST"
			}
			w := s.call(method, c.path, "")
			body, _ := io.ReadAll(w.Result().Body)
			if w.Code != c.status || string(body) != c.body {
				t.Errorf("%d %s", w.Code, body)
			}
			if c.header != "" && strings.Join(w.Header()["X-A"], "") != "1"+c.header {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// TestOtherNames for this address get nothing: a page of another site may have one.
func TestOtherNames(t *testing.T) {
	s := newScene()
	if w := s.call("GET", "/url", "", "Host", "evil.example:4401"); w.Code != http.StatusForbidden || s.function != "" {
		t.Errorf("%d", w.Code)
	}
}

func TestStart(t *testing.T) {
	s := newScene()
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resp, err := http.Get(url + "/url/x")
	if err != nil || resp.StatusCode != 201 || resp.Header.Get("X-N") != "7" {
		t.Fatalf("%v %+v", err, resp)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

func FuzzAPI(f *testing.F) {
	f.Add("/rest/orders/7?x=1", "{}", `{"statusCode":200,"headers":{"a":"b"},"body":"x"}`)
	f.Fuzz(func(t *testing.T, target, body, answer string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " #\x7f") || !json.Valid([]byte(`"`+target+`"`)) {
			return
		}
		s := newScene()
		s.answer.Payload = []byte(answer)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if s.event != nil && !json.Valid(s.event) {
			t.Errorf("%s", s.event)
		}
	})
}
