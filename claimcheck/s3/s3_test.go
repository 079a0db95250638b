package s3

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/throughline/throughline/claimcheck"
	"github.com/throughline/throughline/peertest"
)

// bucket is a new bucket in moto's S3.
func bucket(t *testing.T, name string) *s3.Client {
	t.Helper()
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(peertest.Moto(t)), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIALOCAL", "local", ""),
	})
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return client
}

func store(t *testing.T, api API, config Config) *Store {
	t.Helper()
	s, err := New(api, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var detail = `{"event_id":"e-1","rows":"` + strings.Repeat("ü", 300_000) + `"}`

func claim(t *testing.T, s claimcheck.Store) string {
	t.Helper()
	c, err := claimcheck.New(claimcheck.Config{Store: s, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := c.Put(t.Context(), detail, claimcheck.Names{EventType: "Data Lake Updated+ü", CorrelationID: "w 1", EventID: "e-1"})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

func only(t *testing.T, client *s3.Client, name string) *string {
	t.Helper()
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &name})
	if err != nil || len(list.Contents) != 1 {
		t.Fatalf("objects %+v, %v", list, err)
	}
	return list.Contents[0].Key
}

func TestClaimsInS3(t *testing.T) {
	name := "claims"
	client := bucket(t, name)
	s := store(t, client, Config{Bucket: name, Tags: map[string]string{"team": "trading & co"}})
	payload := []byte(`{"detail-type":"T","detail":` + claim(t, s) + `}`)
	got, _, err := claimcheck.Restore(t.Context(), s, payload)
	if want := `{"detail-type":"T","detail":` + detail + `}`; err != nil || string(got) != want {
		t.Fatalf("restored %d bytes, %v; want %d", len(got), err, len(want))
	}
	key := only(t, client, name)
	if !strings.HasPrefix(*key, "throughline/claims/Data%20Lake%20Updated%2B%C3%BC/w%201/e-1/") {
		t.Errorf("key %s", *key)
	}
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &name, Key: key})
	if err != nil || head.ServerSideEncryption != types.ServerSideEncryptionAes256 || aws.ToString(head.ContentType) != "application/json" {
		t.Errorf("object %+v, %v", head, err)
	}
	tags, err := client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, tag := range tags.TagSet {
		set[*tag.Key] = *tag.Value
	}
	if len(set) != 3 || set["throughline"] != "claim" || set["event-type"] != "Data Lake Updated+_" || set["team"] != "trading _ co" {
		t.Errorf("tags %v", set)
	}

	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: key, Body: strings.NewReader(strings.Replace(detail, "e-1", "e-2", 1))}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := claimcheck.Restore(t.Context(), s, payload); !errors.Is(err, claimcheck.ErrAltered) {
		t.Errorf("altered: %v", err)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: key, Body: strings.NewReader(detail + " ")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := claimcheck.Restore(t.Context(), s, payload); !errors.Is(err, claimcheck.ErrAltered) {
		t.Errorf("longer: %v", err)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &name, Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := claimcheck.Restore(t.Context(), s, payload); !errors.Is(err, claimcheck.ErrMissing) {
		t.Errorf("missing: %v", err)
	}
}

func TestKMS(t *testing.T) {
	name := "claims-kms"
	client := bucket(t, name)
	s := store(t, client, Config{Bucket: name, KMSKeyID: "alias/claims"})
	sent := claim(t, s)
	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &name, Key: only(t, client, name)})
	if err != nil || head.ServerSideEncryption != types.ServerSideEncryptionAwsKms || !strings.Contains(aws.ToString(head.SSEKMSKeyId), "alias/claims") || !aws.ToBool(head.BucketKeyEnabled) {
		t.Errorf("object %+v, %v", head, err)
	}
	if got, _, err := claimcheck.Restore(t.Context(), s, []byte(sent)); err != nil || string(got) != detail {
		t.Errorf("restored %d bytes, %v", len(got), err)
	}
}

func TestOtherBuckets(t *testing.T) {
	client := bucket(t, "theirs")
	bucket(t, "ours")
	sent := []byte(claim(t, store(t, client, Config{Bucket: "theirs"})))
	if _, _, err := claimcheck.Restore(t.Context(), store(t, client, Config{Bucket: "ours"}), sent); err == nil || !strings.Contains(err.Error(), "add it to ReadBuckets") {
		t.Errorf("a stranger's bucket: %v", err)
	}
	if got, _, err := claimcheck.Restore(t.Context(), store(t, client, Config{Bucket: "ours", ReadBuckets: []string{"theirs"}}), sent); err != nil || string(got) != detail {
		t.Errorf("a bucket that is read: %d bytes, %v", len(got), err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := New(nil, Config{}); err == nil || !strings.Contains(err.Error(), "no bucket") {
		t.Errorf("without a bucket: %v", err)
	}
	client := bucket(t, "there")
	s := store(t, client, Config{Bucket: "not-there"})
	c, err := claimcheck.New(claimcheck.Config{Store: s, ConsumersUnderstand: true})
	if err != nil {
		t.Fatal(err)
	}
	var api smithy.APIError
	if sent, err := c.Put(t.Context(), detail, claimcheck.Names{}); !errors.As(err, &api) || api.ErrorCode() != "NoSuchBucket" || sent != "" || !strings.Contains(err.Error(), "S3 bucket not-there") {
		t.Errorf("%q, %v", sent, err)
	}
}

// denied is an S3 as a role sees it that may not list the bucket.
type denied struct{ memory }

func (denied) GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return nil, &smithy.GenericAPIError{Code: "AccessDenied", Message: "on purpose"}
}

func TestADeniedObjectMayBeGone(t *testing.T) {
	s := store(t, denied{memory{}}, Config{Bucket: "claims"})
	if _, err := s.Get(t.Context(), claimcheck.Claim{Bucket: "claims", Key: "throughline/claims/k"}); err == nil || !strings.Contains(err.Error(), "the object is gone and the role lacks s3:ListBucket") {
		t.Errorf("error %v", err)
	}
}

// counting is an S3 whose objects say how much of them is read.
type counting struct {
	memory
	length int64
	read   int
}

func (c *counting) GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return &s3.GetObjectOutput{Body: io.NopCloser(c), ContentLength: &c.length}, nil
}

func (c *counting) Read(p []byte) (int, error) {
	c.read += len(p)
	return len(p), nil
}

// The store's answer bounds what is read, and the prefix what is asked for.
func TestAStrangersClaim(t *testing.T) {
	for _, tt := range []struct {
		name   string
		claim  claimcheck.Claim
		length int64
		want   string
	}{
		{"LargeObject", claimcheck.Claim{Bucket: "claims", Key: "throughline/claims/k", Size: 300_000_000}, 300_000_000, claimcheck.ErrAltered.Error()},
		{"LargerThanItSays", claimcheck.Claim{Bucket: "claims", Key: "throughline/claims/k", Size: 10}, 300_000_000, claimcheck.ErrAltered.Error()},
		{"SmallerThanItSays", claimcheck.Claim{Bucket: "claims", Key: "throughline/claims/k", Size: 10_000_000}, 10, claimcheck.ErrAltered.Error()},
		{"OtherKey", claimcheck.Claim{Bucket: "claims", Key: "payroll/2026.csv", Size: 10}, 10, "a key outside throughline/claims/"},
		{"KeyThatBeginsAlike", claimcheck.Claim{Bucket: "claims", Key: "throughline/claims-of-others/k", Size: 10}, 10, "a key outside throughline/claims/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api := &counting{length: tt.length}
			data, err := store(t, api, Config{Bucket: "claims"}).Get(t.Context(), tt.claim)
			if err == nil || !strings.Contains(err.Error(), tt.want) || data != nil || api.read != 0 {
				t.Errorf("%d bytes, %v, read %d", len(data), err, api.read)
			}
		})
	}
	api := &counting{length: 10}
	if data, err := store(t, api, Config{Bucket: "claims", Prefix: "/orders/"}).Get(t.Context(), claimcheck.Claim{Bucket: "claims", Key: "orders/k", Size: 10}); err != nil || len(data) != 10 {
		t.Errorf("under a prefix of one's own: %d bytes, %v", len(data), err)
	}
}
