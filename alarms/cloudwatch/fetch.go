package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/throughline/throughline/alarms"
	"github.com/throughline/throughline/alarms/eval"
)

// Data has the operation of CloudWatch's client that [Fetch] calls.
type Data interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// maxPoints is how many datapoints one call of GetMetricData may ask for.
const (
	maxPoints  = 100_800
	maxQueries = 500
)

// Fetch reads the metrics of the set between two times, for a backtest. The table has no
// entry for a metric without a datapoint. progress, which may be nil, is called with the
// number of metrics that have been read and the total.
func Fetch(ctx context.Context, api Data, s alarms.Set, from, to time.Time, progress func(done, of int)) (eval.Table, error) {
	table := eval.Table{}
	var stats []alarms.Stat
	seen := map[string]bool{}
	for _, a := range s.Alarms {
		for _, stat := range a.Normalize().Stats() {
			if key := eval.Key(stat); !seen[key] {
				seen[key] = true
				stats = append(stats, stat)
			}
		}
	}
	slices.SortStableFunc(stats, func(a, b alarms.Stat) int { return b.Period - a.Period })
	for len(stats) > 0 {
		// One call reads metrics of one period, as many as the limit on datapoints
		// allows.
		period := stats[0].Period
		points := max(1, int(to.Sub(from).Seconds())/max(1, period)+1)
		n, most := 0, min(maxQueries, max(1, maxPoints/points))
		for n < len(stats) && n < most && stats[n].Period == period {
			n++
		}
		if err := fetch(ctx, api, stats[:n], from, to, table); err != nil {
			return table, err
		}
		stats = stats[n:]
		if progress != nil {
			progress(len(seen)-len(stats), len(seen))
		}
	}
	return table, nil
}

func fetch(ctx context.Context, api Data, stats []alarms.Stat, from, to time.Time, table eval.Table) error {
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, ScanBy: types.ScanByTimestampAscending}
	byID := map[string]alarms.Stat{}
	for i, stat := range stats {
		id := fmt.Sprintf("m%d", i)
		byID[id] = stat
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: &id, MetricStat: metricStat(stat), ReturnData: aws.Bool(true)})
	}
	pages := cloudwatch.NewGetMetricDataPaginator(api, in)
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return Explain("read metrics", "cloudwatch:GetMetricData", err)
		}
		for _, r := range out.MetricDataResults {
			stat, ok := byID[aws.ToString(r.Id)]
			if !ok || len(r.Values) == 0 {
				continue
			}
			key := eval.Key(stat)
			if table[key] == nil {
				table[key] = eval.Series{}
			}
			for i, at := range r.Timestamps[:min(len(r.Timestamps), len(r.Values))] {
				second := at.Unix()
				table[key][second-second%int64(stat.Period)] = r.Values[i]
			}
		}
	}
	return nil
}
