package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// texts has the types that JSON carries as strings.
func texts() map[reflect.Type]object {
	return map[reflect.Type]object{
		reflect.TypeFor[delivery.Channel]():   enum(delivery.Channels()),
		reflect.TypeFor[delivery.Category]():  enum(delivery.Categories()),
		reflect.TypeFor[delivery.AdvanceOn](): enum(delivery.AdvanceOns()),
		reflect.TypeFor[delivery.Condition](): enum(delivery.Conditions()),
		reflect.TypeFor[delivery.Kind]():      enum(delivery.Kinds()),
		reflect.TypeFor[delivery.Reason]():    enum(delivery.Reasons()),
		reflect.TypeFor[delivery.Actor]():     enum(delivery.Actors()),
		reflect.TypeFor[delivery.ID]():        pattern(`^-?[0-9]{1,19}$`),
		reflect.TypeFor[delivery.Duration]():  pattern(`^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`),
		reflect.TypeFor[delivery.When]():      pattern(whenPattern),
		reflect.TypeFor[time.Time]():          {{"type", "string"}, {"format", "date-time"}},
	}
}

const (
	whenPattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?$`
	namePattern = `^([A-Za-z0-9][A-Za-z0-9_.-]{0,63})?$`
)

func enum[T fmt.Stringer](list []T) object {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = v.String()
	}
	return object{{"type", "string"}, {"enum", names}}
}

func pattern(p string) object { return object{{"type", "string"}, {"pattern", p}} }

// rules has the bounds that the Go types do not say, by structure or by structure and field. Lengths count characters
// here and bytes in the contract.
func rules() map[string]object {
	const counter, revision = 1<<15 - 1, 1<<31 - 1
	length := func(n int) object { return object{{"maxLength", n}} }
	between := func(low, high int) object { return object{{"minimum", low}, {"maximum", high}} }
	needs := func(names ...string) object { return object{{"required", names}} }
	version, number := object{{"const", delivery.Version}}, between(0, delivery.MessagesPerJob-1)
	letters := object{{"pattern", "^[A-" + delivery.VariantLetter(delivery.MaxVariants) + "]?$"}}
	filled := object{{"minLength", 1}}
	text := func(bytes int) object { return object{{"type", "string"}, {"minLength", 1}, {"maxLength", bytes}} }
	return map[string]object{
		"Job": {
			{"oneOf", []object{needs("template"), needs("content")}},
			{"anyOf", []object{needs("profile"), needs("recipient")}},
		},
		"Job.V":          version,
		"Job.Key":        length(delivery.MaxKeyBytes),
		"Job.Topic":      {{"pattern", namePattern}},
		"Job.Policy":     {{"pattern", namePattern}},
		"Job.Profile":    length(256),
		"Job.Template":   length(256),
		"Job.Campaign":   length(256),
		"Job.Launch":     length(delivery.MaxLabelBytes),
		"Job.Cascade":    {{"minItems", 1}, {"maxItems", delivery.MessagesPerJob}},
		"Job.Priority":   between(1, delivery.MaxPriority),
		"Job.Variant":    letters,
		"Job.Senders":    {{"additionalProperties", text(320)}},
		"Job.Providers":  {{"items", text(64)}},
		"Content":        {{"minProperties", 1}},
		"Recipient.Push": {{"items", text(4096)}, {"maxItems", 100}},
		"SMS.Text":       {{"minLength", 1}, {"maxLength", 255 * 153}},
		"Viber":          {{"anyOf", []object{needs("text"), needs("image")}}},
		"Button.Text":    filled,
		"Button.URL":     filled,
		"Email":          {{"anyOf", []object{needs("html"), needs("text")}}},
		"Email.Subject":  filled,
		"Push.Body":      filled,

		"Internal.Number":   number,
		"Internal.Link":     number,
		"Internal.Turn":     between(0, counter),
		"Internal.Attempt":  between(0, counter),
		"Internal.Revision": between(0, revision),

		"Event.V":        version,
		"Event.ID":       filled,
		"Event.Link":     number,
		"Event.Turn":     between(0, counter),
		"Event.Attempt":  between(0, counter),
		"Event.Parts":    between(0, counter),
		"Event.Revision": between(0, revision),
		"Event.URLID":    between(0, revision),
		"Next.Link":      between(1, delivery.MessagesPerJob-1),
	}
}
