package postgres

import (
	"slices"
	"time"
)

// Ids of jobs and messages carry the millisecond of their allocation above 20 bits of sequence (package delivery). The
// figures are repeated here because this package knows ids only as numbers; a test compares them with id_at of the
// schema.
const (
	idShift     = 20
	idEpochMS   = 1704067200000 // 2024-01-01T00:00:00Z
	dayMS       = 24 * 60 * 60 * 1000
	epochDay    = idEpochMS / dayMS
	idsPerDay   = int64(dayMS) << idShift
	daySuffix   = "20060102"
	secondsADay = dayMS / 1000
)

// PartitionName is the name of the table's partition for the UTC day that holds the time, such as claim_20261121.
func PartitionName(table string, day time.Time) string {
	return table + "_" + day.UTC().Format(daySuffix)
}

// TableFor is the name of the table's partition that holds the id: that of the UTC day on which it was allocated.
func TableFor[I ~int64](table string, id I) string {
	return table + "_" + suffix(dayOf(int64(id)))
}

// DayOf is the UTC midnight that begins the day on which the id was allocated.
func DayOf[I ~int64](id I) time.Time { return dayTime(dayOf(int64(id))) }

// FirstID is the smallest id of the UTC day that holds the time.
func FirstID(day time.Time) int64 { return (dayNumber(day) - epochDay) * idsPerDay }

// Day is the part of a batch of ids that belongs to one UTC day.
type Day struct {
	// Suffix is what the names of the day's partitions end with, such as 20261121.
	Suffix string
	// At are the positions of the day's ids in the batch, in their order there.
	At []int
	// All is true when every id of the batch belongs to this day, so that At is 0, 1, 2, …
	All bool
}

// Table is the name of the table's partition for the day.
func (d Day) Table(table string) string { return table + "_" + d.Suffix }

// ByDay splits a batch of ids by the UTC day of their allocation, earliest day first. The usual batch has one day.
func ByDay[I ~int64](ids []I) []Day {
	if len(ids) == 0 {
		return nil
	}
	first, same := dayOf(int64(ids[0])), true
	for _, id := range ids[1:] {
		if dayOf(int64(id)) != first {
			same = false
			break
		}
	}
	if same {
		at := make([]int, len(ids))
		for i := range at {
			at[i] = i
		}
		return []Day{{Suffix: suffix(first), At: at, All: true}}
	}
	groups := map[int64][]int{}
	for i, id := range ids {
		d := dayOf(int64(id))
		groups[d] = append(groups[d], i)
	}
	numbers := make([]int64, 0, len(groups))
	for d := range groups {
		numbers = append(numbers, d)
	}
	slices.Sort(numbers)
	days := make([]Day, len(numbers))
	for i, d := range numbers {
		days[i] = Day{Suffix: suffix(d), At: groups[d]}
	}
	return days
}

// Pick gives the day's share of a column of the batch: column itself when the day holds the whole batch.
func Pick[T any](d Day, column []T) []T {
	if d.All {
		return column
	}
	out := make([]T, len(d.At))
	for i, at := range d.At {
		out[i] = column[at]
	}
	return out
}

// dayOf counts the days from 1970 to the day of the id. An id below the epoch belongs to a day before 2024.
func dayOf(id int64) int64 { return epochDay + floorDiv(id>>idShift, dayMS) }

func dayNumber(t time.Time) int64 { return floorDiv(t.Unix(), secondsADay) }

func dayTime(n int64) time.Time { return time.Unix(n*secondsADay, 0).UTC() }

func suffix(n int64) string { return dayTime(n).Format(daySuffix) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
