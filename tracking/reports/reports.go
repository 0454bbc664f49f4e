// Package reports tells what became of jobs: the ledger and the figures of a launch, the messages behind each figure,
// and the whole story of a job. The types are what the API answers; tracking/postgres reads them.
package reports

import (
	"errors"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// The errors of whoever reads reports.
var (
	ErrNotFound = errors.New("there is no such launch, job or message")
	ErrClosed   = errors.New("the size of the launch is settled already")
)

// Launch is one execution of a campaign, or a set of jobs under a label.
type Launch struct {
	Label     string    `json:"label" doc:"Name of the launch."`
	Campaign  string    `json:"campaign,omitempty" doc:"Campaign that it belongs to."`
	State     string    `json:"state" enum:"open,producing,stopped,cancelled" doc:"What it does."`
	Declared  *int64    `json:"declared,omitempty" doc:"Size that was declared: how many jobs belong to it."`
	Closed    bool      `json:"closed" doc:"Whether no more jobs will follow."`
	CreatedAt time.Time `json:"created_at" doc:"When its first job or its declaration came."`
}

// LaunchPage is a page of launches.
type LaunchPage struct {
	Items []Launch `json:"items" nullable:"false" doc:"The launches, the newest first."`
	Next  string   `json:"next" doc:"Cursor of the next page; empty on the last."`
}

// Ledger says where the jobs of a launch are: audience = accepted + suppressed + held + failed + expired + unknown +
// pending, at any moment.
type Ledger struct {
	Launch     string           `json:"launch" doc:"Label of the launch."`
	Audience   int64            `json:"audience" doc:"Everyone who was selected, hold-outs included: the declared size, else the jobs claimed so far."`
	Settled    bool             `json:"settled" doc:"Whether the audience is final: declared or closed."`
	Finished   bool             `json:"finished" doc:"Whether nothing more will happen: settled, and nothing pending, held or open."`
	Accepted   int64            `json:"accepted" doc:"Taken by a provider: delivered + awaiting + open."`
	Delivered  int64            `json:"delivered" doc:"Of accepted: delivered, read, opened or clicked."`
	Awaiting   int64            `json:"awaiting" doc:"Of accepted: no receipt yet, or none will come."`
	Open       int64            `json:"open" doc:"Of accepted: a later link may still follow."`
	Suppressed map[string]int64 `json:"suppressed" doc:"Will never be sent, by reason."`
	Held       map[string]int64 `json:"held" doc:"Will be tried later, by reason."`
	Failed     map[string]int64 `json:"failed" doc:"Was tried and is over, by reason."`
	Expired    int64            `json:"expired" doc:"Its time was over."`
	Unknown    int64            `json:"unknown" doc:"In doubt: it may have been sent."`
	Pending    int64            `json:"pending" doc:"Not read yet, or claimed and without a fate."`
	Claimed    int64            `json:"claimed" doc:"Jobs that were read, counted when they were claimed."`
	Unread     int64            `json:"unread" doc:"Of pending: declared, and not read yet."`
	Void       int64            `json:"void" doc:"Records with the label that are no jobs: faulty ones and repeats."`
}

// Report is what a launch achieved.
type Report struct {
	Launch Launch      `json:"launch" doc:"The launch."`
	Ledger Ledger      `json:"ledger" doc:"Where its jobs are."`
	Rows   []ReportRow `json:"rows" nullable:"false" doc:"Figures by variant and channel."`
}

// ReportRow holds the figures of one variant on one channel.
type ReportRow struct {
	Variant string           `json:"variant" doc:"A to P; empty without variants."`
	Channel string           `json:"channel" doc:"Channel of the messages."`
	Counts  map[string]int64 `json:"counts" doc:"Messages by kind of event: each message counts once for a kind."`
	Parts   int64            `json:"parts" doc:"Parts that providers took."`
}

// Verification is a ledger that was counted again.
type Verification struct {
	OK      bool          `json:"ok" doc:"Whether the figures agree with the rows."`
	Ledger  Ledger        `json:"ledger" doc:"The ledger as it stands."`
	Missing []delivery.ID `json:"missing" nullable:"false" doc:"Jobs that are claimed and neither have a fate nor are on their way, at most 1000."`
	Faults  []string      `json:"faults" nullable:"false" doc:"Figures that differ from what was counted, in words."`
}

// MessageQuery chooses messages of a launch.
type MessageQuery struct {
	Kind   string // a kind of event or a bucket of the ledger; empty: all
	Reason delivery.Reason
	Cursor int64 // the id behind which the page begins; 0: at the begin
	Limit  int
}

// MessageItem is one line of a list of messages.
type MessageItem struct {
	ID       delivery.ID `json:"id" pattern:"^[0-9]{1,19}$" doc:"The message."`
	Job      delivery.ID `json:"job" pattern:"^[0-9]{1,19}$" doc:"The job."`
	Channel  string      `json:"channel" doc:"Channel of the message."`
	Provider string      `json:"provider,omitempty" doc:"Account that took it."`
	Status   string      `json:"status" doc:"Highest kind of event so far, or pending."`
	Reason   string      `json:"reason,omitempty" doc:"Why."`
	At       time.Time   `json:"at" doc:"Since when."`
}

// MessagePage is a page of messages.
type MessagePage struct {
	Items []MessageItem `json:"items" nullable:"false" doc:"The messages, by id."`
	Next  string        `json:"next" doc:"Cursor of the next page; empty on the last."`
}

// JobReport is a whole job: where it stands and what happened.
type JobReport struct {
	ID       delivery.ID  `json:"id" pattern:"^[0-9]{1,19}$" doc:"The job."`
	Launch   string       `json:"launch,omitempty" doc:"Label of its launch."`
	Bucket   string       `json:"bucket" doc:"Where it stands in the ledger."`
	Reason   string       `json:"reason,omitempty" doc:"Why."`
	Messages []JobMessage `json:"messages" nullable:"false" doc:"Its messages, in the order of their numbers."`
}

// JobMessage is one message of a job.
type JobMessage struct {
	ID       delivery.ID `json:"id" pattern:"^[0-9]{1,19}$" doc:"The message."`
	Link     int         `json:"link" doc:"Position in the cascade, from 0."`
	Channel  string      `json:"channel" doc:"Channel."`
	Provider string      `json:"provider,omitempty" doc:"Account that took it."`
	Status   string      `json:"status" doc:"Highest kind of event so far."`
	Reason   string      `json:"reason,omitempty" doc:"Why."`
	At       time.Time   `json:"at" doc:"Since when."`
	Parts    int         `json:"parts" doc:"Parts that the provider took."`
	Timeline []JobEvent  `json:"timeline" nullable:"false" doc:"What happened, in order."`
}

// JobEvent is one entry of a timeline.
type JobEvent struct {
	Kind     string    `json:"kind" doc:"What happened."`
	At       time.Time `json:"at" doc:"When."`
	Reason   string    `json:"reason,omitempty" doc:"Why."`
	Code     string    `json:"code,omitempty" doc:"The provider's own code."`
	Detail   string    `json:"detail,omitempty" doc:"More, for people."`
	Provider string    `json:"provider,omitempty" doc:"Account."`
	Turn     int       `json:"turn,omitempty" doc:"How often the job had come back."`
	Attempt  int       `json:"attempt,omitempty" doc:"Which submit of the message."`
	Late     bool      `json:"late,omitempty" doc:"Whether it came after the cascade had gone on."`
}
