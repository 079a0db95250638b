package lambdalocal

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

const (
	schemaNewest  = "2025-01-29"
	schemaObjects = "2022-12-13" // the first schema in which a JSON log line is an object
	reservedPort  = "9001"       // the port of Lambda's own APIs
)

var (
	schemas    = []string{schemaNewest, schemaObjects, "2022-07-01"}
	categories = []string{"platform", "function", "extension"}
)

// subscription is the body of a Telemetry API subscription, validated and with defaults.
type subscription struct {
	SchemaVersion string      `json:"schemaVersion"`
	Types         []string    `json:"types"`
	Buffering     buffering   `json:"buffering"`
	Destination   destination `json:"destination"`
}

type buffering struct {
	MaxItems  int `json:"maxItems"`
	MaxBytes  int `json:"maxBytes"`
	TimeoutMs int `json:"timeoutMs"`
}

type destination struct {
	Protocol string `json:"protocol"`
	URI      string `json:"URI"`
	Port     int    `json:"port"`
}

func (s subscription) has(category string) bool { return slices.Contains(s.Types, category) }

// parseSubscription reads and validates a subscription. Its error is for Lambda's ValidationError.
func parseSubscription(body []byte, mode Mode) (subscription, error) {
	want := subscription{Buffering: buffering{MaxItems: 10000, MaxBytes: 262144, TimeoutMs: 1000}}
	if err := json.Unmarshal(body, &want); err != nil {
		return want, fmt.Errorf("not a subscription: %w", err)
	}
	if !slices.Contains(schemas, want.SchemaVersion) {
		return want, fmt.Errorf("schemaVersion %q is not supported", want.SchemaVersion)
	}
	if mode == ManagedInstances && want.SchemaVersion != schemaNewest {
		return want, fmt.Errorf("schemaVersion %q is not supported on managed instances", want.SchemaVersion)
	}
	if len(want.Types) == 0 {
		return want, errors.New("types must name at least one of platform, function, extension")
	}
	for _, category := range want.Types {
		if !slices.Contains(categories, category) {
			return want, fmt.Errorf("type %q is not one of platform, function, extension", category)
		}
	}
	if err := want.Buffering.check(); err != nil {
		return want, err
	}
	return want, want.Destination.check()
}

func (b buffering) check() error {
	for _, limit := range []struct {
		name           string
		value, lo, top int
	}{
		{"maxItems", b.MaxItems, 1000, 10000},
		{"maxBytes", b.MaxBytes, 262144, 1048576},
		{"timeoutMs", b.TimeoutMs, 25, 30000},
	} {
		if limit.value < limit.lo || limit.value > limit.top {
			return fmt.Errorf("buffering.%s must be from %d to %d", limit.name, limit.lo, limit.top)
		}
	}
	return nil
}

func (d destination) check() error {
	switch d.Protocol {
	case "HTTP":
		target, err := url.Parse(d.URI)
		if err != nil {
			return fmt.Errorf("destination.URI: %w", err)
		}
		if host := target.Hostname(); target.Scheme != "http" || host != "sandbox.localdomain" && host != "sandbox" {
			return errors.New("destination.URI must be http://sandbox.localdomain:port")
		}
		if target.Port() == reservedPort {
			return errors.New("destination.URI: port 9001 is reserved")
		}
	case "TCP":
		if d.Port < 1 || d.Port > 65535 || strconv.Itoa(d.Port) == reservedPort {
			return errors.New("destination.port must be a free port")
		}
	default:
		return fmt.Errorf("destination.protocol %q is not HTTP or TCP", d.Protocol)
	}
	return nil
}

// deliverer delivers batches to an extension.
type deliverer interface {
	deliver(ctx context.Context, batch [][]byte) error
	close()
}

// deliverer returns the deliverer for the destination. It maps the host name of the
// sandbox to loopback.
func (s subscription) deliverer() deliverer {
	if s.Destination.Protocol == "TCP" {
		return &tcpDeliverer{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Destination.Port))}
	}
	target, _ := url.Parse(s.Destination.URI) // already validated
	port := cmp.Or(target.Port(), "80")
	target.Host = net.JoinHostPort("127.0.0.1", port)
	return &httpDeliverer{url: target.String(), client: &http.Client{Transport: &http.Transport{}}}
}

type httpDeliverer struct {
	url    string
	client *http.Client
}

func (d *httpDeliverer) deliver(ctx context.Context, batch [][]byte) error {
	body := jsonArray(batch)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Sequence-Id", base64.StdEncoding.EncodeToString(sum[:]))
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode >= 400 {
		return fmt.Errorf("the subscriber answered %s", response.Status)
	}
	return nil
}

func (d *httpDeliverer) close() { d.client.CloseIdleConnections() }

// tcpDeliverer writes one record per line to one connection, without acknowledgement.
type tcpDeliverer struct {
	address string
	conn    net.Conn
}

func (d *tcpDeliverer) deliver(ctx context.Context, batch [][]byte) error {
	if d.conn == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
		if err != nil {
			return err
		}
		d.conn = conn
	}
	conn := d.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := conn.Write(append(bytes.Join(batch, []byte{'\n'}), '\n')); err != nil {
		d.close()
		return err
	}
	return nil
}

func (d *tcpDeliverer) close() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}
