package s3

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/throughline/throughline/claimcheck"
)

// memory is an S3 of one bucket.
type memory map[string]string

func (m memory) PutObject(_ context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	data, err := io.ReadAll(in.Body)
	m[*in.Key] = string(data)
	fmt.Println("put", (*in.Key)[:42], in.ServerSideEncryption, aws.ToString(in.Tagging))
	return &s3.PutObjectOutput{}, err
}

func (m memory) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	data := m[*in.Key]
	return &s3.GetObjectOutput{Body: io.NopCloser(strings.NewReader(data)), ContentLength: aws.Int64(int64(len(data)))}, nil
}

// Publisher and consumer share a bucket.
func ExampleNew() {
	store, err := New(memory{}, Config{Bucket: "claims"}) // in a function: s3.NewFromConfig(cfg)
	if err != nil {
		panic(err)
	}
	claims, err := claimcheck.New(claimcheck.Config{Store: store, ConsumersUnderstand: true})
	if err != nil {
		panic(err)
	}
	sent, err := claims.Put(context.Background(), `{"event_id":"e-1","rows":[1,2,3]}`, claimcheck.Names{EventType: "Loaded", CorrelationID: "w-1", EventID: "e-1"})
	if err != nil {
		panic(err)
	}
	detail, _, err := claimcheck.Restore(context.Background(), store, []byte(sent))
	fmt.Println(string(detail), err)
	// Output:
	// put throughline/claims/Loaded/w-1/e-1/89f86ebc AES256 event-type=Loaded&throughline=claim
	// {"event_id":"e-1","rows":[1,2,3]} <nil>
}
