package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"github.com/herald-gateway/herald/delivery"
)

const (
	// MaxRecordBytes is the largest record that Write takes: key, value and headers, and a few bytes around each.
	MaxRecordBytes = 899_000
	batchBytes     = 900_000
	recordOverhead = 64
	closeTimeout   = 10 * time.Second
)

// ProducerConfig says how a Producer gathers records. What is zero is taken from the preset that Fast chooses.
type ProducerConfig struct {
	Fast         bool          // the preset for what people wait for: 100 records or 2 ms; else 500 or 25 ms
	BatchSize    int           // of one partition
	BatchTimeout time.Duration // how long a batch that is not full waits
	CloseTimeout time.Duration // how long Close lets running writes go on; default 10 s
}

func (c *ProducerConfig) defaults() {
	size, wait := 500, 25*time.Millisecond
	if c.Fast {
		size, wait = 100, 2*time.Millisecond
	}
	c.BatchSize = orInt(c.BatchSize, size)
	c.BatchTimeout = orDur(c.BatchTimeout, wait)
	c.CloseTimeout = orDur(c.CloseTimeout, closeTimeout)
}

// Producer writes records. One is shared by everybody who writes the same class of traffic: batches fill better. It is
// safe for concurrent use.
type Producer struct {
	client    *Client
	cfg       ProducerConfig
	writer    *kafkago.Writer
	transport *kafkago.Transport
	stop      context.Context //nolint:containedctx // ends when Close gives up waiting; it belongs to no call
	cut       context.CancelFunc

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup

	stats producerStats
}

// NewProducer makes a producer. It touches the network at the first Write.
func NewProducer(client *Client, cfg ProducerConfig) *Producer {
	cfg.defaults()
	p := &Producer{client: client, cfg: cfg, transport: client.newTransport(30 * time.Second)}
	p.stop, p.cut = context.WithCancel(context.Background())
	p.transport.Context = p.stop
	p.writer = &kafkago.Writer{
		Addr: client.addr(), Transport: p.transport, Balancer: kafkago.Murmur2Balancer{}, RequiredAcks: kafkago.RequireAll,
		Compression: compress.Lz4, BatchSize: cfg.BatchSize, BatchTimeout: cfg.BatchTimeout, BatchBytes: batchBytes,
		MaxAttempts: 10, WriteBackoffMin: 100 * time.Millisecond, WriteBackoffMax: time.Second,
		ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
	}
	return p
}

// Write returns nil when all records are acknowledged by all replicas. Each record names its topic; the partition
// comes from the key. Records that fail are written again, and only they, until ctx ends or the producer is closed:
// the broker may be away for minutes. Records that are refused for good (too large, unknown topic) are told by
// RecordErrors, and all others are acknowledged then. After any other error each record may be in the log or not. The
// bytes of the records must not change after Write returned such an error.
func (p *Producer) Write(ctx context.Context, records []delivery.Record) error {
	if !p.enter() {
		return ErrClosed
	}
	defer p.calls.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.stop, cancel)()

	p.stats.waiting.Add(int64(len(records)))
	defer p.stats.waiting.Add(-int64(len(records)))
	w := writing{p: p}
	for i := range records {
		if n := recordSize(&records[i]); n > MaxRecordBytes {
			w.refuse(i, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, MaxRecordBytes))
			continue
		}
		w.add(i, toMessage(&records[i]))
	}
	err := w.run(ctx)
	p.stats.count(len(records), err)
	return err
}

func (p *Producer) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.calls.Add(1)
	}
	return !p.closed
}

// Close refuses new writes, lets the running ones go on for CloseTimeout, ends them, and closes the connections. It may
// be called while others write, and twice.
func (p *Producer) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	defer p.cut()
	if !waitFor(p.cfg.CloseTimeout, p.calls.Wait) {
		p.cut()
		p.calls.Wait()
	}
	if again {
		return nil
	}
	// Nobody writes now, which Close of the library needs. Batches whose callers gave up fail when the connections end.
	if !waitFor(p.cfg.CloseTimeout, func() { _ = p.writer.Close() }) {
		return errors.New("kafka producer: batches that nobody waits for are still being written")
	}
	p.cut()
	p.transport.CloseIdleConnections()
	return nil
}

func waitFor(limit time.Duration, fn func()) bool {
	done := make(chan struct{})
	go func() { fn(); close(done) }()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// writing is one call of Write.
type writing struct {
	p       *Producer
	index   []int // of messages in the caller's slice
	list    []kafkago.Message
	large   *writing // records of batches that the broker found too large; nil: none
	refused RecordErrors
}

func (w *writing) add(i int, m kafkago.Message) {
	w.index = append(w.index, i)
	w.list = append(w.list, m)
}

func (w *writing) refuse(i int, err error) {
	w.refused = append(w.refused, RecordError{Index: i, Err: err})
}

func (w *writing) run(ctx context.Context) error {
	retry := pace{first: 50 * time.Millisecond, most: 2 * time.Second}
	for len(w.list) > 0 {
		err := w.p.writer.WriteMessages(ctx, w.list...)
		if err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, io.ErrClosedPipe) {
			return w.givenUp(ctx, err)
		}
		w.sift(ctx, err)
		if len(w.list) == 0 {
			break
		}
		w.p.stats.retries.Add(int64(len(w.list)))
		w.p.client.log.WarnContext(ctx, "records are not acknowledged; repeated",
			"records", len(w.list), "err", firstError(err))
		if retry.wait(ctx) != nil {
			return w.givenUp(ctx, err)
		}
	}
	if w.large != nil {
		if err := w.halve(ctx); err != nil {
			return err
		}
	}
	if len(w.refused) > 0 {
		return w.refused
	}
	return nil
}

// halve writes the records of batches that were too large in two parts, so that in the end only a record that is too
// large alone is refused. It happens when the broker takes less than our batches may have.
func (w *writing) halve(ctx context.Context) error {
	l := w.large
	if len(l.list) == 1 {
		w.refuse(l.index[0], fmt.Errorf("%w for the broker", ErrTooLarge))
		return nil
	}
	m := len(l.list) / 2
	for _, part := range []writing{
		{p: w.p, index: l.index[:m], list: l.list[:m]}, {p: w.p, index: l.index[m:], list: l.list[m:]},
	} {
		var refused RecordErrors
		if err := part.run(ctx); err != nil && !errors.As(err, &refused) {
			return err
		}
		w.refused = append(w.refused, refused...)
	}
	return nil
}

// givenUp is the error of a call that did not get its acknowledgements in time.
func (w *writing) givenUp(ctx context.Context, err error) error {
	why := ctx.Err()
	if w.p.stop.Err() != nil {
		why = ErrClosed
	}
	if why == nil {
		why = err
	}
	return fmt.Errorf("%d records may or may not be written: %w (%w)", len(w.list), why, firstError(err))
}

// sift keeps the records that are worth another try.
func (w *writing) sift(ctx context.Context, err error) {
	var each kafkago.WriteErrors
	if !errors.As(err, &each) || len(each) != len(w.list) {
		if errors.Is(err, kafkago.UnknownTopicOrPartition) {
			w.siftTopics(ctx)
		}
		return
	}
	old := *w
	w.index, w.list = nil, nil
	for i, e := range each {
		switch {
		case e == nil:
		case errors.Is(e, kafkago.MessageSizeTooLarge), errors.Is(e, kafkago.RecordListTooLarge):
			if w.large == nil {
				w.large = &writing{}
			}
			w.large.add(old.index[i], old.list[i])
		case permanent(e):
			w.refuse(old.index[i], named(e))
		default:
			w.add(old.index[i], old.list[i])
		}
	}
}

// siftTopics asks the broker which topics exist, because the library answers from memory: records for others are
// refused, and what the library remembers is dropped.
func (w *writing) siftTopics(ctx context.Context) {
	missing := map[string]bool{}
	old := *w
	w.index, w.list = nil, nil
	for i := range old.list {
		topic := old.list[i].Topic
		if _, known := missing[topic]; !known {
			missing[topic] = w.p.client.isMissing(ctx, topic)
		}
		if missing[topic] {
			w.refuse(old.index[i], fmt.Errorf("%w: %s", ErrUnknownTopic, topic))
		} else {
			w.add(old.index[i], old.list[i])
		}
	}
	w.p.transport.CloseIdleConnections()
}

// isMissing looks twice, because a topic that was just made may be unknown to a broker for a moment.
func (c *Client) isMissing(ctx context.Context, topic string) bool {
	for range 2 {
		if _, err := c.partitions(ctx, topic); !errors.Is(err, ErrUnknownTopic) {
			return false
		}
		if sleep(ctx, 200*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

// firstError stands for all of a batch in logs.
func firstError(err error) error {
	if each, ok := errors.AsType[kafkago.WriteErrors](err); ok {
		for _, e := range each {
			if e != nil {
				return e
			}
		}
	}
	return err
}

func recordSize(r *delivery.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 8
	}
	return n
}

func toMessage(r *delivery.Record) kafkago.Message {
	m := kafkago.Message{Topic: r.Topic, Key: r.Key, Value: r.Value, Time: r.Time}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, kafkago.Header{Key: h.Key, Value: h.Value})
	}
	return m
}
