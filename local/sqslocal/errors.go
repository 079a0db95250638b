package sqslocal

import "fmt"

// Error is an error response of SQS's API.
type Error struct {
	Code    string // in the JSON protocol: QueueDoesNotExist
	Query   string // in the query protocol, if different: AWS.SimpleQueueService.NonExistentQueue
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// queryCode returns the code of the query protocol. In the JSON protocol it is in
// the header x-amzn-query-error.
func (e *Error) queryCode() string {
	if e.Query != "" {
		return e.Query
	}
	return e.Code
}

func invalidValue(format string, args ...any) *Error {
	return &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}

func missing(parameter string) *Error {
	return &Error{Code: "MissingParameter", Message: "The request must contain the parameter " + parameter + "."}
}

var (
	errNoQueue = &Error{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."}
	errHandle  = &Error{Code: "ReceiptHandleIsInvalid", Message: "The input receipt handle is invalid."}
	errExpired = invalidValue("The receipt handle has expired.")
	errIdle    = &Error{"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", "The message referred to is not in flight."}
	errEmpty   = &Error{"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "There should be at least one entry in the request."}
	errMany    = &Error{"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10."}
	errSameID  = &Error{"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."}
	errID      = &Error{"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."}
	errLong    = &Error{"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes."}
)
