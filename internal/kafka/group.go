package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	heartbeat       = time.Second
	sessionTimeout  = 10 * time.Second
	rejoinAfter     = time.Second // after a fault; the library's 5 s make a restart of the broker 5 s longer
	leaveTimeout    = 3 * time.Second
	closeGrace      = 500 * time.Millisecond
	fetchRetryFirst = 100 * time.Millisecond
	fetchRetryMost  = 2 * time.Second
)

// LeaveGroup takes members out of a group whose process is dead, so that the group need not wait for their session to
// time out. Members that are not there any more are no error.
func (c *Client) LeaveGroup(ctx context.Context, group string, members []string) error {
	if len(members) == 0 {
		return nil
	}
	req := &kafkago.LeaveGroupRequest{GroupID: group}
	for _, m := range members {
		req.Members = append(req.Members, kafkago.LeaveGroupRequestMember{ID: m})
	}
	res, err := c.admin.LeaveGroup(ctx, req)
	if err != nil {
		return fmt.Errorf("leave group %s: %w", group, err)
	}
	faults := []error{ignoreUnknown(res.Error)}
	for _, m := range res.Members {
		faults = append(faults, ignoreUnknown(m.Error))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("leave group %s: %w", group, err)
	}
	return nil
}

func ignoreUnknown(err error) error {
	if errors.Is(err, kafkago.UnknownMemberId) || errors.Is(err, kafkago.GroupIdNotFound) {
		return nil
	}
	return err
}

// membership is one process's part in a group that reads one topic.
type membership struct {
	client       *Client
	group, topic string
	session      time.Duration
	onMember     func(string)
	// serve does the work of one generation. It returns when everything it has to commit is committed, after either of
	// the contexts ended: stop when the process ends, gctx when the generation does.
	serve func(stop, gctx context.Context, gen *kafkago.Generation)
}

// run joins the group, again and again, until ctx ends, and then leaves it.
func (m *membership) run(ctx context.Context) error {
	if err := m.waitTopic(ctx); err != nil {
		return err
	}
	sockets := &sockets{open: map[net.Conn]struct{}{}}
	dialer := *m.client.dialer
	dialer.DialFunc = sockets.dial
	cg, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: m.group, Topics: []string{m.topic}, Brokers: m.client.cfg.Brokers, Dialer: &dialer,
		GroupBalancers:    []kafkago.GroupBalancer{kafkago.RoundRobinGroupBalancer{}},
		HeartbeatInterval: min(heartbeat, m.session/3), SessionTimeout: m.session, RebalanceTimeout: m.session,
		JoinGroupBackoff: rejoinAfter, WatchPartitionChanges: true, StartOffset: kafkago.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("group %s: %w", m.group, err)
	}
	member := ""
	defer func() {
		// A join may wait for another member's session to time out: it is cut, and the group is left by the member's name.
		if !waitFor(closeGrace, func() { _ = cg.Close() }) {
			sockets.cut()
			_ = cg.Close()
		}
		m.leave(ctx, member)
	}()
	for {
		gen, err := cg.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			// None of these is final: a coordinator may be missing on a fresh or restarting broker.
			m.client.log.WarnContext(ctx, "group cannot be joined yet", "group", m.group, "topic", m.topic, "err", err)
			continue
		}
		member = gen.MemberID
		if m.onMember != nil {
			m.onMember(member)
		}
		served := make(chan struct{})
		gen.Start(func(gctx context.Context) {
			m.serve(ctx, gctx, gen)
			close(served)
			<-gctx.Done() // returning earlier would end the generation and join again instead of leaving
		})
		<-served
	}
}

// sockets are the connections of a group to its coordinator, so that what waits on them can be cut.
type sockets struct {
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

// socket forgets itself when it is closed.
type socket struct {
	net.Conn
	of *sockets
}

func (s *sockets) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dialGuarded(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.open[conn] = struct{}{}
	s.mu.Unlock()
	return socket{conn, s}, nil
}

// Close closes the connection.
func (c socket) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c.Conn)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (s *sockets) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// leave makes sure that no ghost stays: the library does not leave when it is closed in the middle of a rebalance.
func (m *membership) leave(ctx context.Context, member string) {
	if member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.client.LeaveGroup(ctx, m.group, []string{member}); err != nil {
		m.client.log.WarnContext(ctx, "group was not left; it waits for the session to time out",
			"group", m.group, "err", err)
	}
}

// waitTopic waits until the topic exists: a group that reads a topic that does not would join in a tight loop.
func (m *membership) waitTopic(ctx context.Context) error {
	retry := pace{first: fetchRetryFirst, most: fetchRetryMost}
	for {
		list, err := m.client.partitions(ctx, m.topic)
		if err == nil && len(list) > 0 {
			return nil
		}
		m.client.log.WarnContext(ctx, "topic cannot be read yet", "topic", m.topic, "err", err)
		if err := retry.wait(ctx); err != nil {
			return nil //nolint:nilerr // the process stops before it began
		}
	}
}
