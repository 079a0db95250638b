package apilocal

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// orNil returns m, or nil if it is empty: API Gateway writes null then.
func orNil[V any](m map[string]V) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (in request) caller() string {
	host, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		return in.RemoteAddr
	}
	return host
}

// event1 returns the event of a REST API, payload format 1.0.
func (s *Service) event1(in request) map[string]any {
	headers, lists := map[string]string{"Host": in.Host}, map[string][]string{"Host": {in.Host}}
	for name, values := range in.Header {
		headers[name], lists[name] = values[len(values)-1], values
	}
	query, queries := map[string]string{}, map[string][]string{}
	for name, values := range in.URL.Query() {
		query[name], queries[name] = values[len(values)-1], values
	}
	body, encoded := text(in.body)
	return map[string]any{
		"version": "1.0", "resource": in.route.Path, "path": in.path, "httpMethod": in.Method, "headers": headers, "multiValueHeaders": lists,
		"queryStringParameters": orNil(query), "multiValueQueryStringParameters": orNil(queries), "pathParameters": orNil(in.params), "stageVariables": nil,
		"body": body, "isBase64Encoded": encoded,
		"requestContext": map[string]any{
			"accountId": s.options.Account, "apiId": in.route.API, "domainName": in.Host, "httpMethod": in.Method, "path": "/local" + in.path, "protocol": in.Proto,
			"requestId": in.id, "requestTime": in.at.UTC().Format("02/Jan/2006:15:04:05 -0700"), "requestTimeEpoch": in.at.UnixMilli(),
			"resourceId": "local", "resourcePath": in.route.Path, "stage": "local",
			"identity": map[string]any{"sourceIp": in.caller(), "userAgent": in.UserAgent()},
		},
	}
}

// event2 returns the event of an HTTP API or a function URL, payload format 2.0.
func (s *Service) event2(in request) map[string]any {
	key := "$default"
	if in.route.Path != "" && in.route.Path != "$default" {
		key = in.route.Method + " " + in.route.Path
	}
	headers := map[string]string{"host": in.Host}
	for name, values := range in.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	query := map[string]string{}
	for name, values := range in.URL.Query() {
		query[name] = strings.Join(values, ",")
	}
	event := map[string]any{
		"version": "2.0", "routeKey": key, "rawPath": in.path, "rawQueryString": in.URL.RawQuery, "headers": headers, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"accountId": s.options.Account, "apiId": in.route.API, "domainName": in.Host, "domainPrefix": in.route.API, "requestId": in.id, "routeKey": key, "stage": "$default",
			"time": in.at.UTC().Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": in.at.UnixMilli(),
			"http": map[string]any{"method": in.Method, "path": in.path, "protocol": in.Proto, "sourceIp": in.caller(), "userAgent": in.UserAgent()},
		},
	}
	if len(query) > 0 {
		event["queryStringParameters"] = query
	}
	if len(in.params) > 0 {
		event["pathParameters"] = in.params
	}
	var cookies []string
	for _, line := range in.Header.Values("Cookie") {
		for part := range strings.SplitSeq(line, ";") {
			cookies = append(cookies, strings.TrimSpace(part))
		}
	}
	if cookies != nil {
		event["cookies"] = cookies
	}
	if body, encoded := text(in.body); body != nil {
		event["body"], event["isBase64Encoded"] = body, encoded
	}
	return event
}

// proxied is the response of a function to an API.
type proxied struct {
	Status   *json.Number     `json:"statusCode"`
	Headers  map[string]any   `json:"headers"`
	Multiple map[string][]any `json:"multiValueHeaders"`
	Cookies  []string         `json:"cookies"`
	Body     *json.RawMessage `json:"body"`
	Encoded  bool             `json:"isBase64Encoded"`
}

// respond turns a function's result into an HTTP response. For an HTTP API, a result without
// a status code is the body of a 200.
func respond(w http.ResponseWriter, route Route, payload []byte) {
	var p proxied
	err := json.Unmarshal(payload, &p)
	if route.Version == "2.0" && (err != nil || p.Status == nil) {
		w.Header().Set("Content-Type", "application/json")
		var plain string
		if json.Unmarshal(payload, &plain) == nil {
			payload = []byte(plain)
		}
		_, _ = w.Write(payload) // a client that is gone needs no response
		return
	}
	status := http.StatusOK
	if err == nil && p.Status != nil {
		n, bad := p.Status.Int64()
		if status = int(n); bad != nil || n < 200 || n > 599 {
			err = http.ErrNotSupported
		}
	}
	body, failed := p.body()
	if err != nil || failed {
		fail(w, route)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if route.Version == "2.0" {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	}
	for name, value := range p.Headers {
		w.Header().Set(name, plain(value))
	}
	for name, values := range p.Multiple {
		w.Header().Del(name)
		for _, value := range values {
			w.Header().Add(name, plain(value))
		}
	}
	for _, cookie := range p.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no response
}

func (p proxied) body() (content []byte, failed bool) {
	if p.Body == nil {
		return nil, false
	}
	var s string
	if json.Unmarshal(*p.Body, &s) != nil {
		return nil, true
	}
	if !p.Encoded {
		return []byte(s), false
	}
	content, err := base64.StdEncoding.DecodeString(s)
	return content, err != nil
}

// plain returns a header's value as a string. Functions also return numbers.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, _ := json.Marshal(v) // unmarshalled JSON always marshals
	return string(data)
}
