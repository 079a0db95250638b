package dynamo

import (
	"fmt"
	"strings"
)

// Template returns the table as a CloudFormation template in YAML, or an
// error if DynamoDB does not accept name.
func Template(name string) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	return fmt.Sprintf(template, name), nil
}

// CheckName returns an error if DynamoDB does not accept a table's name.
func CheckName(name string) error {
	const shortest, longest = 3, 255
	const taken = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	if strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(taken, r) }) || len(name) < shortest || len(name) > longest {
		return fmt.Errorf("%q is no table name: it takes 3 to 255 of a-z, A-Z, 0-9, and _.-", name)
	}
	return nil
}

const template = `AWSTemplateFormatVersion: "2010-09-09"
Description: Which events were seen, for Throughline. What it holds expires by itself.
Resources:
  SeenEvents:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      TableName: %q
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - AttributeName: pk
          AttributeType: S
      KeySchema:
        - AttributeName: pk
          KeyType: HASH
      TimeToLiveSpecification:
        AttributeName: expiry
        Enabled: true
Outputs:
  TableName:
    Description: "The value of THROUGHLINE_DEDUPE is dynamodb:<this name>."
    Value: !Ref SeenEvents
  Policy:
    Description: What the functions need on it is dynamodb:PutItem and dynamodb:UpdateItem.
    Value: !GetAtt SeenEvents.Arn
`
