package delivery

// Fate is what is recorded of a message: how far it got, in which turn, why, and how often it was sent again knowingly.
// A message of which only redriven is recorded has no rank yet.
type Fate struct {
	Rank     Rank
	Turn     int
	Reason   Reason
	Redriven int
}
