package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/herald-gateway/herald/delivery"
)

// ErrBad is wrapped by store errors that repeating cannot cure: something in the batch itself is refused. Every other
// error means that the store is away for now.
var ErrBad = errors.New("refused by the store")

// ErrOwnerDead means that the owner that asked was declared dead. Its process goes on as a new owner.
var ErrOwnerDead = errors.New("the owner was declared dead")

// Claims is the durable memory of which job is whose and how far it got. Every method settles a batch in one
// transaction. An owner that is dead changes nothing: Claim fails with ErrOwnerDead, the others return fewer rows than
// they were asked for.
type Claims interface {
	// Claim gives every ask its job id and makes the new ones the owner's. Asks that come back from due with a higher
	// turn are taken over. The answers are in the order of the asks.
	Claim(ctx context.Context, owner int64, asks []Ask, now time.Time) ([]Claimed, error)
	// Look reads claims as they are now.
	Look(ctx context.Context, jobs []delivery.ID) ([]Claim, error)
	// TakeOver makes claims of dead owners ours, each only if it is still as it was looked at. It returns those taken,
	// with the stage that counts.
	TakeOver(ctx context.Context, owner int64, claims []Claim) ([]Claim, error)
	// Mark says that these jobs' bytes may leave from now on. It returns those that are still ours.
	Mark(ctx context.Context, owner int64, jobs []delivery.ID) ([]delivery.ID, error)
	// Unmark takes the mark back from jobs of which nothing left, so that they are not in doubt.
	Unmark(ctx context.Context, owner int64, jobs []delivery.ID) error
	// Hold ends the turn of jobs that come back later, writes their rows in due and keeps their bodies. It returns those
	// that were still ours.
	Hold(ctx context.Context, owner int64, holds []Hold) ([]delivery.ID, error)
	// Void counts records that carried a launch's label and became no job: dead letters and repeats.
	Void(ctx context.Context, owner int64, labels map[string]int, now time.Time) error
}

// Ask is a record that asks for its claim.
type Ask struct {
	Lane      delivery.Lane
	Partition int
	Offset    int64
	ID        delivery.ID // known from herald.id; else 0
	Key       string
	Turn      int
	Launch    string
	Body      []byte // kept with the claim when the job may come back; else nil
}

// Claimed answers an Ask.
type Claimed struct {
	ID       delivery.ID
	LaunchID int64
	Ours     bool // the claim was made, or taken back from due, by this call
	New      bool // with Ours: nobody had met the job before
}

// The bits of a claim's stage.
const (
	StageCap    = 1 // a cap is reserved
	StageHanded = 2 // the bytes may have left
	StageDue    = 4 // waiting in due
)

// Claim is a job's claim as it stands in the store.
type Claim struct {
	ID        delivery.ID
	Owner     int64
	Dead      bool // the owner is dead, or there is none
	Turn      int
	Stage     int
	Partition int
	Offset    int64 // with Partition: the record that was claimed first
}

// Hold is a job that comes back later.
type Hold struct {
	Job  delivery.ID
	Turn int // the turn that ends
	Due  delivery.Due
	Body []byte
}

// Owners keeps the rows of dispatching processes. Times are the store's own clock's.
type Owners interface {
	// Register makes a new owner under the process's name, or under name#2, name#3 when a living process holds it. All
	// earlier owners of that name are dead from then on. Its Gone are the names by which Kafka knows them, so that they can be sent away; member is this one's.
	Register(ctx context.Context, process, member string) (Owner, error)
	// Beat says that the owner lives. It returns false when somebody declared it dead.
	Beat(ctx context.Context, id int64) (alive bool, err error)
	// Reap declares dead whoever has not been seen for as long as silence, and returns the names by which Kafka knows them.
	Reap(ctx context.Context, silence time.Duration) ([]string, error)
	// Retire declares the owner dead and frees its name.
	Retire(ctx context.Context, id int64) error
}

// Owner is one start of a dispatching process.
type Owner struct {
	ID      int64
	Process string
	Gone    []string // how Kafka knows the dead owners of the same name
}

// Fates knows what is recorded of messages.
type Fates interface {
	Fates(ctx context.Context, messages []delivery.ID) (map[delivery.ID]delivery.Fate, error)
	// CatchUp returns when everything that stood on the events topic when it was called is recorded.
	CatchUp(ctx context.Context) error
}

// Writer writes records to Kafka and returns nil when all of them are acknowledged. It repeats until ctx ends.
type Writer interface {
	Write(ctx context.Context, records []delivery.Record) error
}

// References learns which provider ids belong to which message, before any receipt can name them.
type References interface {
	Remember(provider string, refs []string, message delivery.ID)
}
