package otlp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// expiryMargin is how long before their expiration credentials are fetched again.
const expiryMargin = 5 * time.Minute

// Credentials returns a source of the credentials that Lambda gives a process:
// those in environment variables, or with SnapStart those of the container
// credentials endpoint, which are fetched again before they expire. It is safe for
// concurrent use. Errors name what is missing.
func Credentials(getenv func(string) string, client *http.Client) func(context.Context) (aws.Credentials, error) {
	var mu sync.Mutex
	var kept aws.Credentials
	return func(ctx context.Context) (aws.Credentials, error) {
		if id := getenv("AWS_ACCESS_KEY_ID"); id != "" {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: getenv("AWS_SESSION_TOKEN")}, nil
		}
		url := getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
		if url == "" {
			return aws.Credentials{}, errors.New("neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set")
		}
		mu.Lock()
		defer mu.Unlock()
		if kept.AccessKeyID != "" && time.Until(kept.Expires) > expiryMargin {
			return kept, nil
		}
		token := getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
		if file := getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
			if data, err := os.ReadFile(file); err == nil {
				token = string(data)
			}
		}
		fetched, err := fetchCredentials(ctx, client, url, token)
		if err != nil {
			return aws.Credentials{}, err
		}
		kept = fetched
		return kept, nil
	}
}

func fetchCredentials(ctx context.Context, client *http.Client, url, token string) (aws.Credentials, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("fetch credentials: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("fetch credentials: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return aws.Credentials{}, fmt.Errorf("fetch credentials: the endpoint answered %s", resp.Status)
	}
	var answer struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer); err != nil {
		return aws.Credentials{}, fmt.Errorf("fetch credentials: read answer: %w", err)
	}
	return aws.Credentials{
		AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.Token,
		CanExpire: true, Expires: answer.Expiration,
	}, nil
}
