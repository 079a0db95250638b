package deadletter

import (
	"bytes"
	"encoding/json"
)

// Parse reads messages in the output of `aws sqs receive-message`, a single message, or
// one message a line, as --keep writes them. It returns nil if data is none of these.
func Parse(data []byte) []Message {
	var list []Message
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var one struct {
			Message
			Messages []Message
		}
		if decoder.Decode(&one) != nil {
			return list
		}
		switch {
		case one.Messages != nil:
			list = append(list, one.Messages...)
		case one.Body != "" && (one.ID != "" || one.Attributes != nil || one.System != nil):
			list = append(list, one.Message)
		default:
			return list
		}
	}
}
