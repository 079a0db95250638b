package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
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
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// gateway is the way out of this machine, and all that lies beyond it: a proxy
// and a TLS server that answer for every host as EventBridge does, and write
// down who asked whom for what. Nothing leaves this machine.
type gateway struct {
	proxy  string // URL
	direct string // host:port of the TLS server itself
	ca     string // file with the certificate of whoever it answers for
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey
	mu     sync.Mutex
	calls  []call
}

// call is one PutEvents call as EventBridge sees it.
type call struct {
	Host, Key, Region, Detail string
	Signed                    bool // and rightly
	Stamped                   bool
}

// keyring are the secrets of the access keys that the tests sign with.
var keyring = map[string]aws.Credentials{
	"AKIDOURS":  {AccessKeyID: "AKIDOURS", SecretAccessKey: "secret", SessionToken: "session"},
	"AKIDOTHER": {AccessKeyID: "AKIDOTHER", SecretAccessKey: "x", SessionToken: "y"},
	"ASIAROLE":  {AccessKeyID: "ASIAROLE", SecretAccessKey: "x", SessionToken: "y"},
}

var outside = startGateway()

// startGateway runs before any test, because Go reads HTTPS_PROXY and
// SSL_CERT_FILE once.
func startGateway() *gateway {
	if os.Getenv("TEST_ROLE") != "" {
		return nil // this is a function under test
	}
	g := &gateway{}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	g.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	g.issuer = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, g.issuer, g.issuer, &g.key.PublicKey, g.key)
	must(err)
	dir, err := os.MkdirTemp("", "throughline-gateway")
	must(err)
	g.ca = filepath.Join(dir, "ca.pem")
	must(os.WriteFile(g.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	direct, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	g.proxy, g.direct = "http://"+proxy.Addr().String(), direct.Addr().String()
	must(os.Setenv("HTTPS_PROXY", g.proxy))
	must(os.Setenv("SSL_CERT_FILE", g.ca))
	go g.accept(proxy, g.connect)
	go g.accept(direct, g.speak)
	return g
}

func (g *gateway) accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go serve(conn)
	}
}

// connect is the proxy's part.
func (g *gateway) connect(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil || req.Method != http.MethodConnect {
		_ = conn.Close()
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	g.speak(conn)
}

// speak is EventBridge's part, under whatever name it is called.
func (g *gateway) speak(conn net.Conn) {
	defer conn.Close()
	host := ""
	secured := tls.Server(conn, &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		host = hello.ServerName
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, g.issuer, &g.key.PublicKey, g.key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: g.key}, err
	}})
	in := bufio.NewReader(secured)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		g.mu.Lock()
		g.calls = append(g.calls, read(host, req, body))
		g.mu.Unlock()
		const answer = `{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}`
		_, _ = fmt.Fprintf(secured, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
	}
}

func read(host string, req *http.Request, body []byte) call {
	var in struct {
		Entries []struct {
			Detail    string
			Resources []string
		}
	}
	_ = json.Unmarshal(body, &in)
	c := call{Host: host}
	for _, e := range in.Entries {
		c.Detail += e.Detail
		c.Stamped = c.Stamped || slices.ContainsFunc(e.Resources, func(r string) bool { return strings.HasPrefix(r, "traceparent:") })
	}
	authorization := req.Header.Get("Authorization")
	_, scope, _ := strings.Cut(authorization, "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	parts := strings.Split(scope, "/")
	if len(parts) < 5 {
		return c
	}
	c.Key, c.Region = parts[0], parts[2]
	c.Signed = signed(req, body, c.Key, c.Region, authorization)
	return c
}

// signed computes the signature anew, from what arrived.
func signed(req *http.Request, body []byte, key, region, authorization string) bool {
	at, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	_, list, _ := strings.Cut(authorization, "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	again, err := http.NewRequest(req.Method, "https://"+req.Host+req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	again.ContentLength = 0 // signed only where it says so
	for name := range strings.SplitSeq(list, ";") {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(name)] = req.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	if v4.NewSigner().SignHTTP(context.Background(), keyring[key], again, hex.EncodeToString(sum[:]), "events", region, at) != nil {
		return false
	}
	signature := func(header string) string {
		_, s, _ := strings.Cut(header, "Signature=")
		return s
	}
	return signature(again.Header.Get("Authorization")) == signature(authorization)
}

// since returns the calls from n on, and how many there are by now.
func (g *gateway) since(n int) (calls []call, now int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls[n:]), len(g.calls)
}
