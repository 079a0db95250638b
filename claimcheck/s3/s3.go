// Package s3 stores claimed details in Amazon S3, encrypted and tagged.
//
// Publishers need s3:PutObject and s3:PutObjectTagging on the bucket, and
// kms:GenerateDataKey with a KMS key. Consumers need s3:GetObject, and kms:Decrypt
// with a KMS key. With s3:ListBucket, a consumer gets ErrMissing for a deleted
// object; without it, S3 answers AccessDenied. Give the bucket a lifecycle rule on
// the tag throughline=claim that is longer than the retention of queues, archives and
// dead-letter queues.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/claimcheck"
)

// API is the part of the S3 client that is used.
type API interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Config of a [Store].
type Config struct {
	Bucket string // required: details are put there
	// ReadBuckets are read too: buckets of publishers in other accounts, or buckets
	// that were used before.
	ReadBuckets []string
	// Prefix is the prefix of the keys that are read, as in
	// claimcheck.Config. Empty means claimcheck.DefaultPrefix.
	Prefix string
	// KMSKeyID encrypts with that key (SSE-KMS, with a bucket key). Empty means
	// S3's own keys (SSE-S3).
	KMSKeyID string
	// Owner is the account that must own the bucket. Empty means any.
	Owner string
	// Tags are set in addition to Throughline's own. S3 accepts ten tags in
	// all.
	Tags map[string]string
}

// Store is a claimcheck.Store. It is safe for concurrent use if the API is.
type Store struct {
	api    API
	config Config
}

var _ claimcheck.Store = (*Store)(nil)

// New returns a Store over api, or an error that names what is missing.
func New(api API, config Config) (*Store, error) {
	if config.Bucket == "" {
		return nil, errors.New("claim store: no bucket")
	}
	config.Prefix = cmp.Or(config.Prefix, claimcheck.DefaultPrefix)
	return &Store{api, config}, nil
}

// Put implements claimcheck.Store.
func (s *Store) Put(ctx context.Context, o claimcheck.Object) (string, error) {
	input := &s3.PutObjectInput{
		Bucket: &s.config.Bucket, Key: &o.Key, Body: strings.NewReader(o.Data),
		ContentType: aws.String("application/json"), ServerSideEncryption: types.ServerSideEncryptionAes256, Tagging: aws.String(s.tags(o.Tags)),
	}
	if s.config.KMSKeyID != "" {
		input.ServerSideEncryption, input.SSEKMSKeyId, input.BucketKeyEnabled = types.ServerSideEncryptionAwsKms, &s.config.KMSKeyID, aws.Bool(true)
	}
	if s.config.Owner != "" {
		input.ExpectedBucketOwner = &s.config.Owner
	}
	if _, err := s.api.PutObject(ctx, input); err != nil {
		return "", fmt.Errorf("S3 bucket %s: %w", s.config.Bucket, err)
	}
	return s.config.Bucket, nil
}

func (s *Store) tags(of map[string]string) string {
	tags := url.Values{}
	for _, from := range []map[string]string{of, s.config.Tags} {
		for name, value := range from {
			tags.Set(name, tagValue(value))
		}
	}
	return strings.ReplaceAll(tags.Encode(), "+", "%20")
}

// tagValue is a value that S3 accepts for a tag: letters, digits, space and +
// - = . _ : / @, at most 256.
func tagValue(value string) string {
	const longest = 256
	value = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" +-=._:/@", r) {
			return r
		}
		return '_'
	}, value)
	return value[:min(len(value), longest)]
}

// Get implements claimcheck.Store. It refuses a claim on another bucket or
// prefix, and an object whose size differs from the claim's or exceeds
// claimcheck.MaxDetail, without reading the object.
func (s *Store) Get(ctx context.Context, c claimcheck.Claim) ([]byte, error) {
	if c.Bucket != s.config.Bucket && !slices.Contains(s.config.ReadBuckets, c.Bucket) {
		return nil, fmt.Errorf("the claim names a bucket that this store does not read: add it to ReadBuckets if it is yours")
	}
	if prefix := strings.Trim(s.config.Prefix, "/") + "/"; !strings.HasPrefix(c.Key, prefix) {
		return nil, fmt.Errorf("the claim names a key outside %s, which this store does not read: set Prefix to the publisher's", prefix)
	}
	input := &s3.GetObjectInput{Bucket: &c.Bucket, Key: &c.Key}
	if s.config.Owner != "" && c.Bucket == s.config.Bucket {
		input.ExpectedBucketOwner = &s.config.Owner
	}
	out, err := s.api.GetObject(ctx, input)
	if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
		return nil, claimcheck.ErrMissing
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "AccessDenied" {
		return nil, fmt.Errorf("S3: %w: the role lacks s3:GetObject or the key, or the object is gone and the role lacks s3:ListBucket", err)
	}
	if err != nil {
		return nil, fmt.Errorf("S3: %w", err)
	}
	defer out.Body.Close()
	length := aws.ToInt64(out.ContentLength)
	if length != int64(c.Size) || length > claimcheck.MaxDetail {
		return nil, claimcheck.ErrAltered
	}
	data, err := io.ReadAll(io.LimitReader(out.Body, length))
	if err != nil {
		return nil, fmt.Errorf("S3: read: %w", err)
	}
	return data, nil
}
