// Package account is how the commands reach an AWS account: the flags, as the
// AWS CLI has them, and what is read of CloudWatch's metrics.
package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
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
	flags.StringVar(&f.Profile, "profile", "", "the `NAME` of a profile of the AWS CLI; empty means AWS_PROFILE or the default one")
	flags.StringVar(&f.Region, "region", "", "the `REGION`; empty means the environment's or the profile's")
	flags.StringVar(&f.Endpoint, "endpoint-url", "", "another AWS, at `URL`")
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
	if f.Endpoint != "" {
		cfg.BaseEndpoint = &f.Endpoint
	}
	return cfg, nil
}
