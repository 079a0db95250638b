package alarmscmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/resourcepolicy"
)

// snsAPI has the operations of SNS's client that topics calls.
type snsAPI interface {
	sns.ListSubscriptionsByTopicAPIClient
	GetTopicAttributes(context.Context, *sns.GetTopicAttributesInput, ...func(*sns.Options)) (*sns.GetTopicAttributesOutput, error)
}

// keyAPI has the operations of KMS's client that topics calls.
type keyAPI interface {
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	GetKeyPolicy(context.Context, *kms.GetKeyPolicyInput, ...func(*kms.Options)) (*kms.GetKeyPolicyOutput, error)
}

// topics implements [cloudwatch.Topics] with SNS and KMS.
type topics struct {
	api  snsAPI
	keys keyAPI
}

func newTopics(cfg aws.Config) topics {
	return topics{sns.NewFromConfig(cfg), kms.NewFromConfig(cfg)}
}

// Subscribers counts the subscriptions that have an ARN. A subscription without
// confirmation has none.
func (t topics) Subscribers(ctx context.Context, topic string) (int, error) {
	confirmed := 0
	pages := sns.NewListSubscriptionsByTopicPaginator(t.api, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if missing := new(types.NotFoundException); errors.As(err, &missing) {
			return 0, nil
		}
		if err != nil {
			return 0, cloudwatch.Explain("read the subscriptions of "+topic, "sns:ListSubscriptionsByTopic", err)
		}
		for _, sub := range out.Subscriptions {
			if strings.HasPrefix(aws.ToString(sub.SubscriptionArn), "arn:") {
				confirmed++
			}
		}
	}
	return confirmed, nil
}

// snsKey is the key that SNS creates in an account. Its policy cannot be changed, and
// does not let CloudWatch use the key ("Key management", Amazon SNS developer guide).
const snsKey = "alias/aws/sns"

// Key checks whether the policy of an encrypted topic's key allows CloudWatch's alarms
// kms:Decrypt and kms:GenerateDataKey*, which publishing needs ("Enable compatibility
// between event sources from AWS services and encrypted topics", Amazon SNS developer
// guide). If the role cannot read the key, the result says so, and err is nil.
func (t topics) Key(ctx context.Context, topic, alarm string) (cloudwatch.Key, error) {
	out, err := t.api.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &topic})
	if missing := new(types.NotFoundException); errors.As(err, &missing) {
		return cloudwatch.Key{}, nil // Subscribers reports it
	}
	if err != nil {
		return unread("whether "+topic+" is encrypted", "sns:GetTopicAttributes", err)
	}
	id := out.Attributes["KmsMasterKeyId"]
	switch {
	case id == "":
		return cloudwatch.Key{}, nil
	case strings.HasSuffix(id, snsKey):
		return cloudwatch.Key{Blocked: "the policy of " + snsKey + " cannot be changed: use a customer managed key"}, nil
	}
	if !strings.HasPrefix(id, "arn:") { // a name means a key in the topic's Region
		parts := strings.SplitN(topic, ":", 6)
		name := id
		if !strings.HasPrefix(id, "alias/") {
			name = "key/" + id
		}
		id = strings.Join([]string{parts[0], parts[1], "kms", parts[3], parts[4], name}, ":")
	}
	key, err := t.keys.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if missing := new(kmstypes.NotFoundException); errors.As(err, &missing) {
		return cloudwatch.Key{Blocked: "there is no key " + id}, nil
	}
	if err != nil {
		return unread("the key "+id, "kms:DescribeKey", err)
	}
	if state := key.KeyMetadata.KeyState; state != kmstypes.KeyStateEnabled && state != "" {
		return cloudwatch.Key{Blocked: fmt.Sprintf("the key %s is %s", id, state)}, nil
	}
	policy, err := t.keys.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: key.KeyMetadata.KeyId, PolicyName: aws.String("default")})
	if err != nil {
		return unread("the policy of "+id, "kms:GetKeyPolicy", err)
	}
	if why := keyPolicy(aws.ToString(policy.Policy), aws.ToString(key.KeyMetadata.Arn), topic, alarm); why != "" {
		return cloudwatch.Key{Blocked: "the policy of " + id + ": " + why}, nil
	}
	return cloudwatch.Key{}, nil
}

// unread returns the result for a key that the role cannot read.
func unread(what, permission string, err error) (cloudwatch.Key, error) {
	var api smithy.APIError
	if errors.As(err, &api) && slices.ContainsFunc([]string{"AccessDenied", "AuthorizationError", "NotAuthorized"}, func(s string) bool { return strings.HasPrefix(api.ErrorCode(), s) }) {
		return cloudwatch.Key{Unread: fmt.Sprintf("%s cannot be read: the role lacks %s", what, permission)}, nil
	}
	return cloudwatch.Key{}, cloudwatch.Explain("read "+what, permission, err)
}

// keyPolicy returns why a key's policy does not let CloudWatch publish an alarm to a
// topic, or "" if it does.
func keyPolicy(policy, key, topic, alarm string) string {
	parts := strings.SplitN(topic, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	source := strings.Join([]string{parts[0], parts[1], "cloudwatch", parts[3], parts[4], "alarm:" + alarm}, ":")
	context := map[string]string{
		"kms:encryptioncontext:aws:sns:topicarn": topic, "kms:calleraccount": parts[4],
		"kms:viaservice": "sns." + parts[3] + ".amazonaws.com",
	}
	for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
		if why := resourcepolicy.AllowsService(policy, "cloudwatch.amazonaws.com", action, key, source, context); why != "" {
			return why + ": it must allow kms:Decrypt and kms:GenerateDataKey*"
		}
	}
	return ""
}
