package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/internal/assemble"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/settings"
)

// inLambda are the settings without a meaning outside Lambda: those of the wrapper, and
// when to export relative to invocations.
var inLambda = map[string]bool{"FLUSH": true, "NEXT_WRAPPER": true, "PYTHONPATH": true}

func newSidecar(env environment) *cobra.Command {
	flags := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "sidecar",
		Short: "Serve the layer's endpoints outside Lambda: container, laptop",
		Long: `sidecar serves on loopback the endpoints that the layer serves in Lambda: OTLP/HTTP for
spans, EventBridge's API, and Alpaca's API. Set these addresses in an application:

  AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:4319
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
  an Alpaca client's base URL: http://127.0.0.1:4320/paper

With --endpoints runtime and AWS_LAMBDA_RUNTIME_API, sidecar also forwards the Runtime API
between a function and a Lambda emulator. Start the function with
AWS_LAMBDA_RUNTIME_API=127.0.0.1:4321.

sidecar has the settings of the layer. A flag overrides the environment variable of the
same setting. Spans go to OTEL_EXPORTER_OTLP_ENDPOINT, unless that is the sidecar itself.
Metrics go to standard output.

sidecar makes calls with the credentials of the AWS SDK's default chain. Every process
that can reach sidecar can use them, so it listens only on loopback. GET /healthz answers
200 on each endpoint. On SIGTERM, sidecar finishes calls for up to five seconds and
exports the remaining spans.`,
		Example: `  throughline sidecar
  throughline sidecar --endpoints events --events-addr 127.0.0.1:4319 --events-upstream http://127.0.0.1:5000
  throughline sidecar --alpaca-faults delay=2s,error=503:10%`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			getenv := func(name string) string {
				if value := flags[name]; value != nil && *value != "" {
					return *value
				}
				return env.getenv(name)
			}
			return runSidecar(cmd, getenv)
		},
	}
	for _, s := range settings.Table() {
		if inLambda[s.Name] {
			continue
		}
		flags[s.Variable()] = cmd.Flags().String(s.Flag(), "", s.Says()+shownDefault(s))
		complete := cobra.NoFileCompletions
		if values := s.Values(); len(values) > 0 {
			complete = cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		}
		_ = cmd.RegisterFlagCompletionFunc(s.Flag(), complete) // fails only for an unknown flag
	}
	return cmd
}

func shownDefault(s settings.Setting) string {
	if s.Default == "" {
		return ""
	}
	return " (default " + s.Default + ")"
}

// Limits of the garbage collector for many large requests at once. The rest of the
// process takes about 15 MB.
const (
	gcPercent   = 50
	memoryLimit = 20 << 20 // bytes
)

func runSidecar(cmd *cobra.Command, getenv func(string) string) error {
	say := func(message string) { fmt.Fprintln(cmd.ErrOrStderr(), "throughline:", message) }
	// The sidecar keeps its heap small, because it shares the machine with an
	// application.
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	for _, warning := range settings.Unknown(os.Environ()) {
		say(warning)
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	c := assemble.Extension(getenv, chain(), client, terminal.JSON(cmd.OutOrStdout()), say, assemble.OfSidecar())
	c.Log = cmd.ErrOrStderr()
	c.Metrics.Service = cmp.Or(c.Metrics.Service, "sidecar")
	err := extension.Sidecar(cmd.Context(), c, func(addresses map[string]string) {
		forgetCode()
		for _, name := range []string{"otlp", "events", "alpaca", "runtime"} {
			if addresses[name] != "" {
				say(name + " answers at http://" + addresses[name])
			}
		}
		if c.Upstream.URL == "" {
			say("spans are not exported: set OTEL_EXPORTER_OTLP_ENDPOINT to a backend")
		}
	})
	return terminal.In("sidecar", err)
}

// chain is the AWS SDK's default chain of credentials, resolved on first use.
func chain() extension.Credentials {
	var mu sync.Mutex
	var provider aws.CredentialsProvider
	return func(ctx context.Context) (aws.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		if provider == nil {
			c, err := config.LoadDefaultConfig(ctx, account.Quiet)
			if err != nil {
				return aws.Credentials{}, fmt.Errorf("load AWS configuration: %w", err)
			}
			provider = c.Credentials
		}
		return provider.Retrieve(ctx)
	}
}
