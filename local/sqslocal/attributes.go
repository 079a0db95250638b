package sqslocal

import (
	"crypto/md5" // SQS's API returns MD5 sums
	"encoding/binary"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Attribute is a message attribute. DataType is String, Number or Binary, and
// optionally a dot and a custom label.
type Attribute struct {
	DataType    string  `xml:"DataType"`
	StringValue *string `xml:"StringValue,omitempty" json:",omitempty"`
	BinaryValue []byte  `xml:"-" json:",omitempty"`
}

// String returns an attribute of the type String.
func String(value string) Attribute { return Attribute{DataType: "String", StringValue: &value} }

func (a Attribute) binary() bool { return strings.HasPrefix(a.DataType, "Binary") }

func (a Attribute) value() []byte {
	if a.binary() || a.StringValue == nil {
		return a.BinaryValue
	}
	return []byte(*a.StringValue)
}

// Digest returns the MD5 of attributes in hexadecimal ("Calculating the MD5 message
// digest for message attributes", Amazon SQS developer guide), "" for none.
func Digest(attributes map[string]Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	h := md5.New()
	part := func(b []byte) {
		_ = binary.Write(h, binary.BigEndian, uint32(len(b)))
		_, _ = h.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		part([]byte(name))
		part([]byte(a.DataType))
		if a.binary() {
			_, _ = h.Write([]byte{2})
		} else {
			_, _ = h.Write([]byte{1})
		}
		part(a.value())
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digest(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

const (
	maxSize       = 1 << 20 // of a message, and of a batch
	maxAttributes = 10
	maxName       = 256
)

var (
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	dataType      = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)
)

// checkAttributes returns the error with which SQS rejects a message's attributes.
func checkAttributes(attributes map[string]Attribute) *Error {
	if len(attributes) > maxAttributes {
		return invalidValue("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(attributes), maxAttributes)
	}
	for name, a := range attributes {
		lower := strings.ToLower(name)
		switch {
		case len(name) > maxName || !attributeName.MatchString(name) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
			return invalidValue("Message (user) attribute name %q is invalid.", name)
		case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
			return invalidValue("Message (user) attribute name can not start with AWS. or Amazon.")
		case !dataType.MatchString(a.DataType) || len(a.DataType) > maxName:
			return invalidValue("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		case len(a.value()) == 0:
			return invalidValue("The message attribute '%s' must contain a non-empty message attribute value for its type.", name)
		}
	}
	return nil
}

// traceHeader is the form of X-Amzn-Trace-Id: a root, then optional fields.
var traceHeader = regexp.MustCompile(`^Root=1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}(;(Parent=[0-9a-fA-F]{16}|Sampled=[01?]|[A-Za-z]+=[^;]*))*$`)

// WellFormed reports whether an X-Ray trace header has the form that SQS accepts.
func WellFormed(header string) bool {
	return len(header) <= maxName && traceHeader.MatchString(strings.ReplaceAll(header, "; ", ";"))
}

const traceAttribute = "AWSTraceHeader"

func checkSystem(attributes map[string]Attribute) *Error {
	for name, a := range attributes {
		if name != traceAttribute {
			return invalidValue("Message system attribute name '%s' is invalid.", name)
		}
		if a.DataType != "String" || a.StringValue == nil || !WellFormed(*a.StringValue) {
			return invalidValue("The message system attribute %s has an invalid value.", name)
		}
	}
	return nil
}

// size returns the size of a message: its body and its attributes' names, types and
// values. System attributes do not count.
func size(body string, attributes map[string]Attribute) int {
	n := len(body)
	for name, a := range attributes {
		n += len(name) + len(a.DataType) + len(a.value())
	}
	return n
}

// validText reports whether XML can represent the body, as SQS requires.
func validText(body string) bool {
	for _, r := range body {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD && r != 0xFFFD, r >= 0x10000:
		case r == 0xFFFD:
		default:
			return false
		}
	}
	return true
}

// selected returns the attributes that a receiver requested. A requested name may
// also be "All", or a prefix followed by ".*".
func selected[V any](attributes map[string]V, names []string) map[string]V {
	chosen := map[string]V{}
	for name, value := range attributes {
		if slices.ContainsFunc(names, func(asked string) bool {
			prefix, several := strings.CutSuffix(asked, ".*")
			return asked == "All" || asked == name || several && (prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"."))
		}) {
			chosen[name] = value
		}
	}
	return chosen
}
