package alarmscmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
)

// subscriptions answers ListSubscriptionsByTopic, a subscription a page.
type subscriptions map[string][]string

func (s subscriptions) ListSubscriptionsByTopic(_ context.Context, in *sns.ListSubscriptionsByTopicInput, _ ...func(*sns.Options)) (*sns.ListSubscriptionsByTopicOutput, error) {
	if *in.TopicArn == "refused" {
		return nil, errors.New("no")
	}
	list, ok := s[*in.TopicArn]
	if !ok {
		return nil, &types.NotFoundException{}
	}
	at := 0
	if in.NextToken != nil {
		if _, err := fmt.Sscan(*in.NextToken, &at); err != nil {
			return nil, err
		}
	}
	out := &sns.ListSubscriptionsByTopicOutput{}
	if at < len(list) {
		out.Subscriptions = []types.Subscription{{SubscriptionArn: aws.String(list[at])}}
	}
	if at+1 < len(list) {
		out.NextToken = aws.String(fmt.Sprint(at + 1))
	}
	return out, nil
}

func (s subscriptions) GetTopicAttributes(context.Context, *sns.GetTopicAttributesInput, ...func(*sns.Options)) (*sns.GetTopicAttributesOutput, error) {
	return nil, &smithy.GenericAPIError{Code: "AuthorizationError"}
}

func TestSubscribers(t *testing.T) {
	count := topics{api: subscriptions{"none": nil, "waiting": {"PendingConfirmation", "Deleted"}, "second page": {"PendingConfirmation", "arn:aws:sns:eu-west-1:1:x:y"}}}
	for topic, want := range map[string]int{"none": 0, "waiting": 0, "second page": 1, "missing": 0} {
		if got, err := count.Subscribers(t.Context(), topic); err != nil || got != want {
			t.Errorf("%s: %d, %v", topic, got, err)
		}
	}
	if _, err := count.Subscribers(t.Context(), "refused"); err == nil {
		t.Error("an error of SNS is lost")
	}
	// What the role may not look at is no failure of drift's.
	if key, err := count.Key(t.Context(), "t", "a"); err != nil || !strings.Contains(key.Unread, "the role lacks sns:GetTopicAttributes") {
		t.Errorf("%+v, %v", key, err)
	}
}

// TestKeyOfATopic: keys of moto's KMS, by ARN, ID and alias, with the policies that AWS's
// pages and people's templates have.
func TestKeyOfATopic(t *testing.T) {
	(&standIn{allow: -1}).start(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, notify := kms.NewFromConfig(cfg), sns.NewFromConfig(cfg)
	const (
		root    = `{"Sid":"root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}`
		allowed = `{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Resource":"*"%s}`
	)
	with := func(condition string) string { return root + "," + fmt.Sprintf(allowed, condition) }
	n := 0
	for name, tt := range map[string]struct{ statements, by, want string }{
		"root alone":    {root, "arn", "no statement allows kms:Decrypt to cloudwatch.amazonaws.com"},
		"as documented": {with(""), "arn", ""},
		"by ID":         {with(""), "id", ""},
		"by alias":      {with(""), "alias", ""},
		"alias, closed": {root, "alias", "no statement allows"},
		"no data key":   {root + `,{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"kms:Decrypt","Resource":"*"}`, "arn", "no statement allows kms:GenerateDataKey"},
		"EventBridge":   {root + `,{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"kms:*","Resource":"*"}`, "arn", "no statement allows"},
		"these alarms":  {with(`,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:*:alarm:orders-*"},"StringEquals":{"aws:SourceAccount":"ACCOUNT","kms:EncryptionContext:aws:sns:topicArn":"TOPIC"}}`), "arn", ""},
		"other alarms":  {with(`,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:*:alarm:billing-*"}}`), "arn", "not orders-errors"},
		"denied":        {with("") + `,{"Effect":"Deny","Principal":"*","Action":"kms:GenerateDataKey*","Resource":"*"}`, "arn", "a statement denies it"},
		"SNS's own":     {"", "alias/aws/sns", "cannot be changed"},
		"gone":          {"", "alias/gone", "there is no key"},
		"plain":         {"", "", ""},
	} {
		n++
		topicName := fmt.Sprintf("t%d", n)
		topic, err := notify.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &topicName})
		if err != nil {
			t.Fatal(err)
		}
		id := tt.by
		if tt.statements != "" {
			account := strings.Split(*topic.TopicArn, ":")[4]
			statements := strings.NewReplacer("ACCOUNT", account, "TOPIC", *topic.TopicArn).Replace(tt.statements)
			policy := `{"Version":"2012-10-17","Statement":[` + statements + `]}`
			key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: &policy, BypassPolicyLockoutSafetyCheck: true})
			if err != nil {
				t.Fatal(err)
			}
			switch tt.by {
			case "arn":
				id = *key.KeyMetadata.Arn
			case "id":
				id = *key.KeyMetadata.KeyId
			case "alias":
				id = "alias/" + topicName
				if _, err := keys.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &id, TargetKeyId: key.KeyMetadata.KeyId}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if id != "" {
			if _, err := notify.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: topic.TopicArn, AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: &id}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := newTopics(cfg).Key(t.Context(), *topic.TopicArn, "orders-errors")
		if err != nil || (tt.want == "") != (got.Blocked == "") || !strings.Contains(got.Blocked, tt.want) || got.Unread != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if name != "root alone" {
			continue
		}
		// drift says so, and test does not call it delivered.
		if _, err := notify.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:eu-west-1:123456789012:q")}); err != nil {
			t.Fatal(err)
		}
		spec := file(t, "alarms.yaml", "name: keyed\nnotify: {critical: [\""+*topic.TopicArn+"\"]}\nresources: [{kind: dlq, name: dead}]\n")
		run(t, "alarms", "apply", "-f", spec, "--yes").want(t, 0, "1 done")
		run(t, "alarms", "drift", "-f", spec).want(t, 1, "undeliverable "+*topic.TopicArn, "CloudWatch has no access to its KMS key")
		run(t, "alarms", "test", "-f", spec, "dead-depth").want(t, 1, "not delivered keyed/dead-depth", "CloudWatch has no access to its KMS key")
	}
}
