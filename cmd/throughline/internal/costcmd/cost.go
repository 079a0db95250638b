// Package costcmd is `throughline cost`: what a month of events costs, per type.
package costcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// options are the flags of the command.
type options struct {
	file, prices     string
	cloudWatch       bool
	namespace        string
	on               account.Flags
	over             time.Duration
	retention        int
	json, showPrices bool

	configure account.Configure
	now       func() time.Time
}

// New returns the command.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Project what a month of events costs, per type, and our metrics",
		Long: `cost reads how many events of which sizes were published, from a file of metrics
lines or from CloudWatch, and projects a month of 730 hours: publishing (by chunks
of 64 KB), an archive (what is put in, and what is kept), a replay of a whole
month's events, and the custom metrics and log lines that told it.

A file stands for the time between its first and last line, unless --over says
otherwise: say --over 24h for a demo that plays a day in seconds. Prices are a
table with a date; check it against AWS's pages, and override it with --prices.
It needs cloudwatch:ListMetrics and cloudwatch:GetMetricData for --cloudwatch.`,
		Example: `  throughline cost --file build/demo/metrics.jsonl --over 24h
  throughline cost --cloudwatch --over 168h --region eu-west-1
  throughline cost --show-prices > prices.json && throughline cost --prices prices.json --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout()); err != nil {
				return fmt.Errorf("cost: %w", err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "build/demo/metrics.jsonl", "read metrics lines (EMF) from `FILE`, an export of logs included; - is standard input")
	flags.BoolVar(&o.cloudWatch, "cloudwatch", false, "read from CloudWatch instead")
	o.on.Bind(flags)
	flags.StringVar(&o.namespace, "namespace", "Throughline", "the metrics' `NAMESPACE`")
	flags.DurationVar(&o.over, "over", 0, "the `TIME` that was observed, as 24h; 168h for CloudWatch if not said")
	flags.IntVar(&o.retention, "retention", 30, "how many `DAYS` an archive keeps events; 0 leaves its storage out")
	flags.StringVar(&o.prices, "prices", "", "take prices from `FILE`, JSON with the members that differ")
	flags.BoolVar(&o.showPrices, "show-prices", false, "print the prices as JSON")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("file", "cloudwatch")
	return cmd
}

func (o options) run(ctx context.Context, stdin io.Reader, out io.Writer) error {
	p, err := o.readPrices()
	if err != nil {
		return err
	}
	if o.showPrices {
		return terminal.PrintJSON(out, p)
	}
	if o.retention < 0 || o.over < 0 {
		return errors.New("--retention and --over must not be below zero")
	}
	u, err := o.usage(ctx, stdin)
	if err != nil {
		return err
	}
	switch {
	case len(u.types) == 0:
		return fmt.Errorf("%s tells no sizes of events: it needs the metric %s, with the dimension EventType", u.source, sizeMetric)
	case u.over <= 0:
		return fmt.Errorf("%s does not tell how long it stands for: say it with --over, as --over 24h", u.source)
	}
	projected := project(u, p, o.retention)
	if o.json {
		return terminal.PrintJSON(out, projected)
	}
	return projected.write(out)
}

func (o options) readPrices() (prices, error) {
	if o.prices == "" {
		return readPrices(nil)
	}
	f, err := os.Open(o.prices)
	if err != nil {
		return prices{}, err
	}
	defer f.Close()
	p, err := readPrices(f)
	if err != nil {
		return p, fmt.Errorf("%s: %w", o.prices, err)
	}
	return p, nil
}

func (o options) usage(ctx context.Context, stdin io.Reader) (usage, error) {
	if o.cloudWatch {
		return o.fromCloudWatch(ctx)
	}
	in := stdin
	if o.file != "-" {
		f, err := os.Open(o.file)
		if errors.Is(err, os.ErrNotExist) {
			return usage{}, fmt.Errorf("no metrics at %s: run `make demo`, name a file with --file, or say --cloudwatch", o.file)
		}
		if err != nil {
			return usage{}, err
		}
		defer f.Close()
		in = f
	}
	u, err := fromFile(in, o.file, o.over)
	if err != nil {
		return u, fmt.Errorf("%s: %w", o.file, err)
	}
	return u, nil
}

func (o options) fromCloudWatch(ctx context.Context) (usage, error) {
	cfg, err := o.on.Config(ctx, o.configure)
	if err != nil {
		return usage{}, err
	}
	over := o.over
	if over == 0 {
		over = 7 * day
	}
	return fromCloudWatch(ctx, alarmscloudwatch.NewClient(cfg), o.namespace, o.now(), over)
}

func (p projection) write(out io.Writer) error {
	stands := time.Duration(p.Hours * float64(time.Hour))
	fmt.Fprintf(out, "a month at the rate of %s, which stands for %s; prices of %s in %s (%s)\n", p.Source, stands.Round(time.Millisecond), p.PricesAsOf, p.Region, p.Currency)
	if stands < time.Hour {
		fmt.Fprintln(out, "so short a time says little of a month: say with --over what it stands for, as --over 24h")
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "EVENTS\tMB\tCHUNKS\tBUS\tARCHIVE IN\tKEPT %d d\tREPLAY ONCE\t\n", p.Retention)
	for _, c := range append(p.Types[:len(p.Types):len(p.Types)], p.Total) {
		fmt.Fprintf(w, "%.0f\t%.1f\t%.0f\t%.4f\t%.4f\t%.4f\t%.4f\t  %s\n", c.Events, c.Bytes/mega, c.Chunks, c.Bus, c.ArchiveIn, c.ArchiveStorage, c.Replay, c.EventType)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if p.Estimated {
		fmt.Fprintln(out, "\nchunks are estimated from hourly averages: THROUGHLINE_METRICS=full counts them")
	}
	_, err := fmt.Fprintf(out, "\nour own metrics: %d custom metrics, at most %.2f; their log lines %.4f\nin all, at most %.2f a month; a replay of all of it once is %.2f more\n",
		p.Metrics.Metrics, p.Metrics.Custom, p.Metrics.Logs, p.Monthly, p.Total.Replay)
	return err
}
