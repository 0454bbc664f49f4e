package smpp

import (
	"context"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers"
)

const (
	inboundQueue = 10_000
	sinkBatch    = 500
	sinkWait     = 2 * time.Millisecond // for more of a batch
	sinkTimeout  = 20 * time.Second     // of one call
	sinkRetry    = time.Second          // of what has no SMSC to send it again
	joinLife     = time.Minute          // of an incomplete reply
	joinMost     = 1000                 // incomplete replies
	ownMost      = 10_000               // what waits for another try
	ackPatience  = 2 * time.Second      // at Close, for what came in before
)

// inbound is what came from the SMSC for the sink. Without a session there is nobody to answer: it is tried again from
// here.
type inbound struct {
	session  *session
	sequence uint32
	receipt  delivery.Receipt
	reply    *reply
}

// reply is a message of a handset, or a part of one.
type reply struct {
	delivery.Reply
	reference   string
	part, total byte
}

// inbound takes a deliver_sm: it is read at once, handed to the sink by feed and answered when the sink took it. When
// the queue is full the SMSC is told to send it again, so that the reader goes on.
func (c *client) inbound(s *session, sequence uint32, body []byte) {
	in, status, ok := c.readInbound(body)
	if !ok {
		s.respond(sequence, status)
		return
	}
	in.session, in.sequence = s, sequence
	c.unacked.Add(1)
	select {
	case c.queue <- in:
		return
	default:
	}
	if c.cfg.ReceiptOverload == OverloadStall {
		select {
		case c.queue <- in:
			return
		case <-s.quit:
		}
	}
	c.unacked.Add(-1)
	c.metrics.refused.Inc()
	s.respond(sequence, statusTemporary)
}

// readInbound reads a deliver_sm. Not ok means that there is nothing for the sink, and what to answer.
func (c *client) readInbound(body []byte) (in inbound, status uint32, ok bool) {
	d, err := parseDeliver(body)
	if err != nil {
		c.metrics.malformed.Inc()
		return in, statusMessageLength, false
	}
	now := time.Now()
	d.stripHeader()
	if c.parser.isReceipt(&d) {
		if in.receipt, ok = c.parser.parse(&d, now); ok {
			in.receipt.Raw = append([]byte(nil), body...)
		}
		return in, statusOK, ok
	}
	r := &reply{part: d.part, total: d.total, reference: string(d.reference)}
	r.Reply = delivery.Reply{
		Provider: c.name, From: string(d.source), To: string(d.destination), Text: replyText(&d, c.cfg.Alphabet), At: now,
	}
	// The same octets within an hour are the same message: an SMSC repeats what it thinks was not acknowledged.
	h := fnv.New128a()
	_, _ = h.Write(body)
	_, _ = h.Write([]byte(c.name + strconv.FormatInt(now.Unix()/3600, 10)))
	r.ID = hex.EncodeToString(h.Sum(nil))
	in.reply = r
	return in, statusOK, true
}

// lateAcceptance hands the id of a message that was given up to the sink.
func (c *client) lateAcceptance(r delivery.Receipt) {
	c.unacked.Add(1)
	select {
	case c.queue <- inbound{receipt: r}:
	default:
		c.unacked.Add(-1)
		c.metrics.lost.Inc()
	}
}

// Listen says where receipts and replies go. Until then they wait.
func (c *client) Listen(sink providers.Sink) {
	if c.sink.Swap(&sink) == nil {
		close(c.listened)
	}
}

// feed hands what came in to the sink, in batches.
func (c *client) feed(ctx context.Context) {
	select {
	case <-c.listened:
	case <-c.sinkEnd:
		return
	}
	f := feeder{client: c, ctx: ctx, joins: map[joinKey]*join{}}
	t := time.NewTicker(sinkRetry)
	defer t.Stop()
	for {
		c.kept.Store(int32(len(f.own)))
		c.joining.Store(int32(len(f.joins)))
		select {
		case in := <-c.queue:
			f.take(c.batch(in))
		case <-t.C:
			f.tick(time.Now())
		case <-c.sinkEnd:
			for len(c.queue) > 0 {
				f.take(c.batch(<-c.queue))
			}
			f.tick(time.Now().Add(joinLife))
			c.metrics.lost.Add(float64(len(f.own)))
			return
		}
	}
}

// batch takes what follows at once, or within a moment.
func (c *client) batch(first inbound) []inbound {
	list := append(make([]inbound, 0, 64), first)
	var wait <-chan time.Time
	for len(list) < sinkBatch {
		select {
		case in := <-c.queue:
			list = append(list, in)
			continue
		default:
		}
		if wait == nil {
			t := time.NewTimer(sinkWait)
			defer t.Stop()
			wait = t.C
		}
		select {
		case in := <-c.queue:
			list = append(list, in)
		case <-wait:
			return list
		}
	}
	return list
}

// feeder is the state of feed.
type feeder struct {
	client *client
	ctx    context.Context //nolint:containedctx // ends with the feeder
	own    []inbound       // tried again from here
	joins  map[joinKey]*join
}

// take hands one batch over and answers for it.
func (f *feeder) take(list []inbound) {
	var receipts []delivery.Receipt
	var ofReceipts, replies []inbound
	for _, in := range list {
		if in.reply == nil {
			receipts = append(receipts, in.receipt)
			ofReceipts = append(ofReceipts, in)
		} else if in, ok := f.join(in); ok {
			replies = append(replies, in)
		} else {
			f.client.unacked.Add(-1)
		}
	}
	if len(receipts) > 0 {
		f.told("receipts", ofReceipts, f.call(func(ctx context.Context, s providers.Sink) error {
			return s.Receipts(ctx, receipts)
		}))
	}
	if len(replies) > 0 {
		batch := make([]delivery.Reply, len(replies))
		for i := range replies {
			batch[i] = replies[i].reply.Reply
		}
		f.told("replies", replies, f.call(func(ctx context.Context, s providers.Sink) error {
			return s.Replies(ctx, batch)
		}))
	}
}

func (f *feeder) call(do func(context.Context, providers.Sink) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, sinkTimeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	return do(ctx, *f.client.sink.Load())
}

// told answers the SMSC for what the sink took or refused, and keeps what has no SMSC to send it again.
func (f *feeder) told(what string, list []inbound, err error) {
	c := f.client
	status := uint32(statusOK)
	if err != nil {
		status = statusTemporary
		c.log.WarnContext(f.ctx, "not stored, the SMSC will send them again", "what", what,
			"count", len(list), "err", err)
	}
	for _, in := range list {
		switch {
		case in.session != nil:
			in.session.respond(in.sequence, status)
			if err != nil {
				c.metrics.refused.Inc()
			}
		case err != nil && len(f.own) < ownMost:
			f.own = append(f.own, in)
			continue // it still counts
		case err != nil:
			c.metrics.lost.Inc()
		}
		switch {
		case err != nil:
		case in.reply != nil:
			c.metrics.replies.Inc()
		default:
			c.metrics.receipts.Inc()
		}
		c.unacked.Add(-1)
	}
}

// tick tries again what failed, and gives up waiting for parts of replies.
func (f *feeder) tick(now time.Time) {
	if own := f.own; len(own) > 0 {
		f.own = nil
		f.take(own)
	}
	for key, j := range f.joins {
		if now.Sub(j.began) < joinLife {
			continue
		}
		delete(f.joins, key)
		f.client.metrics.lost.Inc()
		f.client.unacked.Add(1)
		f.take([]inbound{{reply: j.whole()}}) // what there is of it
	}
}

// joinKey is by what the parts of a reply belong together.
type joinKey struct {
	from, to, reference string
	total               byte
}

type join struct {
	began time.Time
	parts []*reply
	have  int
}

// join keeps a part of a long reply until all are there. Parts are acknowledged at once: an SMSC that sends one after the
// other would else never send the second. False means that the message waits.
func (f *feeder) join(in inbound) (inbound, bool) {
	r := in.reply
	if r.total < 2 || r.part < 1 || r.part > r.total {
		return in, true
	}
	key := joinKey{r.From, r.To, r.reference, r.total}
	j := f.joins[key]
	if j == nil {
		if len(f.joins) >= joinMost {
			return in, true // as it is
		}
		j = &join{began: r.At, parts: make([]*reply, r.total)}
		f.joins[key] = j
	}
	if j.parts[r.part-1] == nil {
		j.parts[r.part-1] = r
		j.have++
	}
	if in.session != nil {
		in.session.respond(in.sequence, statusOK)
	}
	if j.have < len(j.parts) {
		return in, false
	}
	delete(f.joins, key)
	return inbound{reply: j.whole()}, true
}

// whole is the reply made of the parts that are there.
func (j *join) whole() *reply {
	var out *reply
	var text strings.Builder
	for _, p := range j.parts {
		if p == nil {
			continue
		}
		if out == nil {
			first := *p
			out = &first
		}
		text.WriteString(p.Text)
	}
	out.Text, out.total, out.part = text.String(), 0, 0
	return out
}

// settleInbound waits until what came in is answered, for a moment or until ctx ends.
func (c *client) settleInbound(ctx context.Context) {
	if c.sink.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ackPatience)
	defer cancel()
	t := time.NewTicker(tickEvery / 10)
	defer t.Stop()
	for c.unacked.Load() > 0 {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
