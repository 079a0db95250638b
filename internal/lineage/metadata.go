package lineage

import "strings"

// Operation is the operation that an entry is published by. The zero value is
// PutEvents of EventBridge's classic buses.
type Operation uint8

// The operations.
const (
	ClassicPutEvents Operation = iota
	PutEvents                  // of the new custom buses (API EventBridgeV2)
	PutRawEvents               // of those too: any bytes, with metadata beside them
)

// maxCarried is how many resources an entry of the new PutEvents may have, and how
// many metadata keys one of PutRawEvents (EventBridgeV2 API reference).
const maxCarried = 100

// Metadata is what the metadata of an entry of PutRawEvents weighs, with what
// says its lineage. The zero value is no metadata.
type Metadata struct {
	Keys  int
	Bytes int // of keys and values
}

// metadataKeys are the keys of a stamp in metadata. A JSONata expression of a
// subscriber names them without quotes.
var metadataKeys = [fieldCount]string{"correlationid", "causationid", "parentid", "traceparent", "originparent", "hops", "minted"}

// metadataField is the field that a key of metadata says, below 0 for none.
func metadataField(key string) int {
	switch key {
	case "correlation_id", "correlationId":
		return atCorrelation
	case "causation_id", "causationId":
		return atCausation
	}
	for at, name := range metadataKeys {
		if key == name {
			return at
		}
	}
	return -1
}

// MetadataLine is the line of a stamp in resources that says what a member of
// metadata says. ok is false for a member that is none of our business.
func MetadataLine(key, value string) (line string, ok bool) {
	at := metadataField(key)
	if at < 0 {
		return "", false
	}
	return fieldNames[at] + ":" + value, true
}

// MetadataMember is the member of metadata that says what a line of a stamp says.
func MetadataMember(line string) (key, value string, ok bool) {
	at, value := fieldOf(line)
	if at < 0 {
		return "", "", false
	}
	return metadataKeys[at], value, true
}

// metadataBytes is what members of metadata that say lines weigh.
func metadataBytes(lines []string) (n int) {
	for _, line := range lines {
		if key, value, ok := MetadataMember(line); ok {
			n += len(key) + len(value)
		}
	}
	return n
}

// carry returns the entry with what carries f beside its detail: more resources,
// or more metadata. It says why it could not.
func (f *stampText) carry(entry Entry, handled *Event, budget int) (_ Entry, added int, why string) {
	lines, added := f.lines(entry.Resources, handled)
	count := len(lines)
	if entry.Operation == PutRawEvents {
		added = metadataBytes(lines) - metadataBytes(entry.Resources)
		count += entry.Metadata.Keys - len(entry.Resources)
	}
	switch {
	case added > budget:
		return entry, 0, SkippedBudget
	case entry.Operation != ClassicPutEvents && count > maxCarried && count > len(entry.Resources):
		return entry, 0, SkippedCount
	}
	entry.Resources = lines
	return entry, added, ""
}

// newBus is the name of a new custom bus by its ARN, which a generated ID ends.
func newBus(bus string) (name string, ok bool) {
	_, path, ok := strings.Cut(bus, ":event-busv2/")
	name, _, _ = strings.Cut(path, "/")
	return name, ok
}
