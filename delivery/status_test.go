package delivery_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/herald-gateway/herald/delivery"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// states draws states of which many differ in one thing only.
func states() *rapid.Generator[delivery.State] {
	return rapid.Custom(func(t *rapid.T) delivery.State {
		k := rapid.SampledFrom(delivery.Kinds()).Draw(t, "kind")
		e := delivery.Event{
			Kind: k, At: start.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at")) * time.Second),
			Reason: rapid.SampledFrom(delivery.Reasons()).Draw(t, "reason"),
			Actor:  rapid.SampledFrom(delivery.Actors()).Draw(t, "actor"),
		}
		return e.State()
	})
}

func TestState_MergeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := states().Draw(t, "a"), states().Draw(t, "b"), states().Draw(t, "c")
		require.Equal(t, a.Merge(b), b.Merge(a), "commutative")
		require.Equal(t, a.Merge(b).Merge(c), a.Merge(b.Merge(c)), "associative")
		require.Equal(t, a, a.Merge(a), "idempotent")
		require.Equal(t, a, a.Merge(delivery.State{}), "nothing known changes nothing")
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(states(), 1, 8).Draw(t, "states")
		again := slices.Concat(list, list) // every event twice, in any order
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(again), func(i, j int) {
			again[i], again[j] = again[j], again[i]
		})
		require.Equal(t, merged(list), merged(again))
	})
}

func merged(list []delivery.State) (s delivery.State) {
	for _, x := range list {
		s = s.Merge(x)
	}
	return s
}

func TestState_Merge(t *testing.T) {
	t.Parallel()
	state := func(k delivery.Kind, seconds int, r delivery.Reason) delivery.State {
		e := delivery.Event{Kind: k, At: start.Add(time.Duration(seconds) * time.Second), Reason: r}
		return e.State()
	}
	for name, c := range map[string]struct{ loses, wins delivery.State }{
		"rank before time": {state(delivery.KindAccepted, 9, 0), state(delivery.KindDelivered, 1, 0)},
		"a bounce outranks delivered": {
			state(delivery.KindDelivered, 9, 0), state(delivery.KindBounced, 1, delivery.ReasonMailbox),
		},
		"whoever opened was reached": {state(delivery.KindBounced, 9, 0), state(delivery.KindOpened, 1, 0)},
		"opened is read, later wins": {state(delivery.KindRead, 1, 0), state(delivery.KindOpened, 2, 0)},
		"later time": {
			state(delivery.KindFailed, 1, delivery.ReasonVendor), state(delivery.KindFailed, 2, delivery.ReasonPolicy),
		},
		"greater reason": {
			state(delivery.KindFailed, 1, delivery.ReasonPolicy), state(delivery.KindFailed, 1, delivery.ReasonVendor),
		},
		"redriven is no status": {state(delivery.KindRedriven, 9, 0), state(delivery.KindHeld, 1, delivery.ReasonRetry)},
	} {
		require.Equal(t, c.wins, c.loses.Merge(c.wins), name)
		require.Equal(t, c.wins, c.wins.Merge(c.loses), name)
	}
}

func TestEvent_State(t *testing.T) {
	t.Parallel()
	for actor, ranks := range map[delivery.Actor]bool{
		delivery.ActorNone: true, delivery.ActorHuman: true, delivery.ActorUnknown: true, delivery.ActorMachine: false,
	} {
		e := delivery.Event{Kind: delivery.KindClicked, At: start, Actor: actor}
		require.Equal(t, ranks, e.State() != delivery.State{}, actor.String())
	}
	e := delivery.Event{Kind: delivery.KindReclassified, At: start, Actor: delivery.ActorHuman}
	require.Zero(t, e.State())
}

type msg = delivery.MessageState

func TestFold(t *testing.T) {
	t.Parallel()
	const (
		quiet, optedOut = delivery.ReasonQuietHours, delivery.ReasonOptedOut
		vendor, mailbox = delivery.ReasonVendor, delivery.ReasonMailbox
		delivered       = int32(1) << delivery.KindDelivered
		read            = int32(1) << delivery.KindRead
	)
	for name, c := range map[string]struct {
		messages []msg
		bucket   delivery.Bucket
		reason   delivery.Reason
	}{
		"nothing recorded":        {nil, delivery.BucketPending, 0},
		"held":                    {[]msg{{Rank: delivery.RankHeld, Reason: quiet}}, delivery.BucketHeld, quiet},
		"suppressed":              {[]msg{{Rank: delivery.RankSuppressed, Reason: optedOut}}, delivery.BucketSuppressed, optedOut},
		"unknown without reason":  {[]msg{{Rank: delivery.RankUnknown, Reason: vendor}}, delivery.BucketUnknown, 0},
		"accepted":                {[]msg{{Rank: delivery.RankAccepted}}, delivery.BucketAwaiting, 0},
		"expired":                 {[]msg{{Rank: delivery.RankExpired}}, delivery.BucketExpired, 0},
		"failed":                  {[]msg{{Rank: delivery.RankFailed, Reason: vendor}}, delivery.BucketFailed, vendor},
		"rejected":                {[]msg{{Rank: delivery.RankRejected, Reason: vendor}}, delivery.BucketFailed, vendor},
		"bounced":                 {[]msg{{Rank: delivery.RankBounced, Reason: mailbox}}, delivery.BucketFailed, mailbox},
		"delivered":               {[]msg{{Rank: delivery.RankDelivered, Flags: delivered}}, delivery.BucketDelivered, 0},
		"clicked":                 {[]msg{{Rank: delivery.RankClicked}}, delivery.BucketDelivered, 0},
		"failed, next link open":  {[]msg{{Rank: delivery.RankFailed, Reason: vendor, Next: 1}}, delivery.BucketPending, 0},
		"unknown, next link open": {[]msg{{Rank: delivery.RankUnknown, Next: 1}}, delivery.BucketPending, 0},
		"accepted, next link open": {
			[]msg{{Rank: delivery.RankAccepted, Next: 1, Unless: delivery.UnlessDelivered}}, delivery.BucketOpen, 0,
		},
		"delivered, waits for read": {
			[]msg{{Rank: delivery.RankDelivered, Flags: delivered, Next: 1, Unless: delivery.UnlessRead}}, delivery.BucketOpen, 0,
		},
		"read, next link unwanted": {
			[]msg{{Rank: delivery.RankRead, Flags: delivered | read, Next: 1, Unless: delivery.UnlessRead}},
			delivery.BucketDelivered, 0,
		},
		"delivered, next link unwanted": {
			[]msg{{Rank: delivery.RankDelivered, Flags: delivered, Next: 1}}, delivery.BucketDelivered, 0,
		},
		"failed, second link held": {
			[]msg{{Rank: delivery.RankFailed, Reason: vendor, Next: 1}, {Number: 1, Rank: delivery.RankHeld, Reason: quiet}},
			delivery.BucketHeld, quiet,
		},
		"accepted, second link held": {
			[]msg{{Rank: delivery.RankAccepted, Next: 1}, {Number: 1, Rank: delivery.RankHeld, Reason: quiet}},
			delivery.BucketOpen, 0,
		},
		"failed, second link delivered": {
			[]msg{{Rank: delivery.RankFailed, Reason: vendor, Next: 1}, {Number: 1, Rank: delivery.RankDelivered}},
			delivery.BucketDelivered, 0,
		},
		"unknown beats failed": {
			[]msg{{Rank: delivery.RankUnknown, Next: 1}, {Number: 1, Rank: delivery.RankFailed, Reason: vendor}},
			delivery.BucketUnknown, 0,
		},
		"failed beats expired": {
			[]msg{{Rank: delivery.RankFailed, Reason: vendor, Next: 1}, {Number: 1, Rank: delivery.RankExpired}},
			delivery.BucketFailed, vendor,
		},
		"expired beats suppressed": {
			[]msg{{Rank: delivery.RankExpired, Next: 1}, {Number: 1, Rank: delivery.RankSuppressed, Reason: optedOut}},
			delivery.BucketExpired, 0,
		},
		"of equal buckets the later link's reason": {
			[]msg{
				{Rank: delivery.RankRejected, Reason: vendor, Next: 1}, {Number: 1, Rank: delivery.RankFailed, Reason: mailbox},
			},
			delivery.BucketFailed, mailbox,
		},
		"a definite negative ends accepted": {
			[]msg{{Rank: delivery.RankFailed, Reason: vendor, Flags: delivery.KindAccepted.Flag()}},
			delivery.BucketFailed, vendor,
		},
		"sent again": {
			[]msg{{Rank: delivery.RankFailed, Reason: vendor}, {Number: 1, Rank: delivery.RankNone}}, delivery.BucketPending, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket, reason := delivery.Fold(c.messages)
			require.Equal(t, c.bucket.String(), bucket.String())
			require.Equal(t, c.reason.String(), reason.String())
		})
	}
}

func TestFold_OrderChangesNothing(t *testing.T) {
	t.Parallel()
	ranks := []delivery.Rank{delivery.RankNone}
	for _, k := range delivery.Kinds() {
		ranks = append(ranks, k.Rank())
	}
	rapid.Check(t, func(t *rapid.T) {
		list := make([]msg, rapid.IntRange(0, delivery.MessagesPerJob).Draw(t, "messages"))
		for i := range list {
			list[i] = msg{
				Number: i, Rank: rapid.SampledFrom(ranks).Draw(t, "rank"),
				Reason: rapid.SampledFrom(delivery.Reasons()).Draw(t, "reason"),
				Flags:  rapid.Int32Range(0, 1<<20).Draw(t, "flags"), Next: rapid.IntRange(0, 7).Draw(t, "next"),
				Unless: rapid.SampledFrom(delivery.Conditions()).Draw(t, "unless"),
			}
		}
		bucket, reason := delivery.Fold(list)
		got, gotReason := delivery.Fold(rapid.Permutation(list).Draw(t, "order"))
		require.Equal(t, bucket, got)
		require.Equal(t, reason, gotReason)
		withReason := bucket == delivery.BucketHeld || bucket == delivery.BucketSuppressed || bucket == delivery.BucketFailed
		require.True(t, withReason || reason == delivery.ReasonNone, "%s has no reasons", bucket)
	})
}

func TestBucket_Accepted(t *testing.T) {
	t.Parallel()
	var accepted []string
	for _, b := range delivery.Buckets() {
		if b.Accepted() {
			accepted = append(accepted, b.String())
		}
	}
	require.Equal(t, []string{"awaiting", "delivered", "open"}, accepted)
}

func TestCondition_Met(t *testing.T) {
	t.Parallel()
	met := map[delivery.Kind][]delivery.Condition{
		delivery.KindAccepted:  nil,
		delivery.KindDelivered: {delivery.UnlessDelivered},
		delivery.KindRead:      {delivery.UnlessDelivered, delivery.UnlessRead},
		delivery.KindOpened:    {delivery.UnlessDelivered, delivery.UnlessRead},
		delivery.KindClicked:   {delivery.UnlessDelivered, delivery.UnlessRead, delivery.UnlessClicked},
		delivery.KindFailed:    nil,
	}
	for k, want := range met {
		for _, c := range delivery.Conditions() {
			require.Equal(t, slices.Contains(want, c), c.Met(k.Flag()), "%s meets %s", k, c)
		}
	}
	for i, a := range delivery.AdvanceOns() {
		require.Equal(t, delivery.Conditions()[i], a.Unless())
		require.Equal(t, "not_"+a.Unless().String(), a.String())
	}
}
