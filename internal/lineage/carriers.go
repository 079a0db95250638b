package lineage

import (
	"encoding/binary"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/throughline/throughline/internal/jsonwalk"
)

// maxID bounds an ID in a stamp, in bytes.
const maxID = 256

// ValidID reports whether s is a valid ID in a stamp: 1 to 256 printable ASCII bytes.
func ValidID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// stamp is the content of one carrier.
type stamp struct {
	correlation, causation, parent string
	publisher, origin              trace.SpanContext
	hops                           int
	hasHops, minted                bool
	malformed                      int
}

// The names of the stamp's fields, in lines and in the detail's member.
const (
	fieldCorrelation = "correlation"
	fieldCausation   = "causation"
	fieldParent      = "parent"
	fieldTraceparent = "traceparent"
	fieldOrigin      = "origin"
	fieldHops        = "hops"
	fieldMinted      = "minted"
)

// isMinted is the only value of a stamp's field minted.
const isMinted = "1"

// maxHops is the highest count in a stamp: six digits.
const maxHops = 999_999

// set sets the field with a name. Of a duplicate field the first counts. It ignores
// names that are not in a stamp.
func (s *stamp) set(name, value string) {
	ok := true
	switch name {
	case fieldCorrelation:
		ok = setID(&s.correlation, value)
	case fieldCausation:
		ok = setID(&s.causation, value)
	case fieldParent:
		ok = setID(&s.parent, value)
	case fieldTraceparent:
		ok = setContext(&s.publisher, value)
	case fieldOrigin:
		ok = setContext(&s.origin, value)
	case fieldHops:
		hops, valid := parseHops(value)
		if ok = valid; ok && !s.hasHops {
			s.hops, s.hasHops = hops, true
		}
	case fieldMinted:
		ok = value == isMinted
		s.minted = s.minted || ok
	}
	if !ok {
		s.malformed++
	}
}

func setID(field *string, value string) bool {
	if !ValidID(value) {
		return false
	}
	if *field == "" {
		*field = value
	}
	return true
}

func setContext(field *trace.SpanContext, value string) bool {
	sc, ok := ParseTraceparent(value)
	if ok && !field.IsValid() {
		*field = sc
	}
	return ok
}

// parseHops reads a count of at most six digits.
func parseHops(s string) (int, bool) {
	if s == "" || len(s) > 6 {
		return 0, false
	}
	hops := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		hops = 10*hops + int(c-'0')
	}
	return hops, true
}

// resourceStamp reads the stamp in an event's resources.
func resourceStamp(resources []string) stamp {
	var s stamp
	for _, line := range resources {
		if name, value, ok := strings.Cut(line, ":"); ok {
			s.set(name, value)
		}
	}
	return s
}

// detailStamp reads the stamp in the detail's member for it.
func detailStamp(raw []byte) stamp {
	var s stamp
	m := jsonwalk.MembersOf(raw, 0)
	for m.Next() {
		s.set(string(m.Key), jsonwalk.Scalar(m.Value))
	}
	if m.After == 0 {
		s.malformed++
	}
	return s
}

// datadogContext reads the trace context that Datadog's tracers write into a detail:
// a traceparent, else Datadog's decimal IDs. flagged reports whether the sampled flag
// is a sampling decision; Datadog's sampling priority is not one for other tracers.
// carries reports whether there are members of a trace context, even malformed ones.
func datadogContext(raw []byte) (sc trace.SpanContext, flagged, carries bool) {
	var config trace.SpanContextConfig
	for m := jsonwalk.MembersOf(raw, 0); m.Next(); {
		switch string(m.Key) {
		case "traceparent":
			carries = true
			if sc, ok := ParseTraceparent(jsonwalk.Text(m.Value)); ok {
				return sc, true, true
			}
		case "x-datadog-trace-id":
			carries = true
			low, _ := strconv.ParseUint(jsonwalk.Scalar(m.Value), 10, 64)
			binary.BigEndian.PutUint64(config.TraceID[8:], low)
		case "x-datadog-parent-id":
			carries = true
			id, _ := strconv.ParseUint(jsonwalk.Scalar(m.Value), 10, 64)
			binary.BigEndian.PutUint64(config.SpanID[:], id)
		case "x-datadog-sampling-priority":
			if priority := jsonwalk.Scalar(m.Value); priority == "1" || priority == "2" {
				config.TraceFlags = trace.FlagsSampled
			}
		case "x-datadog-tags":
			_, tid, _ := strings.Cut(jsonwalk.Text(m.Value), "_dd.p.tid=")
			tid, _, _ = strings.Cut(tid, ",")
			if !unhex(config.TraceID[:8], tid) {
				clear(config.TraceID[:8])
			}
		}
	}
	config.Remote = true
	return trace.NewSpanContext(config), false, carries
}
