package capacity

import (
	"math"

	"archeio/infra/stage"
	"archeio/lambda/index"
)

const (
	// pageSize is how many keys a page of a listing has at most.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
	pageSize = 1000
	// turnHours is how long it takes to list all replicas, a part of them a run.
	turnHours = 12
	// The requests to the state for a message without changes, and for a run.
	readsPerMessage, writesPerRun = 3, 50
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
	IndexWrites  float64 `json:"indexWrites"`
	IndexBytes   float64 `json:"indexBytes"` // of indexes from the planner to replicas
	StateReads   float64 `json:"stateReads"`
	StateWrites  float64 `json:"stateWrites"`
	Queue        float64 `json:"queueRequests"`
	Invocations  float64 `json:"invocations"`
	GBSeconds    float64 `json:"gbSeconds"`
	SourceBytes  float64 `json:"sourceBytes"` // of the upstream's listings
}

// ModelFilling returns what filling the mirrors takes if nothing changes but for the
// load's new blobs.
func ModelFilling(l Load) (f Filling) {
	if l.Runs == 0 {
		return f
	}
	pages := math.Ceil(l.storedBlobs() / pageSize)
	turns := min(l.Runs, hours/float64(turnHours))
	f.PrimaryPages = pages * l.Runs
	f.ReplicaPages = pages * turns * (l.Mirrors - 1)
	f.PageBytes = f.ReplicaPages * min(pageSize, l.storedBlobs()) * keyBytes
	f.IndexWrites = l.Runs * l.Mirrors
	f.IndexBytes = l.Runs * (l.Mirrors - 1) * indexBytes(l.storedBlobs())
	messages := l.Runs * l.Repositories
	f.StateReads = messages * readsPerMessage
	f.StateWrites = l.Runs * writesPerRun
	f.Queue = messages*requestsPerMessage + emptyReceives
	f.Invocations = l.Runs + messages
	f.GBSeconds = stage.FillerMemory / 1024 * (f.PrimaryPages*pageSeconds + messages*workSeconds)
	f.SourceBytes = l.Runs * l.Images * tagBytes
	return f
}

// indexBytes returns the size of the index of some blobs.
func indexBytes(blobs float64) float64 {
	stored, _ := (&index.Header{Entries: int(blobs)}).Size()
	return min(float64(stored), index.MaxSize)
}
