package stands

import (
	"crypto/md5" //nolint:gosec // SQS answers with it
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Hop is one call that leaves the bus, as a shim reports it.
type Hop struct {
	Service, Operation, Target, Region, Outcome, Error string
	Batch                                              int
	Size                                               int64
	IDs                                                []string
	Failed                                             map[string]int
	InvocationType                                     string `json:"invocation_type"`
	TaskHash                                           string `json:"task_hash"`
	ScheduleTarget                                     string `json:"schedule_target"`
	ScheduleExpression                                 string `json:"schedule_expression"`
	ScheduleTimezone                                   string `json:"schedule_timezone"`
	Start                                              int64  `json:"start_unix_nano"`
	End                                                int64  `json:"end_unix_nano"`
	TraceID                                            string `json:"trace_id"`
	SpanID                                             string `json:"span_id"`
	Flags                                              string
}

// message is a message that SQS or SNS received.
type message struct {
	ID                                         string `json:"Id"`
	MessageBody                                string
	MessageAttributes, MessageSystemAttributes map[string]attribute
}

type attribute struct {
	DataType    string
	StringValue *string
	BinaryValue []byte
}

var traceHeader = regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}(;(Parent=[0-9a-f]{16}|Sampled=[01?]|Lineage=[^;]+|Self=[^;]+))*$`)

// refused returns the error code with which SQS rejects a message, or "". A message
// has at most ten attributes (Amazon SQS developer guide, "Message attributes").
// AWS accepts a malformed trace header, but no test may send one.
func (m *message) refused(header string) string {
	plain, err := url.PathUnescape(header)
	switch {
	case len(m.MessageAttributes) > 10:
		return "InvalidParameterValue"
	case header != "" && (err != nil || !traceHeader.MatchString(plain)):
		return "MalformedTraceHeader"
	}
	return ""
}

// sums returns the MD5 sums in SQS's responses ("Calculating the MD5 message digest
// for message attributes").
func (m *message) sums() map[string]string {
	s := map[string]string{"MD5OfMessageBody": hexMD5([]byte(m.MessageBody))}
	if len(m.MessageAttributes) > 0 {
		s["MD5OfMessageAttributes"] = sumOf(m.MessageAttributes)
	}
	if len(m.MessageSystemAttributes) > 0 {
		s["MD5OfMessageSystemAttributes"] = sumOf(m.MessageSystemAttributes)
	}
	return s
}

func sumOf(attributes map[string]attribute) string {
	var b []byte
	add := func(part []byte) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...) }
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add([]byte(name))
		add([]byte(a.DataType))
		if a.StringValue != nil {
			b = append(b, 1)
			add([]byte(*a.StringValue))
		} else {
			b = append(b, 2)
			add(a.BinaryValue)
		}
	}
	return hexMD5(b)
}

func hexMD5(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// isHop returns whether hop handles the request.
func (r *Request) isHop() bool {
	target := r.Header.Get("X-Amz-Target")
	return strings.HasPrefix(target, "AmazonSQS.") || strings.HasPrefix(target, "AWSStepFunctions.") || strings.HasPrefix(target, "Kinesis_") ||
		strings.Contains(r.URI, "/functions/") || strings.HasPrefix(r.URI, "/schedules/") || strings.HasPrefix(string(r.Body), "Action=") || strings.Contains(string(r.Body), "&Action=")
}

// hop responds as SQS (JSON and query), SNS, Lambda, Step Functions, Scheduler
// and Kinesis do.
func (b Bus) hop(conn net.Conn, r *Request, number int) bool {
	time.Sleep(b.Slow)
	header := []string{"X-Amzn-Requestid", fmt.Sprintf("request-%d", number)}
	reply := func(status int, kind string, body []byte, more ...string) bool {
		return write(conn, status, body, slices.Concat([]string{"Content-Type", kind}, header, more)...)
	}
	asJSON := func(status int, v any) bool {
		body, _ := json.Marshal(v)
		return reply(status, "application/x-amz-json-1.0", body)
	}
	if number <= b.Cut {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s: %s\r\nContent-Length: 100\r\n\r\n{", header[0], header[1])
		return false
	}
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	trace := r.Header.Get("X-Amzn-Trace-Id")
	if number <= b.Fail {
		if service == "" && !strings.HasPrefix(r.URI, "/2015") && !strings.HasPrefix(r.URI, "/schedules") {
			return reply(b.Status, "text/xml", []byte("<ErrorResponse><Error><Type>Sender</Type><Code>"+b.Code+"</Code><Message>as told</Message></Error><RequestId>r</RequestId></ErrorResponse>"))
		}
		body, _ := json.Marshal(map[string]string{"__type": b.Code, "message": "as told"})
		return reply(b.Status, "application/x-amz-json-1.0", body, "X-Amzn-Errortype", b.Code)
	}
	switch {
	case service == "AmazonSQS":
		var in struct {
			message
			Entries []message
		}
		if json.Unmarshal(r.Body, &in) != nil {
			return asJSON(http.StatusBadRequest, map[string]string{"__type": "SerializationException"})
		}
		if operation == "SendMessage" {
			if code := in.refused(trace); code != "" {
				return asJSON(http.StatusBadRequest, map[string]string{"__type": "com.amazonaws.sqs#" + code, "message": "as documented"})
			}
			out := in.sums()
			out["MessageId"] = fmt.Sprintf("message-%d", number)
			return asJSON(http.StatusOK, out)
		}
		successful, failed := []map[string]string{}, []map[string]any{}
		for i, m := range in.Entries {
			if code := m.refused(trace); code != "" || b.Partly && i%2 == 1 {
				failed = append(failed, map[string]any{"Id": m.ID, "Code": code + "InternalError", "SenderFault": false, "Message": "as told"})
				continue
			}
			out := m.sums()
			out["Id"], out["MessageId"] = m.ID, fmt.Sprintf("message-%d-%d", number, i)
			successful = append(successful, out)
		}
		return asJSON(http.StatusOK, map[string]any{"Successful": successful, "Failed": failed})
	case service == "AWSStepFunctions":
		switch operation {
		case "StartExecution", "StartSyncExecution":
			return asJSON(http.StatusOK, map[string]any{"executionArn": fmt.Sprintf("arn:aws:states:us-east-1:123456789012:execution:m:e-%d", number), "startDate": 1.7e9, "stopDate": 1.7e9, "status": "SUCCEEDED", "output": b.Output})
		default:
			return asJSON(http.StatusOK, map[string]any{})
		}
	case strings.HasPrefix(service, "Kinesis_"):
		var in struct{ Records []json.RawMessage }
		_ = json.Unmarshal(r.Body, &in) // PutRecord has none
		if operation == "PutRecord" {
			return asJSON(http.StatusOK, map[string]string{"ShardId": "shardId-0", "SequenceNumber": fmt.Sprint(number)})
		}
		failed, records := 0, []map[string]string{}
		for i := range in.Records {
			if b.Partly && i%2 == 1 {
				failed++
				message := "Rate exceeded for shard shardId-000000000000 in stream ticks under account 123456789012." + strings.Repeat(" ", 200) // longer than AWS's
				records = append(records, map[string]string{"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": message})
			} else {
				records = append(records, map[string]string{"ShardId": "shardId-0", "SequenceNumber": fmt.Sprintf("%d%d", number, i)})
			}
		}
		return asJSON(http.StatusOK, map[string]any{"FailedRecordCount": failed, "Records": records})
	case strings.HasPrefix(r.URI, "/schedules/"):
		return asJSON(http.StatusOK, map[string]string{"ScheduleArn": "arn:aws:scheduler:us-east-1:123456789012:schedule/default/" + strings.TrimPrefix(r.URI, "/schedules/")})
	case strings.Contains(r.URI, "/functions/"):
		if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
			return reply(http.StatusAccepted, "application/json", nil)
		}
		return reply(http.StatusOK, "application/json", []byte(`{"ok":true}`), "X-Amz-Executed-Version", "$LATEST")
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return reply(http.StatusBadRequest, "text/xml", nil)
	}
	return reply(http.StatusOK, "text/xml", []byte(b.query(form, number)))
}

// query returns the response to a call in the query protocol.
func (b Bus) query(form url.Values, number int) string {
	action, namespace := form.Get("Action"), "http://sns.amazonaws.com/doc/2010-03-31/"
	var result, failed strings.Builder
	batch := func(prefix, member, body string, sums bool) {
		for i := 1; form.Has(fmt.Sprintf("%s.%d.Id", prefix, i)); i++ {
			at := fmt.Sprintf("%s.%d.", prefix, i)
			if b.Partly && i%2 == 0 {
				fmt.Fprintf(&failed, "<%[1]s><Id>%[2]s</Id><Code>InternalError</Code><SenderFault>false</SenderFault></%[1]s>", strings.Replace(member, "SendMessageBatchResultEntry", "BatchResultErrorEntry", 1), form.Get(at+"Id"))
				continue
			}
			fmt.Fprintf(&result, "<%s><Id>%s</Id><MessageId>message-%d-%d</MessageId>", member, html.EscapeString(form.Get(at+"Id")), number, i-1)
			if sums {
				fmt.Fprintf(&result, "<MD5OfMessageBody>%s</MD5OfMessageBody>", hexMD5([]byte(form.Get(at+body))))
			}
			fmt.Fprintf(&result, "</%s>", member)
		}
	}
	switch action {
	case "SendMessage":
		namespace = "http://queue.amazonaws.com/doc/2012-11-05/"
		attributes := map[string]attribute{}
		for i := 1; form.Has(fmt.Sprintf("MessageAttribute.%d.Name", i)); i++ {
			at := fmt.Sprintf("MessageAttribute.%d.", i)
			a := attribute{DataType: form.Get(at + "Value.DataType")}
			if text := at + "Value.StringValue"; form.Has(text) {
				value := form.Get(text)
				a.StringValue = &value
			} else {
				a.BinaryValue, _ = base64.StdEncoding.DecodeString(form.Get(at + "Value.BinaryValue"))
			}
			attributes[form.Get(at+"Name")] = a
		}
		fmt.Fprintf(&result, "<MessageId>message-%d</MessageId><MD5OfMessageBody>%s</MD5OfMessageBody>", number, hexMD5([]byte(form.Get("MessageBody"))))
		if len(attributes) > 0 {
			fmt.Fprintf(&result, "<MD5OfMessageAttributes>%s</MD5OfMessageAttributes>", sumOf(attributes))
		}
	case "SendMessageBatch":
		namespace = "http://queue.amazonaws.com/doc/2012-11-05/"
		batch("SendMessageBatchRequestEntry", "SendMessageBatchResultEntry", "MessageBody", true)
		result.WriteString(failed.String())
	case "Publish":
		fmt.Fprintf(&result, "<MessageId>message-%d</MessageId>", number)
	case "PublishBatch":
		result.WriteString("<Successful>")
		batch("PublishBatchRequestEntries.member", "member", "", false)
		result.WriteString("</Successful><Failed>" + failed.String() + "</Failed>")
	}
	return fmt.Sprintf(`<%[1]sResponse xmlns=%[2]q><%[1]sResult>%[3]s</%[1]sResult><ResponseMetadata><RequestId>request-%[4]d</RequestId></ResponseMetadata></%[1]sResponse>`, action, namespace, result.String(), number)
}
