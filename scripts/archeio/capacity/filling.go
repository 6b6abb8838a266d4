package capacity

import (
	"math"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/copier"
	"archeio/lambda/index"
)

const (
	// pageSize is how many keys a page of a listing has at most.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
	pageSize = 1000
	// runReads, runWrites and progressWrites are the requests of a run to the state that do
	// not depend on the number of blobs, readsPerMessage those of a worker for a message.
	runReads, runWrites, progressWrites, readsPerMessage = 5, 1, 3, 3
	// looksPerCheck is how often a worker reads the list of withdrawn blobs for each time
	// that it checks whether the primary has a blob.
	looksPerCheck = 2
	// saveSeconds is after how many seconds of listing the progress is saved again.
	saveSeconds = 10
	// listingsAtOnce is about how many pages of the primary are listed at the same time.
	listingsAtOnce = 6
	// keyBytes is what a key takes in a page of a listing: a blob's key has 89
	// characters, its XML element with date, ETag, size and class 370 bytes.
	keyBytes = 370
	// pageSeconds is the assumed time of a request for a page.
	pageSeconds = 0.15
	// tagBytes is what an image takes in a registry's listing of a repository, with
	// its digest, size and times, as Google's registries list them.
	tagBytes = 300
	// workSeconds is the assumed time of a worker for a repository without changes.
	workSeconds = 1
	// The queue: a message is sent in a batch of ten, received, and deleted. Lambda
	// polls with five connections, each for 20 seconds.
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	requestsPerMessage = 2.1
	emptyReceives      = 5 * month / 20
)

// Filling is what filling the mirrors takes in a month.
type Filling struct {
	PrimaryPages float64 `json:"primaryPages"` // LIST requests to the primary
	ReplicaPages float64 `json:"replicaPages"` // LIST requests to the replicas
	PageBytes    float64 `json:"pageBytes"`    // of listings from replicas to the planner
	IndexReads   float64 `json:"indexReads"`   // mostly of their headers
	IndexWrites  float64 `json:"indexWrites"`
	IndexBytes   float64 `json:"indexBytes"` // of indexes from the planner to replicas
	Messages     float64 `json:"messages"`
	// Of the state: by the planner and by workers.
	PlannerReads   float64 `json:"plannerReads"`
	PlannerWrites  float64 `json:"plannerWrites"`
	ProgressWrites float64 `json:"progressWrites"` // of PlannerWrites: of its own progress
	WorkerReads    float64 `json:"workerReads"`
	Checks         float64 `json:"checks"` // HEAD requests for new blobs
	Queue          float64 `json:"queueRequests"`
	Invocations    float64 `json:"invocations"`
	GBSeconds      float64 `json:"gbSeconds"`
	SourceBytes    float64 `json:"sourceBytes"` // of the upstream's listings
}

// ModelFilling returns what filling the mirrors takes if nothing changes but for the
// load's new blobs.
func ModelFilling(l Load) (f Filling) {
	if l.Runs == 0 {
		return f
	}
	blobs := l.storedBlobs()
	s := copier.ListingSchedule(int(blobs), time.Duration(hours/l.Runs*float64(time.Hour)))
	parts, rounds := float64(s.Parts), hours/s.Period.Hours()
	pages := parts * math.Max(1, math.Ceil(blobs/parts/pageSize))
	// A run begins with a page of each mirror, to count the blobs.
	f.PrimaryPages = l.Runs * (pages + 1)
	f.ReplicaPages = (l.Mirrors - 1) * (rounds*pages + l.Runs)
	f.PageBytes = (l.Mirrors - 1) * (rounds*blobs + l.Runs*min(blobs, pageSize)) * keyBytes
	// The planner writes the index if its date changes. Workers add new blobs to it soon
	// after they have copied them, once for each run that finds some.
	newBlobs, updates := l.newBlobs()/l.Runs, min(l.Runs, l.newBlobs())
	writes := min(l.Runs, rounds*float64(s.Turns)) + updates
	f.IndexReads, f.IndexWrites = (l.Runs+updates)*l.Mirrors+updates, writes*l.Mirrors
	f.IndexBytes = writes * (l.Mirrors - 1) * indexBytes(blobs)
	// The planner reads each part of the last inventory, and of the new one for the index,
	// and writes what has changed.
	f.PlannerReads = l.Runs * (2*parts + runReads)
	f.ProgressWrites = l.Runs*progressWrites + f.PrimaryPages*pageSeconds/listingsAtOnce/saveSeconds
	f.PlannerWrites = l.Runs*(min(parts, newBlobs)+runWrites) + f.ProgressWrites
	f.Messages = l.Runs*(l.Repositories+1) + updates
	// New blobs are copied to the primary, and to all replicas together.
	f.Checks = l.newBlobs() * min(l.Mirrors, 2)
	f.WorkerReads = f.Messages*readsPerMessage + f.Checks*looksPerCheck
	f.Queue = f.Messages*requestsPerMessage + emptyReceives
	f.Invocations = l.Runs + f.Messages
	f.GBSeconds = stage.FillerMemory / 1024 * (f.PrimaryPages*pageSeconds/listingsAtOnce + f.Messages*workSeconds)
	f.SourceBytes = l.Runs * l.Images * tagBytes
	return f
}

// indexBytes returns the size of the index of some blobs.
func indexBytes(blobs float64) float64 {
	stored, _ := (&index.Header{Entries: int(blobs)}).Size()
	return min(float64(stored), index.MaxSize)
}
