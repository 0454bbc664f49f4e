package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/smstext"
	"github.com/herald-gateway/herald/templates"
)

const file = "../jobs.ndjson"

func TestJobs_AreFresh(t *testing.T) {
	t.Parallel()
	want, err := generate()
	require.NoError(t, err)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "run make generate")
}

// Every line is a job that Herald takes from outside and can render, and together they show what there is to show.
func TestJobs_AreGoodAndVaried(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	keys, parts := map[string]bool{}, map[smstext.Encoding]map[int]int{smstext.GSM7: {}, smstext.UCS2: {}}
	categories, locales, special := map[delivery.Category]int{}, map[string]int{}, 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		job, err := delivery.DecodeJob(lines.Bytes())
		require.NoError(t, err, lines.Text())
		require.Empty(t, job.OutsideFaults())
		require.Empty(t, job.Launch, "the label is given when the file is sent")
		require.False(t, keys[job.Key], "key %s twice", job.Key)
		keys[job.Key] = true
		body, err := templates.Render(job.Content.SMS, job.Data)
		require.NoError(t, err, lines.Text())
		n, encoding, _ := smstext.Count(body.(*delivery.SMS).Text)
		parts[encoding][min(n, 3)]++
		categories[job.Category]++
		locales[job.Recipient.Locale]++
		phone := job.Recipient.Phone
		require.Regexp(t, `^\+(7900000\d{4}|790000900\d\d|447700900\d{3})$`, phone)
		if strings.Contains(phone[len(phone)-5:], "900") {
			special++
		}
	}
	require.GreaterOrEqual(t, len(keys), 1000)
	for _, of := range []map[int]int{parts[smstext.GSM7], parts[smstext.UCS2]} {
		require.Greater(t, of[1], 50)
		require.Greater(t, of[2], 20)
	}
	require.Greater(t, parts[smstext.UCS2][3], 50)
	require.Greater(t, categories[delivery.CategoryMarketing], 400)
	require.Greater(t, categories[delivery.CategoryTransactional], 400)
	require.Greater(t, locales[en], 200)
	require.Greater(t, locales[ru], 500)
	require.Equal(t, 12, special)
}
