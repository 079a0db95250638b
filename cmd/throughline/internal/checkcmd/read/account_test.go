package read

import (
	"testing"

	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/cmd/throughline/internal/system"
)

// TestRefusedCredentials: without a permission the rest can be read, with expired
// credentials nothing can.
func TestRefusedCredentials(t *testing.T) {
	r := &Account{System: &system.System{}}
	if err := r.skipPart(system.Buses, "describe bus x", &smithy.GenericAPIError{Code: "AccessDeniedException"}); err != nil || r.System.Unread[system.Buses] == "" {
		t.Errorf("%v, %v", err, r.System.Unread)
	}
	for _, code := range []string{"ExpiredTokenException", "UnrecognizedClientException"} {
		if err := r.skipPart(system.Rules, "list the rules", &smithy.GenericAPIError{Code: code}); err == nil || r.System.Unread[system.Rules] != "" {
			t.Errorf("%s: %v, %v", code, err, r.System.Unread)
		}
	}
}
