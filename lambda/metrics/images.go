package metrics

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"time"
)

const (
	// ImageInterval is the minimum time between two lines with the requests by
	// repository.
	ImageInterval = time.Minute
	// ImageMessage is the member msg of such a line.
	ImageMessage = "images"

	// maxRepositories is how many repositories a line has. The others are one
	// number.
	maxRepositories = 100
	// imageSlots is the size of the table, a power of 2; at most half of it is used.
	imageSlots = 512
	// sampled is how many counts the threshold of a purge is the median of.
	sampled = 64
	// maxImageLine is the size in bytes above which no more repositories are added
	// to a line; CloudWatch accepts events of up to 1 MB.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
	maxImageLine = 128 << 10
)

// images counts requests by repository and place of the client, in a table of
// constant size. When it is full, the median count is subtracted from all entries
// and those without a rest are removed, as in the Misra-Gries summary; what was
// subtracted counts as other. So a count is never too high, the sum is exact, and a
// repository with more than one in 128 of the requests of an interval is always in
// the table, whatever else is requested.
//
// The method is that of the frequent items sketch of Apache DataSketches, see
// Anderson et al., "A High-Performance Algorithm for Identifying Frequent Items in
// Data Streams", IMC 2017.
type images struct {
	seed         maphash.Seed
	slots, spare *[imageSlots]imageCount
	used         int
	total, other int
	since        time.Time // end of the first request
}

type imageCount struct {
	hash                      uint64
	repository, cloud, region string
	requests                  int // 0 in an empty slot
}

func newImages() *images {
	return &images{seed: maphash.MakeSeed(), slots: new([imageSlots]imageCount), spare: new([imageSlots]imageCount)}
}

func (m *images) add(repository, cloud, region string) {
	// Places of a repository are few, so a part of the region is enough.
	hash := maphash.String(m.seed, repository)
	if n := len(region); n > 0 {
		hash += (uint64(region[0])<<16 | uint64(region[n/2])<<8 | uint64(region[n-1])) * 0x9E3779B97F4A7C15
	}
	hash ^= hash >> 32
	m.total++
	i := hash % imageSlots
	for ; m.slots[i].requests > 0; i = (i + 1) % imageSlots {
		if s := &m.slots[i]; s.hash == hash && s.repository == repository && s.region == region && s.cloud == cloud {
			s.requests++
			return
		}
	}
	if m.used == imageSlots/2 {
		m.purge()
		for i = hash % imageSlots; m.slots[i].requests > 0; i = (i + 1) % imageSlots {
		}
	}
	m.slots[i] = imageCount{hash, repository, cloud, region, 1}
	m.used++
}

// purge removes at least half of the sampled entries.
func (m *images) purge() {
	var sample [sampled]int
	n := 0
	for i := 0; n < sampled; i++ {
		if c := m.slots[i].requests; c > 0 {
			sample[n] = c
			n++
		}
	}
	slices.Sort(sample[:])
	threshold := sample[sampled/2]
	m.used = 0
	for i := range m.slots {
		c := &m.slots[i]
		if c.requests == 0 {
			continue
		}
		m.other += min(c.requests, threshold)
		if c.requests -= threshold; c.requests > 0 {
			at := c.hash % imageSlots
			for m.spare[at].requests > 0 {
				at = (at + 1) % imageSlots
			}
			m.spare[at] = *c
			m.used++
		}
	}
	clear(m.slots[:])
	m.slots, m.spare = m.spare, m.slots
}

// appendLine appends the counts as a line of JSON and resets them.
func (m *images) appendLine(out []byte, now time.Time) []byte {
	sums := map[string]int{}
	var all []imageCount
	for _, c := range m.slots {
		if c.requests > 0 {
			all = append(all, c)
			sums[c.repository] += c.requests
		}
	}
	// The repositories with the most requests first, and in each the places.
	slices.SortFunc(all, func(a, b imageCount) int {
		return cmp.Or(cmp.Compare(sums[b.repository], sums[a.repository]), cmp.Compare(a.repository, b.repository),
			cmp.Compare(b.requests, a.requests), cmp.Compare(a.cloud, b.cloud), cmp.Compare(a.region, b.region))
	})
	begin, repositories, other := len(out), 0, m.other
	out = append(out, `{"msg":"`+ImageMessage+`","seconds":`...)
	out = strconv.AppendInt(out, int64(now.Sub(m.since).Round(time.Second)/time.Second), 10)
	out = append(out, `,"requests":`...)
	out = strconv.AppendInt(out, int64(m.total), 10)
	out = append(out, `,"images":[`...)
	for i, c := range all {
		if i == 0 || c.repository != all[i-1].repository {
			repositories++
		}
		if repositories > maxRepositories || len(out)-begin > maxImageLine {
			other += c.requests
			continue
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"repository":`...)
		out = quote(out, c.repository)
		out = append(out, `,"cloud":`...)
		out = quote(out, c.cloud)
		out = append(out, `,"region":`...)
		out = quote(out, c.region)
		out = append(out, `,"requests":`...)
		out = strconv.AppendInt(out, int64(c.requests), 10)
		out = append(out, '}')
	}
	out = append(out, `],"other":`...)
	out = strconv.AppendInt(out, int64(other), 10)
	clear(m.slots[:])
	m.used, m.total, m.other = 0, 0, 0
	return append(out, "}\n"...)
}

// Image counts a request for a manifest or blob of a repository, from a client in a
// cloud and region; the cloud may be empty. The repository must be a valid name.
func (r *Recorder) Image(repository, cloud, region string) {
	if r == nil {
		return
	}
	if cloud == "" {
		cloud = UnknownCloud
	}
	r.mu.Lock()
	if r.images == nil {
		r.images = newImages()
	}
	if r.images.total == 0 {
		r.images.since = r.latest
	}
	r.images.add(repository, cloud, region)
	r.mu.Unlock()
}

// writeImages writes the requests by repository, if there are any.
func (r *Recorder) writeImages(now time.Time) {
	if r.images == nil || r.images.total == 0 {
		return
	}
	_, _ = r.out.Write(r.images.appendLine(nil, now))
}
