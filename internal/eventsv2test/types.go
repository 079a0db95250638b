package eventsv2test

import (
	"time"

	"github.com/aws/smithy-go/document"
	"github.com/aws/smithy-go/middleware"
)

// PutEventsInput is the input of PutEvents. Its fields, and those of the other
// types here, are those of AWS's client.
type PutEventsInput struct {
	Entries                    []PutEventsRequestEntry
	EventBusArn                *string
	DeduplicationConfiguration *DeduplicationConfiguration

	_ document.NoSerde // not exported, as in generated types
}

// PutEventsRequestEntry is an event.
type PutEventsRequestEntry struct {
	DetailType     *string
	Source         *string
	Detail         *string
	Resources      []string
	SystemMetadata *PutEventsSystemMetadata
	Time           *time.Time

	_ document.NoSerde // not exported, as in generated types
}

// PutEventsSystemMetadata configures how an event is ordered and deduplicated.
type PutEventsSystemMetadata struct {
	DeduplicationId *string
	EventGroupId    *string

	_ document.NoSerde // not exported, as in generated types
}

// DeduplicationConfiguration is how the bus detects repeats.
type DeduplicationConfiguration struct {
	DeduplicationType DeduplicationType

	_ document.NoSerde // not exported, as in generated types
}

// DeduplicationType is the method by which the bus detects repeats.
type DeduplicationType string

// DeduplicationTypeContentBased is by the content of the entries.
const DeduplicationTypeContentBased DeduplicationType = "CONTENT_BASED"

// PutEventsOutput is the output of PutEvents.
type PutEventsOutput struct {
	Entries          []PutEventsResultEntry
	FailedEntryCount int32
	ResultMetadata   middleware.Metadata

	_ document.NoSerde // not exported, as in generated types
}

// SuccessCode is the result of an entry that was accepted.
type SuccessCode string

// PutEventsResultEntry is the result of an entry.
type PutEventsResultEntry struct {
	ErrorCode      *string
	ErrorMessage   *string
	EventId        *string
	SequenceNumber *string
	SuccessCode    SuccessCode

	_ document.NoSerde // not exported, as in generated types
}

// PutRawEventsInput is the input of PutRawEvents.
type PutRawEventsInput struct {
	Entries                    []PutRawEventsRequestEntry
	EventBusArn                *string
	DeduplicationConfiguration *DeduplicationConfiguration

	_ document.NoSerde // not exported, as in generated types
}

// PutRawEventsRequestEntry is an event of any content.
type PutRawEventsRequestEntry struct {
	Data           []byte
	SystemMetadata *PutRawEventsSystemMetadata
	Metadata       map[string]string

	_ document.NoSerde // not exported, as in generated types
}

// PutRawEventsSystemMetadata is the type of the data, and how it is ordered and deduplicated.
type PutRawEventsSystemMetadata struct {
	ContentType     *string
	DeduplicationId *string
	EventGroupId    *string

	_ document.NoSerde // not exported, as in generated types
}

// PutRawEventsOutput is the output of PutRawEvents.
type PutRawEventsOutput struct {
	Entries          []PutRawEventsResultEntry
	FailedEntryCount int32
	ResultMetadata   middleware.Metadata

	_ document.NoSerde // not exported, as in generated types
}

// PutRawEventsResultEntry is the result of an entry.
type PutRawEventsResultEntry struct {
	ErrorCode      *string
	ErrorMessage   *string
	EventId        *string
	SequenceNumber *string
	SuccessCode    SuccessCode

	_ document.NoSerde // not exported, as in generated types
}
