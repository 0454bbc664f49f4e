package delivery_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// A campaign service builds a job, checks it and produces its record to the topic of its lane.
func Example() {
	job := &delivery.Job{
		V:         delivery.Version,
		Key:       "order-5531-shipped",
		Category:  delivery.CategoryTransactional,
		Recipient: &delivery.Recipient{Phone: "8 916 123-45-67", Locale: "ru"},
		Content:   &delivery.Content{SMS: &delivery.SMS{Text: "Заказ {{ order }} уже в пути"}},
		Data:      map[string]any{"order": 5531},
		Cascade:   []delivery.Link{{Channel: delivery.ChannelSMS, TTL: delivery.Duration(24 * time.Hour)}},
	}
	if err := job.Validate(); err != nil {
		fmt.Println(err)
	}
	record, err := delivery.JobRecord("herald.jobs."+job.Category.Lane().String(), job)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(record.Topic)
	fmt.Printf("%s\n", record.Key)
	fmt.Printf("%s\n", record.Value)
	// Output:
	// herald.jobs.transactional
	// +79161234567
	// {"v":1,"key":"order-5531-shipped","category":"transactional","recipient":{"phone":"8 916 123-45-67","locale":"ru"},"content":{"sms":{"text":"Заказ {{ order }} уже в пути"}},"data":{"order":5531},"cascade":[{"channel":"sms","ttl":"24h"}]}
}

// All that is wrong with a job is told at once, with the path of each field.
func ExampleDecodeJob() {
	_, err := delivery.DecodeJob([]byte(`{
		"v": 1, "category": "marketing", "colour": "red",
		"recipient": {"phone": 79161234567},
		"template": "autumn", "cascade": [{"channel": "sms", "ttl": "0s"}]
	}`))
	if faults, ok := errors.AsType[delivery.Faults](err); ok {
		for _, fault := range faults {
			fmt.Printf("%s: %s\n", fault.Field, fault.Message)
		}
	}
	// Output:
	// colour: is no field of the contract
	// recipient.phone: must be a string, not a number
	// cascade[0].ttl: must be more than zero
}

// A consumer of events finds the status of a message in any order of its events.
func ExampleState_Merge() {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var status delivery.State
	for _, e := range []delivery.Event{
		{Kind: delivery.KindDelivered, At: at.Add(3 * time.Second)},
		{Kind: delivery.KindAccepted, At: at},
		{Kind: delivery.KindDelivered, At: at.Add(3 * time.Second)},
	} {
		status = status.Merge(e.State())
	}
	fmt.Println(status.Rank.Status(), status.At.Format(time.TimeOnly))
	// Output: delivered 10:00:03
}

// Jobs from programs that are not Herald's may not carry what only Herald writes.
func ExampleJob_OutsideFaults() {
	job := &delivery.Job{Launch: "42", Herald: &delivery.Internal{ID: 8}}
	fmt.Println(job.OutsideFaults())
	// Output: herald: is written by Herald only; launch: holds digits only, which is reserved for campaigns
}
