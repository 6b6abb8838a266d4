package copier

import "time"

// Schedule is how the planner lists buckets if nothing changes.
type Schedule struct {
	// Parts is the number of parts that each bucket is listed in. The primary is listed
	// in each run.
	Parts int
	// Period is the time after which a part of the replicas is listed again, Turns is
	// the number of runs in it that list some. The index is written after each of them,
	// because its date is that of the oldest part.
	Period time.Duration
	Turns  int
}

// ListingSchedule returns how the planner lists a number of blobs in each bucket if
// its runs are an interval apart.
func ListingSchedule(blobs int, interval time.Duration) Schedule {
	s := Schedule{Parts: 1 << (4 * digitsFor(blobs)), Period: interval, Turns: 1}
	if blobs <= s.Parts*smallPart {
		return s
	}
	for s.Period+max(interval, minInterval) <= maxPartAge {
		s.Period += interval
	}
	s.Turns = min(turns, s.Parts, int(s.Period/interval))
	return s
}
