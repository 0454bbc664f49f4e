package delivery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

// The numbers stand in SQL and the names in JSON: neither ever changes. New words are added at the end of their list.
const pinned = `
channel: 0 sms, 1 viber, 2 email, 3 push
category: 1 marketing, 2 transactional
lane: 0 transactional, 1 bulk
kind: 1 held, 2 suppressed, 3 unknown, 4 accepted, 5 expired, 6 failed, 7 rejected, 8 delivered, 9 bounced, 10 read, 11 opened, 12 clicked, 13 complained, 14 unsubscribed, 15 subscribed, 16 replied, 17 redriven, 18 converted, 19 reclassified
reason: 0 , 1 no_address, 2 invalid_address, 3 address_gone, 4 no_consent, 5 opted_out, 6 channel_opt_out, 7 unsubscribed, 8 bounced_before, 9 complained_before, 10 stop_list, 11 capped, 12 budget, 13 cancelled, 14 replaced, 15 render_error, 16 provider_down, 17 duplicate, 18 holdout, 31 not_before, 32 quiet_hours, 33 stopped, 34 retry, 51 unreachable, 52 content, 53 policy, 54 mailbox, 55 transport, 56 partial, 57 vendor
outcome: 1 accepted, 2 recipient, 3 content, 4 throttled, 5 temporary, 6 unknown, 7 fatal, 8 expired
bucket: 0 pending, 1 held, 2 suppressed, 3 expired, 4 failed, 5 unknown, 6 awaiting, 7 delivered, 8 open
advance_on: 0 not_delivered, 1 not_read, 2 not_clicked
condition: 0 delivered, 1 read, 2 clicked
actor: 0 , 1 human, 2 machine, 3 unknown
variant: 0 , 1 A, 2 B, 3 C, 4 D, 5 E, 6 F, 7 G, 8 H, 9 I, 10 J, 11 K, 12 L, 13 M, 14 N, 15 O, 16 P
receipt: 1 2 3 4 5 6 7
due: 1 2
rank: held 10, suppressed 20, unknown 30, accepted 40, expired 50, failed 60, rejected 70, delivered 80, bounced 90, read 100, opened 100, clicked 110, complained 0, unsubscribed 0, subscribed 0, replied 0, redriven 0, converted 0, reclassified 0
`

func numbered[T ~uint8](what string, list []T, name func(T) string) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprintf("%d %s", v, name(v))
	}
	return what + ": " + strings.Join(words, ", ") + "\n"
}

func TestWords_NumbersAreFixed(t *testing.T) {
	t.Parallel()
	variants, ranks := make([]string, 17), make([]string, 0, len(delivery.Kinds()))
	for n := range variants {
		variants[n] = fmt.Sprintf("%d %s", n, delivery.VariantLetter(int16(n)))
		require.EqualValues(t, n, delivery.VariantNumber(delivery.VariantLetter(int16(n))))
	}
	for _, k := range delivery.Kinds() {
		ranks = append(ranks, fmt.Sprintf("%s %d", k, k.Rank()))
		require.Equal(t, int32(1)<<k, k.Flag())
	}
	got := "\n" + numbered("channel", delivery.Channels(), delivery.Channel.String) +
		numbered("category", delivery.Categories(), delivery.Category.String) +
		numbered("lane", delivery.Lanes(), delivery.Lane.String) +
		numbered("kind", delivery.Kinds(), delivery.Kind.String) +
		numbered("reason", delivery.Reasons(), delivery.Reason.String) +
		numbered("outcome", delivery.Outcomes(), delivery.Outcome.String) +
		numbered("bucket", delivery.Buckets(), delivery.Bucket.String) +
		numbered("advance_on", delivery.AdvanceOns(), delivery.AdvanceOn.String) +
		numbered("condition", delivery.Conditions(), delivery.Condition.String) +
		numbered("actor", delivery.Actors(), delivery.Actor.String) +
		"variant: " + strings.Join(variants, ", ") + "\n" +
		fmt.Sprintln("receipt:", delivery.ReceiptSent, delivery.ReceiptDelivered, delivery.ReceiptUndelivered,
			delivery.ReceiptRejected, delivery.ReceiptExpired, delivery.ReceiptRead, delivery.ReceiptAccepted) +
		fmt.Sprintln("due:", delivery.DueAgain, delivery.DueLink) +
		"rank: " + strings.Join(ranks, ", ") + "\n"
	require.Empty(t, cmp.Diff(pinned, got))
	for _, s := range []string{"", "AB", "a", "Q", "Я"} {
		require.Zero(t, delivery.VariantNumber(s))
	}
	require.Empty(t, delivery.VariantLetter(-1)+delivery.VariantLetter(17))
}

// Every name is read back as what it names, and nothing else is read.
func TestWords_Names(t *testing.T) {
	t.Parallel()
	check := func(name string, parse func(string) (string, error)) {
		t.Helper()
		got, err := parse(name)
		require.NoError(t, err)
		require.Equal(t, name, got)
		for _, bad := range []string{name + " ", strings.ToUpper(name) + "x", "no such"} {
			_, err = parse(bad)
			require.ErrorContains(t, err, "is no ")
		}
	}
	for _, v := range delivery.Channels() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseChannel(s); return v.String(), err })
	}
	for _, v := range delivery.Categories() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseCategory(s); return v.String(), err })
	}
	for _, v := range delivery.Lanes() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseLane(s); return v.String(), err })
	}
	for _, v := range delivery.Kinds() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseKind(s); return v.String(), err })
	}
	for _, v := range delivery.Reasons() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseReason(s); return v.String(), err })
	}
	for _, v := range delivery.Buckets() {
		check(v.String(), func(s string) (string, error) { v, err := delivery.ParseBucket(s); return v.String(), err })
	}
	for _, v := range delivery.AdvanceOns() {
		check(v.String(), func(s string) (string, error) { err := v.UnmarshalText([]byte(s)); return v.String(), err })
	}
	for _, v := range delivery.Conditions() {
		check(v.String(), func(s string) (string, error) { err := v.UnmarshalText([]byte(s)); return v.String(), err })
	}
	for _, v := range delivery.Actors() {
		check(v.String(), func(s string) (string, error) { err := v.UnmarshalText([]byte(s)); return v.String(), err })
	}
	require.Equal(t, delivery.LaneTransactional, delivery.CategoryTransactional.Lane())
	require.Equal(t, delivery.LaneBulk, delivery.CategoryMarketing.Lane())
}

func TestRank_Meaning(t *testing.T) {
	t.Parallel()
	var reached, final []string
	for _, k := range delivery.Kinds() {
		r := k.Rank()
		if r == delivery.RankNone {
			require.Empty(t, r.Status())
			continue
		}
		if k != delivery.KindOpened {
			require.Equal(t, k.String(), r.Status())
		}
		if r.Reached() {
			reached = append(reached, k.String())
		}
		if r.Final() {
			final = append(final, k.String())
		}
	}
	require.Equal(t, []string{"accepted", "delivered", "read", "opened", "clicked"}, reached)
	require.Equal(t, []string{
		"suppressed", "unknown", "accepted", "expired", "failed", "rejected", "delivered", "bounced", "read", "opened",
		"clicked",
	}, final)
}
