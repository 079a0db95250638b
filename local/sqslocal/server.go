package sqslocal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/local/internal/wire"
)

const (
	namespace = "http://queue.amazonaws.com/doc/2012-11-05/"
	jsonType  = "application/x-amz-json-1.0"
	maxBody   = 16 << 20 // enough for attributes in base64 and XML escapes
)

// ServeHTTP serves SQS's API: awsJson1_0 if X-Amz-Target names an operation, else
// the query protocol.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	body, ok := wire.Body(w, r, maxBody)
	if !ok {
		wire.Write(w, http.StatusRequestEntityTooLarge, "", nil)
		return
	}
	if target != "" {
		s.serveJSON(w, r, strings.TrimPrefix(target, "AmazonSQS."), body)
		return
	}
	s.serveQuery(w, r, body)
}

func (s *Service) serveJSON(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	do := operations[name]
	var in request
	switch {
	case do == nil || r.Method != http.MethodPost:
		refuse(w, r, &Error{Code: "UnknownOperationException", Message: "The operation is unknown: " + name})
		return
	case json.Unmarshal(body, &in) != nil:
		refuse(w, r, &Error{Code: "SerializationException", Message: "The request cannot be read as the JSON of " + name + "."})
		return
	}
	in.traceHeader = r.Header.Get("X-Amzn-Trace-Id")
	out, err := do(s, r.Context(), &in)
	if err != nil {
		refuse(w, r, asError(err))
		return
	}
	if out == nil {
		wire.Write(w, http.StatusOK, jsonType, nil)
		return
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, out)
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: "InternalError", Message: err.Error()}
}

func refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	if r.Header.Get("X-Amzn-Query-Mode") == "true" {
		w.Header().Set("X-Amzn-Query-Error", e.queryCode()+";Sender")
	}
	wire.WriteJSON(w, http.StatusBadRequest, jsonType, map[string]string{"__type": "com.amazonaws.sqs#" + e.Code, "message": e.Message})
}

func (s *Service) serveQuery(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method == http.MethodGet {
		body = []byte(r.URL.RawQuery)
	}
	form, err := wire.ParseForm(body)
	if err != nil {
		refuseXML(w, &Error{Code: "MalformedInput", Message: "The request's body is not a form."})
		return
	}
	name := form.Get("Action").Value
	do := operations[name]
	if do == nil {
		refuseXML(w, &Error{Code: "InvalidAction", Message: "The action " + strconv.Quote(name) + " is not valid for this endpoint."})
		return
	}
	in, problem := fromForm(form)
	if problem != nil {
		refuseXML(w, problem)
		return
	}
	if in.QueueURL == "" && r.URL.Path != "/" { // old SDKs send requests to the queue's URL
		in.QueueURL = r.URL.Path
	}
	in.traceHeader = r.Header.Get("X-Amzn-Trace-Id")
	out, err := do(s, r.Context(), &in)
	if err != nil {
		refuseXML(w, asError(err))
		return
	}
	wire.WriteXML(w, name, namespace, out)
}

func refuseXML(w http.ResponseWriter, e *Error) {
	wire.WriteXMLError(w, http.StatusBadRequest, namespace, "Sender", e.queryCode(), e.Message)
}

// fromForm reads the parameters of any operation of the query protocol.
func fromForm(f *wire.Form) (request, *Error) {
	entry, err := entryFrom(f)
	r := request{
		Entry: entry.Entry, ReceiptHandle: entry.ReceiptHandle, VisibilityTimeout: entry.VisibilityTimeout,
		QueueURL: f.Get("QueueUrl").Value, QueueName: f.Get("QueueName").Value, QueueNamePrefix: f.Get("QueueNamePrefix").Value,
		AttributeNames: values(f.Get("AttributeName")), MessageAttributeNames: values(f.Get("MessageAttributeName")),
		MessageSystemAttributeNames: values(f.Get("MessageSystemAttributeName")),
		SourceARN:                   f.Get("SourceArn").Value, DestinationARN: f.Get("DestinationArn").Value,
	}
	for _, a := range f.Get("Attribute").List() {
		if r.Attributes == nil {
			r.Attributes = map[string]string{}
		}
		r.Attributes[a.Get("Name").Value] = a.Get("Value").Value
	}
	if err == nil {
		r.MaxNumberOfMessages, err = number(f, "MaxNumberOfMessages")
	}
	if err == nil {
		r.WaitTimeSeconds, err = number(f, "WaitTimeSeconds")
	}
	for _, name := range f.Names() {
		if !strings.HasSuffix(name, "BatchRequestEntry") || err != nil {
			continue
		}
		for _, child := range f.Get(name).List() {
			var e batchEntry
			if e, err = entryFrom(child); err != nil {
				break
			}
			r.Entries = append(r.Entries, e)
		}
	}
	return r, err
}

func entryFrom(f *wire.Form) (e batchEntry, err *Error) {
	e.ID, e.MessageBody, e.ReceiptHandle = f.Get("Id").Value, f.Get("MessageBody").Value, f.Get("ReceiptHandle").Value
	e.MessageDeduplicationID, e.MessageGroupID = f.Get("MessageDeduplicationId").Value, f.Get("MessageGroupId").Value
	if e.DelaySeconds, err = number(f, "DelaySeconds"); err != nil {
		return e, err
	}
	if e.VisibilityTimeout, err = number(f, "VisibilityTimeout"); err != nil {
		return e, err
	}
	if e.MessageAttributes, err = attributesFrom(f.Get("MessageAttribute")); err != nil {
		return e, err
	}
	e.MessageSystemAttributes, err = attributesFrom(f.Get("MessageSystemAttribute"))
	return e, err
}

func attributesFrom(f *wire.Form) (map[string]Attribute, *Error) {
	var attributes map[string]Attribute
	for _, child := range f.List() {
		value := child.Get("Value")
		a := Attribute{DataType: value.Get("DataType").Value}
		if slices.Contains(value.Names(), "StringValue") {
			text := value.Get("StringValue").Value
			a.StringValue = &text
		}
		if text := value.Get("BinaryValue").Value; text != "" {
			data, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, invalidValue("The value of the message attribute is not base64.")
			}
			a.BinaryValue = data
		}
		if attributes == nil {
			attributes = map[string]Attribute{}
		}
		attributes[child.Get("Name").Value] = a
	}
	return attributes, nil
}

func values(f *wire.Form) []string {
	var list []string
	for _, child := range f.List() {
		list = append(list, child.Value)
	}
	return list
}

func number(f *wire.Form, name string) (*int, *Error) {
	text := f.Get(name).Value
	if text == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, invalidValue("Value %s for parameter %s is invalid. Reason: Must be an integer.", text, name)
	}
	return &n, nil
}
