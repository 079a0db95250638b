// Package stands has the surroundings of a shim under test: the extension,
// and the servers that the function calls. Everything listens on loopback.
package stands

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Request is one request as a server received it.
type Request struct {
	Scheme, Host, Method, URI string
	Header                    http.Header
	Body                      []byte
	Raw                       []byte // all bytes of it, as received
	Via                       bool   // it came through the proxy
	Signed                    string // whether its signature is valid, see signed
}

// Bus defines how EventBridge responds.
type Bus struct {
	Skew   time.Duration // its clock less this machine's
	Drop   int           // for the first Drop requests, the connection is closed without a response
	Cut    int           // for the first Cut calls that leave the bus, the connection ends within the response
	Fail   int           // the next Fail requests fail
	Code   string        // with this error
	Status int           // and status
	Partly bool          // every second entry fails
	Output string        // of a synchronous execution
	Answer []byte        // replaces the response of a new bus
	Slow   time.Duration
}

// Outside responds for every host: as EventBridge, SQS, SNS, Lambda, Step Functions,
// Scheduler or Kinesis to requests of these services, and as an HTTP API to all
// others. It is an HTTP server, a proxy for CONNECT and plain requests, and a TLS
// server. Safe for concurrent use.
type Outside struct {
	API, Proxy string // URLs
	TLS        string // host:port
	CA         string // file with the certificate of the authority that issues its hosts' certificates
	issuer     *x509.Certificate
	key        *ecdsa.PrivateKey
	mu         sync.Mutex
	bus        Bus
	requests   []Request
	put        int
}

// NewOutside starts one that ends with the test.
func NewOutside(t testing.TB) *Outside {
	t.Helper()
	o := &Outside{}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	o.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	o.issuer = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "outside"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, o.issuer, o.issuer, &o.key.PublicKey, o.key)
	must(err)
	o.CA = filepath.Join(t.TempDir(), "ca.pem")
	must(os.WriteFile(o.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	listen := func(serve func(net.Conn)) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					serve(conn)
				}()
			}
		}()
		return l.Addr().String()
	}
	o.API = "http://" + listen(func(conn net.Conn) { o.speak(conn, "http", false) })
	o.Proxy = "http://" + listen(o.pass)
	o.TLS = listen(func(conn net.Conn) { o.speak(o.secured(conn), "https", false) })
	return o
}

// Begin discards the received requests and sets how EventBridge responds.
func (o *Outside) Begin(bus Bus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bus, o.requests, o.put = bus, nil, 0
}

// Received returns the requests in the order of their arrival.
func (o *Outside) Received() []Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.requests)
}

// pass serves a connection to the proxy.
func (o *Outside) pass(conn net.Conn) {
	in := bufio.NewReader(conn)
	head, err := in.Peek(8)
	if err != nil || string(head) != "CONNECT " {
		o.speak(buffered{conn, in}, "http", true)
		return
	}
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	o.speak(o.secured(conn), "https", true)
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

func (o *Outside) secured(conn net.Conn) net.Conn {
	return tls.Server(conn, &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, AuthorityKeyId: []byte{1},
		}
		if hello.ServerName != "" {
			leaf.DNSNames = []string{hello.ServerName}
		} else {
			leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, o.issuer, &o.key.PublicKey, o.key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: o.key}, err
	}})
}

func (o *Outside) speak(conn net.Conn, scheme string, via bool) {
	var raw bytes.Buffer // clients send one request at a time
	in := bufio.NewReader(io.TeeReader(conn, &raw))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Header.Get("Expect") == "100-continue" {
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		uri := r.RequestURI
		if r.URL.IsAbs() {
			uri = r.URL.RequestURI()
		}
		request := Request{Scheme: scheme, Host: r.Host, Method: r.Method, URI: uri, Header: r.Header, Body: body, Raw: bytes.Clone(raw.Bytes()), Via: via}
		raw.Reset()
		request.Signed = signed(&request)
		o.mu.Lock()
		o.requests = append(o.requests, request)
		bus := o.bus
		o.put++
		number := o.put
		o.mu.Unlock()
		answer := o.api
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents.") || request.NewBus() {
			answer = bus.answer
		} else if request.isHop() {
			answer = bus.hop
		}
		if !answer(conn, &request, number) {
			return
		}
	}
}

// answer responds as EventBridge to the request with this number, from 1.
func (b Bus) answer(conn net.Conn, r *Request, number int) bool {
	time.Sleep(b.Slow)
	if number <= b.Drop {
		return false
	}
	now := time.Now().Add(b.Skew)
	reply := func(status int, v any) bool {
		if r.NewBus() {
			return write(conn, status, b.pack(status, v), "Content-Type", "application/cbor", "Smithy-Protocol", "rpc-v2-cbor", "X-Amzn-Requestid", fmt.Sprintf("request-%d", number), "Date", now.UTC().Format(http.TimeFormat))
		}
		body, _ := json.Marshal(v)
		return write(conn, status, body, "Content-Type", "application/x-amz-json-1.1", "X-Amzn-Requestid", fmt.Sprintf("request-%d", number), "Date", now.UTC().Format(http.TimeFormat))
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if off := at.Sub(now).Abs(); err != nil || off > 5*time.Minute {
		return reply(http.StatusForbidden, map[string]string{"__type": "InvalidSignatureException", "message": "Signature expired"})
	}
	if number <= b.Drop+b.Fail {
		return reply(b.Status, map[string]string{"__type": b.Code, "message": "as told"})
	}
	if r.NewBus() {
		return reply(b.put(r.Body, number))
	}
	var in struct{ Entries []json.RawMessage }
	if json.Unmarshal(r.Body, &in) != nil {
		return reply(http.StatusBadRequest, map[string]string{"__type": "SerializationException"})
	}
	failed, out := 0, make([]map[string]string, len(in.Entries))
	for i := range in.Entries {
		if b.Partly && i%2 == 1 {
			failed++
			out[i] = map[string]string{"ErrorCode": "ThrottlingException", "ErrorMessage": "as told"}
		} else {
			out[i] = map[string]string{"EventId": fmt.Sprintf("event-%d-%d", number, i)}
		}
	}
	return reply(http.StatusOK, map[string]any{"FailedEntryCount": failed, "Entries": out})
}

func write(conn net.Conn, status int, body []byte, header ...string) bool {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(body))
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	b.WriteString("\r\n")
	b.Write(body)
	_, err := conn.Write(b.Bytes())
	return err == nil
}

// api responds according to the path. It returns whether the connection stays open.
func (o *Outside) api(conn net.Conn, r *Request, number int) bool {
	header := []string{"X-Request-Id", "req-7", "X-Ratelimit-Remaining", "199"}
	path, _, _ := strings.Cut(r.URI, "?")
	switch path {
	case "/v2/limited":
		return write(conn, http.StatusTooManyRequests, []byte("{}"), header...)
	case "/v2/limited/once":
		if number == 1 {
			return write(conn, http.StatusTooManyRequests, []byte("{}"), header...)
		}
	case "/redirect":
		return write(conn, http.StatusFound, nil, append(header, "Location", "/v2/clock")...)
	case "/never":
		_, _ = io.Copy(io.Discard, conn)
		return false
	case "/reset":
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return false
	case "/close":
		return false
	case "/half":
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
		return false
	case "/garbage":
		_, _ = io.WriteString(conn, "what?\r\n\r\n")
		return false
	case "/interim":
		_, _ = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
	case "/upgrade":
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nfirst")
		_, _ = io.Copy(io.Discard, conn)
		return false
	case "/big":
		return write(conn, http.StatusOK, bytes.Repeat([]byte("x"), 300_000), header...)
	}
	if r.Method == http.MethodHead {
		return write(conn, http.StatusOK, nil, header...)
	}
	return write(conn, http.StatusOK, []byte(`{"length":`+strconv.Itoa(len(r.Body))+`}`), header...)
}
