package gateway

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// issuer issues certificates for emulated hosts. Its key is never written to a file.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

// lifetime is that of the authority and of its certificates. It only has to be longer
// than a session.
const lifetime = 30 * 24 * time.Hour

func newIssuer() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "throughline dev, of one session"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(data)
	return &issuer{certificate: certificate, key: key, issued: map[string]*tls.Certificate{}}, err
}

// bundles are the files in which systems keep trusted authorities.
var bundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// write writes the authorities of the system and of the issuer to a file.
func (i *issuer) write(dir string) (string, error) {
	var all []byte
	for _, path := range bundles {
		if data, err := os.ReadFile(path); err == nil {
			all = append(data, '\n')
			break
		}
	}
	all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})...)
	path := filepath.Join(dir, "authorities.pem")
	return path, os.WriteFile(path, all, 0o644)
}

// maxIssued bounds the number of cached certificates.
const maxIssued = 1000

func (i *issuer) issue(host string) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known := i.issued[host]; known != nil {
		return known, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: i.certificate.NotBefore, NotAfter: i.certificate.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	data, err := x509.CreateCertificate(rand.Reader, template, i.certificate, &key.PublicKey, i.key)
	if err != nil {
		return nil, err
	}
	made := &tls.Certificate{Certificate: [][]byte{data}, PrivateKey: key}
	if len(i.issued) >= maxIssued {
		clear(i.issued)
	}
	i.issued[host] = made
	return made, nil
}

// server terminates TLS as the host that the client names.
func (i *issuer) server(conn net.Conn) net.Conn {
	return tls.Server(conn, &tls.Config{
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return i.issue(hello.ServerName) },
	})
}

// maxHello is larger than any ClientHello, in bytes.
const maxHello = 64 << 10

var errSeen = errors.New("the server name was seen")

// serverName reads the ClientHello and returns the host that it names and the bytes that
// were read.
func serverName(from *bufio.Reader) (host string, read []byte, err error) {
	var seen bytes.Buffer
	err = tls.Server(onlyRead{io.TeeReader(io.LimitReader(from, maxHello), &seen)}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			host = hello.ServerName
			return nil, errSeen
		},
	}).Handshake()
	if !errors.Is(err, errSeen) || host == "" {
		return "", seen.Bytes(), errors.Join(errors.New("the ClientHello has no server name"), err)
	}
	return host, seen.Bytes(), nil
}

// onlyRead is a connection that can only be read.
type onlyRead struct{ io.Reader }

func (onlyRead) Write([]byte) (int, error)        { return 0, io.ErrClosedPipe }
func (onlyRead) Close() error                     { return nil }
func (onlyRead) LocalAddr() net.Addr              { return nil }
func (onlyRead) RemoteAddr() net.Addr             { return nil }
func (onlyRead) SetDeadline(time.Time) error      { return nil }
func (onlyRead) SetReadDeadline(time.Time) error  { return nil }
func (onlyRead) SetWriteDeadline(time.Time) error { return nil }
