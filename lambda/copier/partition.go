package copier

import (
	"bytes"
	"encoding/binary"
	"errors"

	"archeio/lambda/registry"
)

const (
	// partitions is the number of parts of a partition.
	partitions = 256
	// partitionBuffer is the size in bytes from which the last references of a part are
	// written to the spill.
	partitionBuffer = 16 << 10
	// maxGroup is the size in bytes of the references of a group of parts, unless one part
	// has more. Each blob needs about ten times the memory of a reference.
	maxGroup = 4 << 20
	// maxName is the size in bytes of most pairs of a repository and an image, which are read
	// at once.
	maxName = 512
)

// partition has the blobs that manifests refer to, in parts by the first byte of their
// digests, in a spill: one part after the other fits into memory. It is not safe for
// concurrent use.
type partition struct {
	spill  spill
	group  int // maxGroup, less in tests
	parts  [partitions]partitionPart
	failed error // of the spill
}

type partitionPart struct {
	written []chunkSpan
	last    []byte
}

type chunkSpan struct {
	offset int64
	size   int
}

// image adds an image of a repository and returns its position, for add.
func (p *partition) image(repository, image string) (position int64) {
	name := binary.AppendUvarint(nil, uint64(len(repository)))
	name = binary.AppendUvarint(name, uint64(len(image)))
	position, err := p.spill.append(append(append(name, repository...), image...))
	p.failed = errors.Join(p.failed, err)
	return position
}

// add adds a reference of an image to a blob.
func (p *partition) add(d Digest, b registry.Blob, image int64) {
	part := &p.parts[d[0]]
	part.last = append(part.last, d[:]...)
	part.last = binary.AppendVarint(part.last, b.Size)
	part.last = binary.AppendUvarint(part.last, uint64(image))
	part.last = binary.AppendUvarint(part.last, uint64(len(b.Data)))
	part.last = append(part.last, b.Data...)
	if len(part.last) < partitionBuffer {
		return
	}
	offset, err := p.spill.append(part.last)
	p.failed = errors.Join(p.failed, err)
	part.written = append(part.written, chunkSpan{offset, len(part.last)})
	part.last = part.last[:0]
}

// size returns the size in bytes of the references of a part.
func (p *partitionPart) size() (n int) {
	for _, c := range p.written {
		n += c.size
	}
	return n + len(p.last)
}

// groups calls yield with the blobs of all parts, as many parts at a time as fit into
// memory.
func (p *partition) groups(yield func(blobs map[Digest]MissingBlob) error) error {
	for first := 0; first < partitions; {
		blobs, names := map[Digest]MissingBlob{}, map[int64][2]string{}
		end, size := first, 0
		for ; end < partitions && (end == first || size+p.parts[end].size() <= p.group); end++ {
			size += p.parts[end].size()
			if err := p.read(end, blobs, names); err != nil {
				return err
			}
		}
		if len(blobs) > 0 {
			if err := yield(blobs); err != nil {
				return err
			}
		}
		first = end
	}
	return nil
}

// blobs returns the blobs of a part.
func (p *partition) blobs(part int) (map[Digest]MissingBlob, error) {
	blobs := map[Digest]MissingBlob{}
	return blobs, p.read(part, blobs, map[int64][2]string{})
}

// read adds the blobs of a part to others, and the repositories and images at their
// positions to names.
func (p *partition) read(part int, blobs map[Digest]MissingBlob, names map[int64][2]string) error {
	if p.failed != nil {
		return p.failed
	}
	read := func(data []byte) error {
		for len(data) > 0 {
			d := Digest(data[:digestSize])
			data = data[digestSize:]
			size, n := binary.Varint(data)
			image, m := binary.Uvarint(data[n:])
			inline, k := binary.Uvarint(data[n+m:])
			data = data[n+m+k:]
			b := registry.Blob{Digest: d.String(), Size: size}
			if inline > 0 {
				b.Data = bytes.Clone(data[:inline])
			}
			data = data[inline:]
			name, known := names[int64(image)]
			if !known {
				var err error
				if name, err = p.name(int64(image)); err != nil {
					return err
				}
				names[int64(image)] = name
			}
			addReference(blobs, d, b, name[0], name[1])
		}
		return nil
	}
	for _, c := range p.parts[part].written {
		data := make([]byte, c.size)
		if err := p.spill.read(c.offset, data); err != nil {
			return err
		}
		if err := read(data); err != nil {
			return err
		}
	}
	return read(p.parts[part].last)
}

// name returns the repository and the image at a position.
func (p *partition) name(position int64) (name [2]string, err error) {
	end := p.spill.written + int64(len(p.spill.tail))
	data := make([]byte, min(maxName, end-position))
	if err := p.spill.read(position, data); err != nil {
		return name, err
	}
	repository, n := binary.Uvarint(data)
	image, m := binary.Uvarint(data[n:])
	text := data[n+m:]
	if uint64(len(text)) < repository+image {
		text = make([]byte, repository+image)
		if err := p.spill.read(position+int64(n+m), text); err != nil {
			return name, err
		}
	}
	text = text[:repository+image]
	return [2]string{string(text[:repository]), string(text[repository:])}, nil
}
