package cloudwatch

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
)

// NewClient returns a client for CloudWatch. If the configuration has an endpoint of its
// own, the client speaks the query protocol, which emulators support, instead of CBOR.
func NewClient(cfg aws.Config) *cloudwatch.Client {
	client := cloudwatch.NewFromConfig(cfg)
	if client.Options().BaseEndpoint == nil {
		return client
	}
	return cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
	})
}
