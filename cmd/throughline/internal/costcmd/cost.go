// Package costcmd is `throughline cost`: the cost of a month of events, by type.
package costcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	alarmscloudwatch "github.com/throughline/throughline/alarms/cloudwatch"
	"github.com/throughline/throughline/cmd/throughline/internal/account"
	"github.com/throughline/throughline/cmd/throughline/internal/terminal"
)

// short is the time below which metrics say little about a month.
const short = time.Hour

// demo is the file that is read without a flag: the metric lines of the demo.
const demo = "build/demo/metrics.jsonl"

// options are the flags of the command.
type options struct {
	file, prices     string
	cloudWatch       bool
	namespace        string
	on               account.Flags
	over             time.Duration
	retention        int
	json, showPrices bool
	newBus           bool
	deliveries       float64

	configure account.Configure
	now       func() time.Time
}

// New returns the command.
func New(configure account.Configure, now func() time.Time) *cobra.Command {
	o := options{configure: configure, now: now}
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Estimate the monthly cost of events by type, and of metrics",
		Long: `cost reads the numbers and sizes of published events from a file of metric lines or from
CloudWatch. From these it estimates the cost of a month of 730 hours: publishing (in
chunks of 64 KB), an archive (the events that it receives, and its storage), one replay of
the month, and the custom metrics and log lines that Throughline itself writes.

--new-bus also estimates the cost of the same events on EventBridge's new custom buses.
These bill each event by whole KB, once when it is published and once for each of
--deliveries. The table also shows the cost of the events that a bus retains, the share of
the stamp, and how many events a second one event group accepts. These prices are not from
AWS's price list: the table names their source.

By default, a file covers the time between its first and its last line, which must be an
hour or more. --over sets another time, such as --over 24h for a demo that plays a day in
seconds.

The built-in prices have the month in which they were read: those of new custom buses are
from another source and month than the others, and those of alarms are not included. Check
them against AWS's price pages, and override them with --prices. --cloudwatch needs cloudwatch:ListMetrics and cloudwatch:GetMetricData.`,
		Example: `  throughline cost --file build/demo/metrics.jsonl --over 24h
  throughline cost --cloudwatch --over 168h --region eu-west-1
  throughline cost --over 24h --new-bus --deliveries 2
  throughline cost --show-prices > prices.json && throughline cost --prices prices.json --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return terminal.In("cost", o.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout()))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", demo, "read metric lines (EMF) from `FILE`, which can be an export of logs; - means standard input")
	flags.BoolVar(&o.cloudWatch, "cloudwatch", false, "read metrics from CloudWatch instead of a file")
	o.on.Bind(flags)
	flags.StringVar(&o.namespace, "namespace", "Throughline", "the `NAMESPACE` of the metrics")
	flags.DurationVar(&o.over, "over", 0, "the `TIME` that the metrics cover, such as 24h; 0 means the time between the first and the last line, or 168h with --cloudwatch")
	flags.IntVar(&o.retention, "retention", 30, "the `DAYS` that an archive keeps events; 0 omits the cost of its storage")
	flags.BoolVar(&o.newBus, "new-bus", false, "also estimate the cost on new custom buses, which bill each KB in and out")
	flags.Float64Var(&o.deliveries, "deliveries", 1, "with --new-bus: each event is delivered to `N` subscribers on average")
	flags.StringVar(&o.prices, "prices", "", "override prices with the JSON in `FILE`")
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
	if o.retention < 0 || o.over < 0 || o.deliveries < 0 {
		return terminal.Misuse("--retention, --over and --deliveries must not be below zero")
	}
	u, err := o.usage(ctx, stdin)
	if err != nil {
		return err
	}
	switch {
	case len(u.types) == 0:
		return terminal.Finding("%s has no sizes of events: name a file or a namespace with the metric %s and the dimension EventType", u.source, sizeMetric)
	case u.over <= 0:
		return terminal.Misuse("the time that %s covers is not known: give it with --over, as --over 24h", u.source)
	case o.over == 0 && u.over < short:
		return terminal.Misuse("%s covers %s, which is too short to project a month: give the time that its events stand for with --over, as --over 24h", u.source, u.over.Round(time.Millisecond))
	}
	projected := project(u, p, o.retention)
	if o.newBus {
		projected.NewBus = projectNewBus(u, p.NewBus, o.retention, o.deliveries)
	}
	if o.json {
		return terminal.PrintJSON(out, projected)
	}
	const hang = 2
	return terminal.Fit(out, hang, projected.write)
}

func (o options) readPrices() (prices, error) {
	if o.prices == "" {
		return readPrices(nil)
	}
	f, err := os.Open(o.prices)
	if err != nil {
		return prices{}, fmt.Errorf("%w: `throughline cost --show-prices > prices.json` writes such a file", err)
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
	in, err := terminal.Open(stdin, o.file)
	if errors.Is(err, os.ErrNotExist) && o.file == demo {
		return usage{}, fmt.Errorf("no metrics at %s: run `make demo`, name a file with --file, or give --cloudwatch", o.file)
	}
	if err != nil {
		return usage{}, err
	}
	defer in.Close()
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
	over := cmp.Or(o.over, 7*day)
	return fromCloudWatch(ctx, alarmscloudwatch.NewClient(cfg), o.namespace, o.now(), over)
}

// money formats an amount in the prices' currency. Amounts below a cent get more digits.
func money(n float64) string {
	if n < 0.01 && n > 0 {
		return fmt.Sprintf("%.4f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

func (p projection) write(out io.Writer) error {
	stands := time.Duration(p.Hours * float64(time.Hour))
	fmt.Fprintf(out, "a month at the rate of %s, which covers %s; prices of %s in %s (%s)\n", p.Source, stands.Round(time.Millisecond), p.PricesAsOf, p.Region, p.Currency)
	if stands < short {
		fmt.Fprintln(out, "this time is short: the month is a rough estimate")
	}
	fmt.Fprintln(out)
	table := [][]string{{"EVENTS", "MB", "CHUNKS", "BUS", "ARCHIVE", fmt.Sprintf("KEPT %d d", p.Retention), "REPLAY", "TYPE"}}
	for _, c := range append(p.Types[:len(p.Types):len(p.Types)], p.Total) {
		table = append(table, []string{fmt.Sprintf("%.0f", c.Events), fmt.Sprintf("%.0f", c.Bytes/mega), fmt.Sprintf("%.0f", c.Chunks),
			money(c.Bus), money(c.ArchiveIn), money(c.ArchiveStorage), money(c.Replay), terminal.Line(c.EventType)})
	}
	if err := terminal.Table(out, len(table[0])-1, table); err != nil {
		return err
	}
	if p.Estimated {
		fmt.Fprintln(out, "\nchunks are estimated from hourly averages: THROUGHLINE_METRICS=full counts them")
	}
	if _, err := fmt.Fprintf(out, "\nThroughline's metrics: %d custom metrics, at most %s; their log lines %s\nin all, at most %s a month; a replay of all of it once is %s more\n",
		p.Metrics.Metrics, money(p.Metrics.Custom), money(p.Metrics.Logs), money(p.Monthly), money(p.Total.Replay)); err != nil || p.NewBus == nil {
		return err
	}
	return p.NewBus.write(out, p.Retention, p.Estimated)
}
