package lineage

import "strings"

// Operation is the API operation that publishes an entry. The zero value is PutEvents
// of EventBridge's classic buses.
type Operation uint8

// The operations.
const (
	ClassicPutEvents Operation = iota
	PutEvents                  // PutEvents of the new custom buses (API EventBridgeV2)
	PutRawEvents               // PutRawEvents of the new custom buses: any bytes, with metadata
)

// maxCarried is the maximum number of resources of an entry of the new PutEvents, and
// of metadata keys of an entry of PutRawEvents (EventBridgeV2 API reference).
const maxCarried = 100

// Metadata is the size of the metadata of an entry of PutRawEvents, including the
// members that carry lineage. The zero value is no metadata.
type Metadata struct {
	Keys  int
	Bytes int // of keys and values
}

// metadataKeys are the keys of a stamp in metadata. They need no quotes in a JSONata
// expression of a subscriber.
var metadataKeys = [fieldCount]string{"correlationid", "causationid", "parentid", "traceparent", "originparent", "hops", "minted"}

// metadataField returns the stamp's field that a key of metadata carries, -1 for none.
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

// MetadataLine returns the line in resources that is equivalent to a member of
// metadata. ok is false if the member does not belong to a stamp.
func MetadataLine(key, value string) (line string, ok bool) {
	at := metadataField(key)
	if at < 0 {
		return "", false
	}
	return fieldNames[at] + ":" + value, true
}

// MetadataMember returns the member of metadata that is equivalent to a line of a
// stamp. ok is false if the line does not belong to a stamp.
func MetadataMember(line string) (key, value string, ok bool) {
	at, value := fieldOf(line)
	if at < 0 {
		return "", "", false
	}
	return metadataKeys[at], value, true
}

// metadataBytes returns the size of lines as members of metadata.
func metadataBytes(lines []string) (n int) {
	for _, line := range lines {
		if key, value, ok := MetadataMember(line); ok {
			n += len(key) + len(value)
		}
	}
	return n
}

// carry returns the entry with the stamp added to its resources or its metadata. why
// is the reason if it cannot.
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

// newBus returns the name of a new custom bus from its ARN, which ends with a
// generated ID.
func newBus(bus string) (name string, ok bool) {
	_, path, ok := strings.Cut(bus, ":event-busv2/")
	name, _, _ = strings.Cut(path, "/")
	return name, ok
}
