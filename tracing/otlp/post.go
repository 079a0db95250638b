package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/throughline/throughline/internal/protowire"
)

// refusedError is a response that is not retryable: the spans are lost.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// busyError is a retryable response. The backend may name the delay.
type busyError struct {
	text  string
	after time.Duration
}

func (e *busyError) Error() string { return e.text }

// gzips have the level that uses the least CPU time and memory of the function.
var gzips = sync.Pool{New: func() any {
	zip, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return zip
}}

func compress(body []byte) []byte {
	const piece = 64 << 10
	var compressed bytes.Buffer
	zip, _ := gzips.Get().(*gzip.Writer)
	zip.Reset(&compressed)
	for len(body) > 0 { // writes to a buffer never fail
		n := min(piece, len(body))
		_, _ = zip.Write(body[:n])
		body = body[n:]
		runtime.Gosched() // with one CPU, the function's calls would have to wait
	}
	_ = zip.Close()
	gzips.Put(zip)
	return compressed.Bytes()
}

func (e *Exporter) post(ctx context.Context, body []byte, isJSON bool) error {
	if !e.config.Plain {
		body = compress(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.URL, bytes.NewReader(body))
	if err != nil {
		return &refusedError{fmt.Sprintf("export spans to %s: %v", WithoutSecrets(e.config.URL), bare(err))}
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if !e.config.Plain {
		req.Header.Set("Content-Encoding", "gzip")
	}
	for name, value := range e.config.Headers {
		req.Header.Set(name, value)
	}
	if e.config.Sign != nil {
		if err := e.config.Sign(req, body); err != nil {
			return fmt.Errorf("export spans: sign: %w", err)
		}
	}
	// This header makes net/http retry if a connection broke while the environment
	// was frozen: spans have IDs, so a second delivery does no harm. The nil header is
	// not sent, so it is not signed either.
	req.Header["Idempotency-Key"] = nil
	resp, err := e.config.Client.Do(req)
	if err != nil {
		return fmt.Errorf("export spans to %s: %w", WithoutSecrets(e.config.URL), bare(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode == http.StatusOK {
		return nil // accepted; only the response body is lost
	}
	return e.judge(resp, answer, isJSON)
}

// Warm opens a connection, so that the first export does not wait for it. It
// ignores failures: the first export returns the error.
func (e *Exporter) Warm(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, e.config.URL, nil)
	if err != nil {
		return
	}
	if resp, err := e.config.Client.Do(req); err == nil { // any response will do
		_ = resp.Body.Close()
	}
}

// WithoutSecrets returns a URL without parts that may contain secrets: user and query.
func WithoutSecrets(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "the configured endpoint"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// bare returns err without the URL that net/http and net/url put before it.
func bare(err error) error {
	if told, ok := errors.AsType[*url.Error](err); ok {
		err = told.Err
	}
	// net/http has no error value for an answer that is not HTTP, nor for one that comes
	// before the request: for the latter it wraps a nil error.
	if text := err.Error(); strings.Contains(text, "malformed HTTP response") || strings.Contains(text, "readLoopPeekFailLocked: %!w(<nil>)") {
		return errors.New("it does not answer over HTTP/1.1: this may be a port for gRPC; that for OTLP over HTTP is usually 4318")
	}
	return err
}

func (e *Exporter) judge(resp *http.Response, answer []byte, isJSON bool) error {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		if rejected := rejectedSpans(answer); rejected > 0 && !isJSON {
			e.lose(rejected, 0)
		}
		return nil
	case code == http.StatusTooManyRequests, code >= 500:
		return &busyError{"export spans: the backend answered " + resp.Status, retryAfter(resp.Header.Get("Retry-After"), e.config.Now())}
	case bytes.Contains(answer, []byte("Trace Segment Destination")):
		return &refusedError{"export spans: X-Ray takes OTLP only with Transaction Search on: run `aws xray update-trace-segment-destination --destination CloudWatchLogs`"}
	default:
		text := "export spans: the backend answered " + resp.Status
		if said := excerpt(answer); said != "" {
			text += ": " + said
		}
		if code == http.StatusForbidden && e.config.Sign != nil {
			text += "; to X-Ray the function's role needs xray:PutSpans and xray:PutSpansForIndexing"
		}
		return &refusedError{text}
	}
}

func excerpt(answer []byte) string {
	const longest = 200
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(answer[:min(len(answer), longest)]))
	return strings.TrimSpace(text)
}

func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// rejectedSpans reads ExportTraceServiceResponse.partial_success.rejected_spans.
func rejectedSpans(answer []byte) int {
	rejected := 0
	_ = each(answer, 1, func(partial []byte) error { // a malformed response is ignored
		return fields(partial, func(field protowire.Number, kind protowire.Type, _ []byte, number uint64) error {
			if field == 1 && kind == protowire.VarintType {
				rejected = int(min(number, MaxRequestSpans))
			}
			return nil
		})
	})
	return rejected
}
