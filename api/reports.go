package api

import (
	"context"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/tracking/reports"
)

// Intake takes jobs in.
type Intake interface {
	// Accept makes all of the jobs durable, or none: it answers in their order once all are acknowledged. With declare
	// each launch that the jobs name grows by those that are new. Errors that wrap delivery.ErrUnavailable mean that the
	// caller may come again.
	Accept(ctx context.Context, jobs []*delivery.Job, declare bool) ([]delivery.Accepted, error)
}

// Reports tells what became of jobs. Unknown labels and ids are reports.ErrNotFound; errors that wrap
// delivery.ErrUnavailable mean that the caller may come again.
type Reports interface {
	// Job is the job that the message belongs to, whichever of its messages is named, with its timeline and fate.
	Job(ctx context.Context, id delivery.ID) (*reports.JobReport, error)
	// Launches lists launches, the newest first, from behind the one that the cursor names; 0 begins.
	Launches(ctx context.Context, cursor int64, limit int) (*reports.LaunchPage, error)
	Launch(ctx context.Context, label string) (*reports.Launch, error)
	Report(ctx context.Context, label string) (*reports.Report, error)
	Ledger(ctx context.Context, label string) (*reports.Ledger, error)
	// Verify counts claims and fates again and names what differs.
	Verify(ctx context.Context, label string) (*reports.Verification, error)
	// Messages lists the messages, or for pending the jobs, that a figure of the ledger or the report counts.
	Messages(ctx context.Context, label string, q reports.MessageQuery) (*reports.MessagePage, error)
	// Declare sets the size of a launch, which it makes when there is none. A closed launch is reports.ErrClosed.
	Declare(ctx context.Context, label string, size int64) (*reports.Launch, error)
	// Close says that no more jobs will follow.
	Close(ctx context.Context, label string) (*reports.Launch, error)
}

// The bodies of answers under names of this package, so that a client needs no other.
type (
	// Launch is a launch.
	Launch = reports.Launch
	// LaunchPage is a page of launches.
	LaunchPage = reports.LaunchPage
	// Ledger is where the jobs of a launch are.
	Ledger = reports.Ledger
	// Report is what a launch achieved.
	Report = reports.Report
	// Verification is a ledger that was counted again.
	Verification = reports.Verification
	// MessagePage is a page of messages.
	MessagePage = reports.MessagePage
	// JobReport is a whole job.
	JobReport = reports.JobReport
)
