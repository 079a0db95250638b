package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// Error is a call that AWS refused, with the next step for the user.
type Error struct {
	Step string // the step that failed
	Next string // what the user can do; empty if unknown
	// Fatal reports that every other call would fail as well.
	Fatal bool
	Err   error // the client's

	text string // replaces the text of Err
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

// Explain returns err as an [*Error]. step is the step that failed, and permission is the
// IAM action that the call needs.
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
		e.text = "no AWS credentials were found"
		e.Next, e.Fatal = "set AWS_PROFILE or give --profile, or run aws sso login", true
	case strings.Contains(err.Error(), "ResolveEndpoint"), strings.Contains(err.Error(), "region"):
		e.Next, e.Fatal = "give --region or set AWS_REGION", true
	}
	return e
}

func next(code, permission string) (what string, fatal bool) {
	switch {
	case slices.Contains([]string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}, code):
		return "the credentials have expired: renew them, for example with aws sso login", true
	case slices.Contains([]string{"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure", "MissingAuthenticationToken"}, code):
		return "the credentials are not valid: check them with aws sts get-caller-identity", true
	case strings.HasPrefix(code, "AccessDenied"):
		return "the role lacks " + permission + ": `throughline alarms policy` prints the policy that it needs", true
	case strings.HasPrefix(code, "Throttl"), code == "TooManyRequestsException", code == "RequestLimitExceeded":
		return "CloudWatch throttles: it takes three changes a second of an account; run the command again in a minute, and it continues", true
	case code == "LimitExceeded", code == "LimitExceededFault":
		return "the account has reached its quota of alarms: request an increase in Service Quotas, or disable alarms in the spec", false
	default:
		return "", false
	}
}
