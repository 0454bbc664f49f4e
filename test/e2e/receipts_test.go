//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/api"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// A thousand messages of three parts; receipts come early, twice, in the wrong order, for strangers, in another form of
// the id than the answers, and one part of twenty messages is not delivered. The counts are exact.
func TestReceipts_OfThreeParts(t *testing.T) {
	n := 1000
	w := newWorld(t, sim.Config{
		ResponseID: "decimal", ReceiptID: "hex_upper", ReceiptIDWidth: 12, ReceiptDelay: 50 * time.Millisecond,
		NoRules: true,
		Faults: []sim.Fault{
			{Name: "receipt_early", Share: 0.1},
			{Name: "receipt_twice", Share: 0.05},
			{Name: "receipt", Value: "DELIVRD,ENROUTE", Share: 0.05},
			{Name: "receipt_foreign", Suffix: "99999"},
			{Name: "receipt_part", Suffix: "77777", Value: "UNDELIV"},
		},
	})
	w.settings = "resp_id: dec, receipt_id: hex"
	p := w.up()
	long := strings.Repeat("Скидки ждут вас. ", 9) // 153 characters of UCS-2
	list := jobs(n, "long", delivery.CategoryTransactional, func(i int) string { return fmt.Sprintf("%d %s", i, long) })
	for i := range 20 {
		list[i*50].Recipient.Phone = fmt.Sprintf("+7900%02d77777", i)
	}
	p.enqueue("long", list)
	strangers := jobs(10, "stranger", delivery.CategoryTransactional, keyText("stranger"))
	for i, j := range strangers {
		j.Recipient.Phone = fmt.Sprintf("+7900%02d99999", i)
	}
	p.enqueue("stranger", strangers)
	l := p.settled("long", 2*time.Minute)
	require.Equal(t, int64(n-20), l.Delivered, l)
	require.Equal(t, map[string]int64{"partial": 20}, l.Failed)

	var r api.Report
	require.Equal(t, 200, p.call(http.MethodGet, "/launches/long/report", nil, &r))
	require.Len(t, r.Rows, 1)
	require.Equal(t, int64(3*n), r.Rows[0].Parts)
	require.Equal(t, int64(n), r.Rows[0].Counts["accepted"])
	var v api.Verification
	require.Equal(t, 200, p.call(http.MethodGet, "/launches/"+url.PathEscape("long")+"/ledger?verify=true", nil, &v))
	require.True(t, v.OK, v)
}
