package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/throughline/throughline/cmd/internal/assemble"
	"github.com/throughline/throughline/extension"
	"github.com/throughline/throughline/internal/settings"
)

// inLambda are the settings that mean nothing outside Lambda: the wrapper's, and
// when to export beside invocations.
var inLambda = map[string]bool{"FLUSH": true, "NEXT_WRAPPER": true, "PYTHONPATH": true}

func newSidecar(env environment) *cobra.Command {
	flags := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "sidecar",
		Short: "Answer the layer's endpoints outside Lambda: container, laptop",
		Long: `sidecar answers, on loopback, what the layer answers in Lambda: spans (OTLP/HTTP),
EventBridge's API and Alpaca's. Point an application at it:

  AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:4319
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
  an Alpaca client's base URL: http://127.0.0.1:4320/paper

With --endpoints runtime and AWS_LAMBDA_RUNTIME_API it also stands between a
function and a Lambda emulator: start the function with its own
AWS_LAMBDA_RUNTIME_API=127.0.0.1:4321.

The settings are the layer's, from the environment or as flags, which win.
Spans go where OTEL_EXPORTER_OTLP_ENDPOINT points unless that is the sidecar
itself, metrics to the standard output. It listens on loopback alone: whoever
reaches it calls with its credentials, which come from the AWS SDK's ordinary
chain. GET /healthz on any endpoint answers 200. SIGTERM lets calls finish, for
up to five seconds, and exports what is left.`,
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
		_ = cmd.RegisterFlagCompletionFunc(s.Flag(), complete) // of a flag that was made just now
	}
	return cmd
}

func shownDefault(s settings.Setting) string {
	if s.Default == "" {
		return ""
	}
	return " (default " + s.Default + ")"
}

func runSidecar(cmd *cobra.Command, getenv func(string) string) error {
	say := func(message string) { fmt.Fprintln(cmd.ErrOrStderr(), "throughline:", message) }
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	c := assemble.Extension(getenv, chain(), client, cmd.OutOrStdout(), say, []string{"otlp", "events", "alpaca"})
	c.Log = cmd.ErrOrStderr()
	if c.Metrics.Service == "" {
		c.Metrics.Service = "sidecar"
	}
	err := extension.Sidecar(cmd.Context(), c, func(addresses map[string]string) {
		for _, name := range []string{"otlp", "events", "alpaca", "runtime"} {
			if addresses[name] != "" {
				say(name + " answers at http://" + addresses[name])
			}
		}
		if c.Upstream.URL == "" {
			say("spans go nowhere: set OTEL_EXPORTER_OTLP_ENDPOINT to a backend")
		}
	})
	if err != nil {
		return fmt.Errorf("sidecar: %w", err)
	}
	return nil
}

// chain is the AWS SDK's ordinary chain of credentials, looked up when first needed.
func chain() extension.Credentials {
	var mu sync.Mutex
	var provider aws.CredentialsProvider
	return func(ctx context.Context) (aws.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		if provider == nil {
			c, err := config.LoadDefaultConfig(ctx)
			if err != nil {
				return aws.Credentials{}, fmt.Errorf("load AWS configuration: %w", err)
			}
			provider = c.Credentials
		}
		return provider.Retrieve(ctx)
	}
}
