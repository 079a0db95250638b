package eventsv2local

import "strings"

// Dimension is the value of the metrics' dimension EventBus: AWS's documentation
// names three. The zero value is the bus's ARN.
type Dimension uint8

// The values of the dimension EventBus.
const (
	DimensionARN       Dimension = iota
	DimensionName                // orders
	DimensionNameAndID           // orders/abcdefghijklmnopqrstuvwx7
)

// Metric identifies a CloudWatch metric in the namespace AWS/EventsV2. Subscriber is
// empty for a metric of the bus.
type Metric struct{ Name, EventBus, Subscriber string }

// counts are the sums of the metrics so far.
type counts map[Metric]float64

// Metrics returns the sums so far of the metrics that are counts.
func (s *Service) Metrics() map[Metric]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := make(map[Metric]float64, len(s.counts))
	for m, sum := range s.counts {
		sums[m] = sum
	}
	return sums
}

func (b *Bus) dimension() string {
	_, path, _ := strings.Cut(b.ARN, ":event-busv2/")
	switch b.service.options.Dimension {
	case DimensionName:
		return b.Name
	case DimensionNameAndID:
		return path
	default:
		return b.ARN
	}
}

func (b *Bus) countLocked(name string, n int) {
	b.service.counts[Metric{name, b.dimension(), ""}] += float64(n)
}

func (sub *Subscriber) countLocked(name string, n int) {
	sub.bus.service.counts[Metric{name, sub.bus.dimension(), sub.ARN}] += float64(n)
}
