package copier

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"

	"archeio/lambda/registry"
)

// manifestFile has the contents of manifests in a spill, as lines of a saved cache. It
// needs about 50 bytes of memory for each of them. It is not safe for concurrent use.
type manifestFile struct {
	spill spill
	at    map[digestKey]span
}

// digestKeyOf returns the key of the digest of a manifest, which may be of any algorithm.
func digestKeyOf(digest string) digestKey {
	d, ok := ParseDigest(digest)
	if !ok {
		d = sha256.Sum256([]byte(digest))
	}
	return digestKey(d[:keySize])
}

// span is a part of a spill: its offset, and its size in the lowest sizeBits.
type span uint64

const sizeBits = 24

func (s span) offset() int64 { return int64(s >> sizeBits) }
func (s span) size() int     { return int(s & (1<<sizeBits - 1)) }

// maxLine is the size in bytes from which a line is not cached. A manifest of the largest
// size takes about ten MB.
const maxLine = 1<<sizeBits - 1

func newManifestFile(dir string) *manifestFile {
	return &manifestFile{spill: spill{dir: dir}, at: map[digestKey]span{}}
}

// add adds the line of a manifest to the spill, but not yet to what the file has. ok is
// false if it is too large.
func (f *manifestFile) add(line []byte) (s span, ok bool, err error) {
	if len(line) > maxLine {
		return 0, false, nil
	}
	offset, err := f.spill.append(line)
	return span(offset)<<sizeBits | span(len(line)), err == nil, err
}

// line returns the line of a manifest, or nil if the file does not have it.
func (f *manifestFile) line(digest string) []byte {
	s, ok := f.at[digestKeyOf(digest)]
	if !ok {
		return nil
	}
	line := make([]byte, s.size())
	if f.spill.read(s.offset(), line) != nil {
		return nil // it is fetched again
	}
	return line
}

// decoding limits the lines that are decoded at the same time, to bound memory.
var decoding = make(chan struct{}, 4)

// contentsOf returns the contents of a manifest from its line, nil if it is to be fetched
// again.
func contentsOf(line []byte) *registry.Contents {
	if line == nil {
		return nil
	}
	decoding <- struct{}{}
	defer func() { <-decoding }()
	var e entry
	if json.Unmarshal(line, &e) != nil {
		return nil
	}
	return e.contents()
}

// lineStart is the start of the line of a manifest, before its digest.
var lineStart = []byte(`{"manifest":"`)

// lineDigest returns the digest of the line of a manifest, empty for other lines.
func lineDigest(line []byte) string {
	rest, ok := bytes.CutPrefix(line, lineStart)
	if !ok {
		return ""
	}
	digest, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(digest)
}

// read adds the manifests of a saved cache and returns their digests if they are asked
// for. other is called with the lines of everything else. After an error nothing is added.
func (f *manifestFile) read(data []byte, digests bool, other func(entry) error) (read []string, err error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	fresh := map[digestKey]span{}
	lines := bufio.NewScanner(z)
	lines.Buffer(make([]byte, 0, 64<<10), 2*maxLine)
	for lines.Scan() {
		line := lines.Bytes()
		digest := lineDigest(line)
		if digest == "" {
			var e entry
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, err
			}
			if err := other(e); err != nil {
				return nil, err
			}
			continue
		}
		s, ok, err := f.add(line)
		if err != nil {
			return nil, err
		}
		if ok {
			fresh[digestKeyOf(digest)] = s
		}
		if digests {
			read = append(read, digest)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for key, s := range fresh {
		f.at[key] = s
	}
	return read, nil
}
