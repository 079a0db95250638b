// Package wire is the common part of the local services' HTTP APIs: a server
// on loopback, responses in one write, request IDs, and the trees that AWS's
// query protocol writes as flat form fields.
package wire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Server listens on a free port of the loopback interface. The zero value is a
// server that was not started: its Close does nothing.
type Server struct {
	server *http.Server
	served chan struct{} // closed when Serve has returned
}

// Start serves h and returns the URL, without a slash at its end. It rejects requests of web
// pages: signatures are not checked, so a page of any origin could make calls.
func (s *Server) Start(h http.Handler) (string, error) { return s.StartOpen(NoPages(h)) }

// NoPages rejects the requests of web pages of any origin (Fetch standard, "Origin header";
// Fetch metadata, "Sec-Fetch-Site").
func NoPages(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || site != "" && site != "none" {
			http.Error(w, "pages in a browser are refused", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// StartOpen is Start for handlers that web pages may call too.
func (s *Server) StartOpen(h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	s.server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), nil
}

// Close stops the server and closes its connections.
func (s *Server) Close() {
	if s.server == nil {
		return
	}
	_ = s.server.Close()
	<-s.served
}

// RequestID is the response header with the request ID.
const RequestID = "X-Amzn-Requestid"

// Write writes a response. Head and body of a small response are sent in one write,
// because some clients fail otherwise. A request ID is added if w has none.
func Write(w http.ResponseWriter, status int, contentType string, body []byte) {
	header := w.Header()
	if header.Get(RequestID) == "" {
		header.Set(RequestID, UUID())
	}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no response
}

// WriteJSON responds with v.
func WriteJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure"}`)
	}
	Write(w, status, contentType, body)
}

// WriteXML responds to an operation of a query API with its result, a struct that
// encoding/xml can marshal, or nil.
func WriteXML(w http.ResponseWriter, operation, namespace string, result any) {
	type metadata struct {
		RequestID string `xml:"RequestId"`
	}
	id := UUID()
	w.Header().Set(RequestID, id)
	type wrapped struct {
		XMLName  xml.Name
		Result   any
		Metadata metadata `xml:"ResponseMetadata"`
	}
	body, err := xml.Marshal(wrapped{xml.Name{Space: namespace, Local: operation + "Response"}, named{operation + "Result", result}, metadata{id}})
	if err != nil {
		Write(w, http.StatusInternalServerError, "text/xml", []byte(xml.Header+"<Error/>"))
		return
	}
	Write(w, http.StatusOK, "text/xml", append([]byte(xml.Header), body...))
}

// named is a result with the element name that its operation requires.
type named struct {
	name  string
	value any
}

func (n named) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	start.Name = xml.Name{Local: n.name}
	if n.value == nil {
		return e.EncodeElement(struct{}{}, start)
	}
	return e.EncodeElement(n.value, start)
}

// WriteXMLError responds with an error of a query API. kind is Sender or Receiver.
func WriteXMLError(w http.ResponseWriter, status int, namespace, kind, code, message string) {
	id := UUID()
	w.Header().Set(RequestID, id)
	type problem struct {
		Type, Code, Message string
		Detail              struct{}
	}
	body, err := xml.Marshal(struct {
		XMLName   xml.Name
		Error     problem
		RequestID string `xml:"RequestId"`
	}{xml.Name{Space: namespace, Local: "ErrorResponse"}, problem{Type: kind, Code: code, Message: message}, id})
	if err != nil {
		body = []byte("<ErrorResponse/>")
	}
	Write(w, status, "text/xml", append([]byte(xml.Header), body...))
}

// Body reads a request's body of at most limit bytes; ok is false if it is larger
// or truncated.
func Body(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	return body, err == nil
}

// UUID returns a random UUID, version 4.
func UUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
