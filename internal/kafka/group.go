package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	heartbeat       = time.Second
	sessionTimeout  = 10 * time.Second
	rejoinAfter     = time.Second // after a fault; the library's 5 s make a restart of the broker 5 s longer
	leaveTimeout    = 3 * time.Second
	memberMark      = "." // between a client's name and the number of its membership
	closeGrace      = 500 * time.Millisecond
	fetchRetryFirst = 100 * time.Millisecond
	fetchRetryMost  = 2 * time.Second
)

// Name is what this client's members of groups are known by, in every group and from before the first join. After its
// process died, SendOff finds them by it: also those whose process died, or gave up waiting, before it learned its
// member id.
func (c *Client) Name() string { return c.name }

// SendOff takes the members of clients that are gone out of a group, so that the group need not wait for their sessions
// to time out. The clients are given by their names. Members and groups that are not there are no error.
func (c *Client) SendOff(ctx context.Context, group string, clients ...string) error {
	return c.sendOff(ctx, group, func(clientID string) bool {
		name, _, _ := strings.Cut(clientID, memberMark)
		return slices.Contains(clients, name)
	})
}

func (c *Client) sendOff(ctx context.Context, group string, gone func(clientID string) bool) error {
	res, err := c.admin.DescribeGroups(ctx, &kafkago.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return fmt.Errorf("describe group %s: %w", group, err)
	}
	req := &kafkago.LeaveGroupRequest{GroupID: group}
	for _, g := range res.Groups {
		if err := ignoreUnknown(g.Error); err != nil {
			return fmt.Errorf("describe group %s: %w", group, err)
		}
		for _, m := range g.Members {
			if gone(m.ClientID) {
				req.Members = append(req.Members, kafkago.LeaveGroupRequestMember{ID: m.MemberID})
			}
		}
	}
	if len(req.Members) == 0 {
		return nil
	}
	left, err := c.admin.LeaveGroup(ctx, req)
	if err != nil {
		return fmt.Errorf("leave group %s: %w", group, err)
	}
	faults := []error{ignoreUnknown(left.Error)}
	for _, m := range left.Members {
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
	dialer.ClientID = m.client.memberName()
	cg, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: m.group, Topics: []string{m.topic}, Brokers: m.client.cfg.Brokers, Dialer: &dialer,
		GroupBalancers:    []kafkago.GroupBalancer{kafkago.RoundRobinGroupBalancer{}},
		HeartbeatInterval: min(heartbeat, m.session/3), SessionTimeout: m.session,
		// Enough to drain, and short enough that no session ends of a member that has joined and waits for the others.
		RebalanceTimeout: m.session / 2,
		JoinGroupBackoff: rejoinAfter, WatchPartitionChanges: true, StartOffset: kafkago.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("group %s: %w", m.group, err)
	}
	defer func() {
		// A join may wait for another member's session to time out: it is cut, and the group is left by the client's name.
		if !waitFor(closeGrace, func() { _ = cg.Close() }) {
			sockets.cut()
			_ = cg.Close()
		}
		m.leave(context.WithoutCancel(ctx), dialer.ClientID)
	}()
	for {
		gen, err := cg.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			// None of these is final: a coordinator may be missing on a fresh or restarting broker.
			m.client.log.WarnContext(ctx, "group cannot be joined yet", "group", m.group, "topic", m.topic, "err", err)
			if !errors.Is(err, kafkago.RebalanceInProgress) { // then the library goes on as the same member
				m.leave(ctx, dialer.ClientID)
			}
			continue
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

// leave makes sure that no ghost stays: a join that was not answered in time has made a member whose id nobody knows, and
// the library does not leave when it is closed in the middle of a rebalance.
func (m *membership) leave(ctx context.Context, clientID string) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := m.client.sendOff(ctx, m.group, func(id string) bool { return id == clientID }); err != nil {
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
