package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/local/lambdalocal"
)

// credentials returns the user's credentials and Region with --aws real, else nil.
func (f Flags) credentials(ctx context.Context) (*lambdalocal.Credentials, string, error) {
	switch f.aws {
	case "", "local":
		return nil, "", nil
	case "real":
	default:
		return nil, "", terminal.Misuse("--aws %q: write local or real", f.aws)
	}
	cfg, err := config.LoadDefaultConfig(ctx, account.Quiet)
	if err == nil && cfg.Region == "" {
		err = errors.New("no AWS Region is configured: set AWS_REGION")
	}
	var own aws.Credentials
	if err == nil {
		own, err = account.Credentials(ctx, cfg, "set AWS_PROFILE, or run aws sso login")
	}
	if err != nil {
		return nil, "", terminal.As(terminal.CouldNot, fmt.Errorf("--aws real: %w", err))
	}
	return &lambdalocal.Credentials{AccessKeyID: own.AccessKeyID, SecretAccessKey: own.SecretAccessKey, SessionToken: own.SessionToken}, cfg.Region, nil
}
