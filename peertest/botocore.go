package peertest

import (
	"embed"
	"os"
	"testing"
)

// models is what botocore is told of services that an older one does not know.
//
//go:embed testdata/botocore
var models embed.FS

// BotocoreModels returns a folder for AWS_DATA_PATH, in which botocore finds
// PutEvents and PutRawEvents of EventBridgeV2. A botocore that has the service
// itself, from late 2026 on, needs none.
func BotocoreModels(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.CopyFS(dir, models); err != nil {
		tb.Fatal(err)
	}
	return dir + "/testdata/botocore"
}
