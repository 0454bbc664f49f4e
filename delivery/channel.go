package delivery

// Channel is a way to reach a recipient. The number is stored in SQL; further channels follow without gaps.
type Channel uint8

// The channels.
const (
	ChannelSMS   Channel = 0
	ChannelViber Channel = 1
	ChannelEmail Channel = 2
	ChannelPush  Channel = 3
)

//nolint:gochecknoglobals // a table that never changes
var channelNames = newNames("channel", map[Channel]string{
	ChannelSMS: "sms", ChannelViber: "viber", ChannelEmail: "email", ChannelPush: "push",
})

// Channels lists the channels in the order of their numbers.
func Channels() []Channel { return channelNames.all() }

// ParseChannel reads a channel's name.
func ParseChannel(s string) (Channel, error) { return channelNames.parse(s) }

func (c Channel) String() string { return channelNames.byNum[c] }

// MarshalText writes the name.
func (c Channel) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name.
func (c *Channel) UnmarshalText(b []byte) (err error) {
	*c, err = ParseChannel(string(b))
	return err
}

// Category says whether a job is advertising or part of a service that the recipient uses.
type Category uint8

// The categories.
const (
	CategoryMarketing     Category = 1
	CategoryTransactional Category = 2
)

//nolint:gochecknoglobals // a table that never changes
var categoryNames = newNames("category", map[Category]string{
	CategoryMarketing: "marketing", CategoryTransactional: "transactional",
})

// Categories lists the categories.
func Categories() []Category { return categoryNames.all() }

// ParseCategory reads a category's name.
func ParseCategory(s string) (Category, error) { return categoryNames.parse(s) }

func (c Category) String() string { return categoryNames.byNum[c] }

// MarshalText writes the name.
func (c Category) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name.
func (c *Category) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCategory(string(b))
	return err
}

// Lane is the Kafka topic that jobs travel on; each lane has its own consumer and budgets.
type Lane uint8

// The lanes. The number names the topic in job_record.
const (
	LaneTransactional Lane = 0
	LaneBulk          Lane = 1
)

//nolint:gochecknoglobals // a table that never changes
var laneNames = newNames("lane", map[Lane]string{LaneTransactional: "transactional", LaneBulk: "bulk"})

// Lanes lists the lanes.
func Lanes() []Lane { return laneNames.all() }

// ParseLane reads a lane's name.
func ParseLane(s string) (Lane, error) { return laneNames.parse(s) }

func (l Lane) String() string { return laneNames.byNum[l] }

// Lane is where jobs of this category travel unless their producer decides otherwise.
func (c Category) Lane() Lane {
	if c == CategoryTransactional {
		return LaneTransactional
	}
	return LaneBulk
}
