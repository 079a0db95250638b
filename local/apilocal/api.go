// Package apilocal is a local Amazon API Gateway for Lambda functions, and their function
// URLs: it turns HTTP requests into the events of proxy integrations, payload format 1.0
// of REST APIs and 2.0 of HTTP APIs and function URLs, and the functions' results into
// responses (API Gateway developer guide, "Lambda proxy integrations in API Gateway" and
// "Work with AWS Lambda proxy integrations for HTTP APIs"; Lambda developer guide,
// "Invoking Lambda function URLs").
//
// Each API has its own path, /API/…, instead of API Gateway's host name. Authorizers,
// models, CORS settings and streamed responses are not emulated.
package apilocal

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/throughline/throughline/local/internal/wire"
)

// Route is a method and a path of an API, and the function that they invoke.
type Route struct {
	API string
	// Method is ANY for all methods. Path has {name} and {name+} as in API Gateway; "" or
	// $default matches every path that no other route matches.
	Method, Path string
	Function     string
	Version      string // of the payload's format: 1.0 or 2.0
}

// ErrThrottled is the error that Invoke returns if the function has no free environment.
var ErrThrottled = errors.New("throttled")

// Answer is the response of a function.
type Answer struct {
	Payload []byte
	Failed  bool // the payload is an error
}

// Options of a [Service].
type Options struct {
	// Invoke invokes a function and waits for its response. Required.
	Invoke  func(ctx context.Context, function string, event []byte, traceHeader string) (Answer, error)
	Account string // zero: 123456789012
}

// Service is a local API Gateway, an http.Handler. Use [New], and close it. Safe for
// concurrent use.
type Service struct {
	options Options
	routes  []Route
	server  wire.Server
}

// New returns a Service with routes.
func New(o Options, routes ...Route) *Service {
	o.Account = cmp.Or(o.Account, "123456789012")
	return &Service{options: o, routes: routes}
}

// Start listens on a free port of the loopback interface and returns the URL.
func (s *Service) Start() (string, error) {
	url, err := s.server.StartOpen(s) // web pages may call an API
	if err != nil {
		return "", fmt.Errorf("start the local API Gateway: %w", err)
	}
	return url, nil
}

// SetRoutes replaces the routes. It must be called before requests come in.
func (s *Service) SetRoutes(routes []Route) { s.routes = routes }

// Close ends the server.
func (s *Service) Close() { s.server.Close() }

const maxBody = 10 << 20 // API Gateway's limit

// request is one request on its way to a function.
type request struct {
	*http.Request
	route  Route
	path   string // below the API
	params map[string]string
	body   []byte
	id     string
	at     time.Time
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !ownHost(r.Host) {
		message(w, http.StatusForbidden, "Forbidden")
		return
	}
	api, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	route, params, found := s.find(api, r.Method, "/"+rest)
	body, whole := wire.Body(w, r, maxBody)
	switch {
	case !found && route.Version == "1.0":
		message(w, http.StatusForbidden, "Missing Authentication Token") // a REST API's response to an unknown path
		return
	case !found:
		message(w, http.StatusNotFound, "Not Found")
		return
	case !whole:
		message(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	in := request{r, route, "/" + rest, params, body, wire.UUID(), time.Now()}
	event := s.event2(in)
	if route.Version == "1.0" {
		event = s.event1(in)
	}
	payload, err := json.Marshal(event)
	if err != nil {
		message(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	answer, err := s.options.Invoke(r.Context(), route.Function, payload, r.Header.Get("X-Amzn-Trace-Id"))
	switch {
	case errors.Is(err, ErrThrottled):
		message(w, http.StatusTooManyRequests, "Too Many Requests")
	case err != nil || answer.Failed:
		fail(w, route)
	default:
		respond(w, route, answer.Payload)
	}
}

// fail responds as an API does if the function failed.
func fail(w http.ResponseWriter, route Route) {
	switch {
	case route.Version == "1.0":
		message(w, http.StatusBadGateway, "Internal server error")
	case route.Path == "":
		message(w, http.StatusBadGateway, "Internal Server Error")
	default:
		message(w, http.StatusInternalServerError, "Internal Server Error")
	}
}

// ownHost reports whether a request's host is this machine: a page of another site whose
// DNS name resolves to this address is rejected.
func ownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

func message(w http.ResponseWriter, status int, text string) {
	body, _ := json.Marshal(map[string]string{"message": text}) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no response
}

// find returns the route of a request: the most specific path, and a method before ANY. If
// there is none, ok is false and best identifies the kind of the API.
func (s *Service) find(api, method, path string) (best Route, params map[string]string, ok bool) {
	rank := 0
	for _, route := range s.routes {
		if route.API != api {
			continue
		}
		if rank == 0 {
			best = route
		}
		if route.Method != "ANY" && route.Method != method {
			continue
		}
		given, score := match(route.Path, path)
		if route.Method != "ANY" {
			score *= 2
			score++
		} else {
			score *= 2
		}
		if given != nil && score > rank {
			best, params, rank, ok = route, given, score, true
		}
	}
	return best, params, ok
}

// match returns the parameters of a path, nil if it does not match, and how specific the
// pattern is.
func match(pattern, path string) (params map[string]string, score int) {
	params = map[string]string{}
	if pattern == "" || pattern == "$default" {
		return params, 1
	}
	want, got := strings.Split(strings.Trim(pattern, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
	score = 2
	for i, part := range want {
		name, variable := strings.CutPrefix(part, "{")
		name = strings.TrimSuffix(name, "}")
		greedy, all := strings.CutSuffix(name, "+")
		switch {
		case variable && all:
			if i >= len(got) || got[i] == "" {
				return nil, 0
			}
			params[greedy], _ = url.PathUnescape(strings.Join(got[i:], "/"))
			return params, score + 1
		case i >= len(got):
			return nil, 0
		case variable:
			if got[i] == "" {
				return nil, 0
			}
			params[name], _ = url.PathUnescape(got[i])
			score += 10
		case part != got[i]:
			return nil, 0
		default:
			score += 100
		}
	}
	if len(got) != len(want) {
		return nil, 0
	}
	return params, score
}

// text returns a body as the event contains it, and whether that is base64.
func text(body []byte) (content any, encoded bool) {
	switch {
	case len(body) == 0:
		return nil, false
	case utf8.Valid(body):
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}
