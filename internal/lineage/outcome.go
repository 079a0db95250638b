package lineage

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// FinishProcess ends the span of StartProcess, with an error status if err is not nil.
// It removes the query from URLs that err quotes.
func FinishProcess(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		kind, message := ErrorType(err), withoutQueries(err)
		span.AddEvent("exception", trace.WithAttributes(keyExceptionType.String(kind), keyExceptionMessage.String(message)))
		Fail(span, kind, message)
	}
	span.End()
}

// FailItems sets an error status on a process span whose handler named failed records in
// its answer: count records, with these IDs if not all of them failed.
func FailItems(span trace.Span, description string, count int, ids []string) {
	attrs := make([]attribute.KeyValue, 0, 3)
	if count > 0 {
		attrs = append(attrs, keyFailedCount.Int(count))
	}
	if ids = slices.DeleteFunc(ids, func(id string) bool { return len(id) > maxID }); len(ids) > 0 {
		attrs = append(attrs, keyFailedIDs.StringSlice(ids))
	}
	Fail(span, ErrorTypeItems, description, attrs...)
}

// withoutQueries returns the text of err without the queries of URLs, which net/http
// quotes in its errors.
func withoutQueries(err error) string {
	message := fmt.Sprint(err) // recovers from an Error method that panics
	for next := err; next != nil; next = errors.Unwrap(next) {
		if quoted, ok := next.(*url.Error); ok { //nolint:errorlint // each link of the chain is looked at
			bare, _, _ := strings.Cut(quoted.URL, "?")
			message = strings.ReplaceAll(message, strconv.Quote(quoted.URL), strconv.Quote(bare))
		}
	}
	return strings.ToValidUTF8(message, "\uFFFD") // otherwise a backend refuses the request
}

// ErrorType returns error.type of err: the code of an AWS error, else the Go type of
// the first error in the chain that does more than wrap another.
func ErrorType(err error) string {
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) && coded.ErrorCode() != "" {
		return coded.ErrorCode()
	}
	for {
		switch fmt.Sprintf("%T", err) {
		case "*fmt.wrapError", "*url.Error", "*net.OpError", "*os.SyscallError":
			if inner := errors.Unwrap(err); inner != nil {
				err = inner
				continue
			}
		}
		return fmt.Sprintf("%T", err)
	}
}
