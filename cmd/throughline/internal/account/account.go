// Package account is how the commands reach an AWS account: the flags, as the
// AWS CLI has them, and what is read of CloudWatch's metrics.
package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/spf13/pflag"
)

// Configure gives what an AWS client is made with: config.LoadDefaultConfig.
type Configure func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error)

// Flags are the flags of a command that speaks to AWS. The zero value is the
// environment's account.
type Flags struct {
	Profile, Region, Endpoint string
}

// Bind adds --profile, --region and --endpoint-url.
func (f *Flags) Bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.Profile, "profile", "", "use the AWS profile `NAME`; empty means AWS_PROFILE, or the default profile")
	flags.StringVar(&f.Region, "region", "", "use the AWS `REGION`; empty means that of the environment or the profile")
	flags.StringVar(&f.Endpoint, "endpoint-url", "", "send AWS calls to `URL`, such as that of a local stand-in")
}

// Config is what clients are made with. It returns an error where the
// configuration cannot be read or names no Region.
func (f Flags) Config(ctx context.Context, configure Configure) (aws.Config, error) {
	var load []func(*config.LoadOptions) error
	if f.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(f.Profile))
	}
	if f.Region != "" {
		load = append(load, config.WithRegion(f.Region))
	}
	const attempts = 8
	load = append(load, config.WithRetryMode(aws.RetryModeAdaptive), config.WithRetryMaxAttempts(attempts))
	cfg, err := configure(ctx, load...)
	if err != nil {
		return cfg, fmt.Errorf("configure AWS: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("there is no Region: give --region, or set AWS_REGION")
	}
	cfg.Logger = logging.Nop{} // the SDK's own writes to the terminal what a server says
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = patient{cfg.HTTPClient}
	if f.Endpoint != "" {
		cfg.BaseEndpoint = &f.Endpoint
	}
	return cfg, nil
}

// patient is an HTTP client that takes an answer which arrives before net/http has seen the end of the
// request's body. smithy-go v1.28.9 closes the body then, and the WriteTo of a closed body returns io.EOF,
// which net/http takes for a failed write: it closes the connection, and an answer that was not read yet is
// lost. The call is made again, and messages that the lost answer held stay hidden in their queue.
type patient struct{ aws.HTTPClient }

func (c patient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context()) // a copy
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

// ErrorCode is the error code that AWS answered with, "" where there is none.
func ErrorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}
