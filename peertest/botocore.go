package peertest

import (
	"embed"
	"os"
	"testing"
)

// models are botocore's models of services that older versions of it do not have.
//
//go:embed testdata/botocore
var models embed.FS

// BotocoreModels returns a folder for AWS_DATA_PATH, in which botocore finds
// PutEvents and PutRawEvents of EventBridgeV2. Versions of botocore from late 2026
// on have the service and do not need it.
func BotocoreModels(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.CopyFS(dir, models); err != nil {
		tb.Fatal(err)
	}
	return dir + "/testdata/botocore"
}
