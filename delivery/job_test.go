package delivery_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
)

func TestJob_Expiry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		category  delivery.Category
		expiresAt time.Time
		want      time.Duration // after start
	}{
		"transactional":   {delivery.CategoryTransactional, time.Time{}, 24 * time.Hour},
		"marketing":       {delivery.CategoryMarketing, time.Time{}, 72 * time.Hour},
		"given":           {delivery.CategoryMarketing, start.Add(time.Minute), time.Minute},
		"past":            {delivery.CategoryMarketing, start.Add(-time.Minute), -time.Minute},
		"at most 30 days": {delivery.CategoryTransactional, start.Add(10000 * time.Hour), 30 * 24 * time.Hour},
	} {
		job := delivery.Job{Category: c.category, ExpiresAt: c.expiresAt}
		require.Equal(t, start.Add(c.want), job.Expiry(start), name)
	}
}

func TestJob_Defaults(t *testing.T) {
	t.Parallel()
	job := delivery.Job{}
	require.Equal(t, "default", job.EffectiveTopic())
	require.Equal(t, 50, job.EffectivePriority())
	job = delivery.Job{Topic: "sales", Priority: 7, Variant: "C"}
	require.Equal(t, "sales", job.EffectiveTopic())
	require.Equal(t, 7, job.EffectivePriority())
	require.EqualValues(t, 3, job.VariantNumber())
}

func TestJob_Links(t *testing.T) {
	t.Parallel()
	email := &delivery.Content{Email: &delivery.Email{Subject: "Hi"}}
	cascade := []delivery.Link{{Channel: delivery.ChannelViber}, {Channel: delivery.ChannelSMS}}
	for name, c := range map[string]struct {
		job  delivery.Job
		want []delivery.Link
	}{
		"cascade":      {delivery.Job{Cascade: cascade, Content: email}, cascade},
		"content":      {delivery.Job{Content: email}, []delivery.Link{{Channel: delivery.ChannelEmail}}},
		"recipient":    {delivery.Job{Recipient: &delivery.Recipient{Push: []string{"t"}}}, []delivery.Link{{Channel: delivery.ChannelPush}}},
		"profile only": {delivery.Job{Profile: "p"}, []delivery.Link{{Channel: delivery.ChannelSMS}}},
	} {
		require.Equal(t, c.want, c.job.Links(), name)
	}
}

func TestContent_Body(t *testing.T) {
	t.Parallel()
	c := &delivery.Content{SMS: &delivery.SMS{}, Viber: &delivery.Viber{}, Email: &delivery.Email{}, Push: &delivery.Push{}}
	require.Len(t, c.Bodies(), len(delivery.Channels()))
	for i, ch := range delivery.Channels() {
		require.Equal(t, ch, c.Bodies()[i].Channel())
		require.Equal(t, c.Bodies()[i], c.Body(ch))
		require.Nil(t, (&delivery.Content{}).Body(ch))
		require.Nil(t, (*delivery.Content)(nil).Body(ch))
	}
}

// Whoever has no profile is known by the first of phone, viber, email and push.
func TestRecipient_Identity(t *testing.T) {
	t.Parallel()
	all := delivery.Recipient{Phone: "8 916 123-45-67", Viber: "+4930901820", Email: "Olga@shop.example", Push: []string{"a", "b"}}
	noPhone, noViber, noEmail := all, all, all
	noPhone.Phone = " "
	noViber.Phone, noViber.Viber = "", ""
	noEmail.Phone, noEmail.Viber, noEmail.Email = "", "", ""
	for first, r := range map[string]delivery.Recipient{
		"+79161234567": all, "+4930901820": noPhone, "olga@shop.example": noViber, "a": noEmail, "": {},
	} {
		require.Equal(t, first, r.First())
		require.Equal(t, delivery.AnonymousProfile(first), r.ProfileID())
	}
	require.Empty(t, (*delivery.Recipient)(nil).First())
	for ch, want := range map[delivery.Channel]string{
		delivery.ChannelSMS: all.Phone, delivery.ChannelViber: all.Viber, delivery.ChannelEmail: all.Email, delivery.ChannelPush: "a",
	} {
		require.Equal(t, want, all.Address(ch))
		require.Empty(t, (*delivery.Recipient)(nil).Address(ch))
	}
	require.Equal(t, "+1", (&delivery.Recipient{Phone: "+1"}).Address(delivery.ChannelViber), "a phone is a Viber address")
}
