package postgres

// The statements whose plans are tested.
const (
	JobsSQL    = jobsSQL
	PlannerSQL = plannerSQL
)
