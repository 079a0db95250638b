package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// table emulates DynamoDB (API version 2012-08-10) as far as the functions of the day use
// it: PutItem, GetItem, and UpdateItem with "ADD #n :by", for items whose key is the
// string pk.
type table struct {
	server *http.Server
	served chan struct{}
	url    string

	mu    sync.Mutex
	items map[string]map[string]value
}

// value is an attribute value.
type value struct {
	S string `json:"S,omitempty"`
	N string `json:"N,omitempty"`
}

func startTable() (*table, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the table: %w", err)
	}
	t := &table{url: "http://" + listener.Addr().String(), items: map[string]map[string]value{}, served: make(chan struct{})}
	t.server = &http.Server{Handler: t}
	go func() {
		defer close(t.served)
		_ = t.server.Serve(listener)
	}()
	return t, nil
}

func (t *table) close() {
	_ = t.server.Close()
	<-t.served
}

// put sets an item from outside, as an operator does.
func (t *table) put(key string, content string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items[key] = map[string]value{"pk": {S: key}, "value": {S: content}}
}

// ServeHTTP implements http.Handler.
func (t *table) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Item, Key                 map[string]value
		ExpressionAttributeNames  map[string]string
		ExpressionAttributeValues map[string]value
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	var out any
	t.mu.Lock()
	switch target := r.Header.Get("X-Amz-Target"); {
	case err != nil:
	case target == "DynamoDB_20120810.PutItem":
		t.items[in.Item["pk"].S], out = in.Item, struct{}{}
	case target == "DynamoDB_20120810.GetItem":
		out = map[string]any{"Item": t.items[in.Key["pk"].S]}
		if t.items[in.Key["pk"].S] == nil {
			out = struct{}{}
		}
	case target == "DynamoDB_20120810.UpdateItem":
		out, err = t.addLocked(in.Key["pk"].S, in.ExpressionAttributeNames["#n"], in.ExpressionAttributeValues[":by"].N)
	default:
		err = fmt.Errorf("%s is not supported", target)
	}
	t.mu.Unlock()
	status := http.StatusOK
	if err != nil {
		status, out = http.StatusBadRequest, map[string]string{"__type": "ValidationException", "message": err.Error()}
	}
	data, _ := json.Marshal(out) // strings always marshal
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func (t *table) addLocked(key, name, by string) (any, error) {
	if t.items[key] == nil {
		t.items[key] = map[string]value{"pk": {S: key}}
	}
	n, err := strconv.Atoi(by)
	if err != nil {
		return nil, err
	}
	before, _ := strconv.Atoi(t.items[key][name].N) // 0 if the attribute does not exist
	t.items[key][name] = value{N: strconv.Itoa(before + n)}
	return map[string]any{"Attributes": map[string]value{name: t.items[key][name]}}, nil
}
