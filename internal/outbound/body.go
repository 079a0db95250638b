package outbound

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// maxBody bounds the body that is passed to Hook.Rewrite, in bytes.
const maxBody = 1 << 20

// prepareBody sets the body of out, and returns what must be remembered if the request
// is sent again.
func (t *Transport) prepareBody(ctx context.Context, out, req *http.Request, call *Call, before attempt) attempt {
	now := attempt{attempts: before.attempts + 1}
	if req.Body == nil || req.Body == http.NoBody {
		return now
	}
	if req.GetBody != nil && req.ContentLength >= 0 && req.ContentLength <= maxBody {
		now.body = req.Body
	}
	if before.payload != nil && sameBody(before.body, req.Body) {
		setBody(out, before.payload)
		now.body, now.payload = req.Body, before.payload
		return now
	}
	before.renewBody(out, req)
	if t.api.hook.Rewrite == nil {
		return now
	}
	if rewrite := t.api.hook.Rewrite(ctx, call, out.URL); rewrite != nil {
		if payload := rewriteBody(out, rewrite); payload != nil {
			now.body, now.payload = req.Body, payload
		}
	}
	return now
}

// rewriteBody replaces the body of out by the result of rewrite and returns it; nil if
// the body is unchanged.
func rewriteBody(out *http.Request, rewrite func([]byte) []byte) []byte {
	source := out.Body
	body, err := io.ReadAll(io.LimitReader(source, maxBody+1))
	if err != nil || len(body) > maxBody { // send the bytes that were read, and then the rest
		out.Body = readCloser{io.MultiReader(bytes.NewReader(body), failing{err}, source), source}
		return nil
	}
	_ = source.Close()
	payload := rewrite(body)
	if payload != nil {
		body = payload
	}
	setBody(out, body)
	return payload
}

func setBody(out *http.Request, body []byte) {
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failing returns the error of an earlier read, else io.EOF.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
