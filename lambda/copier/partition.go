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
)

// partition has the blobs that manifests refer to, in parts by the first byte of their
// digests, in a spill: one part after the other fits into memory. It is not safe for
// concurrent use.
type partition struct {
	spill  spill
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

// blobs returns the blobs of a part.
func (p *partition) blobs(part int) (map[Digest]MissingBlob, error) {
	if p.failed != nil {
		return nil, p.failed
	}
	blobs := map[Digest]MissingBlob{}
	names := map[int64][2]string{}
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
			return nil, err
		}
		if err := read(data); err != nil {
			return nil, err
		}
	}
	return blobs, read(p.parts[part].last)
}

// name returns the repository and the image at a position.
func (p *partition) name(position int64) (name [2]string, err error) {
	end := p.spill.written + int64(len(p.spill.tail))
	head := make([]byte, min(2*binary.MaxVarintLen16, end-position))
	if err := p.spill.read(position, head); err != nil {
		return name, err
	}
	repository, n := binary.Uvarint(head)
	image, m := binary.Uvarint(head[n:])
	text := make([]byte, repository+image)
	if err := p.spill.read(position+int64(n+m), text); err != nil {
		return name, err
	}
	return [2]string{string(text[:repository]), string(text[repository:])}, nil
}
