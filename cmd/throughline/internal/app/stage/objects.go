package stage

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/cmd/throughline/internal/app/plan"
	"github.com/throughline/throughline/local/buslocal"
)

// objects serves S3's API through moto, and sends the notifications of buckets for
// changes of objects (Amazon S3 user guide, "Event message structure").
func (s *Stage) objects(upstream string) http.Handler {
	to, err := url.Parse(upstream)
	if err != nil {
		return http.NotFoundHandler()
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			if _, multiple := p.In.URL.Query()["delete"]; multiple && p.In.Method == http.MethodPost {
				remember(p.Out)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode/100 == 2 {
				for _, c := range changes(resp) {
					s.tell(c)
				}
			}
			return nil
		},
	}
}

const maxDelete = 2 << 20 // the maximum size in bytes of a request that deletes up to 1000 objects

// deleted is the body of a DeleteObjects request, with its reader.
type deleted struct {
	io.ReadCloser
	body []byte
}

// remember keeps the body of a request until its response.
func remember(r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDelete))
	if err != nil {
		return
	}
	r.Body = deleted{io.NopCloser(bytes.NewReader(body)), body}
}

// change is a change of one object.
type change struct {
	bucket, key string
	event       string // ObjectCreated:Put
	size        int64
	etag        string
}

// changes returns the changes that a request made, from its response.
func changes(resp *http.Response) []change {
	r := resp.Request
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	c := change{bucket: bucket, key: key, etag: strings.Trim(resp.Header.Get("ETag"), `"`), size: r.ContentLength}
	if n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
		c.size = n
	}
	sub := slices.ContainsFunc([]string{"acl", "tagging", "uploadId", "uploads", "retention", "legal-hold", "restore", "select", "torrent"}, query.Has)
	switch {
	case r.Method == http.MethodPost && key == "" && query.Has("delete"):
		return severalDeleted(r, bucket)
	case key == "":
		return nil
	case r.Method == http.MethodPost && query.Has("uploadId"):
		c.event, c.size = "ObjectCreated:CompleteMultipartUpload", 0
	case sub:
		return nil
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		c.event = "ObjectCreated:Copy"
	case r.Method == http.MethodPut:
		c.event = "ObjectCreated:Put"
	case r.Method == http.MethodDelete:
		c.event, c.etag, c.size = "ObjectRemoved:Delete", "", 0
	default:
		return nil
	}
	return []change{c}
}

func severalDeleted(r *http.Request, bucket string) []change {
	kept, ok := r.Body.(deleted)
	if !ok {
		return nil
	}
	var asked struct {
		Objects []struct{ Key string } `xml:"Object"`
	}
	if xml.Unmarshal(kept.body, &asked) != nil {
		return nil
	}
	var list []change
	for _, o := range asked.Objects {
		list = append(list, change{bucket: bucket, key: o.Key, event: "ObjectRemoved:Delete"})
	}
	return list
}

// tell sends a change to the targets of the bucket's notifications, and to the default
// bus if the bucket is configured for it.
func (s *Stage) tell(c change) {
	i := slices.IndexFunc(s.plan.Buckets, func(b plan.Bucket) bool { return b.Name == c.bucket })
	if i < 0 {
		return
	}
	b := s.plan.Buckets[i]
	for _, n := range b.Notifications {
		if !strings.HasPrefix(c.key, n.Prefix) || !strings.HasSuffix(c.key, n.Suffix) || !slices.ContainsFunc(n.Events, func(e string) bool {
			ok, err := path.Match(strings.TrimPrefix(e, "s3:"), c.event)
			return ok && err == nil
		}) {
			continue
		}
		if event, err := json.Marshal(c.record()); err == nil {
			_, _ = s.bring(plan.Target{ARN: n.ARN}, event, "") // dropped, as in S3 without permission
		}
	}
	if b.EventBridge {
		s.bus.Emit(c.asEvent())
	}
}

// record returns the event of a notification.
func (c change) record() any {
	object := map[string]any{"key": strings.ReplaceAll(url.QueryEscape(c.key), "%2F", "/"), "sequencer": strconv.FormatInt(time.Now().UnixNano(), 16)}
	if c.etag != "" {
		object["eTag"], object["size"] = c.etag, c.size
	}
	return map[string]any{"Records": []any{map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": plan.Region, "eventTime": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "eventName": c.event,
		"userIdentity": map[string]string{"principalId": "AWS:LOCAL"}, "requestParameters": map[string]string{"sourceIPAddress": "127.0.0.1"},
		"responseElements": map[string]string{"x-amz-request-id": newID(), "x-amz-id-2": "local"},
		"s3": map[string]any{"s3SchemaVersion": "1.0", "configurationId": "local", "object": object,
			"bucket": map[string]any{"name": c.bucket, "ownerIdentity": map[string]string{"principalId": "LOCAL"}, "arn": "arn:aws:s3:::" + c.bucket}},
	}}}
}

// asEvent returns the event that S3 sends to EventBridge ("EventBridge event message
// structure").
func (c change) asEvent() buslocal.Event {
	kind, reason := "Object Created", "PutObject"
	switch {
	case c.event == "ObjectCreated:Copy":
		reason = "CopyObject"
	case c.event == "ObjectCreated:CompleteMultipartUpload":
		reason = "CompleteMultipartUpload"
	case strings.HasPrefix(c.event, "ObjectRemoved"):
		kind, reason = "Object Deleted", "DeleteObject"
	}
	detail := map[string]any{
		"version": "0", "bucket": map[string]string{"name": c.bucket}, "request-id": newID(), "requester": plan.Account, "source-ip-address": "127.0.0.1", "reason": reason,
		"object": map[string]any{"key": c.key, "size": c.size, "etag": c.etag, "sequencer": strconv.FormatInt(time.Now().UnixNano(), 16)},
	}
	text, _ := json.Marshal(detail) // plain values always marshal
	return buslocal.Event{Source: "aws.s3", DetailType: kind, Detail: string(text), Resources: []string{"arn:aws:s3:::" + c.bucket}}
}
