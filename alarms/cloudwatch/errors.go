package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// Error is a call that AWS refused, with what to do about it.
type Error struct {
	Step string // what was being done
	Next string // what to do; empty where nothing is known
	// Fatal says that every other call would fail as well.
	Fatal bool
	Err   error // the client's

	text string // in place of what Err says
}

func (e *Error) Error() string {
	text := e.text
	if text == "" {
		text = e.Err.Error()
	}
	if e.Next != "" {
		text += ": " + e.Next
	}
	return e.Step + ": " + text
}

// Unwrap returns the client's error.
func (e *Error) Unwrap() error { return e.Err }

// Explain returns err as an [Error]: step is what was being done, and permission
// is the IAM action that the call needs.
func Explain(step, permission string, err error) error {
	e := &Error{Step: step, Err: err}
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Fatal = true
	case errors.As(err, &api):
		e.text = fmt.Sprintf("%s: %s", api.ErrorCode(), api.ErrorMessage())
		e.Next, e.Fatal = next(api.ErrorCode(), permission)
	case strings.Contains(err.Error(), "credentials"), strings.Contains(err.Error(), "get identity"):
		e.text = "there are no AWS credentials"
		e.Next, e.Fatal = "set AWS_PROFILE or give --profile, or run aws sso login", true
	case strings.Contains(err.Error(), "ResolveEndpoint"), strings.Contains(err.Error(), "region"):
		e.Next, e.Fatal = "give --region or set AWS_REGION", true
	}
	return e
}

func next(code, permission string) (what string, fatal bool) {
	switch {
	case slices.Contains([]string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}, code):
		return "the credentials have expired: get new ones, as with aws sso login", true
	case slices.Contains([]string{"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure", "MissingAuthenticationToken"}, code):
		return "the credentials are not valid here: look at aws sts get-caller-identity", true
	case strings.HasPrefix(code, "AccessDenied"):
		return "the role lacks " + permission + ": `throughline alarms policy` prints what it needs", true
	case strings.HasPrefix(code, "Throttl"), code == "TooManyRequestsException", code == "RequestLimitExceeded":
		return "CloudWatch takes three changes a second of an account: run it again in a minute, it goes on where it stopped", true
	case code == "LimitExceeded", code == "LimitExceededFault":
		return "the account has no room for more alarms: ask for more with Service Quotas, or disable some in the spec", false
	default:
		return "", false
	}
}
