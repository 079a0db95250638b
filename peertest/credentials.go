package peertest

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Credentials returns a provider of the given credentials, which never expire.
func Credentials(id, secret, token string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	})
}
